//! How an app is.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use landfall_api::wire::{AppStatus, Condition, InstanceStatus, ServiceStatus, Usage};
use landfall_supervise::state::{ProcessPhase, ProcessState};

use crate::{
    output::Output,
    report,
    view::{backing, backup, jobs, plain, table::Table},
};

/// The whole view.
pub fn render(status: &AppStatus, now: u64, output: &Output) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", head(status, now, output));
    let mut table = Table::new(2);
    table.row([
        "SERVICE / PROCESS",
        "STATE",
        "HEALTH",
        "CPU",
        "MEMORY",
        "RESTARTS",
    ]);
    for service in &status.services {
        rows(&mut table, service, now);
    }
    if !status.services.is_empty() {
        text.push_str(&table.render());
    }
    for service in &status.services {
        if !service.urls.is_empty() {
            let _ = writeln!(text, "  {}{}", service.urls.join("  "), traffic(service));
        }
    }
    if !status.backing.is_empty() {
        text.push_str(&backing::table(&status.backing));
        for line in backing::remarks(&status.backing) {
            let _ = writeln!(text, "{line}");
        }
    }
    for line in backup::lines(&status.backups, now) {
        let _ = writeln!(text, "{line}");
    }
    if let Some(line) = jobs::line(&status.jobs, now) {
        let _ = writeln!(text, "{line}");
    }
    for words in last_words(status) {
        let _ = writeln!(text, "{words}");
    }
    if let Some(engine) = &status.engine {
        let _ = writeln!(text, "Containers can't be started: {engine}");
    }
    if !status.next.is_empty() {
        let _ = writeln!(text, "Next: {}", status.next.join(", "));
    }
    text
}

fn head(status: &AppStatus, now: u64, output: &Output) -> String {
    let (word, colour) = match status.condition {
        Condition::Healthy => ("healthy", AnsiColor::Green),
        Condition::Degraded => ("DEGRADED", AnsiColor::Yellow),
        Condition::Down => ("DOWN", AnsiColor::Red),
        Condition::Stopped => ("stopped", AnsiColor::Yellow),
        Condition::Empty => ("nothing deployed yet", AnsiColor::Yellow),
    };
    let style = output.style(colour.on_default().bold());
    let mut head = format!(
        "{}, {}: {style}{word}{style:#}",
        status.app, status.environment
    );
    if let Some(live) = status.live {
        let mut facts = Vec::new();
        facts.extend(status.source.as_ref().map(plain::source));
        facts.extend(status.live_since.map(|since| plain::ago(since, now)));
        let _ = write!(head, ", release {live}");
        if !facts.is_empty() {
            let _ = write!(head, " ({})", facts.join(", "));
        }
    }
    match &status.lock {
        Some(lock) => {
            let since = plain::lasting(now.saturating_sub(lock.since));
            let _ = write!(
                head,
                ", locked by {} for {} since {since}",
                lock.holder, lock.reason
            );
        }
        None if status.live.is_some() => head.push_str(", lock free"),
        None => {}
    }
    head
}

fn rows(table: &mut Table, service: &ServiceStatus, now: u64) {
    if service.static_files {
        table.row([service.service.as_str(), "serves", "static files"]);
        return;
    }
    let ready =
        |instance: &InstanceStatus| instance.state.as_ref().is_some_and(|state| state.healthy);
    let count = service
        .instances
        .iter()
        .filter(|instance| ready(instance))
        .count();
    let name = format!("{} {count}/{}", service.service, service.replicas);
    let several = service.instances.len() > 1;
    let state = match count {
        count if count >= service.replicas as usize && count > 0 => "ready",
        0 if service.instances.is_empty() => "not running",
        0 if serves(&service.instances) => "degraded",
        0 => "not ready",
        _ => "degraded",
    };
    let reason = service
        .instances
        .iter()
        .find_map(|instance| instance.state.as_ref()?.reason.clone());
    if several {
        table.row([name.as_str(), state, reason.as_deref().unwrap_or("")]);
    }
    for instance in &service.instances {
        let total = instance
            .usage
            .values()
            .fold(Usage::default(), |sum, usage| Usage {
                cpu: sum.cpu + usage.cpu,
                memory: sum.memory + usage.memory,
            });
        let reason = instance
            .state
            .as_ref()
            .map_or(Some("its supervisor doesn't answer".to_owned()), |state| {
                state.reason.clone()
            });
        let (label, state) = match several {
            true => {
                let port = instance
                    .port
                    .map(|port| format!(" :{port}"))
                    .unwrap_or_default();
                (
                    format!("  #{}{port}", instance.replica),
                    match (ready(instance), serves(std::slice::from_ref(instance))) {
                        (true, _) => "ready",
                        (false, true) => "degraded",
                        (false, false) => "not ready",
                    },
                )
            }
            false => (name.clone(), state),
        };
        table.row([
            label.as_str(),
            state,
            reason.as_deref().unwrap_or(""),
            &cpu(&total),
            &memory(&total, instance.memory_limit),
            "",
        ]);
        let indent = if several { "    " } else { "  " };
        for process in instance.state.iter().flat_map(|state| &state.processes) {
            let usage = instance
                .usage
                .get(&process.name)
                .copied()
                .unwrap_or_default();
            table.row([
                format!("{indent}{}", process.name),
                phase(process.phase).to_owned(),
                health(process, now),
                cpu(&usage),
                memory(&usage, instance.memory_limits.get(&process.name).copied()),
                process.restarts.to_string(),
            ]);
        }
    }
    if service.instances.is_empty() {
        table.row([name.as_str(), state]);
    }
}

