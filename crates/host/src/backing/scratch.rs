//! Backing services as what is backed up: their programs, and scratch instances of the same version
//! beside them, in which a backup is restored and compared.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use landfall_app::{
    Name,
    model::{BackingKind, Runtime},
};
use landfall_backup::{
    Ended, Error, Programs, Running, Server,
    program::{Boxed, last_words},
    room,
};
use landfall_ledger::BackingRow;
use landfall_release::Failure;
use tokio::io::{AsyncWriteExt as _, duplex};

use super::{
    packages::{self, major},
    place, prepare,
    recipe::SUPERUSER,
    server::{self, Passwords},
};
use crate::{
    host::{Host, ledger_failed},
    report::remark,
    runtime,
};

/// What is under way between a program and whoever reads it.
const PIPE: usize = 256 * 1024;
/// Nobody's data: it needn't end well.
const GRACE: Duration = Duration::from_secs(10);

/// The programs of a backing service, run as its superuser beside it or in its container.
pub struct BackingPrograms {
    host: Arc<Host>,
    row: BackingRow,
    passwords: Passwords,
}

impl BackingPrograms {
    fn words(&self, program: &str, arguments: &[String]) -> Result<Vec<String>, Failure> {
        let body = &self.row.body;
        let mut words = Vec::new();
        match (&body.image, program) {
            (Some(_), program) => words.push(program.to_owned()),
            (None, "cat") => words.push("/bin/cat".to_owned()),
            (None, program) => {
                let version = Some(major(&body.version));
                let found = packages::find(self.row.name.as_str(), &body.wanted.kind, version)?;
                words.push(found.path(program));
            }
        }
        if program == "redis-cli" {
            words.extend(["-h", "127.0.0.1", "-p"].map(str::to_owned));
            words.push(body.port.to_string());
        }
        words.extend_from_slice(arguments);
        Ok(words)
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let body = &self.row.body;
        let mut environment = match &body.image {
            Some(image) => image.config.environment.clone(),
            None => BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        };
        for (name, value) in [
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", &body.port.to_string()),
            ("PGUSER", SUPERUSER),
            ("PGPASSWORD", self.passwords.superuser.expose()),
            ("PGCLIENTENCODING", "UTF8"),
            ("PGCONNECT_TIMEOUT", "10"),
            ("REDISCLI_AUTH", self.passwords.app.expose()),
            ("LC_ALL", "C.UTF-8"),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        environment
    }
}

/// Ends a task when it is dropped.
struct Owned<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Programs for BackingPrograms {
    fn start<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [String],
    ) -> Boxed<'a, io::Result<Running>> {
        Box::pin(async move {
            let words = self.words(program, arguments).map_err(io::Error::other)?;
            let environment = self.environment();
            let (host, own) = (
                self.host.clone(),
                server::instance_row(&self.host, &self.row),
            );
            let (input, mut stdin) = duplex(PIPE);
            let (mut stdout, output) = duplex(PIPE);
            let (mut stderr, errors) = duplex(PIPE);
            let mut running = Owned(tokio::spawn(async move {
                let command = runtime::Command {
                    id: &own.id,
                    folder: &own.folder,
                    words: &words,
                    environment: &environment,
                    directory: None,
                    user: None,
                };
                let (to, errors) = (&mut stdout, &mut stderr);
                let code = runtime::command(&host, &command, Some(&mut stdin), to, errors).await;
                // Nobody may be left who reads.
                let _ = stdout.shutdown().await;
                let _ = stderr.shutdown().await;
                code
            }));
            let ended = async move {
                let (code, last_words) = tokio::join!(&mut running.0, last_words(Some(errors)));
                let code = code.map_err(io::Error::other)?.map_err(io::Error::other)?;
                Ok(Ended {
                    well: code == 0,
                    said: format!("exit {code}"),
                    last_words,
                })
            };
            Ok(Running {
                input: Some(Box::new(input)),
                output: Box::new(output),
                ended: Box::pin(ended),
            })
        })
    }
}

/// A backing service that is backed up.
pub struct Source {
    programs: BackingPrograms,
}

impl Source {
    /// This one, which runs.
    pub fn new(host: &Arc<Host>, row: &BackingRow) -> Result<Self, Failure> {
        let passwords = host.backing_passwords(&row.app, &row.environment, &row.name)?;
        Ok(Self {
            programs: BackingPrograms {
                host: host.clone(),
                row: row.clone(),
                passwords,
            },
        })
    }
}

impl Server for Source {
    fn programs(&self) -> &dyn Programs {
        &self.programs
    }

    fn scratch(&self, needed: u64) -> Boxed<'_, Result<Box<dyn landfall_backup::Scratch>, Error>> {
        Box::pin(async move {
            let (host, of) = (&self.programs.host, &self.programs.row);
            let row = beside(host, of).map_err(failed)?;
            // What a host left that died in the middle.
            sweep_one(host, &row).await;
            let folder = row.body.data.clone();
            let above = folder.parent().unwrap_or(Path::new("/"));
            room(above, needed)?;
            prepare::data(host, &row).await.map_err(failed)?;
            let passwords = host
                .backing_passwords(&row.app, &row.environment, &row.name)
                .map_err(failed)?;
            Ok(Box::new(Beside {
                folder,
                inner: Some(BackingPrograms {
                    host: host.clone(),
                    row,
                    passwords,
                }),
            }) as _)
        })
    }
}

fn failed(failure: Failure) -> Error {
    Error::Program {
        program: "the scratch instance".to_owned(),
        last_words: failure.details.iter().map(|one| one.text.clone()).collect(),
        said: failure.message,
    }
}

