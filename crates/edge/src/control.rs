//! What the edge serves, and the changes to it: one at a time, on disk before they are answered.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep},
};

use crate::{
    check::{check, refused},
    health::{Health, Watches},
    report::remark,
    routes::{AppRoutes, EdgeState, Instance, Refused, ServiceRoutes, Upstream},
    sockets::Source,
    store,
    table::{Entrance, Living, Table},
    traffic::{Key, Label, Registry, Traffic},
    worker::Command,
};

/// The version of the control protocol.
pub const VERSION: u32 = 1;

/// Between two looks at what is still under way: soon at first, for the many that end at once.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Why a change wasn't made.
#[derive(Debug)]
pub(crate) enum NotChanged {
    Refused(Refused),
    Failed(io::Error),
}

impl From<Refused> for NotChanged {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// The edge as a whole, as its control socket sees it.
#[derive(Debug)]
pub(crate) struct Control {
    folder: PathBuf,
    source: Source,
    workers: Vec<mpsc::UnboundedSender<Command>>,
    http: SocketAddr,
    served: Mutex<Served>,
}

#[derive(Debug)]
struct Served {
    apps: BTreeMap<(String, String), AppRoutes>,
    table: Arc<Table>,
    /// The services' own addresses that are open; after a start some may not have been had.
    open: BTreeSet<SocketAddr>,
    traffics: Registry,
    watches: Watches,
    draining: Vec<Draining>,
}

/// Traffic of an instance or service that isn't routed any more.
#[derive(Debug)]
struct Draining {
    traffic: Arc<Traffic>,
    /// How many of its connections were closed, once it is over.
    over: watch::Receiver<Option<u64>>,
}

impl Living for Served {
    fn traffic(&mut self, key: Key) -> Arc<Traffic> {
        self.traffics.open(key)
    }

    fn health(&mut self, instance: &Instance) -> Arc<Health> {
        self.watches.health(instance)
    }
}

impl Control {
    pub(crate) fn new(
        folder: PathBuf,
        source: Source,
        workers: Vec<mpsc::UnboundedSender<Command>>,
        http: SocketAddr,
    ) -> Arc<Self> {
        let served = Served {
            apps: BTreeMap::new(),
            table: Arc::default(),
            open: BTreeSet::new(),
            traffics: Registry::new(workers.len()),
            watches: Watches::default(),
            draining: Vec::new(),
        };
        Arc::new(Self {
            folder,
            source,
            workers,
            http,
            served: Mutex::new(served),
        })
    }

    /// Serves what was stored. An address that can't be opened again costs its service alone.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        apps: Vec<AppRoutes>,
        http: Vec<TcpListener>,
    ) -> Result<(), NotChanged> {
        let mut served = self.served.lock().await;
        let table = Arc::new(Table::build(&apps, &mut *served)?);
        let mut opened = vec![(Entrance::Shared, http)];
        for address in table.listeners() {
            match self.open(address).await {
                Ok(listeners) => {
                    served.open.insert(address);
                    opened.push((Entrance::Own(address), listeners));
                }
                Err(error) => remark(&format!(
                    "can't listen at {address}: {error}; its service goes without it"
                )),
            }
        }
        served.apps = apps
            .into_iter()
            .map(|app| ((app.app.clone(), app.environment.clone()), app))
            .collect();
        self.route(&mut served, table, opened, Vec::new(), &HashMap::new())
            .await;
        Ok(())
    }

    /// Replaces what is served for an app. Goes on to its end though who asked may leave: half a
    /// change would be one on disk that isn't served.
    pub(crate) async fn put(self: &Arc<Self>, new: AppRoutes) -> Result<(), NotChanged> {
        let this = Arc::clone(self);
        whole(tokio::spawn(async move { this.replace(new).await })).await
    }

    async fn replace(self: &Arc<Self>, new: AppRoutes) -> Result<(), NotChanged> {
        let mut served = self.served.lock().await;
        let key = (new.app.clone(), new.environment.clone());
        served.fence(&key, new.generation)?;
        let others: Vec<_> = served
            .apps
            .iter()
            .filter(|(other, _)| **other != key)
            .map(|(_, app)| app)
            .collect();
        check(&new, &others)?;
        let mut apps = served.apps.clone();
        apps.insert(key, new);
        self.change(&mut served, apps).await
    }

    /// Serves an app no longer. As [`put`](Self::put), to its end.
    pub(crate) async fn delete(
        self: &Arc<Self>,
        key: (String, String),
        generation: u64,
    ) -> Result<(), NotChanged> {
        let this = Arc::clone(self);
        whole(tokio::spawn(
            async move { this.remove(key, generation).await },
        ))
        .await
    }

