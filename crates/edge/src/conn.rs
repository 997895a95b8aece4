//! What a worker knows of each client connection, and the sweep that ends those that take too long.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
};

use crate::head::Flaw;

/// Where a connection stands between its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nothing of a next request has come.
    Idle,
    /// A head has begun.
    Head,
    /// A request is under way, or the connection has been upgraded.
    Busy,
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Fate {
    /// It goes on.
    Stays,
    /// Its next answer is its last.
    LastAnswer,
    /// It ends as soon as nothing is under way.
    Ends,
    /// It ends now.
    Cut,
}

/// What the request with an `Upgrade` header turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// Not known yet.
    Open,
    /// An ordinary request.
    Refused,
    /// Another protocol from here on.
    Done,
}

/// One client connection. Only its own worker touches it; the atomics are there because hyper
/// wants what it drives to be `Send`.
#[derive(Debug)]
pub(crate) struct Conn {
    pub client: SocketAddr,
    phase: AtomicU8,
    fate: AtomicU8,
    /// Requests that have their answer.
    answered: AtomicU32,
    upgraded: AtomicBool,
    /// Heads that the scanner has seen whole.
    heads: AtomicU32,
    /// Requests that have come to be answered.
    requests: AtomicU32,
    /// The number of the flawed head, 0 for none.
    flawed: AtomicU32,
    flaw: AtomicU8,
    written: AtomicU64,
    write_blocked: AtomicBool,
    /// The traffic that it is busy with; 0 for none.
    serving: AtomicU64,
    tunnel: AtomicBool,
    task: Mutex<Option<Waker>>,
    reader: Mutex<Option<Waker>>,
}

