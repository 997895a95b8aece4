//! A service of the app, key by key.

use super::{
    context::Context,
    load,
    merge::{names, pairs},
    source::Dockerfile,
    tree::{At, Item, Map},
};
use crate::{
    RemarkKind,
    draft::{Draft, Table},
};

/// What Docker leaves to a container's root of its own accord, as far as programs need it to take a
/// folder over and become another user.
pub(super) const USUAL: [&str; 7] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETUID",
];

impl Context<'_> {
    pub(super) fn write_service(&mut self, at: usize, draft: &mut Draft) -> load::Result<()> {
        let (name, place) = (self.services[at].name.clone(), self.services[at].at.clone());
        let mut table = Table::new();
        table.from(&place.file, place.line);
        if let Some(provider) = self.services[at].item.get("provider") {
            let provider = provider.at.clone();
            self.remark(
                at,
                RemarkKind::Lost,
                &provider,
                "provider",
                "is run by a program of its own, so the service is left out",
            );
            return Ok(());
        }
        let found = self.write_source(at, &mut table)?;
        if !table.has("build") && !table.has("image") {
            return Ok(());
        }
        self.write_command(at, &found, &mut table)?;
        self.write_ports(at, &mut table);
        self.write_health(at, &mut table)?;
        self.write_limits(at, &mut table, false)?;
        self.write_running(at, &mut table)?;
        self.write_order(at)?;
        // Secrets before variables: a variable may name the file of one.
        self.write_secrets_and_configs(at, &mut table);
        self.write_variables(at, &mut table);
        self.write_volumes(at, &mut table)?;
        self.write_security(at, &found, &mut table);
        self.write_rest(at, &mut table);
        *draft.service(&name) = table;
        Ok(())
    }

    /// A service that runs once before another: its command is the other's `migrate`.
    pub(super) fn write_migration(&mut self, at: usize, of: usize) -> load::Result<()> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let mut words = Vec::new();
        let mut place = self.services[at].at.clone();
        for key in ["entrypoint", "command"] {
            if let Some(part) = item.get(key).filter(|part| !part.is_null()) {
                words.extend(self.command_words(at, part, key)?);
                place = part.at.clone();
            }
        }
        // As Landfall runs a line itself.
        if words.get(1).is_some_and(|flag| flag == "-eu") && words.len() == 4 {
            words.remove(1);
        }
        let other = self.services[of].name.clone();
        let value: crate::draft::Value = match words.as_slice() {
            [shell, flag, line]
                if matches!(shell.as_str(), "sh" | "bash" | "/bin/sh" | "/bin/bash")
                    && flag == "-c" =>
            {
                line.as_str().into()
            }
            words
                if words.iter().all(|word| {
                    word.bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_./=:@%+,".contains(&byte))
                }) =>
            {
                words.join(" ").into()
            }
            words => words.to_vec().into(),
        };
        self.migrations.push((of, value, place));
        let key = self.services[at].at.clone();
        self.remark(at, RemarkKind::Note, &key, "", format!("runs once before `{other}` and ends, so it is its `migrate`; it has the variables of `{other}`"));
        let own: Vec<String> = self.services[at]
            .variables
            .keys()
            .filter(|name| !self.services[of].variables.contains_key(*name))
            .cloned()
            .collect();
        if !own.is_empty() {
            self.remark(
                at,
                RemarkKind::Changed,
                &key,
                "environment",
                format!(
                    "`{other}` doesn't have {}, which its `migrate` had here",
                    own.join(", ")
                ),
            );
        }
        Ok(())
    }

    fn write_ports(&mut self, at: usize, table: &mut Table) {
        let item = std::rc::Rc::clone(&self.services[at].item);
        if let Some(port) = self.services[at].port {
            let place = item
                .get("ports")
                .or(item.get("expose"))
                .map_or_else(|| self.services[at].at.clone(), |item| item.at.clone());
            table.set("port", port).from(&place.file, place.line);
        }
        let main = self.services[at].port;
        let mut published = false;
        for (place, port) in self.services[at].ports.clone() {
            let shown = match port.published {
                Some((first, _)) => format!("{first}:{}", port.target),
                None => port.target.to_string(),
            };
            if port.udp {
                self.remark(
                    at,
                    RemarkKind::Lost,
                    &place,
                    "ports",
                    format!("{shown} is of UDP, which Landfall doesn't publish"),
                );
                continue;
            }
            if Some(port.target) != main || published {
                self.remark(
                    at,
                    RemarkKind::Lost,
                    &place,
                    "ports",
                    format!(
                        "{shown} isn't opened: a service has one port, here {}",
                        main.unwrap_or_default()
                    ),
                );
                continue;
            }
            if port.count > 1 {
                self.remark(
                    at,
                    RemarkKind::Lost,
                    &place,
                    "ports",
                    format!(
                        "of the ports {} to {} only the first is kept",
                        port.target,
                        port.target + (port.count - 1)
                    ),
                );
            }
            match port.published {
                Some((first, last)) => {
                    published = true;
                    table.set("publish", first).from(&place.file, place.line);
                    if last > first && port.count == 1 {
                        self.remark(at, RemarkKind::Changed, &place, "ports", format!("would have been opened at any free port from {first} to {last}; here it is {first}"));
                    }
                    match port.host.as_deref() {
                        None | Some("0.0.0.0" | "::") => {}
                        Some(host) => self.remark(at, RemarkKind::Changed, &place, "ports", format!("was opened on {host} alone; `publish` opens it on all addresses of the machine: take it out where nobody outside may ask, since the edge reaches the service without it")),
                    }
                }
                None => self.remark(at, RemarkKind::Changed, &place, "ports", "was opened at a free port of the machine; here `publish = 8080` names one, and without it it isn't opened"),
            }
        }
    }

    fn write_security(&mut self, at: usize, found: &Dockerfile, table: &mut Table) {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let mut user = None;
        if let Some(item) = item.get("user").filter(|item| !item.is_null()) {
            let text = item.text().unwrap_or_default();
            let (name, group) = text.split_once(':').unwrap_or((text, ""));
            match name.parse::<u32>() {
                Ok(number) => {
                    user = Some(number);
                    table.set("user", number).from(&item.at.file, item.at.line);
                    if !group.is_empty() && group != name {
                        self.remark(
                            at,
                            RemarkKind::Changed,
                            &item.at,
                            "user",
                            format!("the group {group} isn't kept"),
                        );
                    }
                }
                Err(_) if name == "root" => {
                    user = Some(0);
                    table.set("user", 0).from(&item.at.file, item.at.line);
                }
                Err(_) => self.remark(
                    at,
                    RemarkKind::Lost,
                    &item.at,
                    "user",
                    format!("`{text}` isn't a number; USER of the Dockerfile can name it"),
                ),
            }
        }
        if item.get("read_only").and_then(Item::flag) == Some(true) {
            table.set("read-only", true);
        }
        if let Some(privileged) = item
            .get("privileged")
            .filter(|item| item.flag() == Some(true))
        {
            self.remark(
                at,
                RemarkKind::Lost,
                &privileged.at,
                "privileged",
                "would have given it the whole machine; `capabilities` gives it single rights",
            );
        }
        for option in item
            .get("security_opt")
            .map(Item::texts)
            .unwrap_or_default()
        {
            match option.text().unwrap_or_default() {
                "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true" => {}
                other => self.remark(
                    at,
                    RemarkKind::Lost,
                    &option.at,
                    "security_opt",
                    format!("`{other}` would have changed how it is confined"),
                ),
            }
        }
        // Without a word about capabilities a container's root has Docker's; here it has none.
        let upper = |item: &Item| {
            item.text().map(|name| {
                name.to_ascii_uppercase()
                    .trim_start_matches("CAP_")
                    .to_owned()
            })
        };
        let list = |key: &str| -> Vec<String> {
            item.get(key)
                .map(Item::texts)
                .unwrap_or_default()
                .into_iter()
                .filter_map(upper)
                .collect()
        };
        let (added, dropped) = (list("cap_add"), list("cap_drop"));
        let runs_as_root = match (user, found.user.as_deref()) {
            (Some(user), _) => user == 0,
            (None, Some(user)) => matches!(user.split(':').next(), Some("0" | "root")),
            (None, None) => true,
        };
        let mut kept: Vec<String> = Vec::new();
        if !dropped.iter().any(|name| name == "ALL") && runs_as_root {
            kept.extend(
                USUAL
                    .iter()
                    .filter(|name| !dropped.iter().any(|dropped| dropped == *name))
                    .map(|name| (*name).to_owned()),
            );
        }
        for name in added {
            if name == "ALL" {
                let place = item.get("cap_add").map_or(&item.at, |item| &item.at);
                self.remark(
                    at,
                    RemarkKind::Lost,
                    place,
                    "cap_add",
                    "would have given it every right; name those that it needs",
                );
            } else if !kept.contains(&name) {
                kept.push(name);
            }
        }
        kept.sort();
        if !kept.is_empty() {
            let place = item
                .get("cap_add")
                .or(item.get("cap_drop"))
                .map_or(&item.at, |item| &item.at);
            let entry = table.set("capabilities", kept);
            entry.from(&place.file, place.line);
            if item.get("cap_add").is_none() && item.get("cap_drop").is_none() {
                entry.comment("as Docker gives them; take out what it doesn't need");
            }
        }
    }

    fn write_rest(&mut self, at: usize, table: &mut Table) {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let labels = [
            item.get("labels"),
            item.get("deploy").and_then(|deploy| deploy.get("labels")),
        ];
        for labels in labels.into_iter().flatten() {
            self.write_labels(at, &pairs(labels.clone()), table);
        }
        if let Some(mode) = item.get("network_mode").filter(|item| !item.is_null()) {
            match mode.text().unwrap_or_default() {
                "bridge" | "default" => {}
                "none" => self.remark(at, RemarkKind::Lost, &mode.at, "network_mode", "would have kept it from every network"),
                "host" => self.remark(at, RemarkKind::Lost, &mode.at, "network_mode", "would have given it the machine's own network and all its ports; here it has its own, and `publish` opens one"),
                other => self.remark(at, RemarkKind::Lost, &mode.at, "network_mode", format!("would have shared the network of `{other}`; processes of one service do that")),
            }
        }
        let networks = item.get("networks").cloned().map(names);
        for (name, _, network) in networks
            .as_ref()
            .and_then(Item::map)
            .into_iter()
            .flat_map(Map::iter)
        {
            for (key, place, value) in network.map().into_iter().flat_map(Map::iter) {
                if !matches!(
                    key,
                    "aliases" | "priority" | "gw_priority" | "interface_name"
                ) && !key.starts_with("x-")
                    && !value.is_null()
                {
                    self.remark(
                        at,
                        RemarkKind::Lost,
                        place,
                        &format!("networks.{name}.{key}"),
                        "would have set its address; addresses are given by Landfall",
                    );
                }
            }
        }
        if let Some(logging) = item.get("logging") {
            let driver = logging
                .get("driver")
                .and_then(Item::text)
                .unwrap_or("json-file");
            match driver {
                "json-file" | "local" | "journald" => self.remark(
                    at,
                    RemarkKind::Note,
                    &logging.at,
                    "logging",
                    "its output is kept by Landfall; [logs] says how long",
                ),
                "none" => self.remark(
                    at,
                    RemarkKind::Changed,
                    &logging.at,
                    "logging",
                    "would have kept none of its output; Landfall keeps it, see [logs]",
                ),
                other => self.remark(
                    at,
                    RemarkKind::Lost,
                    &logging.at,
                    "logging",
                    format!("would have sent its output to {other}; Landfall keeps it itself"),
                ),
            }
        }
    }

    /// Labels of Traefik that name a host become domains; other labels are for programs that aren't there.
    fn write_labels(&mut self, at: usize, labels: &Item, table: &mut Table) {
        let mut lost: Vec<(&str, &At)> = Vec::new();
        for (key, place, value) in labels.map().into_iter().flat_map(Map::iter) {
            let text = value.text().unwrap_or_default();
            let lower = key.to_ascii_lowercase();
            if lower.starts_with("traefik.http.routers.") && lower.ends_with(".rule") {
                match host_rule(text) {
                    Some(hosts)
                        if self.services[at].port.is_some() || traefik_port(labels).is_some() =>
                    {
                        if self.services[at].port.is_none()
                            && let Some(port) = traefik_port(labels)
                        {
                            self.services[at].port = Some(port);
                            table.set("port", port);
                        }
                        for host in hosts {
                            let known = matches!(table.get("domains"), Some(crate::draft::Value::List(all)) if all.contains(&host.clone().into()));
                            if !known {
                                table.push("domains", host).from(&place.file, place.line);
                            }
                        }
                    }
                    _ => self.remark(
                        at,
                        RemarkKind::Lost,
                        place,
                        &format!("labels.{key}"),
                        "is a rule of Traefik; `domains` and `routes` lead requests to a service",
                    ),
                }
            } else if lower == "traefik.enable"
                || lower.starts_with("traefik.http.routers.")
                || lower.starts_with("traefik.http.services.") && lower.ends_with(".port")
                || lower == "traefik.docker.network"
            {
                // Taken care of by the edge.
            } else if !(lower.starts_with("org.opencontainers.")
                || lower.starts_with("org.label-schema.")
                || lower.starts_with("com.example.")
                || lower.starts_with("com.docker.compose."))
            {
                lost.push((key, place));
            }
        }
        if let Some((first, place)) = lost.first() {
            let more = if lost.len() > 1 {
                format!(" and {} more", lost.len() - 1)
            } else {
                String::new()
            };
            let said = format!(
                "`{first}`{more}: labels are for other programs that look at containers, and Landfall puts on only its own"
            );
            self.remark(at, RemarkKind::Lost, place, "labels", said);
        }
    }
}

/// The hosts of a rule that names nothing else.
fn host_rule(rule: &str) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    for part in rule.split("||") {
        let inside = part.trim().strip_prefix("Host(")?.strip_suffix(')')?;
        for host in inside.split(',') {
            hosts.push(host.trim().trim_matches(['`', '"', '\'']).to_owned());
        }
    }
    let good = |host: &String| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    };
    (hosts.iter().all(good) && !hosts.is_empty()).then_some(hosts)
}

fn traefik_port(labels: &Item) -> Option<u16> {
    labels.map()?.iter().find_map(|(key, _, value)| {
        let key = key.to_ascii_lowercase();
        (key.starts_with("traefik.http.services.") && key.ends_with(".loadbalancer.server.port"))
            .then(|| value.text()?.parse().ok())?
    })
}
