//! The host itself: what it holds, and the look-ups that everything else is made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use landfall_app::Name;
use landfall_deploy::Faults;
use landfall_ledger::{Clock, InstanceRow, Ledger, LedgerError};
use landfall_redact::Secret;
use landfall_release::{Content, Failure, Generation, Release, ReleaseNumber};
use landfall_secrets::HostIdentity;
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    backing,
    edge::Edge,
    home::Home,
    instance::{AdoptError, Instance, Notice},
    jobs::Jobs,
    runtime::{self, Engines},
    sample::Samples,
    settings::Settings,
    specification::{Surroundings, generated_variables},
};

/// A host.
pub struct Host {
    /// What it was told.
    pub settings: Settings,
    /// Its places.
    pub home: Home,
    /// Its memory.
    pub ledger: Ledger,
    /// Its own key.
    pub identity: HostIdentity,
    /// The edge.
    pub edge: Edge,
    /// Faults to inject.
    pub faults: Faults,
    /// The Docker Engine, once it was needed.
    pub engines: Engines,
    /// What it holds of its backing services beside the ledger.
    pub backing: backing::Kept,
    /// What is being done with backups.
    pub backups: crate::backups::Kept,
    /// What is on a schedule, and what of it is under way.
    pub jobs: Jobs,
    /// Use of processor and memory.
    pub samples: Samples,
    /// When it started.
    pub started_at: u64,
    /// The newest event's sequence number.
    pub newest: watch::Receiver<u64>,
    /// Where instances tell their news.
    pub notices: mpsc::UnboundedSender<Notice>,
    /// Told to end.
    pub shutdown: Notify,
    /// Whether `up` started it, so that it leaves with its last app.
    pub leaving: Mutex<bool>,
    /// Whether it is ending together with its apps, so that nothing is lost any more.
    pub ending: AtomicBool,
    /// The boot in which this host runs.
    pub boot: String,
    instances: Mutex<BTreeMap<String, Arc<Instance>>>,
    /// Instances whose replacement is under way.
    replacing: Mutex<BTreeSet<String>>,
    /// One at a time computes an environment's routes and publishes them.
    pub publishing: tokio::sync::Mutex<()>,
}

/// A supervisor that can't be adopted, as users read it.
pub fn not_adopted(error: AdoptError) -> Failure {
    Failure::new("supervisor-lost", error.to_string())
        .with("mend", "landfall logs says what it did last")
}

/// A failure of the ledger, as users read it.
pub fn ledger_failed(error: LedgerError) -> Failure {
    let name = error.name();
    Failure::new(name, error.to_string())
}

/// Refuses what is asked of an environment that this host has never had.
pub fn refuse_unknown(host: &Host, app: &Name, environment: &Name) -> Result<(), Failure> {
    let known = host.ledger.environment(app, environment);
    match known.map_err(ledger_failed)? {
        Some(_) => Ok(()),
        None => Err(crate::rollouts::not_deployed(app, environment)),
    }
}

impl Host {
    /// Opens the state. Nothing is started.
    pub fn open(
        settings: Settings,
        home: Home,
        faults: Faults,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Notice>), Failure> {
        Self::open_at(settings, home, faults, Clock::system())
    }

