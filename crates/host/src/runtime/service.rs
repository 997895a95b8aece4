//! A service in containers: what its image says, joined with what the file says. Pure but for the
//! places of the host.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use landfall_app::{
    Name,
    model::{Command, Health, Priority, Probe, Process, ProcessKind, Run, Runtime, Service},
    units::{Size, Time},
};
use landfall_containers::{ContainerSpecification, Mount};
use landfall_release::{Artifact, Failure, HealthCheck, ImageConfig, Release};

use super::{Frame, frame};
use crate::host::Host;

/// Whether instances of a service are containers.
pub fn contained(service: &Service) -> bool {
    service.runtime == Runtime::Container && service.static_files.is_none()
}

/// Whether a service has instances: processes of the file, or an image that runs its own command.
pub fn runs(service: &Service) -> bool {
    !service.processes.is_empty() || contained(service)
}

/// A service with what its image says where the file says nothing: its process, its health check,
/// its stop signal.
pub fn effective<'a>(name: &Name, service: &'a Service, artifact: &Artifact) -> Cow<'a, Service> {
    let Some(image) = artifact.image.as_ref().filter(|_| contained(service)) else {
        return Cow::Borrowed(service);
    };
    let mut service = service.clone();
    if service.processes.is_empty() {
        service.processes.push(Process {
            name: name.clone(),
            // The image's own command is filled in with its entry point.
            kind: ProcessKind::Stays(Command::Exact(Vec::new())),
            after: Vec::new(),
            front: service.port.is_some(),
            required: true,
            health: service.health.clone(),
            priority: Priority::Normal,
            memory: None,
            cpu: None,
            env: service.env.clone(),
        });
    }
    if let Some(check) = &image.config.health_check {
        let front = service
            .processes
            .iter()
            .position(|process| process.front)
            .or((service.processes.len() == 1).then_some(0));
        if let Some(process) = front.and_then(|index| service.processes.get_mut(index)) {
            ask_image(&mut process.health, check);
        }
    }
    if service.stop.signal == "SIGTERM"
        && let Some(signal) = &image.config.stop_signal
    {
        service.stop.signal = signal_name(signal);
    }
    Cow::Owned(service)
}

/// The image's health check stands in where the file has the process asked nothing.
fn ask_image(health: &mut Health, check: &HealthCheck) {
    if !matches!(health.ready, None | Some(Probe::Tcp { port: None })) || check.command.is_empty() {
        return;
    }
    let time = Time::from_millis;
    health.ready = Some(Probe::Run(Run::Exact(check.command.clone())));
    // The Engine's default of 30 s is long for whoever routes by it.
    health.interval = time(check.interval.clamp(1000, 5000));
    health.timeout = time(check.timeout);
    health.retries = check.retries.max(1);
    health.start = health.start.max(time(check.start_period));
}

/// A signal as an image names it: by name, or by number.
fn signal_name(text: &str) -> String {
    let name = match text {
        "1" => "SIGHUP",
        "2" => "SIGINT",
        "3" => "SIGQUIT",
        "9" => "SIGKILL",
        "10" => "SIGUSR1",
        "12" => "SIGUSR2",
        "15" => "SIGTERM",
        "28" => "SIGWINCH",
        named => named,
    };
    name.to_owned()
}

/// The words of a process that stays: the file's command takes the place of the image's, and the
/// image's entry point stays in front.
pub fn with_entry_point(
    config: &ImageConfig,
    own: Vec<String>,
    process: &str,
) -> Result<Vec<String>, Failure> {
    let own = match own.is_empty() {
        true => config.command.clone(),
        false => own,
    };
    let words: Vec<String> = config.entrypoint.iter().cloned().chain(own).collect();
    match words.is_empty() {
        true => Err(Failure::new(
            "bad-command",
            format!("{process} has nothing to execute: its image has neither ENTRYPOINT nor CMD"),
        )
        .with("mend", "command = \"…\"")),
        false => Ok(words),
    }
}

/// The image's own variables, with a `PATH` where it has none.
pub fn image_environment(config: &ImageConfig) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([(
        "PATH".to_owned(),
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
    )]);
    environment.extend(config.environment.clone());
    environment
}

