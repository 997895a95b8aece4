//! Speaking with a supervisor: the way to its socket, receiving sockets, and a blocking client.

use std::{
    io::{self, BufRead, BufReader, IoSliceMut, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};

use crate::{
    control::{Answer, Hello, Request},
    specification::{Socket, files},
    state::State,
};

/// The longest path that fits into a Unix socket's address.
const LONGEST: usize = 107;

/// How many descriptors travel with one answer at most.
pub const MOST_DESCRIPTORS: usize = 200;

/// Calls `use_path` with a path of the name in the folder that fits into a socket's address: by way
/// of `/proc/self/fd` where the real one is too long.
///
/// # Errors
/// Those of opening the folder, and of `use_path`.
pub fn with_short_path<T>(
    folder: &Path,
    name: &str,
    use_path: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let path = folder.join(name);
    if path.as_os_str().len() <= LONGEST {
        return use_path(&path);
    }
    let folder = rustix::fs::open(
        folder,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    use_path(&PathBuf::from(format!(
        "/proc/self/fd/{}/{name}",
        folder.as_raw_fd()
    )))
}

/// Connects to the supervisor of a folder. Its first line is the [`Hello`].
///
/// # Errors
/// `NotFound` and `ConnectionRefused` where none runs.
pub fn connect(folder: &Path) -> io::Result<UnixStream> {
    let socket = control(folder)?;
    UnixStream::connect(place_of(&socket))
}

/// The control socket in a folder, opened without connecting to it. A container may write there: a
/// link that it laid to somebody else's socket isn't followed.
///
/// # Errors
/// `NotFound` where there is none, or something else in its place.
pub fn control(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let socket = rustix::fs::open(folder.join(files::CONTROL), flags, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&socket)?.st_mode).is_socket() {
        true => Ok(socket),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The path by which something is reached that is open: nobody can exchange it, and it is short
/// enough for a socket's address. Only while it is open.
#[must_use]
pub fn place_of(open: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

/// Whether a supervisor lives on a folder: whether its lock is held.
///
/// # Errors
/// Those of opening the lock file; one that isn't there is no error.
pub fn lives(folder: &Path) -> io::Result<bool> {
    // Somebody in a container may have put something else there.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match rustix::fs::open(folder.join(files::LOCK), flags, Mode::empty()) {
        Ok(lock) => {
            match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared) {
                Ok(()) => Ok(false),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
                Err(error) => Err(error.into()),
            }
        }
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads one line of at most a megabyte and the descriptors that travel with it.
///
/// # Errors
/// `UnexpectedEof` where the supervisor ends before the line does.
pub fn receive_line(stream: &UnixStream) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut line = Vec::new();
    let mut descriptors = Vec::new();
    // Byte by byte, since what follows the line belongs to the next answer, and its descriptors
    // would come with it. Answers with sockets are rare and short.
    loop {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = match recvmsg(
            stream,
            &mut [IoSliceMut::new(&mut byte)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Ok(received) => received.bytes,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the supervisor closed the connection",
            ));
        }
        if byte == [b'\n'] {
            let line = String::from_utf8(line)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            return Ok((line, descriptors));
        }
        if line.len() > 1_000_000 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the supervisor's line has no end",
            ));
        }
        line.extend(byte);
    }
}

/// Receives the answer to [`Request::Sockets`] or [`Request::Listen`], all its parts: names and
/// descriptors in the same order. The [`Hello`] must have been read, byte by byte as
/// [`receive_line`] does, and the request sent.
///
/// # Errors
/// `Other` with the supervisor's reason where it refuses.
pub fn receive_sockets(stream: &UnixStream) -> io::Result<(Vec<String>, Vec<OwnedFd>)> {
    let mut all_names = Vec::new();
    let mut all_descriptors = Vec::new();
    loop {
        let (line, descriptors) = receive_line(stream)?;
        match serde_json::from_str(&line)? {
            Answer::Sockets { names, more } => {
                if names.len() != descriptors.len() {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!(
                            "{} sockets named, {} received",
                            names.len(),
                            descriptors.len()
                        ),
                    ));
                }
                all_names.extend(names);
                all_descriptors.extend(descriptors);
                if !more {
                    return Ok((all_names, all_descriptors));
                }
            }
            Answer::Refused { reason } => return Err(io::Error::other(reason)),
            other => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("sockets expected, not {other:?}"),
                ));
            }
        }
    }
}

/// A blocking client: for the command line and for tests.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    /// What the supervisor said first.
    pub hello: Hello,
}

impl Client {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// Those of [`connect`], and `InvalidData` for what isn't a supervisor's greeting.
    pub fn connect(folder: &Path) -> io::Result<Self> {
        let stream = connect(folder)?;
        let (line, _) = receive_line(&stream)?;
        let hello = serde_json::from_str(&line)?;
        Ok(Self {
            reader: BufReader::new(stream.try_clone()?),
            stream,
            hello,
        })
    }

    /// The longest wait for an answer.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// Those of writing.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// The next answer; none at the supervisor's end. Not for answers with sockets.
    ///
    /// # Errors
    /// Those of reading, and `InvalidData` for what is no answer.
    pub fn receive(&mut self) -> io::Result<Option<Answer>> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_str(&line)?)),
            Err(error) => Err(error),
        }
    }

    /// Asks for the state.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`receive`](Self::receive).
    pub fn state(&mut self) -> io::Result<State> {
        self.send(&Request::State)?;
        match self.receive()? {
            Some(Answer::State(state)) => Ok(*state),
            other => Err(io::Error::other(format!("a state expected, not {other:?}"))),
        }
    }

    /// Asks for all sockets.
    ///
    /// # Errors
    /// As [`receive_sockets`].
    pub fn sockets(&mut self) -> io::Result<(Vec<String>, Vec<OwnedFd>)> {
        self.send(&Request::Sockets)?;
        receive_sockets(&self.stream)
    }

    /// Has further sockets bound and held, and receives them.
    ///
    /// # Errors
    /// As [`receive_sockets`].
    pub fn listen(&mut self, socket: Socket) -> io::Result<(Vec<String>, Vec<OwnedFd>)> {
        self.send(&Request::Listen(socket))?;
        receive_sockets(&self.stream)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    #[test]
    fn what_a_link_leads_to_isnt_taken_for_a_supervisor() {
        let outer = tempfile::tempdir().unwrap();
        let (own, other) = (outer.path().join("own"), outer.path().join("other"));
        for folder in [&own, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        let _listening = UnixListener::bind(other.join(files::CONTROL)).unwrap();
        let lock = std::fs::File::create(other.join(files::LOCK)).unwrap();
        lock.lock().unwrap();
        assert!(connect(&other).is_ok() && lives(&other).unwrap());
        for name in [files::CONTROL, files::LOCK] {
            symlink(other.join(name), own.join(name)).unwrap();
        }
        assert!(connect(&own).is_err() && lives(&own).is_err());
        std::fs::remove_file(own.join(files::CONTROL)).unwrap();
        std::fs::write(own.join(files::CONTROL), "").unwrap();
        assert!(connect(&own).is_err());
    }
}
