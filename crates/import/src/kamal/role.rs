//! Roles of servers, and the build.

use landfall_yaml::read::{Mapping, Node};

use super::{ERB, Kamal, hosts, proxy::USUAL_PAGE, seconds};
use crate::{
    draft::Table,
    tree::{given, joined, port, several, size, texts, without_shell},
};

impl<'a> Kamal<'a> {
    /// A service for each role; the servers of the primary one are the target.
    pub(super) fn roles(&mut self) {
        let map: &'a Mapping = self.map;
        let primary = given(map, "primary_role").and_then(|entry| entry.value.as_text());
        let primary = primary.unwrap_or_else(|| "web".to_owned());
        let servers = given(map, "servers");
        let roles: Vec<(String, usize, Option<&'a Node>)> =
            match servers.map(|entry| (&entry.value, entry.span.line)) {
                Some((node, line)) => match node.map() {
                    Some(roles) => roles
                        .entries
                        .iter()
                        .map(|role| (role.key.clone(), role.span.line, Some(&role.value)))
                        .collect(),
                    None => vec![(primary.clone(), line, Some(node))],
                },
                None => vec![(primary.clone(), 1, None)],
            };
        let first = roles
            .iter()
            .position(|(name, ..)| *name == primary)
            .unwrap_or(0);
        let alone = roles.len() == 1;
        let (user, port) = self.login();
        let mut target = None;
        let mut main = String::new();
        let mut order: Vec<usize> = (0..roles.len()).collect();
        order.sort_by_key(|index| *index != first);
        for index in order {
            let (role, line, node) = &roles[index];
            let wanted = if alone {
                self.app.clone()
            } else {
                role.clone()
            };
            let given_name = self.names.give(&wanted, "app");
            let name = given_name.name;
            if given_name.changed {
                self.found.remarks.note(
                    *line,
                    joined("servers", role),
                    format!("is called {name} here"),
                );
            }
            let mut service = Table::new();
            service.from(self.file, *line);
            if index == first {
                main.clone_from(&name);
                self.build(&mut service);
            } else {
                let mut same = Table::new();
                same.set("same-as", main.as_str());
                *service.table("build") = same;
            }
            self.shared(&mut service);
            let long = node.and_then(|node| node.map());
            let servers = match long {
                Some(map) => given(map, "hosts").map(|entry| &entry.value),
                None => *node,
            };
            let servers = servers.map(hosts).unwrap_or_default();
            self.place(&servers, *line, role, (&user, &port), &mut target);
            let path = joined("servers", role);
            if let Some(map) = long {
                self.role(map, &path, &mut service);
            }
            let own = long.and_then(|map| map.entry("proxy"));
            let proxied = match own.map(|entry| entry.value.as_bool()) {
                Some(Some(on)) => on,
                Some(None) => true,
                None => index == first,
            };
            if proxied {
                if let Some(entry) = given(map, "proxy").or_else(|| given(map, "healthcheck")) {
                    let path = if map.get("proxy").is_some() {
                        "proxy"
                    } else {
                        "healthcheck"
                    };
                    self.proxy(entry, path, &mut service);
                }
                if let Some(entry) = own.filter(|entry| entry.value.map().is_some()) {
                    self.proxy(entry, &joined(&path, "proxy"), &mut service);
                }
                if !service.has("port") {
                    service
                        .set("port", 80)
                        .comment("where Kamal's proxy asks by default");
                }
                if !service.has("health") {
                    service
                        .set("health", USUAL_PAGE)
                        .comment("where Kamal's proxy asks by default");
                }
            }
            *self.draft.service(&name) = service;
        }
        if let Some(target) = target {
            let line = servers.map_or(1, |entry| entry.span.line);
            self.draft
                .environment("production")
                .own
                .set("target", target)
                .from(self.file, line);
        }
        if let Some(entry) = given(map, "traefik") {
            self.found.remarks.lost(
                entry.span.line,
                "traefik",
                "is for the proxy of Kamal 1; domains and routes of a service say what leads to it",
            );
        }
    }

    /// Who logs in at the servers, and `:port` where it isn't the usual one.
    fn login(&mut self) -> (String, String) {
        let map: &'a Mapping = self.map;
        let ssh = given(map, "ssh").and_then(|entry| entry.value.map());
        let Some(ssh) = ssh else {
            return ("root".to_owned(), String::new());
        };
        let user = given(ssh, "user")
            .and_then(|entry| entry.value.as_text())
            .filter(|user| !user.contains(ERB));
        let number = given(ssh, "port")
            .and_then(|entry| port(&entry.value))
            .filter(|port| *port != 22);
        let jump = "would reach the servers by way of another; ProxyJump or ProxyCommand in ~/.ssh/config does that";
        let key = "would choose the key to log in with; IdentityFile in ~/.ssh/config does that";
        self.found.rest(
            "ssh",
            ssh,
            &["user", "port"],
            &[
                ("proxy", jump),
                ("proxy_command", jump),
                ("keys", key),
                ("keys_only", key),
                ("key_data", key),
                (
                    "config",
                    "would choose the files that ssh reads; here it reads its own, ~/.ssh/config",
                ),
            ],
            &[("log_level", "is about Kamal's output")],
        );
        (
            user.unwrap_or_else(|| "root".to_owned()),
            number.map(|port| format!(":{port}")).unwrap_or_default(),
        )
    }

    /// The server, where there is one.
    fn place(
        &mut self,
        servers: &[(String, bool)],
        line: usize,
        role: &str,
        (user, port): (&str, &str),
        target: &mut Option<String>,
    ) {
        if servers.iter().any(|(_, tagged)| *tagged) {
            self.found.remarks.lost(
                line,
                joined("servers", role),
                "has servers with tags, which would get variables of their own",
            );
        }
        let known: Vec<&str> = servers
            .iter()
            .map(|(host, _)| host.as_str())
            .filter(|host| !host.contains(ERB))
            .collect();
        let Some(host) = known.first() else { return };
        let destination = format!("ssh://{user}@{host}{port}");
        match target {
            None => {
                self.server = Some((*host).to_owned());
                *target = Some(destination);
            }
            Some(first) if *first == destination => {}
            Some(first) => {
                let said = format!(
                    "would run on {host}; everything of an environment runs on one server, {}",
                    first.trim_start_matches("ssh://")
                );
                self.found
                    .remarks
                    .changed(line, joined("servers", role), said);
            }
        }
        if known.len() > 1 {
            let said = format!(
                "would run on {} servers; an environment has one, so it is the first: replicas = {} runs as many there",
                known.len(),
                known.len()
            );
            self.found
                .remarks
                .changed(line, joined("servers", role), said);
        }
    }

    /// What holds for all roles.
    fn shared(&mut self, service: &mut Table) {
        let map: &'a Mapping = self.map;
        if let Some(env) = given(map, "env").and_then(|entry| entry.value.map()) {
            self.quietly(service, |kamal, service| {
                kamal.environment(env, "env", service)
            });
        }
        if let Some(entry) = given(map, "volumes") {
            for node in several(&entry.value) {
                self.quietly(service, |kamal, service| {
                    kamal.volume(node, "volumes", service)
                });
            }
        }
        if let Some((text, line)) = seconds(map, "drain_timeout") {
            service.set("drain", text).from(self.file, line);
        }
        if let Some((text, line)) = seconds(map, "stop_timeout") {
            service
                .table("stop")
                .set("grace", text)
                .from(self.file, line);
        }
    }

    /// What every role repeats is said once.
    fn quietly(&mut self, service: &mut Table, work: impl FnOnce(&mut Self, &mut Table)) {
        let before = self.found.remarks.list.len();
        work(self, service);
        let said = self.found.remarks.list.split_off(before);
        for remark in said {
            if !self.found.remarks.list.contains(&remark) {
                self.found.remarks.list.push(remark);
            }
        }
    }

    /// `name:/path`, `/host:/path:ro`.
    pub(super) fn volume(&mut self, node: &Node, path: &str, service: &mut Table) {
        let line = node.span.line;
        let Some(text) = node.as_text() else {
            return self.found.remarks.lost(line, path, "is no text");
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (Some(from), Some(to)) = (parts.first(), parts.get(1)) else {
            return self
                .found
                .remarks
                .lost(line, path, format!("{text} is not NAME:/path"));
        };
        let inside = from.starts_with(['/', '.', '~']);
        let wanted = if inside {
            from.trim_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default()
        } else {
            from
        };
        let name = crate::draft::Names::new().give(wanted, "data").name;
        if inside {
            self.found.remarks.changed(line, path, format!("is the server's folder {from}; here it becomes the volume {name}, which landfall keeps: copy what is in it by landfall volumes import"));
        }
        if parts.get(2).is_some_and(|options| options.contains("ro")) {
            self.found.remarks.changed(
                line,
                path,
                "would be mounted to be read only; a volume can be written",
            );
        }
        service
            .table("volumes")
            .set(&name, *to)
            .from(self.file, line);
    }

    fn role(&mut self, map: &'a Mapping, path: &str, service: &mut Table) {
        if let Some(entry) = given(map, "cmd")
            && let Some(command) = entry.value.as_text()
        {
            service
                .set("command", without_shell(&command))
                .from(self.file, entry.span.line);
        }
        if let Some(env) = given(map, "env").and_then(|entry| entry.value.map()) {
            self.environment(env, &joined(path, "env"), service);
        }
        if let Some((text, line)) = seconds(map, "stop_timeout") {
            service
                .table("stop")
                .set("grace", text)
                .from(self.file, line);
        }
        if let Some(options) = given(map, "options").and_then(|entry| entry.value.map()) {
            self.options(options, &joined(path, "options"), service);
        }
        self.found.rest(
            path,
            map,
            &["hosts", "cmd", "env", "stop_timeout", "options", "proxy"],
            &[
                ("labels", "would label the containers"),
                ("logging", "would choose Docker's way to keep logs; landfall keeps them: [logs] keep and max"),
                ("asset_path", "would keep files of the release before beside those of the new one; drain lets old pages end"),
                ("traefik", "is for the proxy of Kamal 1"),
                ("healthcheck", "is for Kamal 1; health of the service says it"),
            ],
            &[],
        );
    }

    /// Options of `docker run`.
    pub(super) fn options(&mut self, map: &Mapping, path: &str, service: &mut Table) {
        for entry in &map.entries {
            let (line, file) = (entry.span.line, self.file);
            let key = joined(path, &entry.key);
            match entry.key.as_str() {
                "memory" => match size(&entry.value, "B") {
                    Some(memory) => {
                        service.set("memory", memory).from(file, line);
                    }
                    None => self.found.remarks.lost(line, key, "is no size"),
                },
                "cpus" => match entry.value.as_number() {
                    Some(cpus) => {
                        service.set("cpu", cpus).from(file, line);
                    }
                    None => self.found.remarks.lost(line, key, "is no number"),
                },
                "restart" => self.found.remarks.note(
                    line,
                    key,
                    "is always so here: what stays is started again",
                ),
                "cap-add" => {
                    for name in texts(&entry.value) {
                        service
                            .push(
                                "capabilities",
                                name.trim_start_matches("CAP_").to_ascii_uppercase(),
                            )
                            .from(file, line);
                    }
                }
                "volume" => {
                    for node in several(&entry.value) {
                        self.volume(node, &key, service);
                    }
                }
                "user" => match entry.value.as_integer() {
                    Some(number) => {
                        service.set("user", number).from(file, line);
                    }
                    None => self.found.remarks.lost(
                        line,
                        key,
                        "is a user's name; an app file wants the number",
                    ),
                },
                "read-only" => {
                    service.set("read-only", true).from(file, line);
                }
                "publish" => {
                    let text = entry.value.as_text().unwrap_or_default();
                    match text
                        .split(':')
                        .rev()
                        .nth(1)
                        .and_then(|port| port.parse::<u16>().ok())
                    {
                        Some(port) => {
                            service.set("publish", port).from(file, line);
                        }
                        None => self.found.remarks.lost(
                            line,
                            key,
                            "would open ports; publish opens one",
                        ),
                    }
                }
                _ => self.found.remarks.lost(
                    line,
                    key,
                    "is an option of docker run that has no equal",
                ),
            }
        }
    }

    /// `builder`, and the image that is pushed.
    fn build(&mut self, service: &mut Table) {
        let (map, file): (&'a Mapping, _) = (self.map, self.file);
        let empty = Mapping::default();
        let builder = given(map, "builder")
            .and_then(|entry| entry.value.map())
            .unwrap_or(&empty);
        let mut build = Table::new();
        let dockerfile = given(builder, "dockerfile").and_then(|entry| entry.value.as_text());
        build.set(
            "dockerfile",
            dockerfile
                .as_deref()
                .unwrap_or("Dockerfile")
                .trim_start_matches("./"),
        );
        if let Some(context) = given(builder, "context")
            .and_then(|entry| entry.value.as_text())
            .filter(|context| context != "." && context != "./")
        {
            build.set("context", context.trim_start_matches("./"));
        }
        if let Some(stage) = given(builder, "target").and_then(|entry| entry.value.as_text()) {
            build.set("stage", stage);
        }
        if let Some(arguments) = given(builder, "args").and_then(|entry| entry.value.map()) {
            for entry in &arguments.entries {
                match entry.value.as_text() {
                    Some(text) if text.contains(ERB) => service.todo(format!(
                        "the build argument {} is computed by Ruby in {file}: give it a value",
                        entry.key
                    )),
                    Some(text) if !text.contains("${") && crate::draft::is_variable(&entry.key) => {
                        build
                            .table("args")
                            .set(&entry.key, text)
                            .from(file, entry.span.line);
                    }
                    _ => self.found.remarks.lost(
                        entry.span.line,
                        joined("builder.args", &entry.key),
                        "has a name or a value that an app file can't say",
                    ),
                }
            }
        }
        for name in given(builder, "secrets")
            .map(|entry| texts(&entry.value))
            .unwrap_or_default()
        {
            if crate::draft::is_variable(&name) {
                build.push("secrets", name);
            }
        }
        self.found.rest(
            "builder",
            builder,
            &["dockerfile", "context", "target", "args", "secrets"],
            &[
                ("pack", "would build by buildpacks; here a Dockerfile says it, or what stands in the folder"),
                ("ssh", "would give the build your SSH agent"),
            ],
            &[
                ("arch", "is that of the machine that builds, which is the one it runs on"),
                ("local", "is about where Kamal builds"),
                ("remote", "is about where Kamal builds; here the Engine of the target builds"),
                ("multiarch", "would build for several processors; here an image is built where it runs"),
                ("driver", "is about how Kamal builds"),
                ("cache", "is kept by the Engine that builds"),
                ("provenance", "is about attestations of the image"),
                ("sbom", "is about attestations of the image"),
            ],
        );
        if let Some(image) = given(map, "image") {
            let text = image.value.as_text().unwrap_or_default();
            let server =
                given(map, "registry").and_then(|entry| entry.value.get("server")?.as_text());
            let local = server
                .as_deref()
                .is_some_and(|server| server.starts_with("localhost"));
            if !local && !text.is_empty() && !text.contains(ERB) {
                let push = match server {
                    Some(server) if !server.contains(ERB) => {
                        format!("{}/{text}", server.trim_end_matches('/'))
                    }
                    _ => text,
                };
                service.set("push", push).from(file, image.span.line);
            }
        }
        match build.len() {
            1 => {
                service.set("build", build.text("dockerfile").unwrap_or("Dockerfile"));
            }
            _ => *service.table("build") = build,
        }
    }
}
