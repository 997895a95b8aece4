//! A command in a running container, with streams of any length.

use crate::{Engine, EngineError, Object};
use bollard::{
    container::LogOutput,
    exec::{StartExecOptions, StartExecResults},
    models::ExecConfig,
};
use futures_util::StreamExt as _;
use std::{collections::BTreeMap, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// How much is read and written at once.
const CHUNK: usize = 64 * 1024;

/// A command to execute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments. The Engine shows them to whoever asks: nothing secret.
    pub command: Vec<String>,
    /// Variables added to the container's: nothing secret either.
    pub environment: BTreeMap<String, String>,
    /// Its user; the container's by default.
    pub user: Option<String>,
    /// Where it starts; the container's by default.
    pub directory: Option<String>,
}

impl Engine {
    /// Executes a command in a running container and gives its exit code.
    ///
    /// `stdin` is read to its end, or until the command ends; what the command writes goes to
    /// `stdout` and `stderr` as fast as they take it: when they don't, the command waits. Little
    /// is ever held in memory. It has no end in time but the command's own; when this future is
    /// dropped, the command's input ends and its output goes nowhere, and that is all: the Engine
    /// has no way to end it.
    pub async fn execute(
        &self,
        name: &str,
        command: &Command,
        stdin: Option<&mut (dyn AsyncRead + Send + Unpin)>,
        stdout: &mut (dyn AsyncWrite + Send + Unpin),
        stderr: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<i64, EngineError> {
        let program = command.command.first().map_or("", String::as_str);
        let doing = format!("executing {program} in the container {name}");
        let about = Some((Object::Container, name));
        let config = ExecConfig {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.command.clone()),
            env: Some(
                command
                    .environment
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect(),
            ),
            user: command.user.clone(),
            working_dir: command.directory.clone(),
            ..ExecConfig::default()
        };
        let made = self.docker().create_exec(name, config);
        let id = self.call(&doing, about, made).await?.id;
        let options = StartExecOptions {
            output_capacity: Some(CHUNK),
            ..StartExecOptions::default()
        };
        let started = self.docker().start_exec(&id, Some(options));
        let started = self.call(&doing, about, started).await?;
        let StartExecResults::Attached {
            mut output,
            mut input,
        } = started
        else {
            return Err(EngineError::Odd {
                doing,
                reason: "it wasn't attached".to_owned(),
            });
        };
        let stream = |doing: &'static str| {
            move |source| EngineError::Stream {
                doing: doing.to_owned(),
                source,
            }
        };
        let write = async {
            if let Some(stdin) = stdin {
                let mut chunk = vec![0; CHUNK];
                loop {
                    let count = stdin.read(&mut chunk).await;
                    let count = count.map_err(stream("reading the command's input"))?;
                    // A command that reads no further is no failure; its exit code says.
                    if count == 0 || input.write_all(&chunk[..count]).await.is_err() {
                        break;
                    }
                }
            }
            let _ = input.shutdown().await;
            Ok(())
        };
        let read = async {
            while let Some(item) = output.next().await {
                let item = item.map_err(|error| self.failed(&doing, about, error))?;
                let failed = stream("writing the command's output");
                match item {
                    LogOutput::StdErr { message } => stderr.write_all(&message).await,
                    item => stdout.write_all(&item.into_bytes()).await,
                }
                .map_err(failed)?;
            }
            stdout
                .flush()
                .await
                .map_err(stream("writing the command's output"))?;
            stderr
                .flush()
                .await
                .map_err(stream("writing the command's output"))
        };
        // The output's end is the command's, whether all of its input was read or not.
        let mut write = std::pin::pin!(write);
        let mut read = std::pin::pin!(read);
        tokio::select! {
            done = &mut read => done?,
            done = &mut write => {
                done?;
                read.await?;
            }
        }
        self.exit_code(&doing, &id).await
    }

    /// The end of the streams comes a moment before the exit code.
    async fn exit_code(&self, doing: &str, id: &str) -> Result<i64, EngineError> {
        let mut pause = Duration::from_millis(2);
        for _ in 0..12 {
            let looked = self.docker().inspect_exec(id);
            let found = self.call(doing, None, looked).await?;
            if let (Some(false), Some(code)) = (found.running, found.exit_code) {
                return Ok(code);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(EngineError::Lost {
            doing: doing.to_owned(),
            reason: "its output ended and it didn't".to_owned(),
        })
    }
}
