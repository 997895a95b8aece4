//! The calls for which neither std nor rustix has a safe form: signal masks, signalfd, a peer's user,
//! closing what was inherited. The only unsafe code of this program.
#![expect(
    unsafe_code,
    reason = "signal masks, signalfd and close_range have no safe form"
)]

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr::null_mut,
};

/// The signals that the loop takes from its descriptor.
const TAKEN: [i32; 5] = [
    libc::SIGCHLD,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
];

fn signals(of: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set before it is read, and the signals are valid ones.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in of {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

fn set_mask(how: i32, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised, and the old mask isn't asked for.
    match unsafe { libc::pthread_sigmask(how, set, null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Blocks the signals that the loop takes, for this thread and those it starts. As the first thing a
/// program does: as process 1, a signal that is neither blocked nor handled is lost.
pub fn block_signals() -> io::Result<()> {
    set_mask(libc::SIG_BLOCK, &signals(&TAKEN))
}

/// Blocks nothing any more: a signal that came meanwhile has its effect now.
pub fn unblock_signals() -> io::Result<()> {
    set_mask(libc::SIG_SETMASK, &signals(&[]))
}

/// The blocked signals as a descriptor.
pub fn signal_descriptor() -> io::Result<OwnedFd> {
    let set = signals(&TAKEN);
    // SAFETY: the set is initialised; a descriptor that the call returns is new and ours.
    unsafe {
        match libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            descriptor => Ok(OwnedFd::from_raw_fd(descriptor)),
        }
    }
}

/// The next signal of [`signal_descriptor`], if there is one.
pub fn next_signal(descriptor: &OwnedFd) -> Option<i32> {
    let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(descriptor, &mut record).ok()?;
    // The signal's number is the first field of the record.
    (read == record.len()).then(|| i32::from_ne_bytes([record[0], record[1], record[2], record[3]]))
}

/// The user at the other end of a Unix socket. rustix refuses a peer without a process number, which
/// is what one from outside of our process namespace looks like.
pub fn peer_user(socket: &impl AsRawFd) -> io::Result<u32> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length =
        libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(io::Error::other)?;
    // SAFETY: the call writes at most `length` bytes into the record, which is plain numbers.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if done == 0 {
        Ok(peer.uid)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Has every descriptor but the standard three closed at the next execution: whoever started us may
/// have left us some.
pub fn close_inherited_on_exec() {
    // SAFETY: marking a descriptor close-on-exec takes nothing from its owner.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done == 0 {
        return;
    }
    // Kernels before 5.11.
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    for descriptor in entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
    {
        if descriptor > 2 {
            // SAFETY: the descriptor is only borrowed for the call; one that is closed meanwhile
            // makes it fail.
            let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
            debug_assert_eq!(borrowed.as_raw_fd(), descriptor);
            let _ = rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC);
        }
    }
}
