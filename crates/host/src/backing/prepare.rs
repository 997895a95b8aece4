//! Before one is started: whether it can be, where it goes, and the folder of its data.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Stdio,
};

use landfall_app::{
    App, Name, Reference, Value,
    model::{Backing, BackingKind, Runtime},
};
use landfall_ledger::BackingRow;
use landfall_redact::Secret;
use landfall_release::{Failure, ImageArtifact, Purpose, Release};
use tokio::process::Command;

use super::{
    Body, external,
    packages::{self, major},
    place::{self, Account},
    recipe::{SUPERUSER, refuse_own},
    server,
};
use crate::{
    host::{Host, ledger_failed},
    instance::write_private,
    runtime, specification,
};

/// What a release wants of one that is there. An earlier release, made live again, takes the version
/// and the runtime to which its data was upgraded since: it wants its code back, and not the old
/// server.
pub fn settled(purpose: Purpose, wanted: &Backing, body: Option<&Body>) -> Backing {
    let mut wanted = wanted.clone();
    let asked = major(wanted.version.as_deref().unwrap_or_default());
    let as_written = matches!(purpose, Purpose::Deploy | Purpose::Provision);
    let Some(body) = body.filter(|body| !as_written && body.initialized) else {
        return wanted;
    };
    if body.kept.iter().any(|kept| major(&kept.version) == asked) {
        wanted.version.clone_from(&body.wanted.version);
    }
    if !body.kept.is_empty() {
        wanted.runtime = body.runtime;
    }
    wanted
}

/// Looks whether every backing service of a release can be had; what there is, in a few words.
pub async fn look(
    host: &Host,
    purpose: Purpose,
    release: &Release,
) -> Result<Vec<String>, Failure> {
    let app = &release.content.app;
    let mut said = Vec::new();
    for (name, wanted) in super::own(app) {
        refuse_own(name.as_str(), wanted)?;
        let row = host
            .ledger
            .backing(&app.app, &app.environment, name)
            .map_err(ledger_failed)?;
        let wanted = &settled(purpose, wanted, row.as_ref().map(|row| &row.body));
        refuse(name, wanted, row.as_ref().map(|row| &row.body))?;
        reachable(app, name, wanted)?;
        let version = match wanted.runtime {
            Runtime::Process => {
                packages::find(name.as_str(), &wanted.kind, wanted.version.as_deref())?.version
            }
            Runtime::Container => version_of(wanted, &image(host, name, wanted).await?),
        };
        refuse_major(name, &version, row.as_ref().map(|row| &row.body))?;
    }
    let secrets = host.secrets(&release.content)?;
    for (name, wanted) in &app.backing {
        if let Some(url) = &wanted.url {
            let url = rendered(name, url, &secrets, app)?;
            let address = super::BackingAddress::external(name, &wanted.kind, &url)?;
            external::check(name, &wanted.kind, &address).await?;
            said.push(format!(
                "{name} answers at {}:{}",
                address.host, address.port
            ));
        }
    }
    Ok(said)
}

/// A container can't reach what listens on this machine's loopback alone.
fn reachable(app: &App, name: &Name, wanted: &Backing) -> Result<(), Failure> {
    let user = app.services.iter().find(|(_, service)| {
        service.runtime == Runtime::Container && service.uses.contains_key(name)
    });
    match (wanted.runtime, user) {
        (Runtime::Process, Some((service, _))) => Err(Failure::new(
            "backing-unreachable",
            format!("{service} is a container, which can't reach {name}: that is a plain process"),
        )
        .with(
            "mend",
            format!("runtime = \"container\" for {name}, or runtime = \"process\" for {service}"),
        )),
        _ => Ok(()),
    }
}

/// What can't be made of the one that there is: its data is of another kind, or elsewhere.
pub fn refuse(name: &Name, wanted: &Backing, body: Option<&Body>) -> Result<(), Failure> {
    let Some(body) = body.filter(|body| body.initialized) else {
        return Ok(());
    };
    let kind = |kind: &BackingKind| match kind {
        BackingKind::Postgres => "PostgreSQL".to_owned(),
        BackingKind::Redis => "Redis".to_owned(),
        BackingKind::Image(image) => format!("the image {image}"),
    };
    let (before, after) = (&body.wanted.kind, &wanted.kind);
    super::image::refuse(name, &body.wanted, wanted)?;
    let images = |kind: &BackingKind| matches!(kind, BackingKind::Image(_));
    if before != after && !(images(before) && images(after)) {
        let message = format!(
            "{name} is {}, and can't become {}",
            kind(before),
            kind(after)
        );
        return Err(Failure::new("major-version", message).with(
            "mend",
            "name the new one otherwise; this one's data is kept",
        ));
    }
    if body.runtime != wanted.runtime {
        let word = |runtime| match runtime {
            Runtime::Process => "a plain process",
            Runtime::Container => "a container",
        };
        let message = format!(
            "{name} is {} with its data, and the file makes it {}",
            word(body.runtime),
            word(wanted.runtime)
        );
        return Err(Failure::new("major-version", message).with(
            "mend",
            format!("landfall backing upgrade {name} moves its data, or set runtime back"),
        ));
    }
    Ok(())
}

