//! The app itself: everything that is no service.

use std::collections::BTreeMap;

use crate::{
    grammar::{ALL_NEWS, version},
    model::{
        Alert, App, Hook, HookPoint, Job, Logs, Notify, Pipeline, RegistryLogin, Run, SecretsFrom,
        Target, Test,
    },
    name::Name,
    node::{Fields, Node},
    source::Span,
    template::Value,
    units::{Size, Time},
};

use super::Lower;

impl Lower<'_> {
    pub(super) fn app(&mut self, environment: &Name, environments: Option<&Fields>) -> Option<App> {
        let merged = self.merged;
        let (root, own) = (&merged.root, &merged.environment);
        self.check_version(root);
        self.check_plain_variables();
        let target = self.target(own.field("target").map(|field| &field.node), root);
        if !matches!(target, Target::Local)
            && let Some(field) = own.field("target")
        {
            self.not_built(&field.key, "any target but `local`", true);
        }
        let services = self.services(&target);
        let backing = self.backings(&services);
        let app = App {
            app: root.parsed("app").or_else(|| "app".parse().ok())?,
            environment: environment.clone(),
            target,
            timezone: root.text("timezone").unwrap_or("UTC").to_owned(),
            services,
            backing,
            jobs: self.jobs(root),
            hooks: self.hooks(root),
            logs: logs(root),
            alerts: alerts(root),
            notify: self.notify(root),
            pipeline: root.table("pipeline").map(pipeline),
            registries: self.registries(root),
            secrets_from: secrets_from(root),
            branch: own.text("branch").map(str::to_owned),
            verified_in: own.parsed("verified-in"),
            approvals: own.parsed("approvals").unwrap_or(0),
            basic_auth: own.get("basic-auth").map(|node| self.filled(node)),
            per_pull_request: own.has("per"),
            expires: own.parsed("expires"),
        };
        if let Some(node) = own.get("verified-in") {
            self.check_environment(node, environment, environments);
        }
        self.check_together();
        Some(app)
    }

    fn check_version(&mut self, root: &Fields) {
        let Some(node) = root.get("requires-landfall") else {
            return;
        };
        let ours = env!("CARGO_PKG_VERSION");
        let wanted = node.text().and_then(version);
        if wanted > version(ours) {
            let message = format!(
                "this file needs Landfall {} or newer",
                node.text().unwrap_or_default()
            );
            self.error(
                "landfall-too-old",
                &node.span,
                message,
                format!("this is Landfall {ours}"),
            );
        }
    }

    fn check_environment(
        &mut self,
        node: &Node,
        environment: &Name,
        environments: Option<&Fields>,
    ) {
        let name = node.text().unwrap_or_default();
        if name == environment.as_str() {
            self.error(
                "verified-in-itself",
                &node.span,
                "an environment can't wait for itself",
                "names its own environment",
            );
        } else if name != crate::file::LOCAL && environments.is_none_or(|known| !known.has(name)) {
            let names: Vec<_> = environments
                .into_iter()
                .flat_map(Fields::iter)
                .map(|(name, _)| name)
                .collect();
            let message = "`verified-in` names an environment that doesn't exist".to_owned();
            self.unknown(
                "unknown-environment",
                &node.span,
                message,
                name,
                names.iter().copied(),
                "the file has",
            );
        }
    }

    pub(super) fn target(&mut self, node: Option<&Node>, root: &Fields) -> Target {
        let Some(node) = node else {
            return Target::Local;
        };
        if let Some(text) = node.text() {
            return if text == "local" {
                Target::Local
            } else {
                Target::Ssh(text.to_owned())
            };
        }
        let Some(fields) = node.table() else {
            return Target::Local;
        };
        let text = |key: &str| fields.text(key).map(str::to_owned);
        if let Some(dokku) = text("dokku") {
            return Target::Dokku(dokku);
        }
        if let Some(site) = text("netlify") {
            return Target::Netlify(site);
        }
        if let Some(space) = text("huggingface") {
            return Target::HuggingFace(space);
        }
        if let Some(cluster) = fields.get("kubernetes") {
            let table = cluster.table();
            let context = cluster
                .text()
                .or_else(|| table.and_then(|table| table.text("context")));
            let namespace = table
                .and_then(|table| table.text("namespace"))
                .or_else(|| root.text("app"));
            return Target::Kubernetes {
                context: context.map(str::to_owned),
                namespace: namespace.map(str::to_owned),
            };
        }
        self.error(
            "bad-target",
            &node.span,
            "the target names nothing",
            "expected { dokku = … }, { kubernetes = … }, { netlify = … } or { huggingface = … }",
        );
        Target::Local
    }

    /// The service that a job or hook runs in.
    fn run_in(&mut self, table: Option<&Fields>, place: &Span, what: &str) -> Option<Name> {
        if let Some(node) = table.and_then(|table| table.get("service")) {
            self.known_service(node, what);
            return node.text()?.parse().ok();
        }
        if self.services.len() == 1 {
            return self.services.first()?.parse().ok();
        }
        if !self.services.is_empty() {
            let services = self.services.iter().copied().collect::<Vec<_>>();
            let label = format!("this file has: {}", crate::file::list(services.into_iter()));
            self.error(
                "missing-key",
                place,
                format!("{what} must say in which service it runs"),
                label,
            )
            .help = Some("add service = \"…\"".to_owned());
        }
        None
    }

    fn jobs(&mut self, root: &Fields) -> BTreeMap<Name, Job> {
        let mut jobs = BTreeMap::new();
        for (name, field) in root.table("job").into_iter().flat_map(Fields::iter) {
            let Some(fields) = field.node.table() else {
                continue;
            };
            let service = self.run_in(Some(fields), &field.key, "a job");
            let runs_nothing = service.as_ref().is_some_and(|service| {
                let facts = root
                    .table("service")
                    .and_then(|all| all.get(service.as_str()));
                facts
                    .and_then(Node::table)
                    .is_some_and(|facts| facts.has("static"))
            });
            if runs_nothing {
                let place = fields.get("service").map_or(&field.key, |node| &node.span);
                self.error(
                    "nothing-runs-there",
                    place,
                    "a job can't run in a service of static files",
                    "expected a service that runs something",
                );
            }
            let command = fields.get("run").and_then(run);
            if let (Ok(name), Some(run), Some(service)) = (name.parse(), command, service) {
                jobs.insert(
                    name,
                    Job {
                        run,
                        schedule: fields.text("schedule").unwrap_or_default().to_owned(),
                        service,
                        timeout: fields.parsed("timeout"),
                    },
                );
            }
        }
        jobs
    }

    fn hooks(&mut self, root: &Fields) -> BTreeMap<HookPoint, Hook> {
        let mut hooks = BTreeMap::new();
        for (point, field) in root.table("hook").into_iter().flat_map(Fields::iter) {
            let point = match point {
                "before" => HookPoint::Before,
                "verified" => HookPoint::Verified,
                "switched" => HookPoint::Switched,
                "failed" => HookPoint::Failed,
                _ => HookPoint::After,
            };
            let table = field.node.table();
            let service = self.run_in(table, &field.key, "a hook");
            let command = run(table
                .and_then(|table| table.get("run"))
                .unwrap_or(&field.node));
            if let (Some(run), Some(service)) = (command, service) {
                hooks.insert(point, Hook { run, service });
            }
        }
        hooks
    }

    fn notify(&mut self, root: &Fields) -> Vec<Notify> {
        let mut all = Vec::new();
        for node in root.list("notify") {
            let Some(fields) = node.table() else { continue };
            let kind = ["slack", "webhook", "email"]
                .into_iter()
                .find(|kind| fields.has(kind));
            let Some((kind, to)) = kind.and_then(|kind| Some((kind, fields.get(kind)?))) else {
                self.error(
                    "missing-key",
                    &node.span,
                    "a `[[notify]]` names no one",
                    "expected `slack`, `webhook` or `email`",
                );
                continue;
            };
            let mut on = texts(fields.list("on"));
            if on.is_empty() {
                on = ALL_NEWS.iter().map(|news| (*news).to_owned()).collect();
            }
            all.push(Notify {
                kind: kind.to_owned(),
                to: self.filled(to),
                on,
            });
        }
        all
    }

    fn registries(&mut self, root: &Fields) -> BTreeMap<String, RegistryLogin> {
        let mut registries = BTreeMap::new();
        for (host, field) in root.table("registry").into_iter().flat_map(Fields::iter) {
            let Some(fields) = field.node.table() else {
                continue;
            };
            let value = |lower: &mut Self, key: &str| match fields.get(key) {
                Some(node) => lower.filled(node),
                None => Value::Text(crate::template::Template::text("")),
            };
            let login = RegistryLogin {
                username: value(self, "username"),
                password: value(self, "password"),
            };
            registries.insert(host.to_owned(), login);
        }
        registries
    }
}

