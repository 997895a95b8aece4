//! `dokku/setup.sh`: what a Dokku server is told once, and again without harm.
//!
//! Dokku splits the arguments that come by ssh once more, so nothing but plain words is put into one; values
//! go by standard input. Its last lines say how to deploy, since an exit code of 0 doesn't mean it.

use std::fmt::Write as _;

use landfall_app::model::{GiveUp, Public, Source};
use serde_json::{Map, Value};

use super::{Place, note};
use crate::{Comment, Note, keep, variables::services_named};

/// The beginning: how the server is spoken to.
const HEAD: &str = r#"set -eu
host=${1:?usage: dokku/setup.sh dokku@HOST}

# No terminal, on which Dokku would show values; only plain words in arguments, which Dokku splits once more.
dokku() { ssh -T -o BatchMode=yes "$host" -- "$@" </dev/null; }

# tell COMMAND...: with standard input. What Dokku answers to config:import has the values in it.
tell() { ssh -T -o BatchMode=yes "$host" -- "$@" >/dev/null; }

# exists COMMAND...: whether Dokku says that something is there; a lost connection is no answer.
exists() {
  answer=0
  dokku "$@" >/dev/null 2>&1 || answer=$?
  [ "$answer" != 255 ] || { echo "no connection to $host" >&2; exit 255; }
  [ "$answer" = 0 ]
}
"#;