/// The volume's name on the Engine.
pub fn volume_name(app: &Name, environment: &Name, service: &Name, volume: &Name) -> String {
    format!("landfall.{app}.{environment}.{service}.{volume}")
}

/// Makes sure of a service's volumes, each a folder of this host.
pub async fn ensure_volumes(host: &Host, release: &Release, service: &Name) -> Result<(), Failure> {
    let app = &release.content.app;
    let Some(facts) = app.services.get(service) else {
        return Ok(());
    };
    for name in facts.volumes.keys() {
        let folder = host
            .home
            .volume(&app.app, &app.environment, service, name.as_str());
        if !folder.is_dir() {
            // Where the image has that folder, the Engine gives this one its owner and mode. Else
            // whoever the image runs as must be able to write to it; what is above it guards it.
            super::container::open_folder(&folder).map_err(|error| {
                Failure::new("host-failed", format!("{}: {error}", folder.display()))
            })?;
        }
        let mut labels = super::labels(host, &app.app, &app.environment);
        labels.insert(
            landfall_containers::label::SERVICE.to_owned(),
            service.to_string(),
        );
        let engine = host.engine().await?;
        engine
            .ensure_volume(
                &volume_name(&app.app, &app.environment, service, name),
                &folder,
                &labels,
            )
            .await?;
    }
    Ok(())
}

/// The container of an instance of a service, or of a command that runs once beside them.
pub fn container(
    host: &Host,
    release: &Release,
    name: &Name,
    id: &str,
    serving: bool,
) -> Result<ContainerSpecification, Failure> {
    let app = &release.content.app;
    let service = app
        .services
        .get(name)
        .ok_or_else(|| crate::host::unknown_service(&release.content, name.as_str()))?;
    let artifact = release.content.artifacts.get(name);
    let (artifact, image) = artifact
        .and_then(|artifact| Some((artifact, artifact.image.as_ref()?)))
        .ok_or_else(|| {
            let message = format!("release {} has no image of {name}", release.number);
            Failure::new("release-pruned", message).with("mend", "landfall deploy builds it anew")
        })?;
    let mut container = frame(
        host,
        Frame {
            app: &app.app,
            environment: &app.environment,
            service: name,
            release: release.number.0,
            id,
            image: &image.id,
            aliases: Vec::new(),
        },
    );
    if serving && let Some(attachment) = &mut container.attachment {
        attachment.aliases.push(name.to_string());
    }
    container.mounts = mounts(app, name, service, artifact);
    container.user = service.user.map(|user| user.to_string());
    container.directory = Some(directory(&image.config));
    container.read_only = service.read_only;
    let mut folders = service.tmpfs.clone();
    if service.read_only {
        folders.extend(["/tmp", "/run"].map(str::to_owned));
    }
    container.tmpfs = folders
        .into_iter()
        .map(|folder| match folder.split_once(':') {
            Some((folder, options)) => (folder.to_owned(), options.to_owned()),
            None => (folder, "mode=1777".to_owned()),
        })
        .collect();
    container.capabilities = service.capabilities.clone();
    container.memory = service
        .memory
        .and_then(|memory| memory.limit)
        .map(Size::bytes);
    container.cpu = service
        .cpu
        .and_then(|cpu| cpu.limit)
        .map(|limit| limit.thousandths());
    container.pids = service.pids;
    container.disk = service.disk.map(Size::bytes);
    container.gpus = service.gpu;
    Ok(container)
}

/// Where commands of a service start.
pub fn place(artifact: &Artifact) -> PathBuf {
    match &artifact.image {
        Some(image) => directory(&image.config).into(),
        None => artifact.folder.clone(),
    }
}

