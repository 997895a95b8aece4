//! A deployment while it happens: its steps with their times, live on a terminal, as plain lines
//! without, as JSON for programs. Made of the preparation's steps and of the host's events.

use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use landfall_release::{Direction, Event, EventKind, Failure, Outcome, ReleaseNumber, Step};

use crate::{output::Output, view::plain};

/// Where the text after a step's name ends and its time begins.
const SAID: usize = 44;

/// How a deployment ended, as its last event says.
#[derive(Debug, Clone)]
pub struct Finished {
    pub outcome: Outcome,
    pub live: Option<ReleaseNumber>,
    pub took: u64,
    pub requests: u64,
    pub failed_requests: u64,
    pub failure: Option<Box<Failure>>,
}

/// Where the time of a deployment went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// The build, and all that is done with images.
    pub build: u64,
    /// The app: its migrations, hooks and start.
    pub app: u64,
}

/// The view.
pub struct Steps<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    /// What the running step said last.
    progress: Option<String>,
    running: Option<(String, Instant)>,
    undone: Vec<String>,
    undo_took: u64,
    /// The last sequence number seen: the cursor.
    pub cursor: u64,
    pub times: Times,
    pub finished: Option<Finished>,
}

impl<'a> Steps<'a> {
    /// A view; nothing is printed yet.
    pub fn new(output: &'a Output) -> Self {
        Self {
            output,
            bar: None,
            progress: None,
            running: None,
            undone: Vec::new(),
            undo_took: 0,
            cursor: 0,
            times: Times::default(),
            finished: None,
        }
    }

    /// A step began, here or in the host.
    pub fn begin(&mut self, name: &str, said: &str) {
        self.progress = None;
        self.running = Some((name.to_owned(), Instant::now()));
        if self.output.live() {
            self.stop_bar();
            let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner())
                .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
            let bar =
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
            bar.set_message(format!("{name:<10} {said}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            self.bar = Some(bar);
        }
    }

    /// News from within the running step.
    pub fn progress(&mut self, said: &str) {
        if let (Some(bar), Some((name, _))) = (&self.bar, &self.running) {
            bar.set_message(format!("{name:<10} {said}"));
        }
        self.progress = Some(said.to_owned());
    }

    /// The step ended well.
    pub fn done(&mut self, name: &str, said: &str, took: u64) {
        self.stop_bar();
        self.running = None;
        let green = self.output.style(AnsiColor::Green.on_default());
        self.output
            .say(line(&format!("{green}✓{green:#}"), name, said, took));
    }

    /// The step failed.
    pub fn failed(&mut self, name: &str, said: &str, took: u64) {
        self.stop_bar();
        self.running = None;
        let red = self.output.style(AnsiColor::Red.on_default());
        self.output
            .say(line(&format!("{red}✗{red:#}"), name, said, took));
    }

    /// A remark between the steps.
    pub fn remark(&self, text: &str) {
        let dim = self.output.style(Style::new().dimmed());
        let say = || self.output.say(format!("  {dim}{text}{dim:#}"));
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// A step of the preparation ended well.
    pub fn prepared(&mut self, name: &str, said: &str, took: u64) {
        if matches!(name, "build" | "pull" | "scan" | "push") {
            self.times.build += took;
        }
        if self.output.json() {
            self.output.data(
                "prepared",
                &serde_json::json!({ "step": name, "said": said, "took": took }),
            );
        }
        self.done(name, said, took);
    }

    /// Takes an event of the deployment in.
    pub fn event(&mut self, event: &Event) {
        self.cursor = self.cursor.max(event.sequence);
        if self.output.json() {
            self.output.data("event", event);
        }
        match &event.kind {
            EventKind::StepStarted {
                step,
                direction: Direction::Forward,
            } => self.begin(&plain::step(*step), ""),
            EventKind::StepStarted {
                step,
                direction: Direction::Undo,
            } => self.begin("undo", &plain::step(*step)),
            EventKind::StepProgress { said, .. } => self.progress(said),
            EventKind::StepFinished {
                step,
                direction: Direction::Forward,
                took,
                said,
            } => {
                self.count(*step, *took);
                // What only opens and closes is worth a line where it took time or found something.
                if *step == Step::Unlock && *took < 1000 {
                    self.stop_bar();
                } else {
                    self.done(&plain::step(*step), said, *took);
                }
            }
            EventKind::StepFinished {
                direction: Direction::Undo,
                took,
                said,
                ..
            } => {
                self.undo_took += took;
                if !said.is_empty() {
                    self.undone.push(said.clone());
                }
                self.stop_bar();
            }
            EventKind::StepFailed {
                step,
                direction,
                took,
                failure,
            } => {
                self.progress = None;
                // Its first line; the evidence stands below, with the error.
                let said = failure
                    .message
                    .lines()
                    .next()
                    .unwrap_or(&failure.name)
                    .to_owned();
                match direction {
                    Direction::Forward => {
                        self.count(*step, *took);
                        self.failed(&plain::step(*step), &said, *took);
                    }
                    Direction::Undo => self.failed(
                        "undo",
                        &format!("{}: {}", plain::step(*step), failure.message),
                        *took,
                    ),
                }
            }
            EventKind::HookEnded { .. } | EventKind::DeploymentTakenUp { .. } => {
                self.remark(&plain::event(&event.kind))
            }
            EventKind::DeploymentFinished {
                outcome,
                live,
                took,
                requests,
                failed_requests,
                failure,
            } => {
                self.stop_bar();
                if *outcome == Outcome::Undone && self.undo_took + self.undone.len() as u64 > 0 {
                    let (said, took) = (self.undone.join("; "), self.undo_took);
                    self.done("undo", &said, took);
                }
                self.finished = Some(Finished {
                    outcome: *outcome,
                    live: *live,
                    took: *took,
                    requests: *requests,
                    failed_requests: *failed_requests,
                    failure: failure.clone(),
                });
            }
            _ => {}
        }
    }

    /// Steps that wait for the app rather than for us.
    fn count(&mut self, step: Step, took: u64) {
        if matches!(
            step,
            Step::Provision
                | Step::Before
                | Step::Migrate
                | Step::Verify
                | Step::Verified
                | Step::Switched
                | Step::After
        ) {
            self.times.app += took;
        }
    }

    fn stop_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        self.stop_bar();
    }
}

/// `  ✓ verify     api ready                               1.3s`
fn line(mark: &str, name: &str, said: &str, took: u64) -> String {
    let took = plain::took(took);
    let mut lines = said.lines();
    let first = lines.next().unwrap_or_default();
    format!("  {mark} {name:<10} {first:<SAID$} {took:>6}")
}

#[cfg(test)]
mod tests;
