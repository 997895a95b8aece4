//! The control protocol: a line of JSON each way over a Unix stream socket.
//!
//! The supervisor greets with a [`Hello`]. Each [`Request`] gets one [`Answer`]; `watch` gets a
//! [`Answer::State`] at once and one for each change from then on, coalesced where the reader is
//! slow; new last words, the times of probes and the count of dropped bytes alone are no change. The
//! connection's end is the supervisor's end. Sockets travel beside their answer as
//! SCM_RIGHTS, in the order of the names.

use serde::{Deserialize, Serialize};

use crate::{specification::Socket, state::State};

/// What the supervisor says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hello {
    /// Its protocol version.
    pub version: u32,
    /// The instance.
    pub instance: String,
    /// Its process.
    pub supervisor: u32,
}

/// What a client may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How it is, once.
    State,
    /// How it is, now and at each change.
    Watch,
    /// Stop everything, in reverse order, and end.
    Stop,
    /// Stop one process, or all, and start again at once.
    Restart {
        /// Which; all by default.
        process: Option<String>,
    },
    /// The listening sockets, all of them, with their descriptors.
    Sockets,
    /// Bind and hold further sockets; those of a name that is held already are returned as they are.
    Listen(Socket),
    /// Close the sockets of a name.
    Close {
        /// Which.
        name: String,
    },
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// How it is.
    State(Box<State>),
    /// Done, or begun: the changes show in `watch`.
    Accepted,
    /// The sockets' names, one for each descriptor that travels with this answer. An answer carries
    /// at most 200; `more` says that another follows.
    Sockets {
        /// One for each descriptor.
        names: Vec<String>,
        /// Whether another such answer follows.
        more: bool,
    },
    /// It can't be done.
    Refused {
        /// Why, in a few words.
        reason: String,
    },
}
