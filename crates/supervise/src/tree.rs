//! A look at trees of processes through `/proc`: descendants, what they listen on, what they use.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use crate::specification::INSTANCE_VARIABLE;

/// Whether `/proc` is there and is that of our own process namespace: in another's, numbers mean
/// other processes.
#[must_use]
pub fn visible() -> bool {
    fs::read_link("/proc/self").is_ok_and(|own| own == Path::new(&std::process::id().to_string()))
}

/// A process as `/proc/PID/stat` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Its process id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Whether it has ended and only waits to be reaped.
    pub ended: bool,
    /// Processor time used, in clock ticks.
    pub ticks: u64,
    /// When it was started, in clock ticks since the machine's boot.
    pub started: u64,
}

/// A process's status; none where it is gone.
#[must_use]
pub fn status(pid: u32) -> Option<Status> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, parentheses included.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let mut times = fields
        .skip(8)
        // Some of them may be negative, and none of those is asked for.
        .map(|field| field.parse::<u64>().unwrap_or(0));
    let ticks = times.next()? + times.next()?;
    let started = times.nth(6)?;
    Some(Status {
        pid,
        parent,
        group,
        ended: matches!(state, "Z" | "X"),
        ticks,
        started,
    })
}

/// All processes that can be seen.
#[must_use]
pub fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The children of a process, ended ones included.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    if !Path::new("/proc/thread-self/children").exists() {
        return all()
            .into_iter()
            .filter(|other| status(*other).is_some_and(|status| status.parent == pid))
            .collect();
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_ascii_whitespace()
                .filter_map(|child| child.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

/// The process and its descendants that have not ended, parents before children.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        if found.contains(&pid) {
            continue;
        }
        if status(pid).is_some_and(|status| !status.ended) {
            found.push(pid);
        }
        open.extend(children(pid));
    }
    found
}

/// A variable of the environment with which a process was executed.
#[must_use]
pub fn variable(pid: u32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// All processes that carry an instance's token and have not ended, whoever's children they are.
#[must_use]
pub fn of_instance(instance: &str) -> Vec<u32> {
    all()
        .into_iter()
        .filter(|pid| variable(*pid, INSTANCE_VARIABLE).as_deref() == Some(instance))
        .filter(|pid| status(*pid).is_some_and(|status| !status.ended))
        .collect()
}

/// The resident memory of processes, in bytes; pages they share count for each.
#[must_use]
pub fn memory(pids: &[u32]) -> u64 {
    let page = rustix::param::page_size() as u64;
    pids.iter()
        .filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
            let mut fields = text
                .split_ascii_whitespace()
                .skip(1)
                .map(|field| field.parse::<u64>().unwrap_or(0));
            let (resident, shared) = (fields.next()?, fields.next()?);
            // File pages are shared by the workers of one program: they count once for the system,
            // so they don't count here.
            Some(resident.saturating_sub(shared) * page)
        })
        .sum()
}

/// The TCP sockets on which anyone listens: address and inode.
#[must_use]
pub fn listeners() -> Vec<(SocketAddr, u64)> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let mut text = String::new();
        if fs::File::open(table)
            .and_then(|mut file| file.read_to_string(&mut text))
            .is_err()
        {
            continue;
        }
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
            // 0A: TCP_LISTEN.
            if fields.len() < 10 || fields[3] != "0A" {
                continue;
            }
            if let (Some(address), Ok(inode)) = (address(fields[1]), fields[9].parse()) {
                found.push((address, inode));
            }
        }
    }
    found
}

/// `0100007F:1F90` is 127.0.0.1:8080: each word of an address stands there as this machine's own
/// order of bytes makes it a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |index: usize| {
        let digits = address.get(8 * index..8 * index + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let address: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?).into())
}

