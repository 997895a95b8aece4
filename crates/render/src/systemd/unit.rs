//! A unit's text.

use landfall_app::units::Time;

/// A unit, section by section.
pub(super) struct Unit {
    text: String,
}

impl Unit {
    /// One that begins with its description.
    pub(super) fn new(description: &str) -> Self {
        Self {
            text: format!("[Unit]\nDescription={}\n", description.replace('%', "%%")),
        }
    }

    pub(super) fn section(&mut self, name: &str) {
        self.text.push_str(&format!("\n[{name}]\n"));
    }

    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("{key}={value}\n"));
    }

    pub(super) fn comment(&mut self, text: &str) {
        self.text.push_str(&format!("# {text}\n"));
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}

/// A time in systemd's seconds.
pub(super) fn seconds(time: Time) -> String {
    let (whole, rest) = (time.as_millis() / 1000, time.as_millis() % 1000);
    match (whole, rest) {
        (whole, 0) => format!("{whole}s"),
        (0, rest) => format!("{rest}ms"),
        (whole, rest) => format!("{whole}s {rest}ms"),
    }
}