fn remember(slot: &Mutex<Option<Waker>>, waker: &Waker) {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *slot {
        Some(known) => known.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}

fn wake(slot: &Mutex<Option<Waker>>) {
    if let Some(waker) = &*slot.lock().unwrap_or_else(PoisonError::into_inner) {
        waker.wake_by_ref();
    }
}

impl Conn {
    pub(crate) fn new(client: SocketAddr) -> Self {
        Self {
            client,
            phase: AtomicU8::new(Phase::Idle as u8),
            fate: AtomicU8::new(Fate::Stays as u8),
            answered: AtomicU32::new(0),
            upgraded: AtomicBool::new(false),
            heads: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            flawed: AtomicU32::new(0),
            flaw: AtomicU8::new(0),
            written: AtomicU64::new(0),
            write_blocked: AtomicBool::new(false),
            serving: AtomicU64::new(0),
            tunnel: AtomicBool::new(false),
            task: Mutex::new(None),
            reader: Mutex::new(None),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub(crate) fn fate(&self) -> Fate {
        match self.fate.load(Relaxed) {
            0 => Fate::Stays,
            1 => Fate::LastAnswer,
            2 => Fate::Ends,
            _ => Fate::Cut,
        }
    }

    /// A fate only ever gets worse.
    pub(crate) fn doom(&self, fate: Fate) {
        if fate > self.fate() {
            self.fate.store(fate as u8, Relaxed);
            wake(&self.task);
        }
    }

    /// Keeps the waker of the task that drives this connection.
    pub(crate) fn driven_by(&self, waker: &Waker) {
        remember(&self.task, waker);
    }

    /// What became of the last request, which asked for an upgrade.
    pub(crate) fn upgrade(&self) -> Upgrade {
        if self.upgraded.load(Relaxed) {
            Upgrade::Done
        } else if self.answered.load(Relaxed) < self.heads.load(Relaxed) {
            Upgrade::Open
        } else {
            Upgrade::Refused
        }
    }

    /// A request has its answer; the reader waits for that of a request to upgrade.
    pub(crate) fn answered(&self, upgraded: bool) {
        self.answered
            .store(self.answered.load(Relaxed).wrapping_add(1), Relaxed);
        self.upgraded.store(upgraded, Relaxed);
        wake(&self.reader);
    }

    /// Waits for [`answered`](Self::answered).
    pub(crate) fn read_by(&self, waker: &Waker) {
        remember(&self.reader, waker);
    }

    pub(crate) fn head_scanned(&self, flaw: Option<Flaw>) {
        let heads = self.heads.load(Relaxed).wrapping_add(1);
        self.heads.store(heads, Relaxed);
        if let Some(flaw) = flaw {
            self.flawed.store(heads, Relaxed);
            self.flaw.store(flaw as u8, Relaxed);
        }
    }

    /// A request has come to be answered. Heads are parsed twice, here and by hyper; where the two
    /// disagree on where a head begins, the request is refused too.
    pub(crate) fn next_request(&self) -> Result<(), Flaw> {
        let request = self.requests.load(Relaxed).wrapping_add(1);
        self.requests.store(request, Relaxed);
        let flawed = self.flawed.load(Relaxed);
        if flawed != 0 && request >= flawed {
            return Err(Flaw::from_code(self.flaw.load(Relaxed)));
        }
        if request > self.heads.load(Relaxed) {
            Err(Flaw::Framing)
        } else {
            Ok(())
        }
    }

    pub(crate) fn serve(&self, traffic: u64) {
        self.serving.store(traffic, Relaxed);
    }

    pub(crate) fn is_serving(&self, traffic: u64) -> bool {
        self.serving.load(Relaxed) == traffic
    }

    pub(crate) fn become_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.written.store(
            self.written.load(Relaxed).wrapping_add(bytes as u64),
            Relaxed,
        );
        self.write_blocked.store(false, Relaxed);
    }

    pub(crate) fn write_blocked(&self) {
        self.write_blocked.store(true, Relaxed);
    }
}

/// Sweeps that each state of a connection may last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub head: u32,
    pub idle: u32,
    pub write: u32,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Waiting {
    ForHead(u32),
    Idle(u32),
    ForWrite(u64),
    ForTheApp,
}

/// The client connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    next: u64,
    all: HashMap<u64, (Arc<Conn>, Waiting, u32)>,
}

impl Connections {
    pub(crate) fn add(&mut self, conn: Arc<Conn>) -> u64 {
        self.next += 1;
        self.all.insert(self.next, (conn, Waiting::ForTheApp, 0));
        self.next
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.all.remove(&id);
        if self.all.is_empty() {
            self.all.shrink_to(64);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Conn>> {
        self.all.values().map(|(conn, ..)| conn)
    }

    /// One step of time. What a connection waits for is compared with the last step's, so that the
    /// requests themselves never read a clock. A head's time begins with its first byte and doesn't
    /// begin anew with each further one.
    pub(crate) fn sweep(&mut self, patience: Patience) {
        for (conn, waiting, since) in self.all.values_mut() {
            let heads = conn.heads.load(Relaxed);
            let now = match conn.phase() {
                _ if conn.write_blocked.load(Relaxed) => {
                    Waiting::ForWrite(conn.written.load(Relaxed))
                }
                _ if conn.serving.load(Relaxed) != 0 => Waiting::ForTheApp,
                Phase::Head => Waiting::ForHead(heads),
                Phase::Idle if heads == 0 => Waiting::ForHead(0),
                Phase::Idle => Waiting::Idle(heads),
                Phase::Busy => Waiting::ForTheApp,
            };
            if now != *waiting {
                (*waiting, *since) = (now, 0);
                continue;
            }
            *since = since.saturating_add(1);
            match now {
                Waiting::ForHead(_) if *since >= patience.head => conn.doom(Fate::Cut),
                Waiting::Idle(_) if *since >= patience.idle => conn.doom(Fate::Ends),
                Waiting::ForWrite(_) if *since >= patience.write => conn.doom(Fate::Cut),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> (Connections, Arc<Conn>) {
        let conn = Arc::new(Conn::new(SocketAddr::from(([127, 0, 0, 1], 1))));
        let mut all = Connections::default();
        all.add(Arc::clone(&conn));
        (all, conn)
    }

    const PATIENCE: Patience = Patience {
        head: 2,
        idle: 5,
        write: 3,
    };

    #[test]
    fn a_slow_head_is_cut_however_its_bytes_trickle() {
        let (mut all, conn) = one();
        conn.head_scanned(None);
        for step in 0..3 {
            assert_eq!(conn.fate(), Fate::Stays, "at {step}");
            conn.set_phase(Phase::Head);
            all.sweep(PATIENCE);
        }
        assert_eq!(conn.fate(), Fate::Cut);
    }

    #[test]
    fn an_idle_connection_ends_and_a_busy_one_stays() {
        let (mut all, conn) = one();
        conn.head_scanned(None);
        conn.set_phase(Phase::Busy);
        (0..100).for_each(|_| all.sweep(PATIENCE));
        assert_eq!(conn.fate(), Fate::Stays);
        conn.set_phase(Phase::Idle);
        (0..6).for_each(|_| all.sweep(PATIENCE));
        assert_eq!(conn.fate(), Fate::Ends);
    }

    #[test]
    fn a_reader_that_stalls_is_cut_and_a_slow_one_is_not() {
        let (mut all, conn) = one();
        conn.set_phase(Phase::Busy);
        for _ in 0..100 {
            conn.wrote(1);
            conn.write_blocked();
            all.sweep(PATIENCE);
        }
        assert_eq!(conn.fate(), Fate::Stays);
        (0..3).for_each(|_| all.sweep(PATIENCE));
        assert_eq!(conn.fate(), Fate::Cut);
    }
}