/// The sockets that processes hold, by inode; none where the system doesn't let us look.
#[must_use]
pub fn sockets(pids: &[u32]) -> Option<BTreeSet<u64>> {
    let mut found = BTreeSet::new();
    for pid in pids {
        let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(entries) => entries,
            // What has just ended belongs to root for a moment, and holds nothing any more.
            Err(error)
                if error.kind() == std::io::ErrorKind::PermissionDenied && !is_over(*pid) =>
            {
                return None;
            }
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            let inode: Option<u64> = target.to_str().and_then(|target| {
                target
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .parse()
                    .ok()
            });
            found.extend(inode);
        }
    }
    Some(found)
}

/// Whether a process has ended, or has given its memory back on the way there.
fn is_over(pid: u32) -> bool {
    let without_memory =
        || fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.is_empty());
    status(pid).is_none_or(|status| status.ended) || without_memory()
}

/// Where processes listen, in order of ports.
#[must_use]
pub fn addresses(pids: &[u32]) -> Vec<SocketAddr> {
    let held = sockets(pids).unwrap_or_default();
    let addresses: BTreeSet<(u16, SocketAddr)> = listeners()
        .into_iter()
        .filter(|(_, inode)| held.contains(inode))
        .map(|(address, _)| (address.port(), address))
        .collect();
    addresses.into_iter().map(|(_, address)| address).collect()
}

/// The ports on which processes listen, in order.
#[must_use]
pub fn ports(pids: &[u32]) -> Vec<u16> {
    let mut ports: Vec<u16> = addresses(pids).iter().map(SocketAddr::port).collect();
    ports.dedup();
    ports
}

/// Who listens on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// One of the processes asked about; or it can't be told.
    Ours,
    /// Someone else.
    Other,
    /// Nobody.
    None,
}

/// Whether processes listen on a port.
#[must_use]
pub fn listener(port: u16, pids: &[u32]) -> Listener {
    let inodes: Vec<u64> = listeners()
        .into_iter()
        .filter(|(address, _)| address.port() == port)
        .map(|(_, inode)| inode)
        .collect();
    if inodes.is_empty() {
        return Listener::None;
    }
    match sockets(pids) {
        Some(held) if !inodes.iter().any(|inode| held.contains(inode)) => Listener::Other,
        _ => Listener::Ours,
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process};

    use super::*;

    #[test]
    fn what_has_ended_listens_on_nothing() {
        let mut ended = process::Command::new("true").spawn().unwrap();
        let pid = ended.id();
        // Not waited for: it stays as a zombie, whose descriptors only root may look at.
        while !status(pid).is_some_and(|status| status.ended) {
            std::thread::yield_now();
        }
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port, &[pid]), Listener::Other);
        ended.wait().unwrap();
    }

    #[test]
    fn our_own_process_and_its_listener() {
        let own = process::id();
        assert_eq!(
            status(own).map(|status| (status.pid, status.ended)),
            Some((own, false))
        );
        assert!(descendants(own).contains(&own));
        assert!(memory(&[own]) > 0);
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(ports(&[own]).contains(&port));
        assert!(addresses(&[own]).contains(&([127, 0, 0, 1], port).into()));
        if let Ok(socket) = TcpListener::bind("[::1]:0") {
            assert!(addresses(&[own]).contains(&socket.local_addr().unwrap()));
        }
        assert_eq!(listener(port, &[own]), Listener::Ours);
        assert_eq!(listener(port, &[]), Listener::Other);
    }

    #[test]
    fn a_child_is_a_descendant_with_its_variables() {
        let mut child = process::Command::new("sleep")
            .arg("60")
            .env(INSTANCE_VARIABLE, "tree-test")
            .spawn()
            .unwrap();
        assert!(descendants(process::id()).contains(&child.id()));
        assert!(children(process::id()).contains(&child.id()));
        // Until it has executed, it shows our environment.
        while variable(child.id(), INSTANCE_VARIABLE).is_none() {
            std::thread::yield_now();
        }
        assert_eq!(of_instance("tree-test"), [child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(status(child.id()), None);
    }
}
