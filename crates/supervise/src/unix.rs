//! Unix sockets at any path: one that is longer than the kernel's 107 bytes is reached by way of
//! its folder's descriptor.

use std::{
    io,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use crate::client::with_short_path;

/// Connects to a socket.
///
/// # Errors
/// Those of connecting; `InvalidInput` where the path names no file.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    with_short(path, |path| UnixStream::connect(path))
}

/// Connects to a socket whose owner may be stuck: where it takes no more connections, there is an end
/// to the wait.
///
/// # Errors
/// Those of connecting; `TimedOut` at the end of the wait; `InvalidInput` where the path names no
/// file.
pub fn connect_within(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    with_short(path, |path| {
        let address = SocketAddrUnix::new(path)?;
        let kind = SocketType::STREAM;
        let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        // The longest wait of a connection, too.
        set_socket_timeout(&socket, Timeout::Send, Some(limit))?;
        match rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &address)) {
            Ok(()) => {}
            Err(Errno::AGAIN) => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it took no connection within {limit:?}"),
                ));
            }
            Err(error) => return Err(error.into()),
        }
        set_socket_timeout(&socket, Timeout::Send, None)?;
        Ok(UnixStream::from(socket))
    })
}

/// Binds, for its owner alone, after taking away what a dead process left there. Who may do so must
/// be settled before.
///
/// # Errors
/// Those of binding; `InvalidInput` where the path names no file.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    bind_with(path, 0o600)
}

/// As [`bind`], with the socket's permissions.
///
/// # Errors
/// Those of [`bind`].
pub fn bind_with(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = with_short(path, |path| UnixListener::bind(path))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
    Ok(listener)
}

fn with_short<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    match (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) {
        (Some(folder), Some(name)) => with_short_path(folder, name, act),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not the path of a socket",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_no_connection_is_waited_for_no_longer_than_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stuck.sock");
        let listener = bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let limit = Duration::from_millis(50);
        // One waits to be taken; there is no room for another.
        let _first = connect_within(&path, limit).unwrap();
        let since = std::time::Instant::now();
        let error = connect_within(&path, limit).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(since.elapsed() >= limit);
        listener.accept().unwrap();
        connect_within(&path, limit).unwrap();
        drop(listener);
        let error = connect_within(&path, limit).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_long_path_is_bound_and_connected() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(90)).join("e".repeat(90));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("edge.sock");
        let listener = bind(&path).unwrap();
        connect(&path).unwrap();
        listener.accept().unwrap();
        drop(listener);
        let _again = bind(&path).unwrap();
        connect(&path).unwrap();
    }
}
