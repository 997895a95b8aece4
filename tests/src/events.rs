//! The events of a world, followed by `landfall events --follow --json`.

use serde_json::Value;

use crate::{Running, wait};

/// What happens, as it happens.
#[derive(Debug)]
pub struct Events {
    running: Running,
    seen: usize,
}

impl Events {
    pub(crate) fn new(running: Running) -> Self {
        Self { running, seen: 0 }
    }

    /// Waits for the next event that this says yes to; those before it are passed over.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        wait(&format!("the event: {what}"), || {
            let said = self.running.said();
            let whole = said.rfind('\n').map_or("", |end| &said[..end]);
            for line in whole.lines().skip(self.seen) {
                self.seen += 1;
                let Ok(event) = serde_json::from_str::<Value>(line) else {
                    continue;
                };
                let event = event.get("data").cloned().unwrap_or(event);
                if is_it(&event) {
                    return Some(event);
                }
            }
            None
        })
    }

    /// Waits until a step has begun.
    #[track_caller]
    pub fn until_step(&mut self, step: &str) {
        self.until(&format!("{step} begins"), |event| {
            event
                .pointer("/kind/step-started/step")
                .and_then(Value::as_str)
                == Some(step)
        });
    }

    /// Waits until a deployment has ended, and says how.
    #[track_caller]
    pub fn until_finished(&mut self) -> String {
        self.until_finished_where(|_| true)
    }

    /// Waits until the deployment of this number has ended, and says how.
    #[track_caller]
    pub fn until_finished_of(&mut self, number: u64) -> String {
        self.until_finished_where(|event| event["deployment"].as_u64() == Some(number))
    }

    #[track_caller]
    fn until_finished_where(&mut self, which: impl Fn(&Value) -> bool) -> String {
        let outcome = "/kind/deployment-finished/outcome";
        let event = self.until("a deployment ends", |event| {
            event.pointer(outcome).is_some() && which(event)
        });
        event
            .pointer(outcome)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}
