//! Commands that run once, beside the instances: migrations and hooks. Their lines go to the
//! service's log like any other, and the last of them into the failure.

mod container;
mod output;

use std::{
    collections::BTreeMap,
    io,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use landfall_redact::Masker;
use landfall_supervise::{
    segment::Stream,
    specification::{CONTROL_VARIABLE, INSTANCE_VARIABLE, files},
};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
    sync::watch,
    time::{sleep, timeout},
};

use crate::{home::make_folder, orphans, specification::Environment};
use output::{Cutting, Log};

pub use container::run_in;

/// How long what was written before the end may take to be read. A pipe that is still open then is
/// held by somebody whom neither group nor token leads to.
const LAST_READ: Duration = Duration::from_secs(1);

/// How long a command that took too long has to end by itself once it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// A command to run once.
pub struct Once<'a> {
    /// What its lines are tagged with: `migrate`, `hook-switched`.
    pub process: &'a str,
    /// Program and arguments.
    pub command: &'a [String],
    /// Where it runs.
    pub directory: &'a Path,
    /// Its environment.
    pub environment: &'a Environment,
    /// What is masked in its lines.
    pub mask: &'a BTreeMap<String, String>,
    /// The instance token, by which it is found if this host dies meanwhile.
    pub instance: &'a str,
    /// The folder that belongs to that token.
    pub folder: &'a Path,
    /// Where the service's log segments are.
    pub logs: &'a Path,
    /// How long it may take; then it is asked to end, and soon after made to.
    pub limit: Option<Duration>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// In a few words: `exit 1`, `SIGKILL`.
    pub said: String,
    /// Whether it ended with 0.
    pub well: bool,
    /// Its exit code, where it ended with one.
    pub code: Option<i32>,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
    /// Its last lines, masked.
    pub last_words: Vec<String>,
}

