//! Listening sockets that outlive the processes that use them.

use std::{net::SocketAddr, os::fd::OwnedFd, rc::Rc};

use landfall_supervise::specification::Socket;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind, getsockname, ipproto, listen, socket_with,
        sockopt::{set_ip_freebind, set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport},
    },
};

/// Connections that wait until they are taken; the system has its own, lower bound.
const BACKLOG: i32 = 4096;

/// A socket and its name.
pub type Named = (String, Rc<OwnedFd>);

/// All that are held.
#[derive(Default)]
pub struct Sockets(Vec<Named>);

impl Sockets {
    /// Binds the sockets of a name; those held already are returned as they are.
    pub fn listen(&mut self, wanted: &Socket) -> Result<Vec<Named>, String> {
        let held: Vec<Named> = self
            .0
            .iter()
            .filter(|(name, _)| *name == wanted.name)
            .cloned()
            .collect();
        if !held.is_empty() {
            return Ok(held);
        }
        let bound = bind_all(wanted.address, wanted.count.max(1)).map_err(|error| match error {
            Errno::ADDRINUSE => format!(
                "port {} is taken: another process listens on {}",
                wanted.address.port(),
                wanted.address
            ),
            Errno::ACCESS => format!(
                "port {} needs rights that this user doesn't have",
                wanted.address.port()
            ),
            other => format!(
                "{} can't be bound: {}",
                wanted.address,
                std::io::Error::from(other)
            ),
        })?;
        let bound: Vec<Named> = bound
            .into_iter()
            .map(|socket| (wanted.name.clone(), Rc::new(socket)))
            .collect();
        self.0.extend(bound.iter().cloned());
        Ok(bound)
    }

    /// All of them.
    pub fn all(&self) -> Vec<Named> {
        self.0.clone()
    }

    /// Closes those of a name; whether there were any.
    pub fn close(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(held, _)| held != name);
        self.0.len() < before
    }
}

fn bind_all(address: SocketAddr, count: u32) -> Result<Vec<OwnedFd>, Errno> {
    let first = open(address)?;
    // Without the option a taken port shows, also one that a stranger would share; set after the
    // bind it still lets our own others join.
    bind(&first, &address)?;
    if count == 1 {
        listen(&first, BACKLOG)?;
        return Ok(vec![first]);
    }
    set_socket_reuseport(&first, true)?;
    // Port 0 has become a real one.
    let address = SocketAddr::try_from(getsockname(&first)?).unwrap_or(address);
    listen(&first, BACKLOG)?;
    let mut all = vec![first];
    for _ in 1..count {
        let next = open(address)?;
        set_socket_reuseport(&next, true)?;
        bind(&next, &address)?;
        listen(&next, BACKLOG)?;
        all.push(next);
    }
    Ok(all)
}

fn open(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // `[::]` is IPv6 alone, so that it can stand beside `0.0.0.0` on every system.
        set_ipv6_v6only(&socket, true)?;
    } else if !address.ip().is_loopback() && !address.ip().is_unspecified() {
        // An address on a bridge may come after us, and go and come again.
        set_ip_freebind(&socket, true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    fn wanted(name: &str, port: u16, count: u32) -> Socket {
        Socket {
            name: name.to_owned(),
            address: (Ipv4Addr::LOCALHOST, port).into(),
            count,
        }
    }

    fn port(socket: &Named) -> u16 {
        SocketAddr::try_from(getsockname(&socket.1).unwrap())
            .unwrap()
            .port()
    }

    #[test]
    fn several_share_a_port_and_each_gets_connections() {
        let mut sockets = Sockets::default();
        let bound = sockets.listen(&wanted("http", 0, 3)).unwrap();
        assert_eq!(bound.len(), 3);
        let port = port(&bound[0]);
        assert!(bound.iter().all(|socket| self::port(socket) == port));
        let clients: Vec<TcpStream> = (0..60)
            .map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap())
            .collect();
        let mut accepted = 0;
        for (_, socket) in &bound {
            let mut here = 0;
            while rustix::net::accept(socket).is_ok() {
                here += 1;
            }
            assert!(here > 0, "one of the sockets gets no connection");
            accepted += here;
        }
        assert_eq!(accepted, clients.len());
    }

    #[test]
    fn a_taken_port_is_named() {
        let mut sockets = Sockets::default();
        let taken = port(&sockets.listen(&wanted("one", 0, 2)).unwrap()[0]);
        let refused = sockets.listen(&wanted("two", taken, 2)).unwrap_err();
        assert!(refused.contains(&taken.to_string()), "{refused}");
        assert_eq!(sockets.listen(&wanted("one", 0, 2)).unwrap().len(), 2);
        assert!(sockets.close("one") && !sockets.close("one"));
        assert_eq!(sockets.listen(&wanted("two", taken, 2)).unwrap().len(), 2);
    }
}
