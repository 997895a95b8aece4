//! A scratch instance of PostgreSQL: a cluster of its own, reached by a socket in its folder.

use std::path::Path;

use rustix::process::Signal;

use super::local::{Folder, LocalPrograms, LocalServer, random};
use landfall_backup::{
    Error, Programs, Scratch,
    postgres::query_one,
    program::{Boxed, answer},
};

/// A scratch instance.
pub struct ScratchPostgres {
    programs: LocalPrograms,
    server: LocalServer,
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
            server: LocalServer::new("postgres"),
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
            ]);
        let programs = &self.programs;
        let answers = || async { query_one(programs, "postgres", "SELECT 1").await.is_ok() };
        self.server.start(command, &path, answers).await
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

    fn end(self: Box<Self>) -> Boxed<'static, ()> {
        Box::pin(async move {
            // It ends at once, and takes its shared memory along.
            self.server.end(Signal::QUIT).await;
        })
    }
}
