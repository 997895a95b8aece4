//! A supervisor's control socket, as far as the edge speaks with it: sockets are held and handed
//! over, states are told as the test says.

#![expect(clippy::unwrap_used, reason = "tests end where something goes wrong")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, IoSlice, Write},
    mem::MaybeUninit,
    net::{SocketAddr, TcpListener},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use landfall_supervise::{
    control::{Answer, Hello, Request},
    specification::Socket,
    state::{Phase, State},
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg, sockopt};

#[derive(Clone)]
pub struct Supervisor {
    pub control: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    state: State,
    watching: Vec<UnixStream>,
    held: BTreeMap<String, Vec<TcpListener>>,
    asked: Vec<Request>,
}

impl Supervisor {
    pub fn start(folder: &Path) -> Self {
        let control = folder.join("control.sock");
        let listener = UnixListener::bind(&control).unwrap();
        let state = State {
            version: 1,
            sequence: 1,
            instance: "i1".into(),
            supervisor: 1,
            started_at: 0,
            phase: Phase::Running,
            ready: true,
            healthy: true,
            reason: None,
            processes: vec![],
            notes: vec![],
            dropped: 0,
            ended: None,
        };
        let inner = Inner {
            state,
            watching: vec![],
            held: BTreeMap::new(),
            asked: vec![],
        };
        let this = Self {
            control,
            inner: Arc::new(Mutex::new(inner)),
        };
        let serving = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, serving) = (stream.unwrap(), serving.clone());
                // The edge may go at any time.
                std::thread::spawn(move || drop(serving.serve(stream)));
            }
        });
        this
    }

    /// Tells those who watch that it is so from now on.
    pub fn is(&self, ready: bool, healthy: bool, reason: Option<&str>) {
        let mut inner = self.inner.lock().unwrap();
        inner.state.sequence += 1;
        (inner.state.ready, inner.state.healthy) = (ready, healthy);
        inner.state.reason = reason.map(str::to_owned);
        let line = line(&Answer::State(Box::new(inner.state.clone())));
        inner
            .watching
            .retain_mut(|stream| stream.write_all(&line).is_ok());
    }

    /// Ends the connections of those who watch.
    pub fn leave(&self) {
        for stream in self.inner.lock().unwrap().watching.drain(..) {
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        }
        std::fs::remove_file(&self.control).unwrap();
    }

    pub fn watching(&self) -> usize {
        self.inner.lock().unwrap().watching.len()
    }

    /// The names of the sockets that it holds.
    pub fn held(&self) -> Vec<String> {
        self.inner.lock().unwrap().held.keys().cloned().collect()
    }

    pub fn asked(&self) -> Vec<Request> {
        self.inner.lock().unwrap().asked.clone()
    }

    fn serve(&self, mut stream: UnixStream) -> std::io::Result<()> {
        stream.write_all(&line(&Hello {
            version: 1,
            instance: "i1".into(),
            supervisor: 1,
        }))?;
        let reader = BufReader::new(stream.try_clone()?);
        for text in reader.lines() {
            let request: Request = serde_json::from_str(&text?)?;
            let mut inner = self.inner.lock().unwrap();
            inner.asked.push(request.clone());
            match request {
                Request::Watch => {
                    stream.write_all(&line(&Answer::State(Box::new(inner.state.clone()))))?;
                    inner.watching.push(stream.try_clone()?);
                }
                Request::Listen(socket) => match inner.listen(&socket) {
                    Ok(listeners) => hand_over(&stream, &socket.name, listeners)?,
                    Err(error) => {
                        let reason = format!("port {} is taken: {error}", socket.address.port());
                        stream.write_all(&line(&Answer::Refused { reason }))?;
                    }
                },
                Request::Close { name } => {
                    inner.held.remove(&name);
                    stream.write_all(&line(&Answer::Accepted))?;
                }
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    }
}

impl Inner {
    fn listen(&mut self, socket: &Socket) -> std::io::Result<&[TcpListener]> {
        if !self.held.contains_key(&socket.name) {
            let mut address = socket.address;
            let mut all = Vec::new();
            for number in 0..socket.count {
                let listener = bind(address, number > 0)?;
                address = listener.local_addr()?;
                all.push(listener);
            }
            self.held.insert(socket.name.clone(), all);
        }
        Ok(&self.held[&socket.name])
    }
}

fn bind(address: SocketAddr, shared: bool) -> std::io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, shared)?;
    bind(&socket, &address)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    listen(&socket, 1024)?;
    Ok(socket.into())
}

fn line(value: &impl serde::Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap();
    line.push(b'\n');
    line
}

/// One descriptor at a time, so that the receiver has to put them together.
fn hand_over(stream: &UnixStream, name: &str, listeners: &[TcpListener]) -> std::io::Result<()> {
    for (number, listener) in listeners.iter().enumerate() {
        let more = number + 1 < listeners.len();
        let line = line(&Answer::Sockets {
            names: vec![name.to_owned()],
            more,
        });
        let descriptors = [listener.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let sent = sendmsg(
            stream,
            &[IoSlice::new(&line)],
            &mut ancillary,
            SendFlags::empty(),
        )?;
        assert_eq!(sent, line.len());
    }
    Ok(())
}
