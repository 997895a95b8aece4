//! What goes to standard output and standard error: one place that knows about colours, JSON,
//! quiet, and readers that went away.

use std::{
    cell::Cell,
    io::{IsTerminal, Write},
};

use anstyle::Style;
use serde::Serialize;

use crate::{
    arguments::{Color, Global},
    environment::Environment,
};

/// The version of the JSON envelope.
pub const JSON_VERSION: u32 = 1;

/// Standard output and standard error.
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    colour: bool,
    error_colour: bool,
    live: bool,
    interactive: bool,
    /// Set once nobody reads any more: `landfall logs | head`.
    closed: Cell<bool>,
    /// What tests print, for them to look at.
    #[cfg(test)]
    pub captured: std::cell::RefCell<String>,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    version: u32,
    kind: &'a str,
    data: &'a T,
}

impl Output {
    /// As the arguments and the environment say.
    pub fn new(global: &Global, environment: Option<&Environment>) -> Self {
        let (terminal, error_terminal) = (
            std::io::stdout().is_terminal(),
            std::io::stderr().is_terminal(),
        );
        let plain = environment.is_some_and(|environment| environment.no_color);
        let colour = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain,
        };
        let ci = environment.is_some_and(|environment| environment.ci);
        Self {
            json: global.json,
            quiet: global.quiet,
            colour: colour(terminal) && !global.json,
            error_colour: colour(error_terminal),
            live: terminal && error_terminal && !ci && !global.json && !global.quiet,
            interactive: terminal && std::io::stdin().is_terminal() && !global.json,
            closed: Cell::new(false),
            #[cfg(test)]
            captured: std::cell::RefCell::default(),
        }
    }

    /// Whether data is printed as JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Whether a spinner may be drawn.
    pub fn live(&self) -> bool {
        self.live
    }

    /// Whether somebody can be asked.
    pub fn interactive(&self) -> bool {
        self.interactive
    }

    /// Whether standard output takes colours.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Whether standard error takes colours.
    pub fn error_colour(&self) -> bool {
        self.error_colour
    }

    /// Whether nobody reads any more.
    pub fn closed(&self) -> bool {
        self.closed.get()
    }

    /// This style, where colours are wanted.
    pub fn style(&self, style: Style) -> Style {
        if self.colour { style } else { Style::new() }
    }

    /// News: not with `--json` or `--quiet`.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.json && !self.quiet {
            self.print(text.as_ref());
        }
    }

    /// What was asked for, as text.
    #[cfg(not(test))]
    pub fn print(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let written = match text.ends_with('\n') {
            true => out.write_all(text.as_bytes()),
            false => writeln!(out, "{text}"),
        };
        if written.and_then(|()| out.flush()).is_err() {
            self.closed.set(true);
        }
    }

    /// The same for tests.
    #[cfg(test)]
    pub fn print(&self, text: &str) {
        let mut captured = self.captured.borrow_mut();
        captured.push_str(text);
        if !text.ends_with('\n') {
            captured.push('\n');
        }
    }

    /// What was asked for, as JSON in its envelope.
    pub fn data(&self, kind: &str, data: &impl Serialize) {
        let envelope = Envelope {
            version: JSON_VERSION,
            kind,
            data,
        };
        // Our own types have string keys only, so they always serialize.
        let text = serde_json::to_string(&envelope).expect("our types serialize");
        self.print(&text);
    }

    /// A remark beside the data: not with `--json` or `--quiet`.
    pub fn remark(&self, text: &str) {
        if !self.json && !self.quiet {
            self.error(&format!("{text}\n"));
        }
    }

    /// What went wrong.
    pub fn error(&self, text: &str) {
        // If standard error is gone too there is nobody left to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}
