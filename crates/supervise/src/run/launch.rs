//! Starting a child: this program executes itself, takes its settings from a socket, applies them
//! and becomes the child. So nothing secret is an argument, and a signal between fork and exec finds
//! either the block or the default, never a handler that swallows it.

use std::{
    ffi::CStr,
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::OnceLock,
};

use rustix::{
    fs::{MemfdFlags, Mode, OFlags},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Resource, Rlimit, setrlimit},
};
use serde::{Deserialize, Serialize};

use super::{cgroup, system};

/// The argument that makes this program a child-to-be.
pub const ARGUMENT: &str = "child";

/// Everything about a child.
#[derive(Serialize, Deserialize)]
pub struct Settings {
    pub command: Vec<String>,
    pub directory: PathBuf,
    pub environment: Vec<(String, String)>,
    pub nice: i32,
    /// How many descriptors it may hold: soft and hard.
    pub descriptors: (Option<u64>, Option<u64>),
    pub user: Option<u32>,
    /// The control groups that it joins.
    pub groups: Vec<PathBuf>,
}

/// A child that was started and may not have been executed yet.
pub struct Launched {
    pub pid: Pid,
    /// Ends when the child is executed; says why where it can't be.
    pub report: OwnedFd,
    /// Its output and error streams, where they were asked for.
    pub streams: Option<[OwnedFd; 2]>,
}

/// This program's own file, also where there is no `/proc` and when it was replaced meanwhile.
pub fn own_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let link = Path::new("/proc/self/exe");
        if link.exists() {
            return link.to_owned();
        }
        let name: &CStr = rustix::param::linux_execfn();
        PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes()))
    })
}

/// Starts a child in a process group of its own. Its name is for `ps` alone.
pub fn launch(name: &str, settings: &Settings, with_streams: bool) -> io::Result<Launched> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    // The child reads while it waits.
    rustix::io::ioctl_fionbio(&theirs, false)?;
    let mut command = Command::new(own_program());
    command
        .arg0("landfall-supervise")
        .args([ARGUMENT, name])
        .env_clear()
        .process_group(0)
        .stdin(Stdio::from(theirs));
    let mut streams = None;
    if with_streams {
        let (output, output_write) = pipe_with(PipeFlags::CLOEXEC)?;
        let (error, error_write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&output, true)?;
        rustix::io::ioctl_fionbio(&error, true)?;
        if let Some(user) = settings.user {
            // So that it may open /dev/stdout; without the right to, the user is our own anyway.
            for pipe in [&output_write, &error_write] {
                let _ = rustix::fs::fchown(pipe, Some(rustix::fs::Uid::from_raw(user)), None);
            }
        }
        command.stdout(output_write).stderr(error_write);
        streams = Some([output, error]);
    } else {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    // Sent before there is a child: a socket holds it.
    send_settings(&ours, settings)?;
    let child = command.spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed())
        .ok_or_else(|| io::Error::other("a child without a number"))?;
    Ok(Launched {
        pid,
        report: ours,
        streams,
    })
}

/// The settings travel as a memory file, since an environment may be larger than a socket's buffer.
fn send_settings(socket: &OwnedFd, settings: &Settings) -> io::Result<()> {
    let mut file = File::from(rustix::fs::memfd_create("settings", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(settings)?)?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    let descriptors = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        socket,
        &[IoSlice::new(b"x")],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

fn receive_settings(socket: &OwnedFd) -> io::Result<Settings> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut rights) = message
            && let Some(descriptor) = rights.next()
        {
            let mut text = Vec::new();
            File::from(descriptor).read_to_end(&mut text)?;
            return Ok(serde_json::from_slice(&text)?);
        }
    }
    Err(io::Error::other(
        "the supervisor ended before it sent the settings",
    ))
}

/// What the program does when it is started as a child-to-be: it doesn't come back.
pub fn become_child() -> ! {
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else {
        process::exit(126)
    };
    let Ok(settings) = receive_settings(&socket) else {
        process::exit(126)
    };
    let error = match prepare(&settings) {
        Ok(mut command) => {
            // From here on a signal that came since the fork has its effect.
            match system::unblock_signals() {
                Ok(()) => {
                    let error = command.exec();
                    format!("{}: {error}", settings.command[0])
                }
                Err(error) => error.to_string(),
            }
        }
        Err(error) => error,
    };
    let _ = rustix::io::write(&socket, error.as_bytes());
    process::exit(127)
}

fn prepare(settings: &Settings) -> Result<Command, String> {
    let nothing = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .or_else(|_| pipe_with(PipeFlags::CLOEXEC).map(|(read, _)| read))
        .map_err(|error| format!("/dev/null: {error}"))?;
    rustix::stdio::dup2_stdin(&nothing).map_err(|error| error.to_string())?;
    system::close_inherited_on_exec();
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    // Before the user changes: another one may not.
    cgroup::join(&settings.groups)?;
    let (current, maximum) = settings.descriptors;
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    if settings.nice != 0 {
        // Whether it is permitted was found out by the supervisor, and noted.
        let _ = rustix::process::setpriority_process(None, settings.nice);
    }
    let (program, arguments) = settings.command.split_first().ok_or("an empty command")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(
        settings
            .environment
            .iter()
            .map(|(name, value)| (name, value)),
    );
    if let Some(user) = settings.user
        && user != rustix::process::geteuid().as_raw()
    {
        command.uid(user).gid(group_of(user));
    }
    std::env::set_current_dir(&settings.directory)
        .map_err(|error| format!("folder {}: {error}", settings.directory.display()))?;
    Ok(command)
}

/// The user's group by `/etc/passwd`, read without the system's resolver, which a static program
/// can't load; else the one of the same number.
fn group_of(user: u32) -> u32 {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let (number, group) = (fields.next()?, fields.next()?);
            (number.parse() == Ok(user)).then(|| group.parse().ok())?
        })
        .next()
        .unwrap_or(user)
}
