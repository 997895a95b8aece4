//! An alarm at a time of day: nothing is looked at while nothing is due. A timer of the wall clock
//! and not a sleep, since a sleep doesn't pass while a machine is suspended and knows nothing of a
//! clock that is set; the kernel wakes this one right after both.

use std::{io, os::fd::OwnedFd};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A timer of the wall clock.
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// One that isn't set.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        #[expect(
            deprecated,
            reason = "sound here: the descriptor is owned and never replaced; its successor is unsafe"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self { timer })
    }

    /// Returns at this time, in milliseconds since the Unix epoch, or as soon as the clock was set;
    /// never where there is no time.
    pub async fn at(&self, time: Option<u64>) -> io::Result<()> {
        let Some(time) = time else {
            return std::future::pending().await;
        };
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A timer set to 0 would be none.
        let time = time.max(1);
        let once = Itimerspec {
            it_interval: never,
            it_value: Timespec {
                tv_sec: i64::try_from(time / 1000).unwrap_or(i64::MAX),
                tv_nsec: (time % 1000 * 1_000_000).cast_signed(),
            },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(self.timer.get_ref(), flags, &once) {
            // The clock was set meanwhile, and what is due is to be found anew.
            Err(rustix::io::Errno::CANCELED) => return Ok(()),
            other => other?,
        };
        loop {
            let mut ready = self.timer.readable().await?;
            let read = ready.try_io(|timer| {
                let mut count = [0; 8];
                rustix::io::read(timer.get_ref(), &mut count).map_err(io::Error::from)
            });
            match read {
                // It wasn't this one's time yet.
                Err(_) => continue,
                Ok(Err(error))
                    if rustix::io::Errno::from_io_error(&error)
                        == Some(rustix::io::Errno::CANCELED) =>
                {
                    return Ok(());
                }
                Ok(read) => return read.map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    fn now() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap()
    }

    #[tokio::test]
    async fn it_rings_at_its_time_and_again_and_at_once_where_that_is_over() {
        let alarm = Alarm::new().unwrap();
        for _ in 0..3 {
            let time = now() + 30;
            alarm.at(Some(time)).await.unwrap();
            assert!(now() >= time);
        }
        alarm.at(Some(0)).await.unwrap();
        alarm.at(Some(now() - 5000)).await.unwrap();
    }

    #[tokio::test]
    async fn one_that_was_left_rings_no_more() {
        let alarm = Alarm::new().unwrap();
        let soon = now() + 20;
        tokio::select! {
            biased;
            ringing = alarm.at(Some(soon)) => panic!("{ringing:?}"),
            () = std::future::ready(()) => {}
        }
        let later = now() + 200;
        alarm.at(Some(later)).await.unwrap();
        assert!(now() >= later);
    }
}
