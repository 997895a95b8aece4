//! Standard input while nothing else is there yet: waited for with patience, but not for ever, and
//! never against a signal to stop. A container that somebody starts again by hand has an input that
//! is open and that nobody writes to.

use std::{
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{signals, system};

/// Whoever has started us writes at once; it may have been stopped for a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// Standard input. Signals are blocked already.
pub struct Input {
    signals: OwnedFd,
}

impl Input {
    pub fn new() -> Result<Self, String> {
        let signals = system::signal_descriptor().map_err(|error| format!("signals: {error}"))?;
        Ok(Self { signals })
    }

    fn asked_to_stop(&self) -> Option<io::Error> {
        std::iter::from_fn(|| system::next_signal(&self.signals))
            .find(|signal| *signal != libc::SIGCHLD)
            .map(|signal| {
                io::Error::other(format!(
                    "asked to stop by {} before it was read",
                    signals::name(signal)
                ))
            })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let patience = Timespec::try_from(PATIENCE).ok();
        loop {
            let mut polled = [
                PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            ];
            match poll(&mut polled, patience.as_ref()) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("nothing came within {} s", PATIENCE.as_secs()),
                    ));
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready = !polled[0].revents().is_empty();
            if let Some(error) = self.asked_to_stop() {
                return Err(error);
            }
            if ready {
                return match rustix::io::read(rustix::stdio::stdin(), &mut *buffer) {
                    // Closed, and so nothing is given.
                    Err(Errno::BADF) => Ok(0),
                    Err(Errno::INTR | Errno::AGAIN) => continue,
                    read => Ok(read?),
                };
            }
        }
    }
}
