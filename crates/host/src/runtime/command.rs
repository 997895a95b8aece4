//! A command inside a running instance, with streams of any length: what databases are dumped with.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
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
    let mut words = [SUPERVISOR, "exec", &file, "--"]
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

/// Writes down what a command in a container is executed with; the path where the container finds
/// it. Whoever reads it removes it.
pub fn execution_file(folder: &Path, execution: &Execution) -> io::Result<String> {
    use std::{io::Write as _, os::unix::fs::PermissionsExt};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let own = std::process::id();
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("exec-{own}-{number}.json");
        // Never through a link that somebody in the container has laid there.
        match std::fs::File::create_new(folder.join(&name)) {
            Ok(mut file) => {
                // The folder above is the guard: its reader may be any user of the container.
                file.set_permissions(PermissionsExt::from_mode(0o644))?;
                file.write_all(&serde_json::to_vec(execution)?)?;
                return Ok(format!("{INSTANCE}/{name}"));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
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
