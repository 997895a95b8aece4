//! Another major version, or another runtime: dump, a new one beside, restore, compare, switch. Until
//! the switch the old one has everything; after it its data is kept.

use std::{sync::Arc, time::Duration};

use landfall_api::wire::backing::{UpgradeBacking, UpgradedBacking};
use landfall_app::{
    Name,
    model::{BackingKind, Runtime},
};
use landfall_ledger::{BackingRow, KeptData};
use landfall_release::{Failure, Release};

use super::{
    Body, databases, initial, mover,
    packages::{self, major},
    prepare, server,
};
use crate::host::{Host, ledger_failed};

/// Moves one to another version.
pub async fn upgrade(
    host: &Arc<Host>,
    app: &Name,
    environment: &Name,
    name: &Name,
    asked: UpgradeBacking,
) -> Result<UpgradedBacking, Failure> {
    let _changing = host.change_backing(app, environment, name).await;
    let old = super::known(host, app, environment, name)?;
    let release = crate::rollouts::live(host, app, environment)?;
    let new = beside(host, &release, &old, &asked).await?;
    if !server::runs(host, &old).await {
        let message = format!("{name} doesn't run, so its data can't be read");
        return Err(Failure::new("not-running", message)
            .with("mend", format!("landfall backing restart {name}")));
    }
    host.put_backing(&new)?;
    match through(host, &release, &old, &new).await {
        Ok(done) => Ok(done),
        Err(failure) => {
            let worse = undo(host, &new).await.err();
            let now = super::known(host, app, environment, name)?;
            let version = &now.body.version;
            let kept = old.body.data.display();
            let said = match (switched(&now, &new), worse) {
                (false, None) => format!("{name} runs as before"),
                (false, Some(worse)) => format!("{name} isn't as before: {worse}"),
                (true, None) => format!("{name} is of version {version}"),
                (true, Some(worse)) => format!(
                    "{name} is of version {version} and doesn't run: {worse}; {kept} is as it was"
                ),
            };
            Err(failure.with("now", said))
        }
    }
}

/// The row of the new one while it is beside the old one.
async fn beside(
    host: &Host,
    release: &Release,
    old: &BackingRow,
    asked: &UpgradeBacking,
) -> Result<BackingRow, Failure> {
    let (name, body) = (&old.name, &old.body);
    if let BackingKind::Image(image) = &body.wanted.kind {
        let message = format!("{name} is the image {image}, whose data only it understands");
        return Err(Failure::new("bad-backing", message).with(
            "mend",
            "name a second backing service with the new image, and move the data",
        ));
    }
    let app = &release.content.app;
    let mut wanted = body.wanted.clone();
    wanted.version = asked.to.clone().or(wanted.version);
    wanted.runtime = asked.runtime.unwrap_or(body.runtime);
    let image = match wanted.runtime {
        Runtime::Process => None,
        Runtime::Container => Some(prepare::image(host, name, &wanted).await?),
    };
    let version = match &image {
        Some(image) => prepare::version_of(&wanted, image),
        None => packages::find(name.as_str(), &wanted.kind, wanted.version.as_deref())?.version,
    };
    if major(&version) == major(&body.version) && wanted.runtime == body.runtime {
        let message = format!("{name} is of version {} already", body.version);
        return Err(Failure::new("nothing-to-change", message).with(
            "mend",
            format!("landfall backing upgrade {name} --to VERSION"),
        ));
    }
    let newer = |version: &str| major(version).parse::<u32>().unwrap_or(u32::MAX);
    if newer(&version) < newer(&body.version) {
        let message = format!("{name} can't go back from {} to {version}", body.version);
        return Err(Failure::new("major-version", message).with(
            "mend",
            "name a second backing service of that version, and move what it understands",
        ));
    }
    let next: Name = format!("{name}-upgrade")
        .parse()
        .map_err(|error| Failure::new("bad-name", format!("{name}-upgrade: {error}")))?;
    let (address, port) = prepare::address(host, app, &next, &wanted, image.as_ref()).await?;
    // One password for both, so that it is the same afterwards.
    for kind in ["backing", "backing-superuser"] {
        let value = host.made_up(&old.app, &old.environment, &format!("{kind}:{name}"), 24)?;
        let key = format!("{kind}:{next}");
        let sealed = host.identity.seal(&value);
        host.ledger
            .put_generated(&old.app, &old.environment, &key, &sealed)
            .map_err(ledger_failed)?;
    }
    let folder = format!("data-{}-{}", major(&version), host.ledger.now() / 1000);
    Ok(BackingRow {
        name: next,
        running: false,
        body: Body {
            data: prepare::data_folder(host, app, name, &wanted, &folder),
            wanted,
            release: body.release,
            version,
            image,
            address,
            port,
            user: body.user.clone(),
            database: body.database.clone(),
            digest: String::new(),
            initialized: false,
            kept: body.kept.clone(),
            runtime: asked.runtime.unwrap_or(body.runtime),
            upgrade_of: Some(name.clone()),
            previous: None,
            scripts: body.scripts.clone(),
            set_aside: None,
        },
        ..old.clone()
    })
}