/// The name of a scratch instance of one: always the same, so that it is found again.
fn name_beside(of: &BackingRow) -> Result<Name, Failure> {
    format!("{}-scratch", of.name)
        .parse()
        .map_err(|error| Failure::new("bad-name", format!("{}-scratch: {error}", of.name)))
}

/// The row of a scratch instance. It is in no table.
fn beside(host: &Host, of: &BackingRow) -> Result<BackingRow, Failure> {
    let name = name_beside(of)?;
    let mut row = of.clone();
    row.body.data = folder_beside(of);
    row.body.initialized = false;
    row.body.kept = Vec::new();
    row.body.address = super::address::LOOPBACK;
    let wanted = &mut row.body.wanted;
    wanted.disk = None;
    wanted.init = Vec::new();
    wanted.extensions = Vec::new();
    let version = major(&row.body.version).parse::<u32>().unwrap_or(0);
    let set: &[(&str, &str)] = match wanted.kind {
        BackingKind::Postgres => &[
            ("autovacuum", "off"),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("jit", "off"),
            ("max_wal_senders", "0"),
            ("synchronous_commit", "off"),
            ("wal_level", "minimal"),
        ],
        // Before 7 it is always there, and the setting isn't.
        BackingKind::Redis if version >= 7 => {
            &[("appendonly", "no"), ("enable-debug-command", "yes")]
        }
        _ => &[("appendonly", "no")],
    };
    for (name, value) in set {
        wanted
            .settings
            .insert((*name).to_owned(), (*value).to_owned());
    }
    if wanted.kind == BackingKind::Redis {
        wanted.save = vec![String::new()];
        // What was evicted while it loads would be missing.
        wanted.memory = None;
    }
    if row.body.runtime == Runtime::Process {
        let release = host.release(&of.app, &of.environment, of.body.release)?;
        row.body.port = prepare::port(host, &release.content.app, &name)?;
    }
    row.name = name;
    Ok(row)
}

fn folder_beside(of: &BackingRow) -> PathBuf {
    of.body.data.with_file_name("scratch")
}

/// A scratch instance.
struct Beside {
    folder: PathBuf,
    inner: Option<BackingPrograms>,
}

impl landfall_backup::Scratch for Beside {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn start(&mut self) -> Boxed<'_, Result<(), Error>> {
        Box::pin(async move {
            let Some(BackingPrograms { host, row, .. }) = &self.inner else {
                return Ok(());
            };
            let starting = async {
                own_files(row)?;
                let mut plan = server::plan(host, row)?;
                if let Some(container) = &mut plan.launch.container {
                    // Nobody but its own programs gets there.
                    container.attachment = None;
                }
                let instance = server::start(host, row, &plan).await?;
                server::ready(row, &instance).await
            };
            starting.await.map_err(failed)
        })
    }

    fn programs(&self) -> &dyn Programs {
        match &self.inner {
            Some(programs) => programs,
            // It has just been ended, and nobody has it any more.
            None => &Nothing,
        }
    }

    fn end(mut self: Box<Self>) -> Boxed<'static, ()> {
        let inner = self.inner.take();
        Box::pin(async move {
            if let Some(inner) = inner {
                sweep_one(&inner.host, &inner.row).await;
            }
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { sweep_one(&inner.host, &inner.row).await });
        }
    }
}

/// No programs.
struct Nothing;

impl Programs for Nothing {
    fn start<'a>(&'a self, _: &'a str, _: &'a [String]) -> Boxed<'a, io::Result<Running>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }
}

/// Gives what was put into the folder of a plain process to its user.
pub fn own_files(row: &BackingRow) -> Result<(), Failure> {
    let account = place::account(&row.body.wanted.kind);
    let (Runtime::Process, Some(account)) = (row.body.runtime, account) else {
        return Ok(());
    };
    let given = || {
        for entry in std::fs::read_dir(&row.body.data)? {
            let path = entry?.path();
            std::os::unix::fs::chown(path, Some(account.user), Some(account.group))?;
        }
        Ok(())
    };
    given().map_err(|error: io::Error| Failure::new("backing-failed", error.to_string()))
}

/// Ends a scratch instance and removes all that is of it.
async fn sweep_one(host: &Arc<Host>, row: &BackingRow) {
    let swept = async {
        let own = server::instance_row(host, row);
        if own.folder.exists() {
            server::stop(host, row, GRACE).await?;
        }
        if row.body.runtime == Runtime::Container && row.body.data.exists() {
            let engine = host.engine().await?;
            engine.remove_volume(&server::volume_name(row)).await?;
        }
        let data = row.body.data.clone();
        let removing = tokio::task::spawn_blocking(move || {
            for folder in [data.with_extension("new"), data, own.folder] {
                match std::fs::remove_dir_all(&folder) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        });
        removing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| Failure::new("host-failed", error.to_string()))?;
        host.ledger
            .release_port(&row.app, &row.environment, &format!("backing:{}", row.name))
            .map_err(ledger_failed)?;
        // Its passwords.
        host.ledger
            .remove_backing(&row.app, &row.environment, &row.name)
            .map_err(ledger_failed)
    };
    if let Err(failure) = swept.await {
        remark(&format!("{} isn't removed: {failure}", row.name));
    }
}

/// Ends the scratch instances that a host before this one left.
pub async fn sweep(host: &Arc<Host>) -> Result<(), Failure> {
    for of in host.ledger.backings().map_err(ledger_failed)? {
        let mut row = of.clone();
        let Ok(name) = name_beside(&of) else { continue };
        row.name = name;
        row.body.data = folder_beside(&of);
        let own = server::instance_row(host, &row);
        if own.folder.exists() || row.body.data.exists() {
            sweep_one(host, &row).await;
        }
    }
    Ok(())
}
