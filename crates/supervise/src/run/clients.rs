//! The control socket: who is connected, what they ask, what they are answered.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    mem::{MaybeUninit, take},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
    rc::Rc,
};

use landfall_supervise::{
    client::MOST_DESCRIPTORS,
    control::{Answer, Hello, Request},
};
use rustix::{
    event::PollFlags,
    io::Errno,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use serde::Serialize;

use super::{sockets::Named, system::peer_user};

/// The longest request.
const LONGEST: usize = 64 * 1024;
/// Who doesn't read so many answers is let go.
const MOST_ANSWERS: usize = 1000;
const MOST_CLIENTS: usize = 100;

struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: Vec<Rc<OwnedFd>>,
}

struct Client {
    stream: OwnedFd,
    input: Vec<u8>,
    output: VecDeque<Outgoing>,
    watches: bool,
    /// The state has changed since the last one that was put out.
    stale: bool,
    gone: bool,
}

/// Everyone who is connected.
pub struct Clients {
    listener: UnixListener,
    hello: Vec<u8>,
    /// Whether anyone who reaches the socket may ask.
    shared: bool,
    clients: Vec<Client>,
}

impl Clients {
    pub fn new(listener: UnixListener, hello: &Hello, shared: bool) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            hello: line(hello),
            shared,
            clients: Vec::new(),
        })
    }

    /// What to poll for: the listener first, then each client in order.
    pub fn waits(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let listener = if self.clients.len() < MOST_CLIENTS {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        std::iter::once((self.listener.as_fd(), listener)).chain(self.clients.iter().map(
            |client| {
                let writes = if client.output.is_empty() {
                    PollFlags::empty()
                } else {
                    PollFlags::OUT
                };
                (client.stream.as_fd(), PollFlags::IN | writes)
            },
        ))
    }

    /// Takes new ones in: of this user, or root; anyone where the folder is shared.
    pub fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let own = rustix::process::geteuid().as_raw();
            let permitted =
                self.shared || peer_user(&stream).is_ok_and(|user| user == own || user == 0);
            if !permitted || stream.set_nonblocking(true).is_err() {
                continue;
            }
            let mut client = Client {
                stream: stream.into(),
                input: Vec::new(),
                output: VecDeque::new(),
                watches: false,
                stale: false,
                gone: false,
            };
            client.put(self.hello.clone(), Vec::new());
            self.clients.push(client);
        }
    }

    /// Reads what a client says, and gives its requests, each to be answered by its index.
    pub fn read(&mut self, index: usize) -> Vec<Result<Request, String>> {
        let Some(client) = self.clients.get_mut(index) else {
            return Vec::new();
        };
        let mut buffer = [0; 4096];
        loop {
            match rustix::io::read(&client.stream, &mut buffer) {
                Ok(0) => {
                    client.gone = true;
                    break;
                }
                Ok(read) => client.input.extend_from_slice(&buffer[..read]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    client.gone = true;
                    break;
                }
            }
            if client.input.len() > LONGEST {
                client.gone = true;
                break;
            }
        }
        let mut requests = Vec::new();
        while let Some(end) = client.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = client.input.drain(..=end).collect();
            requests.push(
                serde_json::from_slice(&line).map_err(|error| format!("not a request: {error}")),
            );
        }
        requests
    }

    /// Writes what waits for a client.
    pub fn write(&mut self, index: usize, state: &Answer) {
        if let Some(client) = self.clients.get_mut(index) {
            client.write();
            client.refresh(state);
        }
    }

    pub fn answer(&mut self, index: usize, answer: &Answer) {
        if let Some(client) = self.clients.get_mut(index) {
            client.put(line(answer), Vec::new());
        }
    }

    /// Answers with sockets, in as many parts as they need.
    pub fn answer_sockets(&mut self, index: usize, sockets: &[Named]) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        let mut rest = sockets;
        loop {
            let (now, later) = rest.split_at(rest.len().min(MOST_DESCRIPTORS));
            let names = now.iter().map(|(name, _)| name.clone()).collect();
            let answer = Answer::Sockets {
                names,
                more: !later.is_empty(),
            };
            client.put(
                line(&answer),
                now.iter().map(|(_, socket)| Rc::clone(socket)).collect(),
            );
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// From now on a client hears of each change; of the present state at once.
    pub fn watch(&mut self, index: usize, state: &Answer) {
        if let Some(client) = self.clients.get_mut(index) {
            client.watches = true;
            client.put(line(state), Vec::new());
        }
    }

    /// Tells those who watch.
    pub fn changed(&mut self, state: &Answer) {
        for client in self.clients.iter_mut().filter(|client| client.watches) {
            client.stale = true;
            client.refresh(state);
        }
    }

    /// Lets those go who have gone.
    pub fn sweep(&mut self) {
        self.clients.retain(|client| !client.gone);
    }

    /// The last writes.
    pub fn finish(&mut self) {
        for client in &mut self.clients {
            client.write();
        }
    }
}

impl Client {
    fn put(&mut self, bytes: Vec<u8>, descriptors: Vec<Rc<OwnedFd>>) {
        if self.output.len() >= MOST_ANSWERS {
            self.gone = true;
            return;
        }
        self.output.push_back(Outgoing {
            bytes,
            sent: 0,
            descriptors,
        });
        self.write();
    }

    /// The newest state, once everything before it is through: a slow reader misses those between.
    fn refresh(&mut self, state: &Answer) {
        if self.stale && self.output.is_empty() {
            self.stale = false;
            self.put(line(state), Vec::new());
        }
    }

    fn write(&mut self) {
        while let Some(first) = self.output.front_mut() {
            let sent = {
                let borrowed: Vec<BorrowedFd<'_>> = first
                    .descriptors
                    .iter()
                    .map(|socket| socket.as_fd())
                    .collect();
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
                let mut ancillary = SendAncillaryBuffer::new(&mut space);
                if !borrowed.is_empty() {
                    ancillary.push(SendAncillaryMessage::ScmRights(&borrowed));
                }
                sendmsg(
                    &self.stream,
                    &[IoSlice::new(&first.bytes[first.sent..])],
                    &mut ancillary,
                    SendFlags::NOSIGNAL,
                )
            };
            match sent {
                Ok(sent) => {
                    first.sent += sent;
                    // They went with the first byte.
                    drop(take(&mut first.descriptors));
                    if first.sent == first.bytes.len() {
                        self.output.pop_front();
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