    async fn remove(
        self: &Arc<Self>,
        key: (String, String),
        generation: u64,
    ) -> Result<(), NotChanged> {
        let mut served = self.served.lock().await;
        served.fence(&key, generation)?;
        let mut apps = served.apps.clone();
        if apps.remove(&key).is_none() {
            return Ok(());
        }
        self.change(&mut served, apps).await
    }

    async fn change(
        self: &Arc<Self>,
        served: &mut Served,
        apps: BTreeMap<(String, String), AppRoutes>,
    ) -> Result<(), NotChanged> {
        let list: Vec<AppRoutes> = apps.values().cloned().collect();
        let table = match Table::build(&list, served) {
            Ok(table) => Arc::new(table),
            Err(refused) => {
                served.forget();
                return Err(refused.into());
            }
        };
        let (before, after) = (served.open.clone(), table.listeners());
        let mut opened = Vec::new();
        let mut failed = None;
        for &address in after.difference(&before) {
            match self.open(address).await {
                Ok(listeners) => opened.push((Entrance::Own(address), listeners)),
                Err(error) => {
                    let words = format!("can't listen at {address}: {error}");
                    failed = Some(match error.kind() {
                        io::ErrorKind::AddrInUse => {
                            NotChanged::Refused(refused("port-taken", words))
                        }
                        kind => NotChanged::Failed(io::Error::new(kind, words)),
                    });
                    break;
                }
            }
        }
        if failed.is_none() {
            let folder = self.folder.clone();
            failed = blocking(move || store::write(&folder, list))
                .await
                .err()
                .map(NotChanged::Failed);
        }
        if let Some(failed) = failed {
            for (entrance, listeners) in opened {
                drop(listeners);
                self.give_up(entrance).await;
            }
            served.forget();
            return Err(failed);
        }
        let drains = served.drains();
        served.apps = apps;
        served.open.clone_from(&after);
        let closed: Vec<_> = before
            .difference(&after)
            .map(|address| Entrance::Own(*address))
            .collect();
        self.route(served, table, opened, closed, &drains).await;
        Ok(())
    }

    /// Makes a table hold for every request from now on, and drains what is gone with the one before.
    async fn route(
        self: &Arc<Self>,
        served: &mut Served,
        table: Arc<Table>,
        opened: Vec<(Entrance, Vec<TcpListener>)>,
        closed: Vec<Entrance>,
        drains: &HashMap<Label, Duration>,
    ) {
        served.table = Arc::clone(&table);
        let mut shares: Vec<Vec<(Entrance, TcpListener)>> =
            self.workers.iter().map(|_| Vec::new()).collect();
        for (entrance, listeners) in opened {
            share(entrance, listeners, &mut shares);
        }
        let mut acknowledged = Vec::new();
        for (worker, opened) in self.workers.iter().zip(shares) {
            let (done, waiting) = oneshot::channel();
            let table = Arc::clone(&table);
            // A worker that is gone has nothing under way.
            let _ = worker.send(Command::Route {
                table,
                opened,
                closed: closed.clone(),
                done,
            });
            acknowledged.push(waiting);
        }
        for waiting in acknowledged {
            let _ = waiting.await;
        }
        for entrance in closed {
            self.give_up(entrance).await;
        }
        for traffic in served.forget() {
            let drain = drains.get(&traffic.label).copied().unwrap_or_default();
            let (over, receiver) = watch::channel(None);
            served.draining.push(Draining {
                traffic: Arc::clone(&traffic),
                over: receiver,
            });
            tokio::spawn(Arc::clone(self).drain(traffic, drain, over));
        }
    }

    async fn open(&self, address: SocketAddr) -> io::Result<Vec<TcpListener>> {
        let (source, count) = (self.source.clone(), self.workers.len());
        blocking(move || source.listen(&address.to_string(), address, count)).await
    }

    async fn give_up(&self, entrance: Entrance) {
        let Entrance::Own(address) = entrance else {
            return;
        };
        let source = self.source.clone();
        if let Err(error) = blocking(move || source.close(&address.to_string())).await {
            remark(&format!("the supervisor still holds {address}: {error}"));
        }
    }

    /// Waits until nothing of it is under way, and closes what is left at the end.
    async fn drain(
        self: Arc<Self>,
        traffic: Arc<Traffic>,
        most: Duration,
        over: watch::Sender<Option<u64>>,
    ) {
        let end = Instant::now() + most;
        let mut look = FIRST_LOOK;
        while traffic.in_flight() > 0 && Instant::now() < end {
            sleep(look.min(end.saturating_duration_since(Instant::now()))).await;
            look = (look * 2).min(LAST_LOOK);
        }
        let mut closed = 0;
        if traffic.in_flight() > 0 {
            for worker in &self.workers {
                let (done, waiting) = oneshot::channel();
                let _ = worker.send(Command::Cut {
                    traffic: traffic.id,
                    done,
                });
                closed += waiting.await.unwrap_or_default();
            }
        }
        let mut served = self.served.lock().await;
        served
            .draining
            .retain(|draining| draining.traffic.id != traffic.id);
        served.traffics.fold(&traffic);
        over.send_replace(Some(closed));
    }

