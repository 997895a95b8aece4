//! A scratch instance of PostgreSQL: a cluster of its own, reached by a socket in its folder.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Child, time::timeout};

use super::local::{Folder, LocalPrograms, random, until_answers};
use landfall_backup::{
    Error, Programs, Scratch,
    postgres::query_one,
    program::{Boxed, answer},
};

/// How long it may take to end.
const END: Duration = Duration::from_secs(20);

/// A scratch instance.
pub struct ScratchPostgres {
    programs: LocalPrograms,
    server: Option<Child>,
    password: String,
    /// Last, so that the server ends before its data goes.
    folder: Folder,
}

impl ScratchPostgres {
    /// One of these programs in this folder.
    pub fn new(programs: &LocalPrograms, folder: Folder) -> Result<Self, Error> {
        let mut programs = programs.clone();
        let password = random()?;
        let socket = folder.path().display().to_string();
        programs.directory = folder.path().to_owned();
        programs
            .environment
            .retain(|name, _| !name.starts_with("PG"));
        for (name, value) in [
            ("PGHOST", socket.as_str()),
            ("PGPORT", "5432"),
            ("PGUSER", "postgres"),
            ("PGPASSWORD", &password),
        ] {
            programs
                .environment
                .insert(name.to_owned(), value.to_owned());
        }
        Ok(Self {
            programs,
            server: None,
            password,
            folder,
        })
    }

    async fn begin(&mut self) -> Result<(), Error> {
        let path = self.folder.path().to_owned();
        let data = path.join("data").display().to_string();
        let password = path.join("password");
        std::fs::write(&password, &self.password).map_err(Error::io("password"))?;
        let password = format!("--pwfile={}", password.display());
        let arguments = [
            "--username=postgres",
            "--auth=scram-sha-256",
            &password,
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-D",
            &data,
        ];
        answer(&self.programs, "initdb", &arguments, "").await?;
        let log = path.join("log");
        let written = std::fs::File::create(&log).map_err(Error::io(log.display().to_string()))?;
        let errors = written.try_clone().map_err(Error::io("log"))?;
        let mut command = self.programs.command("postgres");
        command
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&path)
            // Nobody else's data, and gone in a minute: durability costs time only.
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "full_page_writes=off",
                "-c",
                "autovacuum=off",
                "-c",
                "max_connections=10",
                "-c",
                "shared_buffers=64MB",
                "-c",
                "max_wal_size=256MB",
                "-c",
                "wal_level=minimal",
                "-c",
                "max_wal_senders=0",
                "-c",
                "maintenance_work_mem=64MB",
                "-c",
                "jit=off",
                "-c",
                "logging_collector=off",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::from(written))
            .stderr(Stdio::from(errors));
        let child = command.spawn().map_err(Error::io("postgres"))?;
        let server = self.server.insert(child);
        let programs = &self.programs;
        until_answers(server, "postgres", &log, || async {
            query_one(programs, "postgres", "SELECT 1").await.is_ok()
        })
        .await
    }
}

impl Scratch for ScratchPostgres {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn start(&mut self) -> Boxed<'_, Result<(), Error>> {
        Box::pin(self.begin())
    }

    fn programs(&self) -> &dyn Programs {
        &self.programs
    }

    fn end(mut self: Box<Self>) -> Boxed<'static, ()> {
        Box::pin(async move {
            if let Some(mut server) = self.server.take() {
                let id = server.id().and_then(|id| i32::try_from(id).ok());
                if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
                    // SIGQUIT: it ends at once, and takes its shared memory along.
                    let _ = rustix::process::kill_process(id, rustix::process::Signal::QUIT);
                }
                if timeout(END, server.wait()).await.is_err() {
                    let _ = server.kill().await;
                }
            }
        })
    }
}
