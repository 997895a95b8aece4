//! What the host does by itself: it hears of every change of every instance, writes it down, and
//! replaces what was lost.

use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use landfall_app::Name;
use landfall_ledger::{InstanceRow, InstanceState};
use landfall_release::{EventKind, Failure, Release};
use landfall_supervise::state::{Ended, ProcessPhase, ProcessState, State};
use tokio::sync::mpsc;

use crate::{
    backing,
    diagnosis::ended,
    edge,
    host::{Host, ledger_failed},
    identifier::InstanceId,
    instance::{AdoptError, Notice, View},
    orphans,
    report::remark,
    routes::Serving,
    runtime,
    steps::{instances, switch, verify},
};

/// Hears news until the host ends.
pub async fn watch(host: Arc<Host>, mut notices: mpsc::UnboundedReceiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        if let Err(failure) = hear(&host, &notice).await {
            remark(&format!("{}: {failure}", notice.id));
        }
    }
}

async fn hear(host: &Arc<Host>, notice: &Notice) -> Result<(), Failure> {
    if host.ending.load(Ordering::Relaxed) {
        return Ok(());
    }
    let gone = matches!(notice.after, View::Gone(_));
    if notice.id == edge::INSTANCE {
        if gone {
            remark("the edge's supervisor died; starting another");
            start_edge_behind(host);
        }
        return Ok(());
    }
    let rows = host.ledger.instances().map_err(ledger_failed)?;
    let Some(row) = rows.into_iter().find(|row| row.id == notice.id) else {
        return backing::hear(host, notice).map(drop);
    };
    tell(host, &row.app, &row.environment, &row.service, notice)?;
    if !gone {
        return Ok(());
    }
    host.forget(&row.id);
    // A release that isn't live yet is its rollout's affair, and what was stopped was meant to end.
    if row.state != InstanceState::Live || is_final(notice.after.state()) {
        return Ok(());
    }
    let host = host.clone();
    tokio::spawn(async move {
        if let Err(failure) = lost(&host, &row).await {
            remark(&format!("{}: {failure}", row.id));
        }
        replace_behind(&host, row);
    });
    Ok(())
}

/// Writes down that an instance was lost, and why.
async fn lost(host: &Host, row: &InstanceRow) -> Result<(), Failure> {
    let kind = EventKind::InstanceLost {
        service: row.service.clone(),
        instance: row.id.clone(),
        said: runtime::how_it_was_lost(host, &row.folder).await,
    };
    host.ledger
        .append_event(Some(&row.app), Some(&row.environment), None, kind)
        .map(drop)
        .map_err(ledger_failed)
}

/// Whether a supervisor ended on purpose: it gave up, or everything in it ended well.
pub fn is_final(state: Option<&State>) -> bool {
    state.is_some_and(|state| matches!(state.ended, Some(Ended::GaveUp { .. } | Ended::Finished)))
}

/// Replaces what should live and doesn't: what was lost while a rollout had the last word.
pub fn reconcile(host: &Arc<Host>, app: &Name, environment: &Name) -> Result<(), Failure> {
    for row in host
        .ledger
        .instances_of(app, environment)
        .map_err(ledger_failed)?
    {
        let last = || crate::instance::last_state(&row.folder);
        if row.state == InstanceState::Live
            && host.instance(&row.id).is_none()
            && !is_final(last().as_ref())
        {
            replace_behind(host, row);
        }
    }
    Ok(())
}

/// Starts the edge until it serves. Everything else goes on meanwhile.
pub fn start_edge_behind(host: &Arc<Host>) {
    let host = host.clone();
    tokio::spawn(async move {
        let mut pause = Pause::default();
        while let Err(failure) = host
            .edge
            .ensure(&host.home, &host.settings, &host.ledger, &host.notices)
            .await
        {
            remark(&format!("no edge yet: {failure}"));
            pause.wait().await;
        }
    });
}

/// Adopts a supervisor that lives but doesn't answer, as soon as it does.
pub fn adopt_behind(host: &Arc<Host>, row: InstanceRow) {
    let host = host.clone();
    tokio::spawn(async move {
        let mut pause = Pause::default();
        loop {
            match host.adopt(&row).await {
                Ok(_) => return,
                Err(AdoptError::Silent { .. }) => pause.wait().await,
                Err(_) if row.state == InstanceState::Live => return replace_behind(&host, row),
                Err(_) => return,
            }
        }
    });
}

/// Starts an instance that should live under its own id, as soon as it can be had: after a reboot the
/// Engine may come later than this host.
pub fn start_behind(host: &Arc<Host>, row: InstanceRow) {
    try_behind(host, row, "isn't started yet", |host, row| async move {
        start_again(&host, &row).await
    });
}

fn replace_behind(host: &Arc<Host>, row: InstanceRow) {
    try_behind(host, row, "isn't replaced yet", |host, row| async move {
        replace(&host, &row).await
    });
}

