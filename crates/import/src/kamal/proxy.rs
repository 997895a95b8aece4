//! The proxy: what leads to the app, and how it is asked whether it is ready.

use landfall_yaml::read::{Entry, Node};

use super::{ERB, Kamal, seconds};
use crate::{
    draft::Table,
    tree::{given, joined, port, texts, time},
};

/// Where the health of an app is asked for, if nothing says it.
pub(super) const USUAL_PAGE: &str = "/up";

impl<'a> Kamal<'a> {
    /// `proxy`, and `healthcheck` of Kamal 1.
    pub(super) fn proxy(&mut self, entry: &'a Entry, path: &str, service: &mut Table) {
        let Some(map) = entry.value.map() else { return };
        let file = self.file;
        let hosts = ["host", "hosts"]
            .into_iter()
            .filter_map(|key| given(map, key));
        let hosts: Vec<String> = hosts
            .flat_map(|entry| texts(&entry.value))
            .flat_map(|text| {
                text.split(',')
                    .map(|host| host.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|host| !host.is_empty())
            .collect();
        if hosts.iter().any(|host| host.contains(ERB)) {
            service.todo(format!(
                "its host names are computed by Ruby in {file}: domains = [\"…\"]"
            ));
        }
        let hosts: Vec<String> = hosts
            .into_iter()
            .filter(|host| !host.contains(ERB))
            .collect();
        let prefixes: Vec<String> = ["path_prefix", "path_prefixes"]
            .into_iter()
            .filter_map(|key| given(map, key))
            .flat_map(|entry| texts(&entry.value))
            .flat_map(|text| {
                text.split(',')
                    .map(|path| path.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .collect();
        if prefixes.is_empty() {
            if !hosts.is_empty() {
                service.set("domains", hosts).from(file, entry.span.line);
            }
        } else {
            let strip = map
                .get("strip_path_prefix")
                .and_then(Node::as_bool)
                .unwrap_or(true);
            let hosts = if hosts.is_empty() {
                vec![String::new()]
            } else {
                hosts
            };
            for host in &hosts {
                for prefix in &prefixes {
                    let mut route = Table::new();
                    if !host.is_empty() {
                        route.set("host", host.as_str());
                    }
                    route.set("path", prefix.as_str());
                    if strip {
                        route.set("strip", true);
                    }
                    service.push("routes", route).from(file, entry.span.line);
                }
            }
        }
        let number = given(map, "app_port")
            .or_else(|| given(map, "port"))
            .and_then(|entry| Some((port(&entry.value)?, entry.span.line)));
        if let Some((number, line)) = number {
            service.set("port", number).from(file, line);
        }
        if let Some((text, line)) = seconds(map, "response_timeout") {
            service.table("http").set("timeout", text).from(file, line);
        }
        let check = match path {
            "healthcheck" => Some(map),
            _ => given(map, "healthcheck").and_then(|entry| entry.value.map()),
        };
        if let Some(check) = check {
            let mut health = Table::new();
            let page = given(check, "path")
                .and_then(|entry| entry.value.as_text())
                .unwrap_or_else(|| USUAL_PAGE.to_owned());
            health.set("ready", page).from(file, entry.span.line);
            for key in ["interval", "timeout"] {
                if let Some(text) = given(check, key).and_then(|entry| time(&entry.value, "s")) {
                    let usual = if key == "interval" { "1s" } else { "5s" };
                    if text != usual {
                        health.set(key, text).from(file, entry.span.line);
                    }
                }
            }
            if let Some((text, line)) =
                seconds(self.map, "deploy_timeout").filter(|(text, _)| text != "30s")
            {
                health.set("start", text).from(file, line);
            }
            self.found.rest(
                &if path == "healthcheck" { path.to_owned() } else { joined(path, "healthcheck") },
                check,
                &["path", "interval", "timeout", "port", "app_port"],
                &[("cmd", "would be a command that tells whether it is ready; health = { run = \"…\" } does that"), ("max_attempts", "would count the questions; health.start says how long a start may take"), ("exposed_port", "is for Kamal 1"), ("cord", "is for Kamal 1"), ("log_lines", "is for Kamal 1")],
                &[],
            );
            match health.len() {
                1 => {
                    service.set("health", health.text("ready").unwrap_or(USUAL_PAGE));
                }
                _ => *service.table("health") = health,
            }
        }
        if let Some(buffering) = given(map, "buffering").and_then(|entry| entry.value.map()) {
            if let Some(entry) = given(buffering, "max_request_body")
                && let Some(bytes) = entry.value.as_integer().filter(|bytes| *bytes > 0)
            {
                let size = landfall_app::units::Size::from_bytes(bytes.unsigned_abs()).to_string();
                service
                    .table("http")
                    .set("max-body", size)
                    .from(file, entry.span.line);
            }
            self.found.rest(
                &joined(path, "buffering"),
                buffering,
                &["max_request_body"],
                &[
                    (
                        "requests",
                        "would keep whole requests before they reach the app; here they stream",
                    ),
                    ("responses", "would keep whole answers; here they stream"),
                    ("max_response_body", "would bound answers"),
                    ("memory", "would bound what is kept in memory"),
                ],
                &[],
            );
        }
        if path == "healthcheck" {
            return;
        }
        self.found.rest(
            path,
            map,
            &["host", "hosts", "path_prefix", "path_prefixes", "strip_path_prefix", "app_port", "port", "response_timeout", "healthcheck", "buffering"],
            &[
                ("ssl", "would get certificates and speak HTTPS; landfall's edge speaks HTTP: put what ends TLS in front of it"),
                ("ssl_redirect", "would lead HTTP to HTTPS, or not; that is up to what ends TLS"),
                ("run", "is about the proxy of Kamal itself"),
            ],
            &[
                ("forward_headers", "is so here: X-Forwarded-For and X-Forwarded-Proto are set"),
                ("logging", "says which headers the proxy logs"),
            ],
        );
    }
}
