//! What a dead supervisor left of a backing service: servers on its data, its container.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use landfall_app::model::{BackingKind, Runtime};
use landfall_ledger::BackingRow;
use landfall_release::Failure;
use rustix::process::{Pid, Signal, kill_process};

use super::server;
use crate::{host::Host, runtime};

/// The servers that work in a folder of data: they change into theirs. Others there, such as
/// somebody's shell, are nobody's to end.
fn servers_on(data: &Path, kind: &BackingKind) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|process| {
            fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|folder| folder == data)
        })
        .filter(|process| {
            fs::read_link(format!("/proc/{process}/exe"))
                .is_ok_and(|program| is_server(&program, kind))
        })
        .filter_map(Pid::from_raw)
        .collect()
}

/// Whether a program, as the system names it, is a server of a kind. Its folder tells nothing: that
/// of Redis is everybody's, and packages may have gone since.
fn is_server(program: &Path, kind: &BackingKind) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // Its package was upgraded while it ran.
    let name = name.strip_suffix(" (deleted)").unwrap_or(&name);
    match kind {
        BackingKind::Postgres => name == "postgres",
        // One program by several names, of which some are links.
        BackingKind::Redis => name.starts_with("redis-") || name.starts_with("valkey-"),
        BackingKind::Image(_) => false,
    }
}

/// Ends what a dead supervisor left, gently first.
pub async fn leave_nothing(
    host: &Arc<Host>,
    row: &BackingRow,
    grace: Duration,
) -> Result<(), Failure> {
    let own = server::instance_row(host, row);
    if row.body.runtime == Runtime::Process {
        let (data, kind) = (row.body.data.clone(), row.body.wanted.kind.clone());
        let signal = match kind {
            BackingKind::Postgres => Signal::INT,
            _ => Signal::TERM,
        };
        tokio::task::spawn_blocking(move || end_on(&data, &kind, signal, grace))
            .await
            .map_err(|error| Failure::new("host-failed", error.to_string()))?;
    }
    runtime::sweep(host, &own.id, &own.folder).await;
    let gone = runtime::marker(&own.folder).is_none()
        && servers_on(&row.body.data, &row.body.wanted.kind).is_empty();
    if gone && row.body.wanted.kind == BackingKind::Postgres {
        // Nobody works there any more. After a power cut or in a container another process may have
        // the number that stands in it, and PostgreSQL would take that for itself.
        let inside = match row.body.runtime {
            Runtime::Process => row.body.data.clone(),
            Runtime::Container => row.body.data.join("data"),
        };
        let _ = fs::remove_file(inside.join("postmaster.pid"));
    }
    Ok(())
}

/// Ends every server on a folder of data.
fn end_on(data: &Path, kind: &BackingKind, signal: Signal, grace: Duration) {
    // As the system names it, links on the way resolved.
    let Ok(data) = fs::canonicalize(data) else {
        return;
    };
    let begun = Instant::now();
    let mut sent = signal;
    for process in servers_on(&data, kind) {
        let _ = kill_process(process, sent);
    }
    loop {
        let left = servers_on(&data, kind);
        if left.is_empty() {
            return;
        }
        if begun.elapsed() > grace && sent != Signal::KILL {
            sent = Signal::KILL;
        }
        if sent == Signal::KILL {
            for process in left {
                let _ = kill_process(process, sent);
            }
            if begun.elapsed() > grace + Duration::from_secs(10) {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_a_folder_of_data_is_ended_and_nobody_else_there() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let program = folder.path().join("postgres");
        fs::copy("/bin/sleep", &program).unwrap();
        let start = |program: &Path| {
            let mut command = std::process::Command::new(program);
            command.arg("600").current_dir(&data).env_clear();
            command.spawn().unwrap()
        };
        let (mut server, mut other) = (start(&program), start(Path::new("/bin/sleep")));
        let reaper = std::thread::spawn(move || server.wait().unwrap());
        let grace = Duration::from_secs(20);
        end_on(&data, &BackingKind::Postgres, Signal::INT, grace);
        assert!(!reaper.join().unwrap().success());
        assert_eq!(other.try_wait().unwrap(), None, "somebody's own");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn servers_by_their_programs() {
        let redis = Path::new("/usr/bin/redis-check-rdb (deleted)");
        assert!(is_server(redis, &BackingKind::Redis));
        assert!(!is_server(redis, &BackingKind::Postgres));
        assert!(!is_server(Path::new("/usr/bin/vim"), &BackingKind::Redis));
    }
}