/// Tries something for an instance until it is done, while everything else goes on. One thing at a time
/// is tried for each, and nothing by a host that ends with its apps.
fn try_behind<F>(
    host: &Arc<Host>,
    row: InstanceRow,
    not_yet: &'static str,
    attempt: impl Fn(Arc<Host>, InstanceRow) -> F + Send + 'static,
) where
    F: Future<Output = Result<(), Failure>> + Send,
{
    if !host.begin_replacing(&row.id) {
        return;
    }
    let host = host.clone();
    tokio::spawn(async move {
        let mut pause = Pause::default();
        let mut said = None;
        loop {
            // A host whose apps couldn't be stopped goes on.
            if !host.ending.load(Ordering::Relaxed) {
                let Err(failure) = attempt(host.clone(), row.clone()).await else {
                    break;
                };
                say_once(&mut said, format!("{} {not_yet}: {failure}", row.id));
                pause.shorten(&failure);
            }
            pause.wait().await;
        }
        host.end_replacing(&row.id);
    });
}

async fn start_again(host: &Arc<Host>, row: &InstanceRow) -> Result<(), Failure> {
    let release = host.release(&row.app, &row.environment, row.release)?;
    instances::prepare(host, &release, row.service.as_str()).await?;
    let publishing = host.publishing.lock().await;
    let rows = host.ledger.instances_of(&row.app, &row.environment);
    let still_live = |own: &InstanceRow| own.id == row.id && own.state == InstanceState::Live;
    if !rows.map_err(ledger_failed)?.iter().any(still_live) {
        return Ok(());
    }
    let id = InstanceId::parse(&row.id)
        .ok_or_else(|| Failure::new("host-failed", format!("`{}` is no instance's id", row.id)))?;
    // Its row is written before it first waits for anything; the Engine may let it wait for long.
    drop(publishing);
    instances::start(host, &release, &id, InstanceState::Live).await?;
    let rows = host.ledger.instances_of(&row.app, &row.environment);
    if !rows.map_err(ledger_failed)?.iter().any(still_live) {
        runtime::end(host, &row.id, &row.folder, Duration::ZERO).await;
        return Ok(());
    }
    publish_live(host, &release).await
}

/// Lets the edge know of a release's instances anew, if it is the one that serves.
async fn publish_live(host: &Arc<Host>, release: &Release) -> Result<(), Failure> {
    let app = &release.content.app;
    let state = host
        .ledger
        .environment(&app.app, &app.environment)
        .map_err(ledger_failed)?;
    if let Some(state) = state
        && state.live == Some(release.number)
        && let Some(generation) = state.generation
    {
        switch::publish(host, release, generation, Serving::Instances).await?;
    }
    Ok(())
}

/// Remarks what isn't what was remarked last.
fn say_once(said: &mut Option<String>, text: String) {
    if said.as_ref() != Some(&text) {
        remark(&text);
        *said = Some(text);
    }
}

/// A pause that doubles from a second to a minute.
pub struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_secs(1))
    }
}

impl Pause {
    /// An Engine that is away is asked for often: asking is cheap, and everything waits for it.
    pub fn shorten(&mut self, failure: &Failure) {
        if runtime::is_away(failure) {
            self.0 = Duration::from_secs(1);
        }
    }

    /// Waits for so long.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(60));
    }
}

/// Puts another instance in the place of one whose supervisor died. Its processes may still serve,
/// so they go only once the new one is ready, or once they don't answer any more. It fails where the new
/// one isn't ready, and what is left of the old one still serves.
async fn replace(host: &Arc<Host>, row: &InstanceRow) -> Result<(), Failure> {
    let release = host.release(&row.app, &row.environment, row.release)?;
    let id = InstanceId::parse(&row.id)
        .ok_or_else(|| Failure::new("host-failed", format!("`{}` is no instance's id", row.id)))?
        .replacement();
    let insists = release
        .content
        .app
        .services
        .get(&row.service)
        .is_some_and(|service| service.strategy == landfall_app::model::Strategy::Recreate);
    if insists {
        runtime::sweep(host, &row.id, &row.folder).await;
    }
    instances::prepare(host, &release, &id.service).await?;
    // A switch waits until it has started, so that whoever retires it finds it whole.
    let publishing = host.publishing.lock().await;
    let rows = host
        .ledger
        .instances_of(&row.app, &row.environment)
        .map_err(ledger_failed)?;
    let still_live = |own: &InstanceRow| own.id == row.id && own.state == InstanceState::Live;
    if !rows.iter().any(still_live) {
        return Ok(());
    }
    let publishing = Some(publishing).filter(|_| {
        let service = release.content.app.services.get(&row.service);
        // The Engine may let it wait for long; whoever retires it then ends it by its row, and
        // what still comes of it goes when its row isn't there any more.
        !service.is_some_and(runtime::contained)
    });
    let instance = instances::start(host, &release, &id, InstanceState::Starting).await?;
    drop(publishing);
    if let Err(failure) = verify::ready(host, &release, &instance).await
        && still_answers(row)
    {
        let rows = host.ledger.instances_of(&row.app, &row.environment);
        let mut rows = rows.map_err(ledger_failed)?;
        rows.retain(|own| own.id == instance.id() && own.state == InstanceState::Starting);
        instances::stop(host, Some(&release), rows).await?;
        return Err(failure);
    }
    if !take_place(host, &release, row, instance.id()).await? {
        return Ok(());
    }
    publish_live(host, &release).await?;
    instances::stop(host, Some(&release), vec![row.clone()]).await
}

