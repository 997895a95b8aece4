//! The edge as the host sees it: started under a supervisor like anything else, told what to serve.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use landfall_edge::{
    client::{Client, ClientError},
    routes::{AppRoutes, Counters, EdgeState},
};
use landfall_ledger::Ledger;
use landfall_release::Failure;
use landfall_supervise::specification::{
    GiveUp, Health, Logs, Process, Restart, Sensitive, Socket, Specification, Stop, VERSION, files,
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    home::{Home, make_folder},
    instance::{self, Instance, Notice},
    settings::Settings,
};

/// The id of the edge's supervisor.
pub const INSTANCE: &str = "edge";

/// How long the edge may take to do what it is told: a write to the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// The setting that remembers the shared HTTP address, so that it stays.
const HTTP_SETTING: &str = "edge-http";

/// A handle of the edge.
#[derive(Debug)]
pub struct Edge {
    client: Client,
    http: Mutex<Option<SocketAddr>>,
    instance: Mutex<Option<Arc<Instance>>>,
}

impl Edge {
    /// A handle; nothing is started yet.
    pub fn new(home: &Home) -> Self {
        Self {
            client: Client::new(home.edge().join("edge.sock")),
            http: Mutex::new(None),
            instance: Mutex::new(None),
        }
    }

    /// Adopts the running edge, or starts one. Returns whether it was started.
    pub async fn ensure(
        &self,
        home: &Home,
        settings: &Settings,
        ledger: &Ledger,
        notices: &mpsc::UnboundedSender<Notice>,
    ) -> Result<bool, Failure> {
        let folder = home.edge_supervisor();
        if let Ok(instance) = Instance::adopt(INSTANCE, &folder, notices.clone()).await {
            self.hold(instance);
            self.wait().await?;
            return Ok(false);
        }
        // Whatever a dead supervisor left would hold the sockets.
        crate::orphans::sweep(INSTANCE, &folder);
        make_folder(&home.edge_logs())
            .map_err(|error| failed(&format!("can't have its folder: {error}")))?;
        let mut last = None;
        for address in candidates(settings, ledger) {
            if let Err(error) = TcpListener::bind(address) {
                let message = format!(
                    "port {}, for all apps by host name, can't be had: {error}",
                    address.port()
                );
                last = Some(Failure::new("port-taken", message).with(
                    "mend",
                    "LANDFALL_HTTP_PORT=… names another one, 0 takes any that is free",
                ));
                continue;
            }
            let specification = specification(home, settings, address);
            match instance::start(
                &settings.supervise_program,
                &folder,
                &specification,
                &Sensitive::default(),
            )
            .await
            {
                Ok(()) => {
                    let instance = Instance::adopt(INSTANCE, &folder, notices.clone())
                        .await
                        .map_err(|error| failed(&error.to_string()))?;
                    self.hold(instance);
                    let state = self.wait().await?;
                    if let Some(http) = state.http {
                        let remembered = ledger.set_setting(HTTP_SETTING, &http.port().to_string());
                        remembered.map_err(|error| failed(&error.to_string()))?;
                    }
                    return Ok(true);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(last.unwrap_or_else(|| failed("has no address to listen on")))
    }

    fn hold(&self, instance: Arc<Instance>) {
        // The lock is held for this assignment only, which can't panic.
        *self.instance.lock().expect("never poisoned") = Some(instance);
    }

    /// The shared HTTP address.
    pub fn http(&self) -> Option<SocketAddr> {
        *self.http.lock().expect("never poisoned")
    }

    /// Waits until a started edge answers.
    async fn wait(&self) -> Result<EdgeState, Failure> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            match self.state().await {
                Ok(state) => {
                    *self.http.lock().expect("never poisoned") = state.http;
                    return Ok(state);
                }
                Err(failure) if tokio::time::Instant::now() > deadline => return Err(failure),
                // Its socket appears a few milliseconds after its start; nothing announces that.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// What it serves and how it goes.
    pub async fn state(&self) -> Result<EdgeState, Failure> {
        in_time(self.client.state()).await
    }

    /// Replaces what it serves for an app's environment; on its disk when this returns.
    pub async fn publish(&self, routes: &AppRoutes) -> Result<(), Failure> {
        in_time(self.client.put(routes)).await
    }

    /// Takes away what it serves for an app's environment.
    pub async fn remove(
        &self,
        app: &str,
        environment: &str,
        generation: u64,
    ) -> Result<(), Failure> {
        in_time(self.client.delete(app, environment, generation)).await
    }

    /// Waits until nothing of what isn't served any more of a release is under way, or its drain is
    /// over.
    pub async fn drained(
        &self,
        app: &str,
        environment: &str,
        service: &str,
        release: u64,
    ) -> Result<(), Failure> {
        self.client
            .drained(app, environment, service, release)
            .await
            .map(drop)
            .map_err(refused)
    }

    /// The counters of one environment.
    pub async fn counters(&self, app: &str, environment: &str) -> Result<Vec<Counters>, Failure> {
        let mut counters = self.state().await?.counters;
        counters.retain(|counters| counters.app == app && counters.environment == environment);
        Ok(counters)
    }

    /// Stops it; its sockets close.
    pub async fn stop(&self) {
        let instance = self.instance.lock().expect("never poisoned").take();
        if let Some(instance) = instance {
            instance.stop(Duration::from_secs(12)).await;
        }
    }
}

/// An edge that says nothing is as good as none.
async fn in_time<T>(asked: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failure> {
    match timeout(PATIENCE, asked).await {
        Ok(answered) => answered.map_err(refused),
        Err(_) => Err(failed(&format!(
            "doesn't answer within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

fn refused(error: ClientError) -> Failure {
    match error {
        ClientError::Refused(refused) if refused.error == "port-taken" => {
            Failure::new("port-taken", refused.message)
        }
        ClientError::Refused(refused) => failed(&refused.message).with("reason", refused.error),
        other => failed(&other.to_string()),
    }
}

fn failed(what: &str) -> Failure {
    Failure::new("edge-failed", format!("the edge {what}"))
}

/// Shared HTTP addresses to try in order: the one it had, the one asked for, 8080 and those after it.
fn candidates(settings: &Settings, ledger: &Ledger) -> Vec<SocketAddr> {
    let ports = match settings.http_port {
        Some(port) => vec![port],
        None => {
            let before = ledger
                .setting(HTTP_SETTING)
                .ok()
                .flatten()
                .and_then(|port| port.parse().ok());
            before.into_iter().chain(8080..8100).chain([0]).collect()
        }
    };
    ports
        .into_iter()
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .collect()
}

fn specification(home: &Home, settings: &Settings, http: SocketAddr) -> Specification {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    let text = |path: &Path| path.display().to_string();
    let command = [
        text(&settings.own_program),
        "edge".to_owned(),
        "--folder".to_owned(),
        text(&home.edge()),
        "--http".to_owned(),
        http.to_string(),
        "--threads".to_owned(),
        threads.to_string(),
        "--supervisor".to_owned(),
        text(&home.edge_supervisor().join(files::CONTROL)),
    ];
    Specification {
        version: VERSION,
        instance: INSTANCE.to_owned(),
        directory: home.edge(),
        port: None,
        processes: vec![Process {
            name: "edge".to_owned(),
            command: command.to_vec(),
            ends: false,
            directory: None,
            // It is the same program as the command, which wants to know its home before all else.
            environment: [
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("LANDFALL_HOME".to_owned(), text(home.root())),
            ]
            .into(),
            after: Vec::new(),
            required: true,
            front: false,
            health: Health {
                up: 0,
                ..Health::default()
            },
            nice: 0,
            memory: None,
            cpu: None,
            user: None,
        }],
        stop: Stop {
            signal: "SIGTERM".to_owned(),
            // Above the time that the edge gives what is under way.
            grace: 12_000,
        },
        // The edge is needed at once whenever it falls, and for ever.
        restart: Restart {
            delay: 20,
            max_delay: 1000,
            reset: 1000,
            attempts: 0,
            give_up: GiveUp::Stay,
        },
        logs: Logs::Segments {
            folder: home.edge_logs(),
            segment: 8 << 20,
            keep: 64 << 20,
        },
        sockets: vec![Socket {
            name: "http".to_owned(),
            address: http,
            count: u32::try_from(threads).unwrap_or(1),
        }],
        health: None,
        memory: None,
        cpu: None,
        shared: false,
    }
}
