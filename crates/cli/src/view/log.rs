//! Lines of the app's log.

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use landfall_api::wire::LogLine;

use crate::{output::Output, report, view::plain};

/// Prints log lines with the process's name in front, aligned as far as they are known.
#[derive(Debug)]
pub struct LogView<'a> {
    output: &'a Output,
    zone: TimeZone,
    /// Names seen so far, in their order: it gives each its colour.
    seen: Vec<String>,
    width: usize,
}

const COLOURS: [AnsiColor; 5] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Yellow,
    AnsiColor::Blue,
];

impl<'a> LogView<'a> {
    /// A view; `names` are the processes that are known beforehand.
    pub fn new<'n>(output: &'a Output, names: impl IntoIterator<Item = &'n str>) -> Self {
        let width = names
            .into_iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0);
        Self {
            output,
            zone: TimeZone::system(),
            seen: Vec::new(),
            width,
        }
    }

    /// Prints a line.
    pub fn line(&mut self, line: &LogLine) {
        if self.output.json() {
            return self.output.data("log", line);
        }
        let at = plain::clock(line.at / 1000, &self.zone);
        self.output.print(&self.render(line, &at));
    }

    fn render(&mut self, line: &LogLine, at: &str) -> String {
        let name = match line.replica {
            0 | 1 => line.process.clone(),
            replica => format!("{}.{replica}", line.process),
        };
        self.width = self.width.max(name.chars().count());
        let index = self
            .seen
            .iter()
            .position(|seen| *seen == line.process)
            .unwrap_or_else(|| {
                self.seen.push(line.process.clone());
                self.seen.len() - 1
            });
        let colour = self
            .output
            .style(COLOURS[index % COLOURS.len()].on_default());
        let dim = self.output.style(Style::new().dimmed());
        // An app's own colours are welcome where ours are.
        let text = match self.output.colour() {
            true => line.text.clone(),
            false => report::clean(&line.text),
        };
        let width = self.width;
        format!("{dim}{at}{dim:#} {colour}{name:<width$}{colour:#}  {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Global;

    fn line(process: &str, replica: u32, text: &str) -> LogLine {
        LogLine {
            at: 0,
            service: "web".to_owned(),
            process: process.to_owned(),
            instance: "i".to_owned(),
            replica,
            release: 1,
            error: false,
            text: text.to_owned(),
        }
    }

    #[test]
    fn names_are_aligned() {
        let output = Output::new(&Global::default(), None);
        let mut view = LogView::new(&output, ["api", "agent"]);
        assert_eq!(
            view.render(&line("api", 1, "INFO \u{1b}[32mup\u{1b}[0m"), "12:04:11"),
            "12:04:11 api    INFO up"
        );
        assert_eq!(
            view.render(&line("agent", 2, "polls"), "12:04:12"),
            "12:04:12 agent.2  polls"
        );
    }
}
