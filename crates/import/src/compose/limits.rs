//! What a service may use, how many run, and when it is started again: `deploy` and its older words.

use super::{
    context::Context,
    load, schema,
    tree::{Item, Map},
    units,
};
use crate::{
    RemarkKind,
    draft::{Table, Value},
};
use landfall_app::units::{Size, Time};

impl Context<'_> {
    fn size_of(&self, at: usize, item: Option<&Item>, key: &str) -> load::Result<Option<Size>> {
        let Some(item) = item.filter(|item| !item.is_null()) else {
            return Ok(None);
        };
        let text = item.text().unwrap_or_default();
        let size = units::size(text).ok_or_else(|| {
            let message = format!("`{text}` is no size; expected for example 512m or 1.5g");
            self.wrong(at, &item.at, key, &message)
        })?;
        // Nought is no limit.
        Ok((size.bytes() > 0).then_some(size))
    }

    fn cores_of(&self, at: usize, item: Option<&Item>, key: &str) -> load::Result<Option<f64>> {
        let Some(item) = item.filter(|item| !item.is_null()) else {
            return Ok(None);
        };
        let cores = item
            .number()
            .filter(|cores| (0.0..=1e6).contains(cores))
            .ok_or_else(|| self.wrong(at, &item.at, key, "expected cores, for example 0.5"))?;
        Ok((cores > 0.0).then_some(cores))
    }

    /// Memory, processors, processes, graphics. `backing`: a table that has only limits of memory and cpu.
    pub(super) fn write_limits(
        &mut self,
        at: usize,
        table: &mut Table,
        backing: bool,
    ) -> load::Result<()> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let resources = item
            .get("deploy")
            .and_then(|deploy| deploy.get("resources"));
        let (limits, promised) = (
            resources.and_then(|all| all.get("limits")),
            resources.and_then(|all| all.get("reservations")),
        );
        let inside =
            |table: Option<&Item>, key: &str| table.and_then(|table| table.get(key)).cloned();
        // The newer word and the older one may not differ.
        for (old, new, path) in [
            (
                "mem_limit",
                inside(limits, "memory"),
                "deploy.resources.limits.memory",
            ),
            (
                "mem_reservation",
                inside(promised, "memory"),
                "deploy.resources.reservations.memory",
            ),
        ] {
            if let (Some(one), Some(other)) = (
                self.size_of(at, item.get(old), old)?,
                self.size_of(at, new.as_ref(), path)?,
            ) && one != other
            {
                let place = item.get(old).map_or(&item.at, |item| &item.at);
                return Err(self.wrong(
                    at,
                    place,
                    old,
                    &format!("says {one}, and {path} says {other}; Compose refuses that"),
                ));
            }
        }
        if let (Some(one), Some(other)) = (
            self.cores_of(at, item.get("cpus"), "cpus")?,
            self.cores_of(
                at,
                inside(limits, "cpus").as_ref(),
                "deploy.resources.limits.cpus",
            )?,
        ) && one != other
        {
            let place = item.get("cpus").map_or(&item.at, |item| &item.at);
            return Err(self.wrong(at, place, "cpus", &format!("says {one}, and deploy.resources.limits.cpus says {other}; Compose refuses that")));
        }
        let limit = self.size_of(
            at,
            inside(limits, "memory").as_ref().or(item.get("mem_limit")),
            "mem_limit",
        )?;
        let request = self.size_of(
            at,
            inside(promised, "memory")
                .as_ref()
                .or(item.get("mem_reservation")),
            "mem_reservation",
        )?;
        let place = inside(limits, "memory")
            .or_else(|| item.get("mem_limit").cloned())
            .or(inside(promised, "memory"))
            .map_or_else(|| item.at.clone(), |item| item.at);
        let text = |size: Size| Value::Text(size.to_string());
        set_limits(
            table,
            "memory",
            limit.map(text),
            request.map(text).filter(|_| !backing),
        )
        .map(|entry| entry.from(&place.file, place.line));
        let cores = |cores: f64| {
            let thousandths = (cores * 1000.0).round();
            match thousandths % 1000.0 == 0.0 {
                true => Value::Whole((thousandths / 1000.0) as i64),
                false => Value::Real(thousandths / 1000.0),
            }
        };
        let quota = match (
            item.get("cpu_quota").and_then(Item::number),
            item.get("cpu_period").and_then(Item::number),
        ) {
            (Some(quota), period) if quota > 0.0 => {
                Some(quota / period.filter(|period| *period > 0.0).unwrap_or(100_000.0))
            }
            _ => None,
        };
        let limit = self
            .cores_of(
                at,
                inside(limits, "cpus").as_ref().or(item.get("cpus")),
                "cpus",
            )?
            .or(quota);
        let request = self.cores_of(
            at,
            inside(promised, "cpus").as_ref(),
            "deploy.resources.reservations.cpus",
        )?;
        set_limits(
            table,
            "cpu",
            limit.map(cores),
            request.map(cores).filter(|_| !backing),
        );
        if backing {
            return Ok(());
        }
        if let Some(pids) = inside(limits, "pids")
            .as_ref()
            .or(item.get("pids_limit"))
            .and_then(Item::whole)
            .filter(|pids| *pids > 0 && *pids != 4096)
        {
            table.set("pids", pids);
        }
        if let Some(disk) = self.size_of(
            at,
            item.get("storage_opt").and_then(|all| all.get("size")),
            "storage_opt.size",
        )? {
            table.set("disk", disk.to_string());
        }
        self.write_gpu(at, &item, promised, table);
        if let Some(kinds) = promised.and_then(|all| all.get("generic_resources")) {
            self.remark(
                at,
                RemarkKind::Lost,
                &kinds.at,
                "deploy.resources.reservations.generic_resources",
                "would have reserved resources of a swarm",
            );
        }
        Ok(())
    }

    fn write_gpu(&mut self, at: usize, item: &Item, promised: Option<&Item>, table: &mut Table) {
        let devices = promised
            .and_then(|all| all.get("devices"))
            .map(Item::texts_or_maps)
            .unwrap_or_default();
        let gpus = item.get("gpus");
        let all = gpus.and_then(Item::text) == Some("all");
        let listed = gpus.map(Item::texts_or_maps).unwrap_or_default();
        let mut count = if all { 1 } else { 0 };
        let mut more = all;
        for device in devices
            .into_iter()
            .chain(listed.into_iter().filter(|item| item.map().is_some()))
        {
            let kinds: Vec<&str> = device
                .get("capabilities")
                .map(Item::texts)
                .unwrap_or_default()
                .iter()
                .filter_map(|item| item.text())
                .collect();
            let is_gpu = kinds.contains(&"gpu")
                || kinds.contains(&"nvidia")
                || (kinds.is_empty() && gpus.is_some())
                || device.get("driver").and_then(Item::text) == Some("nvidia");
            if !is_gpu {
                self.remark(
                    at,
                    RemarkKind::Lost,
                    &device.at,
                    "deploy.resources.reservations.devices",
                    "would have given it devices of the machine",
                );
                continue;
            }
            let ids = device
                .get("device_ids")
                .map(Item::texts)
                .unwrap_or_default();
            match device.get("count").and_then(Item::whole) {
                Some(number) => count += number.max(0),
                None if !ids.is_empty() => {
                    count += ids.len() as i64;
                    self.remark(
                        at,
                        RemarkKind::Changed,
                        &device.at,
                        "device_ids",
                        "names which graphics processors; only their number is kept",
                    );
                }
                None => {
                    count += 1;
                    more = true;
                }
            }
        }
        if item.get("runtime").and_then(Item::text) == Some("nvidia") && count == 0 {
            count = 1;
            more = true;
        }
        if count > 0 {
            table.set("gpu", count);
        }
        if more {
            let place = gpus.map_or(&item.at, |gpus| &gpus.at).clone();
            self.remark(
                at,
                RemarkKind::Changed,
                &place,
                "gpus",
                "would have given it all graphics processors; here their number is said: gpu = 1",
            );
        }
        if let Some(runtime) = item
            .get("runtime")
            .filter(|runtime| runtime.text() != Some("nvidia"))
        {
            self.remark(
                at,
                RemarkKind::Lost,
                &runtime.at,
                "runtime",
                "would have chosen what runs its container; Landfall takes the Engine's own",
            );
        }
    }

    /// `restart`, `deploy.restart_policy` over it, `stop_…`, replicas, and how it is updated.
    pub(super) fn write_running(&mut self, at: usize, table: &mut Table) -> load::Result<()> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let deploy = item.get("deploy");
        self.write_replicas(at, &item, table)?;
        let mut stop = Table::new();
        if let Some(signal) = item.get("stop_signal").and_then(Item::text) {
            let name = signal.to_ascii_uppercase();
            let name = match name.parse::<u8>() {
                Ok(1) => "SIGHUP".to_owned(),
                Ok(2) => "SIGINT".to_owned(),
                Ok(3) => "SIGQUIT".to_owned(),
                Ok(9) => "SIGKILL".to_owned(),
                Ok(10) => "SIGUSR1".to_owned(),
                Ok(12) => "SIGUSR2".to_owned(),
                Ok(15) => "SIGTERM".to_owned(),
                Ok(28) => "SIGWINCH".to_owned(),
                _ if name.starts_with("SIG") => name,
                _ => format!("SIG{name}"),
            };
            if name != "SIGTERM" {
                let place = &item.get("stop_signal").expect("it was read just now").at;
                stop.set("signal", name.as_str())
                    .from(&place.file, place.line);
            }
        }
        if let Some(grace) = item.get("stop_grace_period").filter(|item| !item.is_null()) {
            let text = grace.text().unwrap_or_default();
            let time = units::time(text).ok_or_else(|| {
                self.wrong(
                    at,
                    &grace.at,
                    "stop_grace_period",
                    &format!("`{text}` is no time; expected for example 30s"),
                )
            })?;
            if time != Time::from_secs(10) {
                stop.set("grace", time.to_string());
            }
        }
        if !stop.is_empty() {
            table.set("stop", stop);
        }
        if let Some(policy) = deploy
            .and_then(|deploy| deploy.get("restart_policy"))
            .filter(|policy| !policy.is_null())
        {
            return self.write_policy(at, policy, table);
        }
        let Some(restart) = item.get("restart").filter(|restart| !restart.is_null()) else {
            return Ok(());
        };
        let text = restart.text().unwrap_or_default();
        let (word, count) = text.split_once(':').unwrap_or((text, ""));
        match word {
            "always" | "unless-stopped" => {}
            "on-failure" => {
                if let Ok(count) = count.parse::<u32>()
                    && count > 0
                {
                    let mut long = Table::new();
                    long.set("give-up", "exit");
                    long.set("attempts", count);
                    table.set("restart", long).from(&restart.at.file, restart.at.line);
                }
                self.remark(at, RemarkKind::Note, &restart.at, "restart", "is started again after an end without error too: what stays always is");
            }
            // Without quotes it is a truth value for some readers.
            "no" | "false" => self.remark(at, RemarkKind::Changed, &restart.at, "restart", "would have stayed ended; what stays is always started again here, and what runs once is `migrate`, a job, or a process with `run`"),
            other => {
                let message = format!("`{other}` is none of no, always, on-failure and unless-stopped");
                return Err(self.wrong(at, &restart.at, "restart", &message));
            }
        }
        Ok(())
    }

    fn write_policy(&mut self, at: usize, policy: &Item, table: &mut Table) -> load::Result<()> {
        let mut long = Table::new();
        match policy.get("condition").and_then(Item::text).unwrap_or("any") {
            "any" | "always" | "unless-stopped" => {}
            "on-failure" => self.remark(at, RemarkKind::Note, &policy.at, "deploy.restart_policy.condition", "is started again after an end without error too: what stays always is"),
            "none" | "no" => self.remark(at, RemarkKind::Changed, &policy.at, "deploy.restart_policy.condition", "would have stayed ended; what stays is always started again here, and what runs once is `migrate`, a job, or a process with `run`"),
            other => return Err(self.wrong(at, &policy.at, "deploy.restart_policy.condition", &format!("`{other}` is none of none, on-failure and any"))),
        }
        for (theirs, ours, usual) in [
            ("delay", "delay", Time::from_secs(1)),
            ("window", "reset", Time::from_secs(600)),
        ] {
            let Some(item) = policy.get(theirs).filter(|item| !item.is_null()) else {
                continue;
            };
            let text = item.text().unwrap_or_default();
            let time = units::time(text).ok_or_else(|| {
                self.wrong(
                    at,
                    &item.at,
                    &format!("deploy.restart_policy.{theirs}"),
                    &format!("`{text}` is no time; expected for example 5s"),
                )
            })?;
            if time != usual && time.as_millis() > 0 {
                long.set(ours, time.to_string())
                    .from(&item.at.file, item.at.line);
                // The longest delay is never less than the first.
                if theirs == "delay" && time > Time::from_secs(60) {
                    long.set("max-delay", time.to_string());
                }
            }
        }
        if let Some(attempts) = policy
            .get("max_attempts")
            .and_then(Item::whole)
            .filter(|attempts| *attempts > 0)
        {
            long.set("give-up", "exit");
            if attempts != 10 {
                long.set("attempts", attempts);
            }
        }
        if !long.is_empty() {
            table
                .set("restart", long)
                .from(&policy.at.file, policy.at.line);
        }
        Ok(())
    }

    fn write_replicas(&mut self, at: usize, item: &Item, table: &mut Table) -> load::Result<()> {
        let deploy = item.get("deploy");
        let inside = |key: &str| {
            deploy
                .and_then(|deploy| deploy.get(key))
                .filter(|item| !item.is_null())
        };
        if let Some(mode) = inside("mode")
            && mode.text() != Some("replicated")
        {
            self.remark(at, RemarkKind::Lost, &mode.at, "deploy.mode", "would have run it on every machine of a swarm, or to its end; here `replicas` says how many run");
        }
        if let Some(replicas) = inside("replicas").or(item.get("scale")) {
            let count = replicas
                .whole()
                .filter(|count| (0..=1000).contains(count))
                .ok_or_else(|| {
                    self.wrong(
                        at,
                        &replicas.at,
                        "deploy.replicas",
                        "expected a whole number",
                    )
                })?;
            match count {
                0 => self.remark(at, RemarkKind::Changed, &replicas.at, "deploy.replicas", "would not have run at all; here it runs once: take the service out, or put it into the environment in which it runs"),
                1 => {}
                count => {
                    table.set("replicas", count).from(&replicas.at.file, replicas.at.line);
                }
            }
        }
        if let Some(update) = inside("update_config") {
            match update.get("order").and_then(Item::text) {
                Some("stop-first") if !table.has("replicas") => {
                    table
                        .set("strategy", "recreate")
                        .from(&update.at.file, update.at.line);
                }
                Some("stop-first") => self.remark(
                    at,
                    RemarkKind::Changed,
                    &update.at,
                    "deploy.update_config.order",
                    "would have stopped each old one first; here the new ones start beside the old",
                ),
                _ => self.remark(
                    at,
                    RemarkKind::Note,
                    &update.at,
                    "deploy.update_config",
                    "a new release starts beside the old one and is switched to once it is ready",
                ),
            }
        }
        Ok(())
    }

    /// What services wait for, where that can't be kept.
    pub(super) fn write_order(&mut self, at: usize) -> load::Result<()> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        for (name, place, condition) in super::context::dependencies(&item) {
            let path = format!("depends_on.{name}");
            let Some(other) = self.find(&name) else {
                let known = self
                    .model
                    .get("services")
                    .and_then(Item::map)
                    .is_some_and(|all: &Map| all.get(&name).is_some());
                if known {
                    self.remark(
                        at,
                        RemarkKind::Changed,
                        &place,
                        &path,
                        "waits for a service that is left out, since its profile isn't asked for",
                    );
                    continue;
                }
                let required = item
                    .get("depends_on")
                    .and_then(|all| all.get(&name))
                    .and_then(|one| one.get("required"))
                    .and_then(Item::flag);
                if required == Some(false) {
                    continue;
                }
                return Err(self.wrong(
                    at,
                    &place,
                    &path,
                    &format!("there is no service `{name}`"),
                ));
            };
            use super::context::Role;
            match (&self.services[other].role, condition.as_str()) {
                (role, _) if role.is_backing() => {}
                (Role::Migration(of), _) if *of == at => {}
                (_, "service_started") => self.remark(at, RemarkKind::Note, &place, &path, "short `depends_on` only orders the starts; services of an app start together"),
                (_, "service_healthy") => {
                    let (kind, said) = schema::ORDER;
                    self.remark(at, kind, &place, &path, said);
                }
                (_, "service_completed_successfully") => self.remark(at, RemarkKind::Changed, &place, &path, "waits until the other has ended well; what runs once before a service is its `migrate`"),
                (_, other) => return Err(self.wrong(at, &place, &path, &format!("`{other}` is none of service_started, service_healthy and service_completed_successfully"))),
            }
        }
        Ok(())
    }
}

fn set_limits<'t>(
    table: &'t mut Table,
    key: &str,
    limit: Option<Value>,
    request: Option<Value>,
) -> Option<&'t mut crate::draft::Entry> {
    match (limit, request) {
        (None, None) => None,
        (Some(limit), None) => Some(table.set(key, limit)),
        (limit, Some(request)) => {
            let mut long = Table::new();
            long.set("request", request);
            if let Some(limit) = limit {
                long.set("limit", limit);
            }
            Some(table.set(key, long))
        }
    }
}