/// The container of a command of a service that runs once, with its folder and everything else that
/// it needs in place; its command is still to be set.
pub async fn prepare_one_off(
    host: &Host,
    release: &Release,
    service: &Name,
    id: &str,
    folder: &Path,
) -> Result<ContainerSpecification, Failure> {
    let app = &release.content.app;
    super::network(host, &app.app, &app.environment).await?;
    ensure_volumes(host, release, service).await?;
    let container = container(host, release, service, id, false)?;
    let name = container.name.clone();
    let prepared = || {
        super::fresh_folder(folder)?;
        super::mark_one_off(folder, &name)
    };
    prepared()
        .map_err(|error| Failure::new("host-failed", format!("{}: {error}", folder.display())))?;
    super::complete(host, id, folder, None, &container)
}

/// Where an image's processes start.
pub fn directory(config: &ImageConfig) -> String {
    match config.directory.as_str() {
        "" => "/".to_owned(),
        directory => directory.to_owned(),
    }
}

fn mounts(
    app: &landfall_app::App,
    name: &Name,
    service: &Service,
    artifact: &Artifact,
) -> Vec<Mount> {
    let volumes = service.volumes.iter().map(|(volume, facts)| Mount::Volume {
        name: volume_name(&app.app, &app.environment, name, volume),
        target: facts.path.clone(),
    });
    let files = service
        .files
        .keys()
        .enumerate()
        .map(|(index, place)| Mount::Bind {
            source: artifact.folder.join("files").join(index.to_string()),
            target: place.clone(),
            read_only: true,
        });
    volumes.chain(files).collect()
}

#[cfg(test)]
mod tests {
    use landfall_release::ImageArtifact;

    use super::*;
    use crate::testing::{app, name};

    fn service(text: &str) -> Service {
        let app = app(&format!("[service.web]\nimage = \"busybox:test\"\n{text}"));
        app.services["web"].clone()
    }

    fn artifact(config: ImageConfig) -> Artifact {
        Artifact {
            digest: String::new(),
            folder: "/artifacts/one".into(),
            path: Vec::new(),
            environment: BTreeMap::new(),
            builder: "image".to_owned(),
            said: String::new(),
            size: 0,
            image: Some(ImageArtifact {
                reference: "busybox:test".to_owned(),
                id: "sha256:1".to_owned(),
                digest: None,
                config,
            }),
        }
    }

    #[test]
    fn an_image_runs_its_own_command_as_one_process_of_the_services_name() {
        let service = service("port = 8000\n");
        assert!(runs(&service));
        let found = effective(
            &name("web"),
            &service,
            &artifact(ImageConfig {
                stop_signal: Some("3".to_owned()),
                ..ImageConfig::default()
            }),
        );
        let process = found.front().unwrap();
        assert_eq!(process.name, name("web"));
        assert_eq!(found.stop.signal, "SIGQUIT");
    }

    #[test]
    fn a_health_check_stands_in_where_the_file_asks_nothing() {
        let config = ImageConfig {
            health_check: Some(HealthCheck {
                command: vec!["check".to_owned()],
                interval: 30_000,
                timeout: 3000,
                start_period: 60_000,
                retries: 3,
            }),
            ..ImageConfig::default()
        };
        let ready = |text: &str| {
            let service = service(text);
            let found = effective(&name("web"), &service, &artifact(config.clone()));
            let health = found.processes[0].health.clone();
            (health.ready, health.interval.as_millis())
        };
        let (probe, interval) = ready("port = 8000\n");
        let asked = Probe::Run(Run::Exact(vec!["check".to_owned()]));
        assert_eq!((probe, interval), (Some(asked), 5000));
        let (probe, _) = ready("port = 8000\nhealth = \"/health\"\n");
        assert!(matches!(probe, Some(Probe::Http { .. })));
    }

    #[test]
    fn the_entry_point_stays_in_front_of_the_files_command() {
        let words = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let config = ImageConfig {
            entrypoint: words(&["entry"]),
            command: words(&["own"]),
            ..ImageConfig::default()
        };
        let all = |own: &[&str]| with_entry_point(&config, words(own), "web").unwrap();
        assert_eq!(all(&[]), ["entry", "own"]);
        assert_eq!(all(&["serve", "-v"]), ["entry", "serve", "-v"]);
        let nothing = with_entry_point(&ImageConfig::default(), Vec::new(), "web").unwrap_err();
        assert_eq!(nothing.name, "bad-command");
    }
}
