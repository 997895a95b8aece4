//! A container that does one thing and is gone.

use crate::{ContainerSpecification, Engine, EngineError, Object, label};
use bollard::{
    container::{AttachContainerResults, LogOutput},
    query_parameters::AttachContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

/// Where output was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output, or the terminal.
    Standard,
    /// Standard error.
    Error,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The exit code; 128 and the signal's number where a signal ended it.
    pub exit_code: i64,
    /// Whether the kernel killed a process of it for want of memory. The Engine at times misses it
    /// where that was the last thing that happened.
    pub oom_killed: bool,
}

impl Engine {
    /// Makes a container, runs it to its end, hands out all of its output, and removes it.
    ///
    /// It has no end in time but its own: whoever drops this future has it killed and removed.
    pub async fn run_once(
        &self,
        specification: &ContainerSpecification,
        stdin: Option<&[u8]>,
        mut on_output: impl FnMut(Output, &[u8]) + Send,
    ) -> Result<Ended, EngineError> {
        let mut specification = specification.clone();
        specification.input = stdin.is_some();
        // How it ended is asked for after its end.
        specification.remove_at_end = false;
        let name = specification.name.clone();
        let id = match self.create(&specification).await {
            // What a host that was killed left of the very same: nobody waits for it any more.
            Err(EngineError::Exists { labels, .. })
                if labels.contains_key(label::HOME)
                    && labels.get(label::HOME) == specification.labels.get(label::HOME) =>
            {
                self.remove(&name, true).await?;
                self.create(&specification).await?
            }
            made => made?,
        };
        let mut guard = Guard {
            engine: self.clone(),
            id: Some(id.clone()),
        };
        let doing = format!("running the container {name}");
        let about = Some((Object::Container, name.as_str()));
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(stdin.is_some())
            .stdout(true)
            .stderr(true)
            .build();
        let attached = self.docker().attach_container(&id, Some(options));
        let AttachContainerResults {
            mut output,
            mut input,
        } = self.call(&doing, about, attached).await?;
        self.call(&doing, about, self.docker().start_container(&id, None))
            .await?;
        let written = async {
            if let Some(bytes) = stdin {
                // One that ends without having read all of it is no failure of ours.
                let _ = input.write_all(bytes).await;
            }
            let _ = input.shutdown().await;
        };
        let read = async {
            while let Some(item) = output.next().await {
                match item {
                    Ok(LogOutput::StdErr { message }) => on_output(Output::Error, &message),
                    Ok(item) => on_output(Output::Standard, &item.into_bytes()),
                    Err(error) => return Err(self.failed(&doing, about, error)),
                }
            }
            Ok(())
        };
        // The output's end is the container's; it may come while nobody reads the input.
        let mut written = std::pin::pin!(written);
        let mut read = std::pin::pin!(read);
        tokio::select! {
            done = &mut read => done?,
            () = &mut written => read.await?,
        }
        let found = self.wait(&id).await?;
        let found = found.ok_or(EngineError::Missing {
            object: Object::Container,
            name,
        })?;
        self.remove(&id, true).await?;
        guard.id = None;
        Ok(Ended {
            exit_code: found.exit_code.unwrap_or(-1),
            oom_killed: found.oom_killed,
        })
    }
}

/// Removes the container also where nobody waits for it any more.
struct Guard {
    engine: Engine,
    id: Option<String>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let engine = self.engine.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // What can't be removed now is found by its labels later.
                let _ = engine.remove(&id, true).await;
            });
        }
    }
}
