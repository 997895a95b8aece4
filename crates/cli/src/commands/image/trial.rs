//! Containers started to see whether they run, where they listen, and whether TERM ends them.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use landfall_containers::{ContainerSpecification, Engine, EngineError, Image, Labels};
use serde::Serialize;

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(10);
/// How long it may take to end by TERM; the Engine itself waits ten seconds.
const END: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// What a container of the Engine's own making may do; ours may less, but this is about the image.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
];

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ran {
    /// Seconds until it listened, and where.
    pub listened: Option<(u16, f64)>,
    /// The code that it ended with by itself.
    pub ended: Option<i64>,
    /// Seconds from TERM to its end; none where it had to be killed.
    pub term: Option<f64>,
    /// Whether INT ended it where TERM didn't.
    pub by_interrupt: bool,
    /// Whether it was there when TERM was sent.
    pub stayed: bool,
    /// Why it couldn't be started.
    pub not_started: Option<String>,
}

impl Ran {
    /// Whether it does what a service does.
    pub fn well(&self) -> bool {
        self.stayed
    }

    /// In a few words.
    pub fn said(&self) -> String {
        match (&self.not_started, self.ended, self.listened) {
            (Some(why), ..) => format!("can't be started: {why}"),
            (_, Some(code), _) => format!("ends by itself with {code}"),
            (_, _, Some((port, seconds))) => format!("listens on {port} after {seconds:.1}s"),
            _ => "runs, listens nowhere".to_owned(),
        }
    }

    /// What TERM does, in a few words.
    pub fn term_said(&self) -> String {
        match (self.stayed, self.term) {
            (false, _) => "not tried".to_owned(),
            (true, Some(seconds)) => format!("ends in {seconds:.1}s"),
            (true, None) => format!("ignored for {}s, killed", END.as_secs()),
        }
    }
}

/// Starts a container of an image, without a network, and ends it.
pub async fn run(
    engine: &Engine,
    image: &Image,
    name: &str,
    labels: &Labels,
    port: Option<u16>,
    cancelled: &AtomicBool,
) -> Result<Ran, EngineError> {
    let config = &image.config;
    let command: Vec<String> = config
        .entrypoint
        .iter()
        .chain(&config.command)
        .cloned()
        .collect();
    if command.is_empty() {
        return Ok(Ran {
            not_started: Some("it has neither CMD nor ENTRYPOINT".to_owned()),
            ..Ran::default()
        });
    }
    let specification = ContainerSpecification {
        name: name.to_owned(),
        image: image.id.clone(),
        command,
        environment: port
            .map(|port| ("PORT".to_owned(), port.to_string()))
            .into_iter()
            .collect(),
        labels: labels.clone(),
        capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
        pids: Some(2048),
        ..ContainerSpecification::default()
    };
    let id = engine.create(&specification).await?;
    let ran = watch(engine, &id, image, port, cancelled).await;
    engine.remove(&id, true).await?;
    ran
}

async fn watch(
    engine: &Engine,
    id: &str,
    image: &Image,
    port: Option<u16>,
    cancelled: &AtomicBool,
) -> Result<Ran, EngineError> {
    let mut ran = Ran::default();
    if let Err(error) = engine.start(id, None).await {
        return match error {
            EngineError::Refused { message, .. } => Ok(Ran {
                not_started: Some(message.lines().next_back().unwrap_or_default().to_owned()),
                ..ran
            }),
            error => Err(error),
        };
    }
    let began = Instant::now();
    loop {
        let found = engine.container(id).await?.unwrap_or_default();
        if !found.running {
            ran.ended = Some(found.exit_code.unwrap_or(-1));
            return Ok(ran);
        }
        let ports = found.pid.map(listening).unwrap_or_default();
        let listens = match port {
            Some(port) if ports.contains(&port) => Some(port),
            _ => ports.first().copied(),
        };
        if let Some(port) = listens {
            ran.listened = Some((port, began.elapsed().as_secs_f64()));
            break;
        }
        if began.elapsed() > START || cancelled.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    ran.stayed = true;
    let asked = Instant::now();
    let signal = image.config.stop_signal.as_deref().unwrap_or("SIGTERM");
    engine.signal(id, signal).await?;
    if let Ok(done) = tokio::time::timeout(END, engine.wait(id)).await {
        done?;
        ran.term = Some(asked.elapsed().as_secs_f64());
        return Ok(ran);
    }
    // Python and others end by what Ctrl-C sends, without having been written for it.
    engine.signal(id, "SIGINT").await?;
    let ended = tokio::time::timeout(END / 2, engine.wait(id)).await;
    ran.by_interrupt = ended.is_ok();
    Ok(ran)
}

/// The TCP ports that the processes around this one listen on, in its own network.
fn listening(pid: u32) -> Vec<u16> {
    let tables = ["tcp", "tcp6"]
        .map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let mut ports: Vec<u16> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(port)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The port of a line of the kernel's table, where it is one that listens (`0A`).
fn port(line: &str) -> Option<u16> {
    let mut words = line.split_whitespace();
    let address = words.nth(1)?;
    let state = words.nth(1)?;
    let port = address.rsplit_once(':')?.1;
    (state == "0A").then(|| u16::from_str_radix(port, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_listen_are_read() {
        let listens = "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 1 1";
        assert_eq!(port(listens), Some(8000));
        assert_eq!(port(&listens.replace(" 0A ", " 01 ")), None);
        assert_eq!(port("nonsense"), None);
    }
}
