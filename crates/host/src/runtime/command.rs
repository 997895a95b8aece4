//! A command inside a running instance, with streams of any length: what databases are dumped with.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use landfall_containers as containers;
use landfall_release::Failure;
use landfall_supervise::specification::{CONTROL_VARIABLE, Execution, INSTANCE_VARIABLE, files};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy};

use super::{INSTANCE, SUPERVISOR, container::marker};
use crate::host::Host;

/// A command in an instance.
pub struct Command<'a> {
    /// The instance.
    pub id: &'a str,
    /// Its folder.
    pub folder: &'a Path,
    /// Program and arguments: nothing secret.
    pub words: &'a [String],
    /// Its whole environment; secrets may be in it.
    pub environment: &'a BTreeMap<String, String>,
    /// Where it starts; the container's own, or the instance's folder, by default.
    pub directory: Option<PathBuf>,
    /// In a container its user; the container's by default.
    pub user: Option<String>,
}

/// Runs it to its end; its exit code, 128 and the signal's number where a signal ended it.
pub async fn command(
    host: &Host,
    command: &Command<'_>,
    stdin: Option<&mut (dyn AsyncRead + Send + Unpin)>,
    stdout: &mut (dyn AsyncWrite + Send + Unpin),
    stderr: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<i64, Failure> {
    let failed = |error: io::Error| {
        let program = command.words.first().map_or("", String::as_str);
        Failure::new(
            "not-executed",
            format!("can't execute {program} in {}: {error}", command.id),
        )
    };
    let Some(marker) = marker(command.folder) else {
        return plain(command, stdin, stdout, stderr).await.map_err(failed);
    };
    let engine = host.engine().await?;
    let execution = Execution {
        environment: command.environment.clone(),
        directory: command.directory.clone(),
        ..Execution::default()
    };
    let file = execution_file(command.folder, &execution).map_err(failed)?;
    let mut words = [SUPERVISOR, "exec", &file.inside, "--"]
        .map(str::to_owned)
        .to_vec();
    words.extend_from_slice(command.words);
    let inside = containers::Command {
        command: words,
        user: command.user.clone(),
        ..containers::Command::default()
    };
    let exit = engine
        .execute(&marker.name, &inside, stdin, stdout, stderr)
        .await?;
    Ok(exit)
}

/// So long a command that somebody else executes may take to be begun.
pub const UNUSED: Duration = Duration::from_secs(60);

/// What the names of [`ExecutionFile`]s begin and end with.
const NAME: (&str, &str) = ("exec-", ".json");

/// What a command in a container is executed with, written down: its secrets too. Whoever reads it
/// removes it; where nobody does, it goes when this is dropped.
#[derive(Debug)]
pub struct ExecutionFile {
    /// Where the container finds it.
    pub inside: String,
    path: PathBuf,
}

impl ExecutionFile {
    /// Leaves it to somebody who is about to have it read; the path where the container finds it. It
    /// goes after a while, should that never happen.
    pub fn hand_out(self) -> String {
        self.hand_out_for(UNUSED)
    }

    fn hand_out_for(self, time: Duration) -> String {
        let inside = self.inside.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            drop(self);
        });
        inside
    }
}

impl Drop for ExecutionFile {
    fn drop(&mut self) {
        // Read, it is gone already.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes down what a command in a container is executed with. What a host that died has left of
/// such goes.
pub fn execution_file(folder: &Path, execution: &Execution) -> io::Result<ExecutionFile> {
    use std::{io::Write as _, os::unix::fs::PermissionsExt};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    remove_unread(folder)?;
    let own = std::process::id();
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{own}-{number}{}", NAME.0, NAME.1);
        let path = folder.join(&name);
        // Never through a link that somebody in the container has laid there.
        match fs::File::create_new(&path) {
            Ok(mut file) => {
                let written = ExecutionFile {
                    inside: format!("{INSTANCE}/{name}"),
                    path,
                };
                // The folder above is the guard: its reader may be any user of the container.
                file.set_permissions(PermissionsExt::from_mode(0o644))?;
                file.write_all(&serde_json::to_vec(execution)?)?;
                return Ok(written);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes those that were written so long ago that nobody reads them any more.
fn remove_unread(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let own = |name: &str| name.starts_with(NAME.0) && name.ends_with(NAME.1);
        if !name.to_str().is_some_and(own) {
            continue;
        }
        let written = entry.metadata().and_then(|found| found.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        if age.is_some_and(|age| age > UNUSED) {
            // Somebody in the container may have removed it, or made it something else.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

async fn plain(
    command: &Command<'_>,
    stdin: Option<&mut (dyn AsyncRead + Send + Unpin)>,
    stdout: &mut (dyn AsyncWrite + Send + Unpin),
    stderr: &mut (dyn AsyncWrite + Send + Unpin),
) -> io::Result<i64> {
    use std::os::unix::process::ExitStatusExt as _;
    let program = command.words.first().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = command.directory.as_deref().unwrap_or(command.folder);
    let input = match stdin.is_some() {
        true => Stdio::piped(),
        false => Stdio::null(),
    };
    let mut child = tokio::process::Command::new(program)
        .args(&command.words[1..])
        .current_dir(directory)
        .env_clear()
        .envs(command.environment)
        .env(INSTANCE_VARIABLE, command.id)
        .env(CONTROL_VARIABLE, command.folder.join(files::CONTROL))
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let input = child.stdin.take();
    let (mut output, mut errors) = (child.stdout.take(), child.stderr.take());
    let write = async {
        if let (Some(mut input), Some(stdin)) = (input, stdin) {
            // A command that reads no further is no failure; its exit code says.
            let _ = copy(stdin, &mut input).await;
            let _ = input.shutdown().await;
        }
        // The end of its output is what is waited for.
        std::future::pending::<()>().await;
    };
    let read = async {
        let output = async {
            if let Some(output) = &mut output {
                copy(output, stdout).await?;
            }
            stdout.flush().await
        };
        let errors = async {
            if let Some(errors) = &mut errors {
                copy(errors, stderr).await?;
            }
            stderr.flush().await
        };
        tokio::try_join!(output, errors).map(drop)
    };
    tokio::select! {
        done = read => done?,
        () = write => {}
    }
    let status = child.wait().await?;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1);
    Ok(code.into())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn what_nobody_reads_of_a_command_goes() {
        let folder = tempfile::tempdir().unwrap();
        let write = || execution_file(folder.path(), &Execution::default()).unwrap();
        drop(write());
        assert!(names(folder.path()).is_empty());
        let inside = write().hand_out_for(Duration::from_millis(20));
        assert_eq!(
            names(folder.path()),
            [inside.strip_prefix("/.landfall/instance/").unwrap()]
        );
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !names(folder.path()).is_empty() {
            assert!(tokio::time::Instant::now() < deadline, "it stays");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn what_a_host_that_died_left_of_a_command_goes_with_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["exec-1-0.json", "exec-1-1.json", "state.json"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let long_ago = SystemTime::now() - 2 * UNUSED;
        for name in ["exec-1-0.json", "state.json"] {
            let file = fs::File::options()
                .write(true)
                .open(folder.path().join(name));
            file.unwrap().set_modified(long_ago).unwrap();
        }
        let written = execution_file(folder.path(), &Execution::default()).unwrap();
        let left = names(folder.path());
        drop(written);
        assert_eq!(left.len(), 3, "{left:?}");
        assert_eq!(names(folder.path()), ["exec-1-1.json", "state.json"]);
    }
}