/// Whether one of them takes traffic.
fn serves(instances: &[InstanceStatus]) -> bool {
    let states = instances
        .iter()
        .filter_map(|instance| instance.state.as_ref());
    states.into_iter().any(|state| state.ready)
}

fn phase(phase: ProcessPhase) -> &'static str {
    match phase {
        ProcessPhase::Waiting => "waiting",
        ProcessPhase::Starting => "starting",
        ProcessPhase::Ready => "ready",
        ProcessPhase::NotReady => "not ready",
        ProcessPhase::CrashLoop => "crash loop",
        ProcessPhase::Restarting => "restarting",
        ProcessPhase::Stopping => "stopping",
        ProcessPhase::Done => "done",
        ProcessPhase::Failed => "failed",
    }
}

fn health(process: &ProcessState, now: u64) -> String {
    let ended = matches!(
        process.phase,
        ProcessPhase::CrashLoop
            | ProcessPhase::Restarting
            | ProcessPhase::Failed
            | ProcessPhase::Done
    );
    if let (true, Some(exit)) = (ended, &process.last_exit) {
        let how = match (&exit.signal, exit.code) {
            (Some(signal), _) => signal.clone(),
            (None, Some(code)) => format!("exit {code}"),
            (None, None) => "ended".to_owned(),
        };
        let next = process
            .next_start_at
            .map(|at| format!(", next in {}", plain::lasting(at.saturating_sub(now))));
        return format!(
            "{how} {}{}",
            plain::ago(exit.at, now),
            next.unwrap_or_default()
        );
    }
    match &process.last_probe {
        Some(probe) => format!("{} in {}", probe.said, probe_took(probe.took)),
        None => process
            .ready_at
            .map(|at| format!("up for {}", plain::lasting(now.saturating_sub(at))))
            .unwrap_or_default(),
    }
}

fn probe_took(microseconds: u64) -> String {
    match microseconds {
        0..1000 => "under 1 ms".to_owned(),
        _ => format!("{} ms", microseconds / 1000),
    }
}

fn cpu(usage: &Usage) -> String {
    format!("{:.0} %", usage.cpu)
}

fn memory(usage: &Usage, limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!("{}/{} MiB", usage.memory >> 20, limit >> 20),
        None => plain::bytes(usage.memory),
    }
}

fn traffic(service: &ServiceStatus) -> String {
    if service.requests == 0 {
        return String::new();
    }
    let p95 = service
        .p95
        .map(|p95| format!(", p95 {p95} ms"))
        .unwrap_or_default();
    let share = service.errors as f64 * 100.0 / service.requests as f64;
    format!(
        "  {:.1} req/s{p95}, {share:.1} % 5xx of {}",
        service.requests_per_second, service.requests
    )
}

/// The last words of processes that aren't well.
fn last_words(status: &AppStatus) -> Vec<String> {
    let instances = status
        .services
        .iter()
        .flat_map(|service| &service.instances);
    let processes = instances
        .filter_map(|instance| instance.state.as_ref())
        .flat_map(|state| &state.processes);
    let ill = processes.filter(|process| {
        matches!(
            process.phase,
            ProcessPhase::CrashLoop
                | ProcessPhase::Failed
                | ProcessPhase::NotReady
                | ProcessPhase::Restarting
        )
    });
    let words = |process: &ProcessState| {
        let words = process
            .last_words
            .iter()
            .rev()
            .find(|line| !line.trim().is_empty())?;
        Some(format!(
            "{}'s last words: {}",
            process.name,
            report::clean(words.trim())
        ))
    };
    let mut all: Vec<String> = ill.filter_map(words).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