/// A process group, ended with SIGKILL when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // An empty group is none any more, which is what we want.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Runs it to its end. It is killed with its whole group when this is dropped before.
pub async fn run(once: &Once<'_>) -> io::Result<Ended> {
    make_folder(once.logs)?;
    let (masker, _) = Masker::new(
        once.mask
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let log = Log::open(once.logs, once.instance, once.process)?;
    let log = Arc::new(Mutex::new(log));
    let program = once.command.first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(&once.command[1..])
        .current_dir(once.directory)
        .env_clear()
        .envs(once.environment.whole())
        .env(INSTANCE_VARIABLE, once.instance)
        .env(CONTROL_VARIABLE, once.folder.join(files::CONTROL))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let leader = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Group(leader.and_then(Pid::from_raw));
    let (over, ends) = watch::channel(false);
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let output = output.map(|from| {
        let cutting = Cutting::new(Stream::Output, &masker);
        tokio::spawn(copy(from, cutting, log.clone(), ends.clone()))
    });
    let errors = errors.map(|from| {
        let cutting = Cutting::new(Stream::Error, &masker);
        tokio::spawn(copy(from, cutting, log.clone(), ends))
    });
    let late = async {
        match once.limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let in_time = tokio::select! {
        status = child.wait() => Some(status?),
        () = late => None,
    };
    let timed_out = in_time.is_none();
    let status = match in_time {
        Some(status) => status,
        None => {
            group.signal(Signal::TERM);
            if let Ok(status) = timeout(GRACE, child.wait()).await {
                status?
            } else {
                group.signal(Signal::KILL);
                child.wait().await?
            }
        }
    };
    // What it left in the background would hold the pipes open, and has no business going on.
    drop(group);
    orphans_of(once).await?;
    let mut copies = Vec::from_iter([output, errors].into_iter().flatten());
    let late = sleep(LAST_READ);
    tokio::pin!(late);
    for copy in &mut copies {
        let ended = tokio::select! {
            ended = &mut *copy => ended,
            () = &mut late => {
                // It may have ended by itself meanwhile.
                let _ = over.send(true);
                copy.await
            }
        };
        ended.map_err(io::Error::other)??;
    }
    let said = match (status.code(), status.signal()) {
        _ if timed_out => {
            let limit = once.limit.unwrap_or_default();
            format!("it took longer than {} s", limit.as_secs_f64())
        }
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    };
    // Both copies have ended, so nobody can have poisoned or still holds it.
    let last_words = log.lock().expect("both copies ended well").last_words();
    Ok(Ended {
        said,
        well: status.success() && !timed_out,
        code: status.code(),
        timed_out,
        last_words,
    })
}

/// Ends what its token is found on.
async fn orphans_of(once: &Once<'_>) -> io::Result<()> {
    let (instance, folder) = (once.instance.to_owned(), once.folder.to_owned());
    tokio::task::spawn_blocking(move || orphans::sweep(&instance, &folder))
        .await
        .map(drop)
        .map_err(io::Error::other)
}

/// Reads a stream to its end, or until it is `over`.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut cutting: Cutting,
    log: Arc<Mutex<Log>>,
    mut over: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut piece = vec![0; 8192];
    loop {
        let count = tokio::select! {
            biased;
            // The sender's end is one too: nobody waits for these lines any more.
            _ = over.wait_for(|over| *over) => 0,
            count = from.read(&mut piece) => count?,
        };
        let mut log = log.lock().map_err(|_| io::ErrorKind::Other)?;
        if count == 0 {
            return cutting.finish(&mut log);
        }
        cutting.take(&piece[..count], &mut log)?;
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::Instant};

    use landfall_supervise::segment::{self, LONGEST, Lines};

    use super::*;

    struct Bed(tempfile::TempDir);

    impl Bed {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        async fn run(&self, script: &str, mask: &[(&str, &str)]) -> Ended {
            let mask = mask
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let mut environment = Environment::default();
            let path = std::env::var("PATH").unwrap();
            environment.plain.insert("PATH".to_owned(), path);
            let command = ["/bin/sh", "-eu", "-c", script].map(str::to_owned);
            run(&Once {
                process: "migrate",
                command: &command,
                directory: self.0.path(),
                environment: &environment,
                mask: &mask,
                instance: "shop.local.web.1.0.1",
                folder: &self.path("folder"),
                logs: &self.path("logs"),
                limit: None,
            })
            .await
            .unwrap()
        }

        fn lines(&self) -> Vec<segment::Entry> {
            let segments = segment::list(&self.path("logs")).unwrap();
            Lines::new(segments, 0, u64::MAX)
                .map(|line| line.unwrap())
                .collect()
        }

        /// The process whose number a script wrote down.
        fn process(&self, name: &str) -> u32 {
            let text = fs::read_to_string(self.path(name)).unwrap();
            text.trim().parse().unwrap()
        }
    }

    fn lives(process: u32) -> bool {
        // One that ended and whom nobody has waited for is a zombie.
        fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
            !state.starts_with(['Z', 'X'])
        })
    }

    async fn until_gone(process: u32) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while lives(process) {
            assert!(Instant::now() < deadline, "process {process} lives on");
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn output_without_a_newline_comes_in_parts() {
        let bed = Bed::new();
        let script = "head -c 1000000 /dev/zero | tr '\\0' x; printf 'secret-value'; exit 3";
        let ended = bed.run(script, &[("TOKEN", "secret-value")]).await;
        assert_eq!((ended.said.as_str(), ended.well), ("exit 3", false));
        let lines = bed.lines();
        assert!(lines.iter().all(|line| line.text.len() <= LONGEST));
        let whole = lines.iter().filter(|line| line.whole).count();
        assert_eq!((whole, lines.last().unwrap().whole), (1, true));
        let text: String = lines.into_iter().map(|line| line.text).collect();
        assert_eq!(text.len(), 1_000_003);
        assert!(text.ends_with("x***"));
        assert_eq!(ended.last_words.len(), 1);
        assert!(ended.last_words[0].len() < 3000);
    }

    #[tokio::test]
    async fn what_it_leaves_in_the_background_ends_with_it() {
        let bed = Bed::new();
        // Without its environment the token doesn't lead to it.
        let ended = bed
            .run("env -i /bin/sleep 600 & echo $! > pid; echo done", &[])
            .await;
        assert!(ended.well);
        assert_eq!(ended.last_words, ["done"]);
        until_gone(bed.process("pid")).await;
    }

    #[tokio::test]
    async fn nobody_who_holds_its_pipes_holds_up_the_rollout() {
        let bed = Bed::new();
        // In a session of its own neither group nor token lead to it.
        let script = "env -i setsid /bin/sh -c 'echo $$ > pid; exec sleep 600' &
            while [ ! -s pid ]; do :; done; echo done; printf open";
        let ended = bed.run(script, &[]).await;
        let process = bed.process("pid");
        assert!(lives(process));
        let escaped = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
        rustix::process::kill_process(escaped, Signal::KILL).unwrap();
        assert!(ended.well);
        assert_eq!(ended.last_words, ["done", "open"]);
    }

    #[tokio::test]
    async fn it_ends_with_its_group_where_nobody_waits_any_more() {
        let bed = Bed::new();
        let script = "env -i /bin/sleep 600 & echo $! > other; echo $$ > pid; sleep 600";
        let started = async {
            while !fs::read_to_string(bed.path("pid")).is_ok_and(|text| text.ends_with('\n')) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = bed.run(script, &[]) => panic!("it ended"),
            () = started => {}
        }
        until_gone(bed.process("pid")).await;
        until_gone(bed.process("other")).await;
    }
}
