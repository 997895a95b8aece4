//! Verify: waits until every new instance is ready, or says why one won't be.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use landfall_app::model::{Probe, Service};
use landfall_release::{Failure, Release, Rollout, Step};
use landfall_supervise::state::{ProcessPhase, ProcessState, State};
use tokio::{net::TcpStream, sync::watch, task::JoinSet, time::timeout};

use crate::{
    diagnosis::{self, Verdict},
    fetch,
    host::{Host, not_adopted},
    identifier::InstanceId,
    instance::{Instance, View},
    runtime,
};

/// Waits for all instances that the rollout started.
pub async fn wait(host: &Arc<Host>, rollout: &Rollout) -> Result<String, Failure> {
    let release = host.new_release(rollout)?;
    let (own, _) = host.rows(rollout)?;
    let mut all = JoinSet::new();
    let mut waiting = own.len();
    for row in own {
        let instance = match host.instance(&row.id) {
            Some(instance) => instance,
            None => host.adopt(&row).await.map_err(not_adopted)?,
        };
        let (host, release) = (host.clone(), release.clone());
        all.spawn(async move { ready(&host, &release, &instance).await });
    }
    let mut said = Vec::new();
    while let Some(verified) = all.join_next().await {
        let verified = verified.map_err(|error| Failure::new("host-failed", error.to_string()))?;
        said.push(verified.map_err(|failure| since(host, rollout, &release, failure))?);
        waiting -= 1;
        if waiting > 0 {
            host.progress(rollout, Step::Verify, format!("{waiting} more to come"))?;
        }
    }
    said.sort();
    said.dedup();
    Ok(said.join("; "))
}

/// Adds what changed since the release before, which is what the reader asks next.
fn since(host: &Host, rollout: &Rollout, release: &Release, failure: Failure) -> Failure {
    let Ok(Some(old)) = host.old_release(rollout) else {
        return failure;
    };
    if old.number == release.number {
        return failure;
    }
    let changes = crate::changes::between(&old, release);
    match changes.is_empty() {
        true => failure,
        false => failure.with(&format!("since {}", old.number), changes.join("\n")),
    }
}

/// Waits for one instance; says what is ready, in a few words.
pub async fn ready(
    host: &Arc<Host>,
    release: &Release,
    instance: &Instance,
) -> Result<String, Failure> {
    let id = InstanceId::parse(instance.id()).ok_or_else(|| {
        Failure::new(
            "host-failed",
            format!("`{}` is no instance's id", instance.id()),
        )
    })?;
    let facts = release
        .content
        .app
        .services
        .get_key_value(id.service.as_str());
    let (name, facts) =
        facts.ok_or_else(|| crate::host::unknown_service(&release.content, &id.service))?;
    let facts = match release.content.artifacts.get(name) {
        Some(artifact) => runtime::effective(name, facts, artifact),
        None => Cow::Borrowed(facts),
    };
    let rows = host
        .ledger
        .instances()
        .map_err(crate::host::ledger_failed)?;
    let row = rows.into_iter().find(|row| row.id == instance.id());
    let place = Place {
        facts: &facts,
        port: row.as_ref().and_then(|row| row.port),
        address: row.and_then(|row| row.address),
    };
    let limit = limit(&facts);
    match timeout(limit, place.follow(&id.service, instance)).await {
        Ok(verdict) => verdict,
        Err(_) => {
            let failure = Failure::new(
                "never-ready",
                format!("{} not ready within {} s", id.service, limit.as_secs()),
            );
            Err(
                match instance
                    .view()
                    .state()
                    .and_then(|state| state.reason.clone())
                {
                    Some(reason) => failure.with("reason", reason),
                    None => failure,
                },
            )
        }
    }
}

/// The supervisor ends each start that takes too long; this only bounds all of them together.
fn limit(service: &Service) -> Duration {
    let starts: u64 = service
        .processes
        .iter()
        .map(|process| process.health.start.as_millis() + process.health.up.as_millis())
        .sum();
    Duration::from_millis(starts) + Duration::from_secs(30)
}

/// Where an instance should listen.
struct Place<'a> {
    facts: &'a Service,
    port: Option<u16>,
    /// A container's own address.
    address: Option<Ipv4Addr>,
}