/// All of it but the undoing.
async fn through(
    host: &Arc<Host>,
    release: &Release,
    old: &BackingRow,
    new: &BackingRow,
) -> Result<UpgradedBacking, Failure> {
    let passwords = host.backing_passwords(&old.app, &old.environment, &old.name)?;
    prepare::data(host, new).await?;
    // Only what is moved into an empty server can be compared with the old one.
    let mut row = new.clone();
    row.body.wanted.init = Vec::new();
    if new.body.wanted.kind == BackingKind::Postgres {
        run(host, &row).await?;
        initial::settle(host, release, &mut row).await?;
    }
    let closed = host.ledger.now();
    mover::close(old, &passwords).await?;
    let before = databases::counts(old, &passwords).await?;
    mover::move_data(host, old, &row, &passwords).await?;
    if new.body.wanted.kind == BackingKind::Redis {
        run(host, &row).await?;
    }
    let after = databases::counts(&row, &passwords).await?;
    compare(old, &before, &after)?;
    switch(host, release, old, &row).await?;
    Ok(UpgradedBacking {
        from: old.body.version.clone(),
        to: new.body.version.clone(),
        downtime: host.ledger.now().saturating_sub(closed),
        compared: u32::try_from(after.len()).unwrap_or(u32::MAX),
        rows: after.iter().map(|(_, count)| count).sum(),
        kept: old.body.data.clone(),
        moved: old.body.runtime != new.body.runtime,
    })
}

async fn run(host: &Arc<Host>, row: &BackingRow) -> Result<(), Failure> {
    let plan = server::plan(host, row)?;
    let instance = server::start(host, row, &plan).await?;
    server::ready(row, &instance).await
}

/// The same tables with the same numbers of rows, or the first that differs.
fn compare(
    row: &BackingRow,
    before: &[(String, u64)],
    after: &[(String, u64)],
) -> Result<(), Failure> {
    let different = |what: String| {
        Failure::new(
            "backing-failed",
            format!(
                "the new {} doesn't hold what the old one does: {what}",
                row.name
            ),
        )
    };
    for (table, count) in before {
        match after.iter().find(|(other, _)| other == table) {
            Some((_, other)) if other == count => {}
            Some((_, other)) => {
                return Err(different(format!("{table} has {other} of {count} rows")));
            }
            None => return Err(different(format!("{table} is missing"))),
        }
    }
    match after.len() == before.len() {
        true => Ok(()),
        false => Err(different(format!(
            "{} tables, not {}",
            after.len(),
            before.len()
        ))),
    }
}

/// Puts the new data into the place of the old one: same name, same address where the runtime is the
/// same, so that the app only sees its connections end.
async fn switch(
    host: &Arc<Host>,
    release: &Release,
    old: &BackingRow,
    new: &BackingRow,
) -> Result<(), Failure> {
    server::stop(host, new, server::GRACE).await?;
    server::stop(host, old, server::GRACE).await?;
    let mut row = old.clone();
    row.running = true;
    row.body = Body {
        upgrade_of: None,
        initialized: true,
        ..new.body.clone()
    };
    row.body.wanted.init.clone_from(&old.body.wanted.init);
    if old.body.runtime == new.body.runtime {
        (row.body.address, row.body.port) = (old.body.address, old.body.port);
    } else if new.body.runtime == Runtime::Process {
        // One that is leased for it, and not for what is forgotten.
        row.body.port = prepare::port(host, &release.content.app, &old.name)?;
    }
    row.body.kept.push(KeptData {
        version: old.body.version.clone(),
        folder: old.body.data.clone(),
        at: host.ledger.now(),
    });
    let plan = server::plan(host, &row)?;
    row.body.digest.clone_from(&plan.digest);
    // From its start on apps may write to it: from here on the new one is what there is, and whoever
    // finds this half done goes on.
    host.put_backing(&row)?;
    finish(host, release, &mut row, new).await
}

