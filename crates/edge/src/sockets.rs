//! Listening sockets: held by a supervisor, which hands them over and keeps them when the edge
//! ends, or bound by the edge itself.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use landfall_supervise::{
    client::{receive_line, receive_sockets},
    control::{Answer, Hello, Request},
    specification::Socket,
    unix,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

const BACKLOG: i32 = 4096;
const PATIENCE: Duration = Duration::from_secs(10);

/// Where listening sockets come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Bound here: they close with the edge.
    Own,
    /// Asked from the supervisor with this control socket.
    Supervisor(PathBuf),
}

impl Source {
    /// Sockets for an address, `count` of them where they are new. Blocks.
    pub(crate) fn listen(
        &self,
        name: &str,
        address: SocketAddr,
        count: usize,
    ) -> io::Result<Vec<TcpListener>> {
        match self {
            Self::Own => bind_all(address, count),
            Self::Supervisor(control) => {
                let count = u32::try_from(count).map_err(io::Error::other)?;
                held(
                    control,
                    Socket {
                        name: name.to_owned(),
                        address,
                        count,
                    },
                )
            }
        }
    }

    /// Gives up the sockets of a name.
    pub(crate) fn close(&self, name: &str) -> io::Result<()> {
        let Self::Supervisor(control) = self else {
            return Ok(());
        };
        let stream = greeted(control)?;
        ask(
            &stream,
            &Request::Close {
                name: name.to_owned(),
            },
        )?;
        match serde_json::from_str(&receive_line(&stream)?.0)? {
            Answer::Refused { reason } => Err(io::Error::other(reason)),
            _ => Ok(()),
        }
    }
}

/// A connection to a supervisor's control socket, after its greeting.
fn greeted(control: &Path) -> io::Result<UnixStream> {
    let stream = unix::connect(control).map_err(|error| {
        let words = format!(
            "can't reach the supervisor at {}: {error}",
            control.display()
        );
        io::Error::new(error.kind(), words)
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (line, _) = receive_line(&stream)?;
    let _: Hello = serde_json::from_str(&line)?;
    Ok(stream)
}

fn ask(mut stream: &UnixStream, request: &Request) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn held(control: &Path, socket: Socket) -> io::Result<Vec<TcpListener>> {
    let (name, stream) = (socket.name.clone(), greeted(control)?);
    ask(&stream, &Request::Listen(socket))?;
    let (names, descriptors) = receive_sockets(&stream).map_err(refusal)?;
    let ours = names
        .into_iter()
        .zip(descriptors)
        .filter(|(other, _)| *other == name);
    let listeners = ours.map(|(_, descriptor)| {
        let listener = TcpListener::from(descriptor);
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    let listeners: Vec<_> = listeners.collect::<io::Result<_>>()?;
    if listeners.is_empty() {
        return Err(io::Error::other(format!(
            "the supervisor holds no socket {name}"
        )));
    }
    Ok(listeners)
}

/// The supervisor refuses in words; those of a taken port must be told from the others.
fn refusal(error: io::Error) -> io::Error {
    let taken = error.kind() == io::ErrorKind::Other && error.to_string().contains("is taken");
    if taken {
        io::Error::new(io::ErrorKind::AddrInUse, error)
    } else {
        error
    }
}

fn bind_all(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = open(address)?;
    bind(&first, &address)?;
    // Only after the bind: with the option a second bind by the same user would succeed and the two
    // would share the connections, instead of the port being taken.
    sockopt::set_socket_reuseport(&first, true)?;
    listen(&first, BACKLOG)?;
    let first = TcpListener::from(first);
    let address = first.local_addr()?;
    let mut all = vec![first];
    while all.len() < count {
        let next = open(address)?;
        sockopt::set_socket_reuseport(&next, true)?;
        bind(&next, &address)?;
        listen(&next, BACKLOG)?;
        all.push(next.into());
    }
    Ok(all)
}

fn open(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    let own = address.ip();
    if own.is_ipv4() && !own.is_loopback() && !own.is_unspecified() {
        // An address on a bridge may come after us, and go and come again.
        sockopt::set_ip_freebind(&socket, true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_shared_by_ours_and_by_nobody_else() {
        let ours = Source::Own
            .listen("http", ([127, 0, 0, 1], 0).into(), 3)
            .unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(
            ours.iter()
                .all(|listener| listener.local_addr().unwrap() == address)
        );
        let error = Source::Own.listen("http", address, 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(ours);
        Source::Own.listen("http", address, 1).unwrap();
    }
}