    /// The same by another clock.
    pub fn open_at(
        settings: Settings,
        home: Home,
        faults: Faults,
        clock: Clock,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Notice>), Failure> {
        let ledger = Ledger::open(&home.ledger(), clock).map_err(ledger_failed)?;
        let identity = HostIdentity::load_or_create(&home.identity())
            .map_err(|error| Failure::new("host-failed", error.to_string()))?;
        let (sender, newest) = watch::channel(ledger.last_sequence().map_err(ledger_failed)?);
        ledger.on_event(Box::new(move |sequence| {
            sender.send_if_modified(|newest| {
                let newer = sequence > *newest;
                *newest = sequence.max(*newest);
                newer
            });
        }));
        let (notices, received) = mpsc::unbounded_channel();
        let host = Self {
            edge: Edge::new(&home),
            engines: Engines::default(),
            backing: backing::Kept::default(),
            backups: crate::backups::Kept::default(),
            jobs: Jobs::default(),
            samples: Samples::default(),
            started_at: ledger.now(),
            leaving: Mutex::new(settings.leaves_with_last_app),
            ending: AtomicBool::new(false),
            boot: boot_id(),
            instances: Mutex::default(),
            replacing: Mutex::default(),
            publishing: tokio::sync::Mutex::default(),
            shutdown: Notify::new(),
            settings,
            home,
            ledger,
            identity,
            faults,
            newest,
            notices,
        };
        Ok((Arc::new(host), received))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Instance>>> {
        // Nothing that holds it can panic; a map of handles is whole at any time anyway.
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// An adopted instance.
    pub fn instance(&self, id: &str) -> Option<Arc<Instance>> {
        self.held().get(id).cloned()
    }

    /// All adopted instances.
    pub fn adopted(&self) -> Vec<Arc<Instance>> {
        self.held().values().cloned().collect()
    }

    /// Notes that an instance is being replaced; not where it already is.
    pub fn begin_replacing(&self, id: &str) -> bool {
        let mut replacing = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        replacing.insert(id.to_owned())
    }

    /// Notes that it isn't any more.
    pub fn end_replacing(&self, id: &str) {
        self.replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }

    /// Lets go of an instance that has ended.
    pub fn forget(&self, id: &str) -> Option<Arc<Instance>> {
        self.held().remove(id)
    }

    /// Adopts the supervisor of a row: the only way to get an instance.
    pub async fn adopt(&self, row: &InstanceRow) -> Result<Arc<Instance>, AdoptError> {
        let instance = Instance::adopt(&row.id, &row.folder, self.notices.clone()).await?;
        self.held().insert(row.id.clone(), instance.clone());
        Ok(instance)
    }

    /// A release of an environment.
    pub fn release(
        &self,
        app: &Name,
        environment: &Name,
        number: ReleaseNumber,
    ) -> Result<Release, Failure> {
        let found = self
            .ledger
            .release(app, environment, number)
            .map_err(ledger_failed)?;
        found.ok_or_else(|| {
            Failure::new(
                "unknown-release",
                format!("{app} has no release {number} in {environment}"),
            )
        })
    }

    /// The values of a release's secrets.
    pub fn secrets(&self, content: &Content) -> Result<BTreeMap<String, Secret>, Failure> {
        let app = &content.app;
        let mut values = BTreeMap::new();
        for (name, version) in &content.secrets {
            let sealed = self
                .ledger
                .secret(&app.app, &app.environment, name, *version)
                .map_err(ledger_failed)?;
            let sealed = sealed.ok_or_else(|| crate::specification::missing_secret(name, app))?;
            let value = self.identity.open(&sealed);
            values.insert(
                name.clone(),
                value.map_err(|error| Failure::new("host-failed", error.to_string()))?,
            );
        }
        Ok(values)
    }

    /// The values that the host itself made for a service, made now where there are none yet.
    pub fn generated(
        &self,
        content: &Content,
        service: &Name,
    ) -> Result<BTreeMap<String, Secret>, Failure> {
        let app = &content.app;
        let mut values = BTreeMap::new();
        let Some(facts) = app.services.get(service) else {
            return Ok(values);
        };
        for (variable, bytes) in generated_variables(facts) {
            let key = format!("{service}.{variable}");
            let value = self.made_up(&app.app, &app.environment, &key, bytes)?;
            values.insert(variable, value);
        }
        Ok(values)
    }

    /// A value that the host makes up itself and keeps, made now where there is none yet.
    pub fn made_up(
        &self,
        app: &Name,
        environment: &Name,
        key: &str,
        bytes: u32,
    ) -> Result<Secret, Failure> {
        let kept = self
            .ledger
            .generated(app, environment, key)
            .map_err(ledger_failed)?;
        let sealed = match kept {
            Some(sealed) => sealed,
            None => {
                let fresh = self.identity.seal(&random_text(bytes)?);
                self.ledger
                    .put_generated(app, environment, key, &fresh)
                    .map_err(ledger_failed)?
            }
        };
        let value = self.identity.open(&sealed);
        value.map_err(|error| Failure::new("host-failed", error.to_string()))
    }

    /// The stable loopback port of each service that has one, leased now where there is none yet.
    pub fn stable_ports(&self, content: &Content) -> Result<BTreeMap<Name, u16>, Failure> {
        let app = &content.app;
        let mut ports = BTreeMap::new();
        for (name, service) in &app.services {
            if service.port.is_none() && service.static_files.is_none() {
                continue;
            }
            let (first, last) = self.settings.port_range;
            let purpose = format!("stable:{name}");
            let port =
                self.ledger
                    .lease_port(&app.app, &app.environment, &purpose, first..=last, &[]);
            ports.insert(name.clone(), port.map_err(ledger_failed)?);
        }
        Ok(ports)
    }

    /// Leases another stable port for each service whose own isn't usable.
    pub fn move_stable_ports(
        &self,
        content: &Content,
        usable: impl Fn(u16) -> bool,
    ) -> Result<(), Failure> {
        let (first, last) = self.settings.port_range;
        let app = &content.app;
        for (name, mut port) in self.stable_ports(content)? {
            let mut avoid = Vec::new();
            while !usable(port) {
                avoid.push(port);
                let purpose = format!("stable:{name}");
                let leased = self.ledger.lease_port(
                    &app.app,
                    &app.environment,
                    &purpose,
                    first..=last,
                    &avoid,
                );
                port = leased.map_err(ledger_failed)?;
            }
        }
        Ok(())
    }

    /// Runs `use_it` with everything that the environment of an instance is made from.
    pub fn with_surroundings<T>(
        &self,
        release: &Release,
        service: &Name,
        instance: &str,
        replica: u32,
        port: Option<u16>,
        use_it: impl FnOnce(&Surroundings<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let content = &release.content;
        let facts = content
            .app
            .services
            .get(service)
            .ok_or_else(|| unknown_service(content, service.as_str()))?;
        let artifact = content.artifacts.get(service).ok_or_else(|| {
            Failure::new(
                "release-pruned",
                format!("release {} has no build of {service}", release.number),
            )
        })?;
        let facts = runtime::effective(service, facts, artifact);
        let gateway = match runtime::contained(&facts) {
            true => runtime::gateway(self, &content.app.app, &content.app.environment)?,
            false => None,
        };
        let home = self
            .home
            .process_home(&content.app.app, &content.app.environment);
        crate::home::make_folder(&home)
            .map_err(|error| Failure::new("host-failed", error.to_string()))?;
        use_it(&Surroundings {
            app: &content.app,
            service: &facts,
            name: service,
            release: release.number,
            artifact,
            instance,
            replica,
            port,
            stable_ports: &self.stable_ports(content)?,
            secrets: &self.secrets(content)?,
            generated: &self.generated(content, service)?,
            home: &home,
            gateway,
            backing: &self.backing_addresses(content)?,
        })
    }

    /// Where a service's segments are, made if it isn't there.
    pub fn log_folder(
        &self,
        app: &Name,
        environment: &Name,
        service: &Name,
    ) -> Result<PathBuf, Failure> {
        let folder = self.home.logs(app, environment, service.as_str());
        crate::home::make_folder(&folder)
            .map_err(|error| Failure::new("host-failed", error.to_string()))?;
        Ok(folder)
    }

    /// A generation above all before.
    pub fn next_generation(&self) -> Result<Generation, Failure> {
        self.ledger.next_generation().map_err(ledger_failed)
    }
}

/// A service that isn't there, with those that are.
pub fn unknown_service(content: &Content, service: &str) -> Failure {
    let known: Vec<_> = content.app.services.keys().map(Name::as_str).collect();
    Failure::new(
        "unknown-service",
        format!("{} has no service `{service}`", content.app.app),
    )
    .with("known", known.join(", "))
}

/// The boot of this machine.
pub fn boot_id() -> String {
    // Without it every start looks like the same boot, which only costs a useless connection attempt.
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Random bytes from the system, in hexadecimal.
pub fn random_text(bytes: u32) -> Result<Secret, Failure> {
    let mut random = vec![0; bytes as usize];
    let mut file = std::fs::File::open("/dev/urandom")
        .map_err(|error| Failure::new("host-failed", error.to_string()))?;
    std::io::Read::read_exact(&mut file, &mut random)
        .map_err(|error| Failure::new("host-failed", error.to_string()))?;
    Ok(Secret::new(
        random.iter().map(|byte| format!("{byte:02x}")).collect(),
    ))
}