impl Place<'_> {
    /// A port of it, as it is reached from here.
    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.address.unwrap_or(Ipv4Addr::LOCALHOST), port))
    }

    /// Whether a container that is ready by its own probes is reached from outside, as the edge
    /// does it.
    async fn reached(&self, state: &State) -> Result<(), Failure> {
        let (Some(address), Some(port), Some(front)) =
            (self.address, self.port, self.facts.front())
        else {
            return Ok(());
        };
        let why = match timeout(REACHED, TcpStream::connect((address, port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", REACHED.as_secs()),
        };
        let process = state
            .processes
            .iter()
            .find(|process| process.name == front.name.as_str());
        Err(
            match process.filter(|process| process.only_loopback(port)) {
                Some(process) => diagnosis::wrong_address(process, port),
                None => diagnosis::unreachable(front.name.as_str(), self.at(port), &why),
            },
        )
    }

    async fn follow(&self, service: &str, instance: &Instance) -> Result<String, Failure> {
        let (facts, port) = (self.facts, self.port);
        let mut view = instance.watch();
        loop {
            let now = view.borrow_and_update().clone();
            match &now {
                View::Alive(state) => match diagnosis::verdict(service, facts, port, state) {
                    Verdict::Ready => {
                        self.reached(state).await?;
                        match port.filter(|_| asks_nothing(facts)) {
                            None => return Ok(said(state)),
                            Some(port) => {
                                if answers_at_all(self.at(port), &view).await {
                                    return Ok(said(state));
                                }
                                continue;
                            }
                        }
                    }
                    Verdict::Failed(failure) => return Err(*failure),
                    Verdict::Wait => {
                        if let Some(failure) = self.answers_elsewhere(state).await {
                            return Err(failure);
                        }
                    }
                },
                View::Gone(state) => {
                    if let Some(state) = state
                        && let Verdict::Failed(failure) =
                            diagnosis::verdict(service, facts, port, state)
                    {
                        return Err(*failure);
                    }
                    return Err(Failure::new("supervisor-lost", format!("the supervisor of {service} died"))
                        .with("mend", "deploy again; if it happens again, look at the machine's own log (memory, kills)"));
                }
            }
            let elsewhere = now.state().and_then(|state| self.listens_elsewhere(state));
            let changed = tokio::select! {
                changed = view.changed() => changed,
                Some(failure) = self.settled_elsewhere(elsewhere) => return Err(failure),
            };
            if changed.is_err() {
                // The watcher ended without a last word: the next look finds it gone.
                return Err(Failure::new(
                    "supervisor-lost",
                    format!("the supervisor of {service} can't be watched"),
                ));
            }
        }
    }
}

/// How long a service that is asked nothing must keep its port.
const SETTLED: Duration = Duration::from_secs(2);

/// How long a container may take to accept a connection from outside once it is ready inside.
const REACHED: Duration = Duration::from_secs(5);

/// How long one that listens on another port is given to come to the right one.
const MOVED: Duration = Duration::from_secs(5);

/// Whether readiness says no more than that something accepts connections. A server's parent process
/// may do that before the app itself is even loaded.
fn asks_nothing(facts: &Service) -> bool {
    let front = facts.front();
    front.is_some_and(|front| matches!(front.health.ready, None | Some(Probe::Tcp { port: None })))
}

/// Asks for an answer, whatever its status, as long as the processes stay ready: with one the app is
/// there, and so it is where it speaks something else than HTTP and stays for a while.
async fn answers_at_all(address: SocketAddr, view: &watch::Receiver<View>) -> bool {
    let ready = |view: &View| matches!(view, View::Alive(state) if state.healthy);
    let answers = async {
        let began = tokio::time::Instant::now();
        loop {
            let limit = Duration::from_secs(10);
            let fetched = fetch::get(
                address,
                &address.to_string(),
                "/",
                &Default::default(),
                limit,
            )
            .await;
            if fetched.is_ok() || began.elapsed() >= SETTLED {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut other = view.clone();
    tokio::select! {
        () = answers => ready(&view.borrow()),
        // Also an end of the watch: the next look says what it means.
        _ = other.wait_for(|view| !ready(view)) => false,
    }
}

impl Place<'_> {
    /// A front process that listens, but not where it should.
    fn listens_elsewhere<'a>(&self, state: &'a State) -> Option<(&'a ProcessState, u16)> {
        let expected = self.port?;
        let front = self.facts.front()?;
        let process = state
            .processes
            .iter()
            .find(|process| process.name == front.name.as_str())?;
        let elsewhere = process.phase == ProcessPhase::Starting
            && !process.listening.is_empty()
            && !process.listening.contains(&expected);
        elsewhere.then_some((process, expected))
    }

    /// The answer of a port of it.
    async fn fetched(&self, port: u16, path: &str) -> Option<u16> {
        let address = self.at(port);
        let (host, headers) = (address.to_string(), BTreeMap::new());
        let fetched = fetch::get(address, &host, path, &headers, Duration::from_secs(1)).await;
        fetched.ok().map(|fetched| fetched.status)
    }

    /// One that stays there and answers requests won't come to the right port any more.
    async fn settled_elsewhere(&self, found: Option<(&ProcessState, u16)>) -> Option<Failure> {
        let (process, expected) = found?;
        tokio::time::sleep(MOVED).await;
        for port in &process.listening {
            if self.fetched(*port, "/").await.is_some() {
                return Some(self.wrong_port(process, expected));
            }
        }
        None
    }

    /// An app that answers its own health check on another port won't ever answer on the right one:
    /// no need to wait for the whole start.
    async fn answers_elsewhere(&self, state: &State) -> Option<Failure> {
        let front = self.facts.front()?;
        let Some(Probe::Http { path, .. }) = &front.health.ready else {
            return None;
        };
        let (process, expected) = self.listens_elsewhere(state)?;
        for port in &process.listening {
            let status = self.fetched(*port, path).await;
            if status.is_some_and(|status| (200..300).contains(&status)) {
                return Some(self.wrong_port(process, expected));
            }
        }
        None
    }

    fn wrong_port(&self, process: &ProcessState, expected: u16) -> Failure {
        diagnosis::wrong_port(self.facts, process, expected)
    }
}

/// `api ready, agent up for 1s`.
fn said(state: &State) -> String {
    let process = |process: &ProcessState| {
        let name = &process.name;
        match (&process.last_probe, process.phase) {
            (_, ProcessPhase::Done) => format!("{name} done"),
            (Some(probe), _) if probe.said.parse::<u16>().is_ok() => {
                format!("{name} {}", probe.said)
            }
            (Some(_), _) => format!("{name} ready"),
            (None, _) => format!("{name} up"),
        }
    };
    let required = state.processes.iter().filter(|process| process.required);
    required.map(process).collect::<Vec<_>>().join(", ")
}