/// A command that ends.
pub(super) fn run(node: &Node) -> Option<Run> {
    match node.text() {
        Some(text) => Some(Run::Shell(text.to_owned())),
        None => node.list().map(|items| Run::Exact(texts(items))),
    }
}

/// The texts of a list.
pub(super) fn texts(items: &[Node]) -> Vec<String> {
    items
        .iter()
        .filter_map(Node::text)
        .map(str::to_owned)
        .collect()
}

/// The texts of a table of names.
pub(super) fn text_map(fields: Option<&Fields>) -> BTreeMap<String, String> {
    let pairs = fields.into_iter().flat_map(Fields::iter);
    pairs
        .filter_map(|(key, field)| Some((key.to_owned(), field.node.text()?.to_owned())))
        .collect()
}

fn logs(root: &Fields) -> Logs {
    let logs = root.table("logs");
    Logs {
        keep: logs
            .and_then(|logs| logs.parsed("keep"))
            .unwrap_or(Time::from_secs(7 * 86_400)),
        max: logs
            .and_then(|logs| logs.parsed("max"))
            .unwrap_or(Size::from_bytes(1 << 30)),
    }
}

fn alerts(root: &Fields) -> BTreeMap<String, Alert> {
    let rules = root.table("alert").into_iter().flat_map(Fields::iter);
    rules
        .filter_map(|(subject, field)| {
            let alert = match field.node.table() {
                Some(table) => Alert {
                    above: table.parsed("above")?,
                    lasting: table.parsed("for"),
                },
                None => Alert {
                    above: field.node.text()?.parse().ok()?,
                    lasting: None,
                },
            };
            Some((subject.to_owned(), alert))
        })
        .collect()
}

fn pipeline(fields: &Fields) -> Pipeline {
    let tests = fields
        .list("tests")
        .iter()
        .filter_map(Node::table)
        .filter_map(|test| {
            Some(Test {
                run: run(test.get("run")?)?,
                root: test.text("root").unwrap_or(".").to_owned(),
                report: test.text("report").map(str::to_owned),
            })
        });
    Pipeline {
        tests: tests.collect(),
        coverage: fields.parsed("coverage"),
        timeout: fields.parsed("timeout"),
    }
}

fn secrets_from(root: &Fields) -> SecretsFrom {
    match root.get("secrets-from") {
        Some(node) if node.text() == Some("env") => SecretsFrom::Env,
        Some(node) => match node.table() {
            Some(table) => SecretsFrom::Command(texts(table.list("command"))),
            None => SecretsFrom::File,
        },
        None => SecretsFrom::File,
    }
}
