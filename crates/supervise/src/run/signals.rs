//! Signals by name.

use rustix::process::Signal;

const NAMES: [(Signal, &str); 13] = [
    (Signal::HUP, "SIGHUP"),
    (Signal::INT, "SIGINT"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::ILL, "SIGILL"),
    (Signal::ABORT, "SIGABRT"),
    (Signal::BUS, "SIGBUS"),
    (Signal::FPE, "SIGFPE"),
    (Signal::KILL, "SIGKILL"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::SEGV, "SIGSEGV"),
    (Signal::USR2, "SIGUSR2"),
    (Signal::PIPE, "SIGPIPE"),
    (Signal::TERM, "SIGTERM"),
];

/// A signal's name, or its number as one.
pub fn name(number: i32) -> String {
    NAMES
        .iter()
        .find(|(signal, _)| signal.as_raw() == number)
        .map_or_else(|| format!("SIG{number}"), |(_, name)| (*name).to_owned())
}

/// The signal of a name, with or without `SIG`.
pub fn by_name(name: &str) -> Option<Signal> {
    let name = name.to_uppercase();
    let bare = name.strip_prefix("SIG").unwrap_or(&name);
    if bare == "WINCH" {
        return Some(Signal::WINCH);
    }
    NAMES
        .iter()
        .find(|(_, known)| &known[3..] == bare)
        .map(|(signal, _)| *signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_there_and_back() {
        for (signal, named) in NAMES {
            assert_eq!(name(signal.as_raw()), named);
            assert_eq!(by_name(named), Some(signal));
            assert_eq!(by_name(&named[3..].to_lowercase()), Some(signal));
        }
        assert_eq!(name(64), "SIG64");
        assert_eq!(by_name("SIGNOTHING"), None);
    }
}