/// Data of another major version is not what a server can start with.
fn refuse_major(name: &Name, version: &str, body: Option<&Body>) -> Result<(), Failure> {
    let Some(body) = body.filter(|body| body.initialized) else {
        return Ok(());
    };
    let (before, after) = (major(&body.version), major(version));
    if before == after || before.is_empty() || matches!(body.wanted.kind, BackingKind::Image(_)) {
        return Ok(());
    }
    Err(Failure::new(
        "major-version",
        format!("{name} has data of version {before}, and the file asks for {after}"),
    )
    .with(
        "mend",
        format!("landfall backing upgrade {name} --to {after}, or version = \"{before}\""),
    ))
}

/// The image of a container, which the Engine must have.
pub async fn image(host: &Host, name: &Name, wanted: &Backing) -> Result<ImageArtifact, Failure> {
    let reference = reference(wanted);
    let engine = host.engine().await?;
    let found = engine.image(&reference).await?.ok_or_else(|| {
        Failure::new(
            "image-missing",
            format!("{name} is the image {reference}, and the Engine doesn't have it"),
        )
        .with("mend", format!("docker pull {reference}"))
    })?;
    Ok(ImageArtifact {
        digest: found.digests.first().cloned(),
        id: found.id,
        config: found.config,
        reference,
    })
}

/// The name of an image.
pub fn reference(wanted: &Backing) -> String {
    let tag = wanted.version.as_deref().unwrap_or("latest");
    match &wanted.kind {
        BackingKind::Postgres => format!("postgres:{tag}"),
        BackingKind::Redis => format!("redis:{tag}"),
        BackingKind::Image(image) => match &wanted.version {
            Some(version) if !image.contains('@') => format!("{image}:{version}"),
            _ => image.clone(),
        },
    }
}

/// The version in an image: as its author says, else as it is called.
pub fn version_of(wanted: &Backing, image: &ImageArtifact) -> String {
    let variable = |name: &str| image.config.environment.get(name).cloned();
    let said = match wanted.kind {
        BackingKind::Postgres => variable("PG_MAJOR"),
        BackingKind::Redis => variable("REDIS_VERSION"),
        BackingKind::Image(_) => None,
    };
    said.or_else(|| wanted.version.clone())
        .unwrap_or_else(|| "latest".to_owned())
}

/// The row as it should be: a new one, or that which is there with what the release says.
pub async fn row(
    host: &Host,
    release: &Release,
    name: &Name,
    wanted: &Backing,
    before: Option<&BackingRow>,
) -> Result<BackingRow, Failure> {
    let app = &release.content.app;
    let image = match wanted.runtime {
        Runtime::Process => None,
        Runtime::Container => Some(image(host, name, wanted).await?),
    };
    let version = match &image {
        Some(image) => version_of(wanted, image),
        None => packages::find(name.as_str(), &wanted.kind, wanted.version.as_deref())?.version,
    };
    refuse_major(name, &version, before.map(|row| &row.body))?;
    if let Some(before) = before {
        let mut row = before.clone();
        row.running = true;
        if row.body.initialized && row.body.previous.is_none() {
            row.body.previous = Some(Box::new(before.body.clone()));
        }
        row.body.wanted = wanted.clone();
        row.body.release = release.number;
        row.body.runtime = wanted.runtime;
        row.body.image = image;
        row.body.version = version;
        if !row.body.initialized {
            let (address, port) = address(host, app, name, wanted, row.body.image.as_ref()).await?;
            (row.body.address, row.body.port) = (address, port);
            let data = data_folder(host, app, name, wanted, "data");
            if row.body.data != data {
                // Nothing was run on that.
                row.body.scripts.clear();
            }
            row.body.data = data;
        }
        return Ok(row);
    }
    let (address, port) = address(host, app, name, wanted, image.as_ref()).await?;
    let (user, database) = match wanted.kind {
        BackingKind::Postgres => (app.app.to_string(), app.app.to_string()),
        // Named, for some clients take an empty name in a URL for a name.
        BackingKind::Redis => ("default".to_owned(), "0".to_owned()),
        BackingKind::Image(_) => (String::new(), String::new()),
    };
    // The superuser's name is taken.
    let (user, database) = match user == SUPERUSER {
        true => (format!("{user}-app"), format!("{database}-app")),
        false => (user, database),
    };
    Ok(BackingRow {
        app: app.app.clone(),
        environment: app.environment.clone(),
        name: name.clone(),
        created_at: 0,
        changed_at: 0,
        running: true,
        body: Body {
            wanted: wanted.clone(),
            release: release.number,
            version,
            runtime: wanted.runtime,
            image,
            address,
            port,
            data: data_folder(host, app, name, wanted, "data"),
            database,
            user,
            digest: String::new(),
            initialized: false,
            kept: Vec::new(),
            upgrade_of: None,
            previous: None,
            scripts: BTreeMap::new(),
            set_aside: None,
        },
    })
}