/// The script.
pub(super) fn script(
    app: &landfall_app::App,
    places: &[Place<'_>],
    notes: &mut Vec<Note>,
) -> String {
    let mut text = format!(
        "#!/bin/sh\n# Sets a Dokku server (0.38 or later) up for {} ({}), again and again with the same end:\n\
         #   dokku/setup.sh dokku@paas.example.com\n\
         # Secrets come from `landfall secrets export`, or from such exports: SECRETS=DIR, which holds SERVICE.json.\n{HEAD}",
        app.app, app.environment
    );
    let secrets = places
        .iter()
        .any(|place| !place.variables().secret.is_empty());
    if secrets {
        let _ = write!(
            text,
            "\nsecrets() {{\n  case ${{SECRETS:-}} in\n    '') landfall secrets export --environment {} --service \"$1\" --format json ;;\n    *) cat \"$SECRETS/$1.json\" ;;\n  esac\n}}\n",
            app.environment
        );
    }
    let network = places
        .iter()
        .any(|place| !services_named(place.service).is_empty());
    if network {
        let _ = write!(
            text,
            "\n# Apps reach one another here, each as NAME.web.\nexists network:exists {0} || dokku network:create {0}\n",
            app.app
        );
    }
    for place in places {
        let script = Script {
            text: String::new(),
            place,
            notes,
        };
        text.push_str(&script.whole(network));
    }
    text.push('\n');
    text.push_str(&keep("commands", 0, Comment::Hash));
    text.push_str("\ncat <<END\nSet up. To deploy:\n");
    for place in places {
        let _ = writeln!(
            text,
            "  git push $host:{} HEAD:refs/heads/main",
            place.dokku
        );
    }
    let first = places
        .first()
        .map(|place| place.dokku.as_str())
        .unwrap_or_default();
    let _ = write!(
        text,
        "It is live once this shows the commit; a push to another branch ends with 0 too:\n  ssh $host apps:report {first} --app-deploy-source-metadata\n\
         To go back, push the earlier commit: Dokku keeps no releases.\nEND\n"
    );
    text
}

/// What is said of one app, command by command.
pub(super) struct Script<'s, 'a> {
    text: String,
    pub(super) place: &'s Place<'a>,
    pub(super) notes: &'s mut Vec<Note>,
}

impl Script<'_, '_> {
    pub(super) fn say(&mut self, comment: &str) {
        let _ = writeln!(self.text, "# {comment}");
    }

    /// A command whose words are plain; else it is left out, and said.
    pub(super) fn dokku(&mut self, setting: &str, words: &[&str]) {
        self.run("", setting, words);
    }

    pub(super) fn run(&mut self, unless: &str, setting: &str, words: &[&str]) {
        match words.iter().find(|word| !plain(word)) {
            None => {
                let _ = writeln!(self.text, "{unless}dokku {}", words.join(" "));
            }
            Some(word) => {
                let said = format!(
                    "`{word}` can't go through Dokku's arguments: set it on the server by hand"
                );
                note(self.notes, self.place.setting(setting), said);
            }
        }
    }

    fn whole(mut self, network: bool) -> String {
        let place = self.place;
        let (dokku, service) = (place.dokku.as_str(), place.service);
        let _ = writeln!(self.text, "\n# {}", place.name);
        let _ = writeln!(
            self.text,
            "exists apps:exists {dokku} || dokku apps:create {dokku}"
        );
        self.dokku("build", &["git:set", dokku, "deploy-branch", "main"]);
        self.built();
        self.config();
        if let Some(port) = service.port {
            // This sets $PORT too, and is stronger than what config:set says of it.
            let outside = service.publish.filter(|port| *port != 443).unwrap_or(80);
            let map = format!("http:{outside}:{port}");
            self.dokku("port", &["ports:set", dokku, &map]);
        }
        self.front();
        let second = |time: landfall_app::units::Time| time.as_millis().div_ceil(1000).to_string();
        self.limits();
        self.say(
            "How long old containers live after the switch, and a container that is asked to end.",
        );
        self.dokku(
            "drain",
            &[
                "checks:set",
                dokku,
                "wait-to-retire",
                &second(service.drain),
            ],
        );
        self.dokku(
            "stop",
            &[
                "ps:set",
                dokku,
                "stop-timeout-seconds",
                &second(service.stop.grace),
            ],
        );
        let restart = match service.restart.give_up {
            GiveUp::Never => "unless-stopped".to_owned(),
            GiveUp::Exit | GiveUp::Stay => {
                format!("on-failure:{}", service.restart.attempts.max(1))
            }
        };
        self.dokku("restart", &["ps:set", dokku, "restart-policy", &restart]);
        if service.processes.len() > 1 {
            self.say(
                "Its own supervisor is the first process; Dokku would put another one before it.",
            );
            self.dokku(
                "process",
                &["scheduler-docker-local:set", dokku, "init-process", "false"],
            );
        }
        self.options();
        self.storage();
        self.backing();
        if network {
            self.dokku(
                "env",
                &[
                    "network:set",
                    dokku,
                    "attach-post-create",
                    place.app.app.as_str(),
                ],
            );
        }
        if landfall_app::model::Strategy::Recreate == service.strategy {
            self.say("The old one stops first.");
            self.dokku("strategy", &["checks:disable", dokku, place.process()]);
            note(
                self.notes,
                place.setting("strategy"),
                "checks are off with it: a release that doesn't come up goes live all the same",
            );
        }
        if service.push.is_some() {
            note(
                self.notes,
                place.setting("push"),
                "images are built on the server, and published nowhere",
            );
        }
        self.text
    }

    /// Where what is built and what describes it stand.
    fn built(&mut self) {
        let place = self.place;
        let dokku = place.dokku.as_str();
        let folder = place.folder.clone();
        if !folder.is_empty() {
            self.dokku("root", &["builder:set", dokku, "build-dir", &folder]);
        }
        if place.recipe.is_some() || matches!(place.service.source, Source::Image(_)) {
            self.dokku("build", &["builder:set", dokku, "selected", "dockerfile"]);
        }
        if place.dockerfile != "Dockerfile" {
            let path = place.dockerfile.clone();
            self.dokku(
                "build",
                &["builder-dockerfile:set", dokku, "dockerfile-path", &path],
            );
        }
        if place.shared {
            self.dokku(
                "build",
                &[
                    "app-json:set",
                    dokku,
                    "appjson-path",
                    &place.own("app.json"),
                ],
            );
            self.dokku(
                "build",
                &["ps:set", dokku, "procfile-path", &place.own("Procfile")],
            );
        }
        if let Source::Build(build) = &place.service.source {
            for (name, value) in &build.args {
                let landfall_app::Value::Text(value) = value else {
                    continue;
                };
                // One word at Dokku's, and one of the build.
                let option = format!("--build-arg={name}={value}");
                self.dokku(
                    "build.args",
                    &["docker-options:add", dokku, "build", &option],
                );
            }
            if build.stage.is_some() || !build.secrets.is_empty() {
                note(
                    self.notes,
                    place.setting("build"),
                    "Dokku builds the last stage, without build secrets",
                );
            }
        }
    }

    /// Values, by standard input and without a restart: `config:set` ends with 0 even where that fails.
    fn config(&mut self) {
        let place = self.place;
        let dokku = &place.dokku;
        let found = place.variables();
        if !found.plain.is_empty() {
            let values = found
                .plain
                .iter()
                .map(|(name, value)| (name.clone(), Value::from(value.as_str())));
            let values = Value::Object(values.collect::<Map<_, _>>());
            let _ = write!(
                self.text,
                "tell config:import --no-restart --format json {dokku} - <<'JSON'\n{values:#}\nJSON\n"
            );
        }
        if !found.secret.is_empty() {
            let _ = write!(
                self.text,
                "values=$(secrets {})\nprintf '%s' \"$values\" | tell config:import --no-restart --format json {dokku} -\n",
                place.name
            );
        }
    }

    /// What stands in front of it.
    fn front(&mut self) {
        let place = self.place;
        let (dokku, service) = (place.dokku.as_str(), place.service);
        let hosts: Vec<&str> = service
            .domains
            .iter()
            .filter(|domain| domain.redirect.is_none())
            .map(|domain| domain.host.as_str())
            .collect();
        match hosts.as_slice() {
            [] if service.public == Public::No
                && service.publish.is_none()
                && service.port.is_some() =>
            {
                // The app's own service is what somebody deploys to look at; one beside it is for the others.
                if place.app.services.len() > 1 && place.app.app != *place.name {
                    self.say("Nothing leads here from outside.");
                    self.dokku("domains", &["proxy:disable", dokku]);
                } else {
                    let said = "names no host: Dokku serves it at its own, as APP.GLOBAL-DOMAIN; proxy:disable takes that away";
                    note(self.notes, place.setting("domains"), said);
                }
            }
            [] => {}
            hosts => {
                let mut words = vec!["domains:set", dokku];
                words.extend(hosts);
                self.dokku("domains", &words);
                self.say("Two apps may have one host name without an error: look that no other has it. With the plugin for certificates, once it is deployed:");
                self.say(&format!("  dokku letsencrypt:set {dokku} email YOU@EXAMPLE.COM; dokku letsencrypt:enable {dokku}"));
            }
        }
        if service
            .domains
            .iter()
            .any(|domain| domain.redirect.is_some())
        {
            let said = "a host name that redirects needs the redirect plugin of Dokku";
            note(self.notes, place.setting("domains"), said);
        }
        if !service.routes.is_empty() {
            let said = "Dokku routes by host name alone";
            note(self.notes, place.setting("routes"), said);
        }
        if let Some(size) = service.http.max_body {
            let size = size.bytes().to_string();
            self.dokku(
                "http.max-body",
                &["nginx:set", dokku, "client-max-body-size", &size],
            );
        }
        let timeout = service.http.timeout.as_millis().div_ceil(1000);
        if timeout != 60 {
            self.dokku(
                "http.timeout",
                &[
                    "nginx:set",
                    dokku,
                    "proxy-read-timeout",
                    &format!("{timeout}s"),
                ],
            );
        }
        if !service.http.headers.is_empty() {
            note(
                self.notes,
                place.setting("http.headers"),
                "no headers are set on answers; an nginx.conf.sigil of your own can do it",
            );
        }
    }

    fn limits(&mut self) {
        let place = self.place;
        let (dokku, service) = (place.dokku.as_str(), place.service);
        // Dokku takes any word for a size and fails at the next deployment: these are numbers of ours.
        let bytes = |size: landfall_app::units::Size| format!("{}b", size.bytes());
        let cores =
            |cpu: landfall_app::units::Cpu| (f64::from(cpu.thousandths()) / 1000.0).to_string();
        let limit = (
            service.memory.and_then(|it| it.limit).map(bytes),
            service.cpu.and_then(|it| it.limit).map(cores),
        );
        let reserve = (
            service.memory.and_then(|it| it.request).map(bytes),
            service.cpu.and_then(|it| it.request).map(cores),
        );
        for (command, (memory, cpu)) in [("resource:limit", limit), ("resource:reserve", reserve)] {
            let mut words = vec![command];
            if let Some(memory) = &memory {
                words.extend(["--memory", memory]);
            }
            if let Some(cpu) = &cpu {
                words.extend(["--cpu", cpu]);
            }
            if words.len() > 1 {
                words.push(dokku);
                self.dokku("memory", &words);
            }
        }
        for process in &service.processes {
            if service.processes.len() > 1 && (process.memory.is_some() || process.cpu.is_some()) {
                note(
                    self.notes,
                    place.setting(&format!("process.{}.memory", process.name)),
                    "one process has no limit of its own here: the container's holds for all of them",
                );
            }
        }
    }

    /// Options of the containers that run, and of those that run once.
    fn options(&mut self) {
        let service = self.place.service;
        let mut options = Vec::new();
        options.extend(service.user.map(|user| format!("--user={user}")));
        options.extend(service.read_only.then(|| "--read-only".to_owned()));
        options.extend(
            service
                .tmpfs
                .iter()
                .map(|folder| format!("--tmpfs={folder}")),
        );
        if !service.capabilities.is_empty() {
            options.push("--cap-drop=ALL".to_owned());
        }
        options.extend(
            service
                .capabilities
                .iter()
                .map(|one| format!("--cap-add={one}")),
        );
        options.extend(service.pids.map(|pids| format!("--pids-limit={pids}")));
        if service.stop.signal != "SIGTERM" {
            options.push(format!("--stop-signal={}", service.stop.signal));
            note(
                self.notes,
                self.place.setting("stop.signal"),
                "Dokku itself sends SIGTERM to the old containers right after the switch",
            );
        }
        let dokku = self.place.dokku.clone();
        for option in options {
            self.dokku(
                "user",
                &["docker-options:add", &dokku, "deploy,run", &option],
            );
        }
    }
}

/// Whether a word goes through ssh, Dokku's own splitting and a shell as it stands.
pub(super) fn plain(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte))
}