    /// Waits until a release has drained, as far as it isn't served any more; how many connections
    /// had to be closed.
    pub(crate) async fn drained(
        &self,
        app: &str,
        environment: &str,
        service: &str,
        release: u64,
    ) -> u64 {
        let waiting: Vec<_> = {
            let served = self.served.lock().await;
            let of_it = served.draining.iter().filter(|draining| {
                let label = &draining.traffic.label;
                (
                    label.app.as_str(),
                    label.environment.as_str(),
                    label.service.as_str(),
                    label.release,
                ) == (app, environment, service, release)
            });
            of_it.map(|draining| draining.over.clone()).collect()
        };
        let mut closed = 0;
        for mut over in waiting {
            if let Ok(number) = over.wait_for(Option::is_some).await {
                closed += number.unwrap_or_default();
            }
        }
        closed
    }

    pub(crate) async fn state(&self) -> EdgeState {
        let served = self.served.lock().await;
        EdgeState {
            version: VERSION,
            process: std::process::id(),
            http: Some(self.http),
            apps: served.apps.values().cloned().collect(),
            counters: served
                .traffics
                .counters(served.draining.iter().map(|draining| &draining.traffic)),
        }
    }

    /// Ends the workers.
    pub(crate) fn stop(&self, drain: Duration) {
        for worker in &self.workers {
            let _ = worker.send(Command::Stop { drain });
        }
    }
}

impl Served {
    fn fence(&self, key: &(String, String), generation: u64) -> Result<(), Refused> {
        match self.apps.get(key) {
            Some(app) if app.generation > generation => Err(Refused {
                error: "stale-generation".to_owned(),
                message: format!(
                    "{}/{} is at generation {} already, {generation} comes too late",
                    key.0, key.1, app.generation
                ),
                generation: Some(app.generation),
            }),
            _ => Ok(()),
        }
    }

    /// How long each service's old connections may live.
    fn drains(&self) -> HashMap<Label, Duration> {
        let services = self
            .apps
            .values()
            .flat_map(|app| app.services.iter().map(move |service| (app, service)));
        let drain = |(app, service): (&AppRoutes, &ServiceRoutes)| {
            let label = Label {
                app: app.app.clone(),
                environment: app.environment.clone(),
                service: service.service.clone(),
                release: service.release,
            };
            (label, Duration::from_millis(service.drain))
        };
        services.map(drain).collect()
    }

    /// Takes out watches and traffics that the table doesn't know.
    fn forget(&mut self) -> Vec<Arc<Traffic>> {
        let instances = self
            .apps
            .values()
            .flat_map(|app| &app.services)
            .filter_map(|service| match &service.upstream {
                Upstream::Instances(instances) => Some(instances),
                _ => None,
            });
        let controls: HashSet<_> = instances
            .flatten()
            .filter_map(|instance| instance.control.as_deref())
            .collect();
        self.watches.keep(|control| controls.contains(control));
        let routed = self.table.traffics();
        self.traffics.retire(|traffic| routed.contains(&traffic.id))
    }
}

async fn whole(change: JoinHandle<Result<(), NotChanged>>) -> Result<(), NotChanged> {
    change
        .await
        .unwrap_or_else(|error| Err(NotChanged::Failed(io::Error::other(error))))
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(act).await.map_err(io::Error::other)?
}

/// Deals an entrance's sockets out: each worker gets at least one, and none is left without.
fn share(
    entrance: Entrance,
    listeners: Vec<TcpListener>,
    shares: &mut [Vec<(Entrance, TcpListener)>],
) {
    let workers = shares.len();
    let (held, others) = (
        listeners.len(),
        shares.iter_mut().enumerate().skip(listeners.len()),
    );
    for (worker, share) in others {
        let copy = listeners
            .get(worker % held.max(1))
            .and_then(|one| one.try_clone().ok());
        share.extend(copy.map(|copy| (entrance, copy)));
    }
    for (index, listener) in listeners.into_iter().enumerate() {
        shares[index % workers].push((entrance, listener));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_gets_a_socket_and_every_socket_a_worker() {
        for (sockets, workers, wanted) in [
            (2, 2, vec![1, 1]),
            (1, 3, vec![1, 1, 1]),
            (5, 2, vec![3, 2]),
        ] {
            let listeners = (0..sockets)
                .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
                .collect();
            let mut shares: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
            share(Entrance::Shared, listeners, &mut shares);
            assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), wanted);
        }
    }
}