/// The folder of data of a name.
pub fn data_folder(
    host: &Host,
    app: &App,
    name: &Name,
    wanted: &Backing,
    folder: &str,
) -> std::path::PathBuf {
    match wanted.runtime {
        Runtime::Process => {
            place::folder(&host.home, &app.app, &app.environment, name).join(folder)
        }
        Runtime::Container => host
            .home
            .app(&app.app)
            .join("volumes")
            .join(app.environment.as_str())
            .join(name.as_str())
            .join(folder),
    }
}

/// Where it listens: a port of this machine's loopback, or an address of its own.
pub async fn address(
    host: &Host,
    app: &App,
    name: &Name,
    wanted: &Backing,
    image: Option<&ImageArtifact>,
) -> Result<(Ipv4Addr, u16), Failure> {
    if wanted.runtime == Runtime::Process {
        return Ok((super::address::LOOPBACK, port(host, app, name)?));
    }
    let exposed = image.and_then(|image| image.config.ports.first().copied());
    let port = match wanted.kind {
        BackingKind::Postgres => Some(5432),
        BackingKind::Redis => Some(6379),
        BackingKind::Image(_) => wanted.port.or(exposed),
    };
    let port = port.ok_or_else(|| {
        let message = format!("nothing says on which port {name} listens");
        Failure::new("bad-backing", message).with("mend", "add port = … to it")
    })?;
    let network = runtime::network(host, &app.app, &app.environment).await?;
    let rows = host
        .ledger
        .backings_of(&app.app, &app.environment)
        .map_err(ledger_failed)?;
    let free = (0..)
        .map_while(|number| network.fixed_address(number))
        .find(|address| {
            !rows
                .iter()
                .any(|row| row.name != *name && row.body.address == *address)
        });
    free.map(|address| (address, port)).ok_or_else(|| {
        let message = format!("no address is free for {name} on its network");
        Failure::new("backing-failed", message)
    })
}

/// A leased port that nobody else listens on.
pub fn port(host: &Host, app: &App, name: &Name) -> Result<u16, Failure> {
    let (first, last) = host.settings.port_range;
    let purpose = format!("backing:{name}");
    let mut avoid = Vec::new();
    loop {
        let port = host
            .ledger
            .lease_port(&app.app, &app.environment, &purpose, first..=last, &avoid)
            .map_err(ledger_failed)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
        avoid.push(port);
    }
}

/// Makes the folder of data ready: what a plain PostgreSQL needs is written into it once.
pub async fn data(host: &Host, row: &BackingRow) -> Result<(), Failure> {
    let (data, kind) = (&row.body.data, &row.body.wanted.kind);
    if row.body.runtime == Runtime::Container {
        return place::open_folder(data)
            .map_err(|error| failed(row, &format!("{}: {error}", data.display())));
    }
    let account = place::account(kind);
    if *kind != BackingKind::Postgres {
        return place::own_folder(&host.home, data, account.as_ref());
    }
    if data.join("PG_VERSION").is_file() {
        let version = fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
        if version.trim() != major(&row.body.version) {
            let message = format!(
                "{} has data of version {}, and PostgreSQL is {}",
                row.name,
                version.trim(),
                row.body.version
            );
            return Err(Failure::new("major-version", message)
                .with("mend", format!("landfall backing upgrade {}", row.name)));
        }
        return place::own_folder(&host.home, data, account.as_ref());
    }
    initialize(host, row, account.as_ref()).await
}

