//! A scratch instance of Redis: reached by a socket in its folder, on which it loads a snapshot.

use std::path::Path;

use rustix::process::Signal;

use super::local::{Folder, LocalPrograms, LocalServer, random};
use landfall_backup::{
    Error, Programs, Running, Scratch,
    program::{Boxed, answer},
    redis::RDB,
};

/// A scratch instance.
pub struct ScratchRedis {
    programs: ScratchPrograms,
    server: LocalServer,
    password: String,
    folder: Folder,
}

/// The programs, with `redis-cli` led to the socket.
struct ScratchPrograms {
    local: LocalPrograms,
    socket: String,
}

impl Programs for ScratchPrograms {
    fn start<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [String],
    ) -> Boxed<'a, std::io::Result<Running>> {
        Box::pin(async move {
            let mut all = Vec::new();
            if program == "redis-cli" {
                all.extend(["-s".to_owned(), self.socket.clone()]);
            }
            all.extend_from_slice(arguments);
            self.local.start(program, &all).await
        })
    }
}

impl ScratchRedis {
    /// One of these programs in this folder.
    pub fn new(programs: &LocalPrograms, folder: Folder) -> Result<Self, Error> {
        let mut local = programs.clone();
        let password = random()?;
        local.directory = folder.path().to_owned();
        local
            .environment
            .insert("REDISCLI_AUTH".to_owned(), password.clone());
        let socket = folder.path().join("redis.sock").display().to_string();
        Ok(Self {
            programs: ScratchPrograms { local, socket },
            server: LocalServer::new("redis"),
            password,
            folder,
        })
    }

    async fn begin(&mut self) -> Result<(), Error> {
        let path = self.folder.path().to_owned();
        let snapshot = path.join(RDB);
        // The program that knows the format says more about a bad one than the server would.
        if snapshot.exists() {
            let name = snapshot.display().to_string();
            answer(&self.programs.local, "redis-check-rdb", &[&name], "").await?;
        }
        // The password in a file of its own: arguments can be read by everybody.
        let settings = path.join("redis.conf");
        let text = format!(
            "port 0\nunixsocket {}\nunixsocketperm 700\ndir {}\ndbfilename {RDB}\nsave \"\"\n\
             appendonly no\nrequirepass {}\nenable-debug-command yes\nactivedefrag no\n",
            self.programs.socket,
            path.display(),
            self.password
        );
        std::fs::write(&settings, text).map_err(Error::io(settings.display().to_string()))?;
        let mut command = self.programs.local.command("redis-server");
        command.arg(&settings);
        let programs = &self.programs;
        let answers = || async {
            // While it loads it says so instead.
            answer(programs, "redis-cli", &[], "PING\n")
                .await
                .is_ok_and(|text| text.trim() == "PONG")
        };
        self.server.start(command, &path, answers).await
    }
}

impl Scratch for ScratchRedis {
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
            // Nothing is to be kept.
            self.server.end(Signal::KILL).await;
        })
    }
}
