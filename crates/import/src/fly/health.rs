//! What listens, and how it is seen to be ready: `http_service`, `services`, `checks`.

use landfall_yaml::read::{Mapping, Node};

use super::{Fly, given, port, several, tables, texts, time};
use crate::draft::Table;

impl Fly<'_> {
    /// `[http_service]` and `[[services]]`.
    pub(super) fn listeners(&mut self) {
        let http = given(self.map, "http_service").map(|entry| (&entry.value, true));
        let others = tables(self.map, "services")
            .into_iter()
            .map(|node| (node, false));
        for (node, http) in http.into_iter().chain(others) {
            if let Some(map) = node.map() {
                self.listener(map, node.span.line, http);
            }
        }
    }

    fn listener(&mut self, map: &Mapping, line: usize, http: bool) {
        let path = if http { "http_service" } else { "services" };
        let mut names = self.of(map);
        // Without processes of its own it is for the group `app`, or the first one.
        if map
            .get("processes")
            .is_none_or(|node| texts(node).is_empty())
        {
            names.truncate(1);
        }
        let protocol = given(map, "protocol").and_then(|entry| entry.value.as_text());
        if protocol.as_deref() == Some("udp") {
            return self.found.remarks.lost(
                line,
                path,
                "listens for UDP, which Landfall's edge doesn't pass on",
            );
        }
        let inside = given(map, "internal_port");
        let number = inside.map_or(Some(8080), |entry| port(&entry.value));
        let Some(number) = number else {
            return self
                .found
                .remarks
                .lost(line, path, "has an internal_port that is no port");
        };
        let outside: Vec<&Mapping> = tables(map, "ports")
            .into_iter()
            .filter_map(Node::map)
            .collect();
        let is_http = http
            || outside.iter().any(|port| {
                given(port, "handlers")
                    .is_some_and(|entry| texts(&entry.value).iter().any(|one| one == "http"))
            });
        for name in &names {
            let known = self
                .services
                .get(name)
                .and_then(|service| service.get("port").cloned());
            match known {
                None => self.set(
                    std::slice::from_ref(name),
                    "port",
                    number,
                    inside.map_or(line, |entry| entry.span.line),
                ),
                Some(other) if other == number.into() => {}
                Some(_) => {
                    self.found.remarks.lost(
                        line,
                        path,
                        format!("is a second port, {number}; a service has one"),
                    );
                    return;
                }
            }
        }
        if !is_http {
            let open = outside
                .iter()
                .find_map(|map| port(&given(map, "port")?.value));
            if let Some(open) = open {
                self.set(&names, "publish", open, line);
            }
        }
        let count = given(map, "min_machines_running")
            .and_then(|entry| Some((entry.value.as_integer()?, entry.span.line)));
        if let Some((count, line)) = count.filter(|(count, _)| *count > 1) {
            self.set(&names, "replicas", count, line);
        }
        for key in ["checks", "http_checks", "tcp_checks"] {
            for node in tables(map, key) {
                if let Some(check) = node.map() {
                    let check_path = format!("{path}.{key}");
                    let of_http = key == "http_checks"
                        || http
                        || given(check, "path").is_some() && key == "checks";
                    self.check(
                        check,
                        &check_path,
                        node.span.line,
                        &names,
                        of_http && key != "tcp_checks",
                        None,
                    );
                }
            }
        }
        self.found.rest(
            path,
            map,
            &["processes", "protocol", "internal_port", "ports", "min_machines_running", "checks", "http_checks", "tcp_checks"],
            &[
                ("concurrency", "would spread the load by so many requests or connections; here it is spread evenly"),
                ("machine_checks", "would run a container that tests each machine; smoke of a service fetches pages after the switch"),
                ("script_checks", "would run commands in the machine as checks; health = { run = \"…\" } does that"),
                ("http_options", "would change how fly.io's proxy speaks HTTP; http = { headers = … } of a service sets headers"),
                ("tls_options", "would change how fly.io's proxy speaks TLS"),
            ],
            &[
                ("auto_stop_machines", "would stop machines that nobody uses, so that they cost nothing; here they run on, and answer at once"),
                ("auto_start_machines", "is always so here: what should run, runs"),
                ("min_machines_running", "is always so here"),
                ("force_https", "is up to what ends TLS in front of the app"),
            ],
        );
        for map in outside {
            self.found.rest(
                &format!("{path}.ports"),
                map,
                &["port", "handlers"],
                &[
                    ("start_port", "is a range of ports; publish opens one"),
                    ("end_port", "is a range of ports; publish opens one"),
                    ("proxy_proto_options", "would speak the PROXY protocol to the app; here X-Forwarded-For tells who asks"),
                    ("http_options", "would change how fly.io's proxy speaks HTTP; http = { headers = … } of a service sets headers"),
                    ("tls_options", "would change how fly.io's proxy speaks TLS"),
                ],
                &[("force_https", "is up to what ends TLS in front of the app")],
            );
        }
    }

    /// `[checks.NAME]`.
    pub(super) fn checks(&mut self) {
        let Some(map) = given(self.map, "checks").and_then(|entry| entry.value.map()) else {
            return;
        };
        for entry in &map.entries {
            for node in several(&entry.value) {
                let Some(check) = node.map() else { continue };
                let path = format!("checks.{}", entry.key);
                let kind = given(check, "type").and_then(|entry| entry.value.as_text());
                let http = kind.as_deref() == Some("http")
                    || kind.is_none() && given(check, "path").is_some();
                let asked = given(check, "port").and_then(|entry| port(&entry.value));
                let mut names = self.of(check);
                if check
                    .get("processes")
                    .is_none_or(|node| texts(node).is_empty())
                {
                    names.truncate(1);
                }
                self.check(check, &path, entry.span.line, &names, http, asked);
            }
        }
    }

    /// One check, as the health of services that have none yet.
    fn check(
        &mut self,
        map: &Mapping,
        path: &str,
        line: usize,
        names: &[String],
        http: bool,
        asked: Option<u16>,
    ) {
        let mut health = Table::new();
        let file = self.file;
        let own = names
            .first()
            .and_then(|name| self.services.get(name))
            .and_then(|service| service.get("port").cloned());
        let elsewhere = asked.filter(|asked| own != Some((*asked).into()));
        match (http, elsewhere) {
            (true, Some(port)) if own.is_none() => {
                for name in names {
                    self.service(name).set("port", port).from(file, line);
                }
                health.set("ready", page(map)).from(file, line);
            }
            (true, Some(port)) => {
                health.set("tcp", port).from(file, line);
                self.found.remarks.changed(line, path, format!("would fetch a page on port {port}; here a connection to it is enough, since pages are fetched on the service's own port"));
            }
            (true, None) => {
                health.set("ready", page(map)).from(file, line);
            }
            (false, Some(port)) => {
                health.set("tcp", port).from(file, line);
            }
            // A service with a port is ready once it accepts connections in any case.
            (false, None) => {}
        }
        for (key, name, unit) in [
            ("interval", "interval", "ms"),
            ("timeout", "timeout", "ms"),
            ("grace_period", "start", "ms"),
        ] {
            let Some(entry) = given(map, key) else {
                continue;
            };
            match time(&entry.value, unit) {
                // How long to wait before the first question is how long a start may take, and never less than the default.
                Some(grace) if name == "start" => {
                    let longer = grace
                        .parse::<landfall_app::units::Time>()
                        .is_ok_and(|time| time.as_millis() > 30_000);
                    if longer {
                        health.set(name, grace).from(file, entry.span.line);
                    }
                }
                Some(text) => {
                    health.set(name, text).from(file, entry.span.line);
                }
                None => {
                    self.found
                        .remarks
                        .lost(entry.span.line, format!("{path}.{key}"), "is no time")
                }
            }
        }
        self.found.rest(
            path,
            map,
            &["interval", "timeout", "grace_period", "path", "port", "type", "processes", "method", "protocol"],
            &[
                ("headers", "would be sent with the question; Landfall's probe sends none"),
                ("tls_skip_verify", "is about TLS inside of the app; the probe speaks plain HTTP"),
                ("tls_server_name", "is about TLS inside of the app; the probe speaks plain HTTP"),
                ("restart_limit", "would start it again after so many failures; live = \"/path\" of health does that"),
            ],
            &[("name", "is a name for people")],
        );
        for (key, usual) in [("method", "get"), ("protocol", "http")] {
            if let Some(entry) = given(map, key)
                && let Some(other) = entry
                    .value
                    .as_text()
                    .filter(|text| !text.eq_ignore_ascii_case(usual))
            {
                self.found.remarks.changed(
                    entry.span.line,
                    format!("{path}.{key}"),
                    format!("{other} becomes {usual}"),
                );
            }
        }
        if health.is_empty() {
            return;
        }
        for name in names {
            let service = self.service(name);
            if service.has("health") && !http && elsewhere.is_none() {
                self.found.remarks.note(
                    line,
                    path,
                    "is in the other check: what answers accepts connections",
                );
                continue;
            }
            if service.has("health") {
                self.found.remarks.lost(
                    line,
                    path,
                    "is a second check; a service has one question for being ready",
                );
                return;
            }
            let short = health.len() == 1 && health.has("ready");
            match health.get("ready").filter(|_| short).cloned() {
                Some(page) => {
                    service.set("health", page).from(file, line);
                }
                None => *service.table("health") = health.clone(),
            }
        }
    }
}

fn page(map: &Mapping) -> String {
    let path = given(map, "path").and_then(|entry| entry.value.as_text());
    path.filter(|path| path.starts_with('/'))
        .unwrap_or_else(|| "/".to_owned())
}