/// `initdb`, beside its place, so that what is cut off is never taken for a database.
async fn initialize(
    host: &Host,
    row: &BackingRow,
    account: Option<&Account>,
) -> Result<(), Failure> {
    let data = &row.body.data;
    let programs = packages::find(
        row.name.as_str(),
        &row.body.wanted.kind,
        Some(major(&row.body.version)),
    )?;
    let passwords = host.backing_passwords(&row.app, &row.environment, &row.name)?;
    let folder = data.with_extension("new");
    let password = data.with_file_name("password");
    let error = |error: std::io::Error| failed(row, &error.to_string());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(error)?;
    }
    place::own_folder(&host.home, &folder, account)?;
    write_private(&password, passwords.superuser.expose().as_bytes()).map_err(error)?;
    if let Some(account) = account {
        std::os::unix::fs::chown(&password, Some(account.user), Some(account.group))
            .map_err(error)?;
    }
    let mut command = Command::new(programs.path("initdb"));
    command
        .arg("-D")
        .arg(&folder)
        .arg("--pwfile")
        .arg(&password)
        .args(["-U", SUPERUSER, "--auth=scram-sha-256", "-E", "UTF8"])
        .args(["--locale=C.UTF-8", "--lc-messages=C"])
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
    let ran = command.output().await;
    // Before anything else: it is a password.
    fs::remove_file(&password).map_err(error)?;
    let output = ran.map_err(error)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(row, "initdb failed").with("its last words", words));
    }
    fs::rename(&folder, data).map_err(error)
}

fn failed(row: &BackingRow, what: &str) -> Failure {
    Failure::new(
        "backing-failed",
        format!("{} can't be made: {what}", row.name),
    )
}

/// A value of somebody else's backing service.
pub fn rendered(
    name: &Name,
    value: &Value,
    secrets: &BTreeMap<String, Secret>,
    app: &App,
) -> Result<String, Failure> {
    let Value::Text(template) = value else {
        return Err(Failure::new(
            "bad-reference",
            format!("the URL of {name} can't be generated"),
        ));
    };
    template.render(|reference| match reference {
        Reference::Secret(secret) => {
            let value = secrets.get(secret).map(|value| value.expose().to_owned());
            value.ok_or_else(|| specification::missing_secret(secret, app))
        }
        other => Err(Failure::new(
            "bad-reference",
            format!("the URL of {name} names `${{{other}}}`, which is no secret"),
        )),
    })
}

/// Removes one with its data; how many bytes that were.
pub async fn remove(host: &Host, row: &BackingRow) -> Result<u64, Failure> {
    let mut folders = vec![row.body.data.clone()];
    folders.extend(row.body.kept.iter().map(|kept| kept.folder.clone()));
    if row.body.runtime == Runtime::Container {
        let engine = host.engine().await?;
        for volume in server::volumes(row) {
            engine.remove_volume(&volume.name).await?;
        }
    }
    folders.push(place::folder(
        &host.home,
        &row.app,
        &row.environment,
        &row.name,
    ));
    let freeing = tokio::task::spawn_blocking(move || {
        let mut freed = 0;
        for folder in folders {
            freed += place::used(&folder).unwrap_or(0);
            remove_folder(&folder)?;
            // The folders of app and environment go with their last one.
            for above in folder.ancestors().skip(1).take(2) {
                let _ = fs::remove_dir(above);
            }
        }
        Ok(freed)
    });
    let freed = freeing
        .await
        .map_err(|error| Failure::new("host-failed", error.to_string()))?;
    freed.map_err(|error: std::io::Error| {
        Failure::new(
            "host-failed",
            format!("the data of {} can't be removed: {error}", row.name),
        )
    })
}

pub fn remove_folder(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_release_takes_what_its_database_was_upgraded_to() {
        let text = "[service.web]\ncommand = \"bin/web\"\n[backing.postgres]\nversion = \"15\"";
        let wanted = crate::testing::app(text).backing["postgres"].clone();
        let mut body: Body = serde_json::from_value(serde_json::json!({
            "wanted": wanted, "release": 1, "version": "17", "runtime": Runtime::Container,
            "address": "10.209.0.2", "port": 5432, "data": "/data", "user": "", "database": "",
            "initialized": true, "kept": [{ "version": "15", "folder": "/kept", "at": 1 }],
        }))
        .unwrap();
        body.wanted.version = Some("17".to_owned());
        let of = |purpose| {
            let settled = settled(purpose, &wanted, Some(&body));
            (settled.version.unwrap(), settled.runtime)
        };
        let upgraded = ("17".to_owned(), Runtime::Container);
        assert_eq!(of(Purpose::Rollback), upgraded);
        assert_eq!(of(Purpose::Deploy), ("15".to_owned(), wanted.runtime));
        assert_eq!(of(Purpose::Provision), of(Purpose::Deploy));
        assert_eq!(wanted.runtime, Runtime::Process);
    }
}