/// Starts the new one in the place of the old one, lets apps in, and forgets how it came there.
async fn finish(
    host: &Arc<Host>,
    release: &Release,
    row: &mut BackingRow,
    new: &BackingRow,
) -> Result<(), Failure> {
    let plan = server::plan(host, row)?;
    let instance = server::start(host, row, &plan).await?;
    server::ready(row, &instance).await?;
    initial::settle(host, release, row).await?;
    host.put_backing(row)?;
    forget(host, new, false).await
}

/// Takes the new one away again and opens the old one, or goes on with one that has taken its place;
/// also for a host that finds a half-made one.
pub async fn undo(host: &Arc<Host>, new: &BackingRow) -> Result<(), Failure> {
    let Some(of) = &new.body.upgrade_of else {
        return Ok(());
    };
    let mut old = super::known(host, &new.app, &new.environment, of)?;
    mover::forget(host, &old);
    server::stop(host, new, Duration::from_secs(10)).await?;
    if switched(&old, new) {
        if !old.running {
            return forget(host, new, false).await;
        }
        let release = crate::rollouts::live(host, &new.app, &new.environment)?;
        return finish(host, &release, &mut old, new).await;
    }
    if old.running {
        // Under its name nothing but it ever ran, so that it is taken as it is where it runs.
        let plan = server::plan(host, &old)?;
        let instance = server::start(host, &old, &plan).await?;
        server::ready(&old, &instance).await?;
        let passwords = host.backing_passwords(&old.app, &old.environment, of)?;
        mover::open(&old, &passwords).await?;
    }
    forget(host, new, true).await
}

/// Whether the new one has taken the place of the old one: its data is never removed then.
fn switched(old: &BackingRow, new: &BackingRow) -> bool {
    old.body.data == new.body.data
}

/// Forgets the new one as one beside the old one; with its data where nothing became of it.
async fn forget(host: &Host, new: &BackingRow, with_data: bool) -> Result<(), Failure> {
    if new.body.runtime == Runtime::Container {
        let engine = host.engine().await?;
        engine.remove_volume(&server::volume_name(new)).await?;
    }
    if with_data {
        let data = new.body.data.clone();
        let removed = tokio::task::spawn_blocking(move || prepare::remove_folder(&data));
        removed
            .await
            .map_err(|error| Failure::new("host-failed", error.to_string()))?
            .map_err(|error| Failure::new("host-failed", error.to_string()))?;
    }
    let own = server::instance_row(host, new);
    let _ = std::fs::remove_dir_all(&own.folder);
    host.ledger
        .release_port(&new.app, &new.environment, &format!("backing:{}", new.name))
        .map_err(ledger_failed)?;
    host.ledger
        .remove_backing(&new.app, &new.environment, &new.name)
        .map_err(ledger_failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let text = "[service.web]\ncommand = \"bin/web\"\n[backing.postgres]";
        let wanted = crate::testing::app(text).backing["postgres"].clone();
        let row = BackingRow {
            app: "shop".parse().unwrap(),
            environment: "local".parse().unwrap(),
            name: "postgres".parse().unwrap(),
            created_at: 0,
            changed_at: 0,
            running: true,
            body: Body {
                release: landfall_release::ReleaseNumber(1),
                version: "15".to_owned(),
                runtime: wanted.runtime,
                image: None,
                address: std::net::Ipv4Addr::LOCALHOST,
                port: 1,
                data: "/data".into(),
                user: "shop".to_owned(),
                database: "shop".to_owned(),
                digest: String::new(),
                initialized: true,
                kept: Vec::new(),
                upgrade_of: None,
                previous: None,
                scripts: Default::default(),
                set_aside: None,
                wanted,
            },
        };
        let tables = |counts: &[(&str, u64)]| -> Vec<(String, u64)> {
            let counts = counts.iter();
            counts
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let before = tables(&[("public.notes", 3), ("public.users", 1)]);
        compare(&row, &before, &before).unwrap();
        for (after, said) in [
            (
                tables(&[("public.notes", 2), ("public.users", 1)]),
                "public.notes has 2 of 3 rows",
            ),
            (tables(&[("public.notes", 3)]), "public.users is missing"),
        ] {
            let failure = compare(&row, &before, &after).unwrap_err();
            assert!(failure.message.ends_with(said), "{failure}");
        }
    }
}