/// Whether something of a lost instance still accepts connections.
fn still_answers(row: &InstanceRow) -> bool {
    if runtime::marker(&row.folder).is_some() {
        // A container ends with its first process.
        return false;
    }
    let Some(port) = row.port else {
        return !orphans::of_instance(&row.id, &row.folder).is_empty();
    };
    std::net::TcpStream::connect_timeout(
        &(Ipv4Addr::LOCALHOST, port).into(),
        Duration::from_millis(200),
    )
    .is_ok()
}

/// Makes a replacement count, unless the traffic has moved on meanwhile; says whether it counts.
async fn take_place(
    host: &Arc<Host>,
    release: &Release,
    lost: &InstanceRow,
    id: &str,
) -> Result<bool, Failure> {
    // No switch can happen between the look and the change.
    let publishing = host.publishing.lock().await;
    let rows = host
        .ledger
        .instances_of(&lost.app, &lost.environment)
        .map_err(ledger_failed)?;
    let environment = host
        .ledger
        .environment(&lost.app, &lost.environment)
        .map_err(ledger_failed)?;
    let serves = environment.is_some_and(|state| state.live == Some(lost.release));
    let Some(own) = rows.into_iter().find(|row| row.id == id) else {
        drop(publishing);
        runtime::sweep(host, id, &host.home.instance(id)).await;
        host.forget(id);
        return Ok(false);
    };
    match own.state {
        // Ready or not, it is what there is: its own supervisor goes on trying.
        InstanceState::Starting | InstanceState::Live if serves => {
            host.ledger
                .set_instance_state(id, InstanceState::Live)
                .map_err(ledger_failed)?;
            host.ledger
                .set_instance_state(&lost.id, InstanceState::Stopped)
                .map_err(ledger_failed)?;
            Ok(true)
        }
        InstanceState::Starting => {
            drop(publishing);
            instances::stop(host, Some(release), vec![own]).await?;
            Ok(false)
        }
        // A rollout has it in hand: it retires it, or calls it live again.
        _ => Ok(false),
    }
}

/// Writes down what changed of each process.
pub fn tell(
    host: &Host,
    app: &Name,
    environment: &Name,
    service: &Name,
    notice: &Notice,
) -> Result<(), Failure> {
    let Some(after) = notice.after.state() else {
        return Ok(());
    };
    for process in &after.processes {
        let before = notice.before.state().and_then(|state| {
            state
                .processes
                .iter()
                .find(|before| before.name == process.name)
        });
        if let Some(said) = news(before, process, after) {
            let kind = EventKind::Process {
                service: service.clone(),
                instance: notice.id.clone(),
                process: process.name.clone(),
                said,
                healthy: after.healthy,
            };
            host.ledger
                .append_event(Some(app), Some(environment), None, kind)
                .map_err(ledger_failed)?;
        }
    }
    Ok(())
}

/// What there is to tell of a process; nothing where only a probe's time changed.
fn news(before: Option<&ProcessState>, after: &ProcessState, state: &State) -> Option<String> {
    let was = before.map(|before| before.phase);
    if was == Some(after.phase) && before.map(|before| before.restarts) == Some(after.restarts) {
        return None;
    }
    let exit = after.last_exit.as_ref().map(ended);
    let next = after.next_start_at.map(|at| {
        let now = after
            .last_exit
            .as_ref()
            .map_or(state.started_at, |exit| exit.at);
        format!(", next start in {} ms", at.saturating_sub(now))
    });
    match after.phase {
        ProcessPhase::Ready if was != Some(ProcessPhase::Ready) => Some("ready".to_owned()),
        ProcessPhase::NotReady => {
            let probe = after
                .last_probe
                .as_ref()
                .map(|probe| format!(": {}", probe.said));
            Some(format!("not ready{}", probe.unwrap_or_default()))
        }
        ProcessPhase::CrashLoop | ProcessPhase::Restarting => Some(format!(
            "{}{}",
            exit.unwrap_or_else(|| "ended".to_owned()),
            next.unwrap_or_default()
        )),
        ProcessPhase::Failed => Some(format!(
            "{}, given up",
            exit.unwrap_or_else(|| "ended".to_owned())
        )),
        _ => None,
    }
}
