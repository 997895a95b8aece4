//! A range of ports for one test alone, across all test processes of a user.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::sweep;

/// Below the range that a real host leases from, and below the ephemeral ports.
const FIRST: u16 = 12_000;
const SIZE: u16 = 100;
const RANGES: u16 = 80;

/// A range, held until dropped.
#[derive(Debug)]
pub struct Ports {
    /// The first port.
    pub first: u16,
    /// The last one.
    pub last: u16,
    file: File,
    // Other users can't open this user's lock files; an abstract address is the machine's.
    _machine: UnixListener,
}

impl Ports {
    /// Takes a free range, and notes whose it is: what a killed test left there is ended first.
    pub fn take(home: &Path) -> Self {
        let folder = folder();
        fs::create_dir_all(&folder).expect("the folder of locks can be made");
        for number in 0..RANGES {
            let path = folder.join(format!("{number}.lock"));
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .expect("a lock file can be opened");
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let Some(machine) = claim(number) else {
                continue;
            };
            let mut before = String::new();
            file.read_to_string(&mut before)
                .expect("a lock file is text");
            if !before.is_empty() {
                sweep::sweep(Path::new(&before));
            }
            note(&mut file, &home.display().to_string());
            let first = FIRST + number * SIZE;
            return Self {
                first,
                last: first + SIZE - 1,
                file,
                _machine: machine,
            };
        }
        panic!("all {RANGES} ranges of ports are taken");
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        note(&mut self.file, "");
    }
}

fn note(file: &mut File, text: &str) {
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(text.as_bytes()));
    written.expect("a lock file can be written");
}

/// A range against the tests of other users; it ends with this process at the latest.
fn claim(number: u16) -> Option<UnixListener> {
    let name = format!("landfall-tests-ports-{number}");
    let address = SocketAddr::from_abstract_name(name).expect("a short name is an address");
    UnixListener::bind_addr(&address).ok()
}

fn folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("landfall-tests-{user}"))
}
