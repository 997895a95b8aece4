//! A service with every default.

use std::collections::BTreeMap;

use crate::{
    model::{Build, Replicas, Runtime, SecretUse, Service, Source, StartOrder, Strategy, Target},
    name::Name,
    node::{Field, Fields, Node},
    template::Value,
    units::{Share, Time},
};

use super::{
    Known, Lower, Scope,
    app::{run, text_map, texts},
    health::{Probes, health},
    platform::volumes,
    secret_name,
    service_values::{
        cors, domain, http, limits, observe, public, redirect, restart, route, scan, smoke, stop,
    },
};

impl Lower<'_> {
    pub(super) fn services(&mut self, target: &Target) -> BTreeMap<Name, Service> {
        let merged = self.merged;
        let mut services = BTreeMap::new();
        let all = merged.root.table("service");
        if all.is_none_or(Fields::is_empty) {
            self.error(
                "no-services",
                &(0..0),
                "the app has no services",
                "expected at least one [service.NAME]",
            );
        }
        for (name, field) in all.into_iter().flat_map(Fields::iter) {
            let (Some(fields), Ok(known)) = (field.node.table(), name.parse::<Name>()) else {
                continue;
            };
            services.insert(known, self.service(name, field, fields, target));
        }
        services
    }

    fn service(&mut self, name: &str, field: &Field, fields: &Fields, target: &Target) -> Service {
        let merged = self.merged;
        let root = &merged.root;
        let own_target = fields.field("target");
        let target = match own_target {
            Some(own) => {
                let target = self.target(Some(&own.node), root);
                if target != Target::Local {
                    self.not_built(&own.key, "any target but `local`", true);
                }
                target
            }
            None => target.clone(),
        };
        let runtime = self.runtime(name, fields);
        self.check_source(name, field, fields, runtime, &target);
        let known = Known::new(name, fields);
        let uses = self.uses(fields);
        let given: BTreeMap<&str, &str> = uses
            .iter()
            .map(|(name, variable)| (variable.as_str(), name.as_str()))
            .collect();
        if let Some(env) = fields.table("env") {
            self.check_variables(env, Scope::service(&known), &given);
        }
        let secrets = self.secrets(fields, &given);
        self.check_commands(&known, &secrets, &given, runtime);
        let processes = self.processes(&known, &given);
        let listens = fields.has("port");
        let probes = Probes {
            service: fields.get("health"),
            own: None,
        };
        let health = health(probes, listens, Time::from_secs(5));
        if let Some(field) = fields.field("health") {
            self.check_health(&field.node, &health, listens, &field.key);
        }
        let replicas = self.replicas(fields);
        let strategy = self.strategy(fields, &replicas);
        Service {
            target,
            runtime,
            root: fields.text("root").unwrap_or(".").to_owned(),
            source: self.source(&known, fields, runtime),
            push: fields.text("push").map(str::to_owned),
            port: fields.parsed("port"),
            publish: fields.parsed("publish"),
            public: public(fields.get("public")),
            domains: fields.list("domains").iter().filter_map(domain).collect(),
            routes: fields
                .list("routes")
                .iter()
                .filter_map(Node::table)
                .map(route)
                .collect(),
            health,
            memory: limits(fields.get("memory")),
            cpu: limits(fields.get("cpu")),
            gpu: fields.parsed("gpu").unwrap_or(0),
            smoke: fields.list("smoke").iter().filter_map(smoke).collect(),
            cors: fields.table("cors").map(cors),
            env: self.environment_variables(name, None),
            secrets,
            processes,
            static_files: fields.text("static").map(str::to_owned),
            uses,
            migrate: fields.get("migrate").and_then(run),
            replicas,
            start: if fields.text("start") == Some("one-first") {
                StartOrder::OneFirst
            } else {
                StartOrder::Together
            },
            strategy,
            drain: fields.parsed("drain").unwrap_or(Time::from_secs(30)),
            stop: stop(fields.table("stop")),
            observe: observe(fields.get("observe")),
            http: http(fields.table("http")),
            redirects: fields
                .list("redirects")
                .iter()
                .filter_map(Node::table)
                .map(redirect)
                .collect(),
            volumes: volumes(fields.table("volumes")),
            files: text_map(fields.table("files")),
            user: fields.parsed("user"),
            read_only: fields
                .get("read-only")
                .and_then(Node::boolean)
                .unwrap_or(false),
            tmpfs: texts(fields.list("tmpfs")),
            capabilities: texts(fields.list("capabilities")),
            pids: fields.parsed("pids"),
            disk: fields.parsed("disk"),
            scan: scan(fields.get("scan")),
            restart: restart(fields.table("restart")),
        }
    }

    /// The service's own in the environment, the environment's, the service's own at the top, what it is made of.
    fn runtime(&mut self, name: &str, fields: &Fields) -> Runtime {
        let merged = self.merged;
        let own = fields.field("runtime");
        let own_at_top = own.is_some_and(|field| field.node.layer == 0);
        let environment = merged.environment.field("runtime");
        let image = fields.has("image");
        let said = if own_at_top && !image {
            environment.or(own)
        } else {
            own.or(environment.filter(|_| !image))
        };
        let dockerfile = names_dockerfile(fields)
            || self
                .same_as(fields)
                .is_some_and(|other| names_dockerfile(other) || other.has("image"));
        let runtime = match said.and_then(|field| field.node.text()) {
            Some("process") => Runtime::Process,
            Some(_) => Runtime::Container,
            None if image || dockerfile => Runtime::Container,
            None => Runtime::Process,
        };
        if image
            && runtime == Runtime::Process
            && let Some(field) = own
        {
            self.error(
                "image-as-process",
                &field.node.span,
                format!("the service `{name}` is an image, which only runs as a container"),
                "take this out",
            );
            return Runtime::Container;
        }
        if runtime == Runtime::Process && !fields.has("static") {
            for key in [
                "volumes",
                "files",
                "user",
                "gpu",
                "disk",
                "read-only",
                "tmpfs",
            ] {
                if let Some(field) = fields.field(key)
                    && field.node.integer() != Some(0)
                    && field.node.boolean() != Some(false)
                {
                    self.not_built(&field.key, &format!("`{key}` of plain processes"), true);
                    if let Some(last) = self.unsupported.last_mut() {
                        last.help = Some("runtime = \"container\" has it".to_owned());
                    }
                }
            }
        }
        runtime
    }

    fn same_as(&self, fields: &Fields) -> Option<&Fields> {
        self.service_fields(fields.table("build")?.text("same-as")?)
    }

    fn source(&mut self, known: &Known<'_>, fields: &Fields, runtime: Runtime) -> Source {
        if let Some(image) = fields.text("image") {
            return Source::Image(image.to_owned());
        }
        let Some(node) = fields.get("build") else {
            return Source::Build(Build::default());
        };
        if let Some(text) = node.text() {
            let build = if !is_dockerfile(text) {
                Build {
                    context: Some(text.to_owned()),
                    ..Build::default()
                }
            } else if runtime == Runtime::Process {
                // As plain processes it is built by what stands in its folder.
                Build::default()
            } else {
                Build {
                    dockerfile: Some(text.to_owned()),
                    ..Build::default()
                }
            };
            return Source::Build(build);
        }
        let Some(table) = node.table() else {
            return Source::Build(Build::default());
        };
        if let Some(other) = table.text("same-as").and_then(|other| other.parse().ok()) {
            return Source::SameAs(other);
        }
        let scope = Scope {
            listed: false,
            ..Scope::service(known)
        };
        let values = |lower: &mut Self, key: &str| -> BTreeMap<String, Value> {
            let all = table.table(key).into_iter().flat_map(Fields::iter);
            all.map(|(name, field)| (name.to_owned(), lower.template(&field.node, scope)))
                .collect()
        };
        let (args, env) = (values(self, "args"), values(self, "env"));
        let text = |key: &str| table.text(key).map(str::to_owned);
        let container = runtime == Runtime::Container;
        Source::Build(Build {
            dockerfile: text("dockerfile").filter(|_| container),
            context: text("context"),
            args: if container { args } else { BTreeMap::new() },
            stage: text("stage").filter(|_| container),
            secrets: texts(table.list("secrets")),
            run: table.get("run").and_then(run),
            env,
            output: text("output"),
            cache: texts(table.list("cache")),
        })
    }

    fn secrets(
        &mut self,
        fields: &Fields,
        given: &BTreeMap<&str, &str>,
    ) -> BTreeMap<String, SecretUse> {
        let mut secrets = BTreeMap::new();
        for entry in fields.list("secrets") {
            let Some(name) = secret_name(entry) else {
                continue;
            };
            if let Some(backing) = given.get(name) {
                self.error(
                    "reserved-variable",
                    &entry.span,
                    format!("`{name}` is set by Landfall"),
                    format!("`uses` gives it the address of `{backing}`"),
                );
            } else if name == "PORT" || name.starts_with("LANDFALL_") {
                self.error(
                    "reserved-variable",
                    &entry.span,
                    format!("`{name}` is set by Landfall"),
                    "no secret can be called so",
                );
            }
            if let Some(field) = fields.table("env").and_then(|env| env.field(name)) {
                self.error(
                    "conflicting-keys",
                    &field.key,
                    format!("`{name}` is a secret and a plain value"),
                    "the plain value",
                )
                .related = Some((entry.span.clone(), "the secret".to_owned()));
            }
            let optional = entry
                .table()
                .and_then(|table| table.get("optional"))
                .and_then(Node::boolean)
                .unwrap_or(false);
            if secrets
                .insert(name.to_owned(), SecretUse { optional })
                .is_some()
            {
                self.error(
                    "duplicate-key",
                    &entry.span,
                    format!("the secret `{name}` is named twice"),
                    "the second time",
                );
            }
        }
        secrets
    }

    fn replicas(&mut self, fields: &Fields) -> Replicas {
        let Some(field) = fields.field("replicas") else {
            return Replicas::Fixed(1);
        };
        let Some(table) = field.node.table() else {
            return Replicas::Fixed(
                field
                    .node
                    .scalar()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(1),
            );
        };
        self.not_built(&field.key, "scaling by load", true);
        let min = table.parsed("min").unwrap_or(1);
        let max = table.parsed("max").unwrap_or(min);
        if min > max
            && let Some(node) = table.get("max")
        {
            self.error(
                "bad-value",
                &node.span,
                format!("`max` is {max}, less than `min` {min}"),
                format!("expected at least {min}"),
            );
        }
        Replicas::Scaled {
            min,
            max,
            cpu: table.parsed("cpu").unwrap_or(Share::from_hundredths(7000)),
        }
    }

    fn strategy(&mut self, fields: &Fields, replicas: &Replicas) -> Strategy {
        let Some(field) = fields.field("strategy") else {
            return Strategy::BlueGreen;
        };
        let strategy = match (field.node.text(), field.node.table()) {
            (Some("recreate"), _) => Strategy::Recreate,
            (Some("rolling"), _) => Strategy::Rolling {
                surge: 1,
                unavailable: 0,
            },
            (_, Some(table)) => match table.table("rolling") {
                Some(rolling) => Strategy::Rolling {
                    surge: rolling.parsed("surge").unwrap_or(1),
                    unavailable: rolling.parsed("unavailable").unwrap_or(0),
                },
                None => Strategy::Canary {
                    shares: texts(table.list("canary"))
                        .iter()
                        .filter_map(|share| share.parse().ok())
                        .collect(),
                    step: table.parsed("step").unwrap_or(Time::from_secs(60)),
                },
            },
            _ => Strategy::BlueGreen,
        };
        let span = &field.node.span;
        match &strategy {
            Strategy::Rolling {
                surge: 0,
                unavailable: 0,
            } => {
                self.error(
                    "bad-value",
                    span,
                    "nothing could ever change",
                    "`surge` or `unavailable` must be more than 0",
                );
            }
            Strategy::Canary { shares, .. } if shares.is_empty() => {
                self.error(
                    "missing-key",
                    span,
                    "`strategy` names no steps",
                    "for example { canary = [\"10%\", \"50%\"] }",
                );
            }
            Strategy::Canary { shares, .. } if !shares.is_sorted_by(|a, b| a < b) => {
                self.error(
                    "bad-value",
                    span,
                    "the shares of a canary grow",
                    "each must be more than the one before",
                );
            }
            Strategy::Recreate if *replicas != Replicas::Fixed(1) => {
                self.error(
                    "recreate-with-replicas",
                    span,
                    "`recreate` is for what can't run twice, and `replicas` runs it several times",
                    "keep one of the two",
                );
            }
            _ => {}
        }
        match strategy {
            Strategy::Rolling { .. } => {
                self.not_built(&field.key, "`strategy = \"rolling\"`", true)
            }
            Strategy::Canary { .. } => {
                self.not_built(&field.key, "`strategy = { canary = … }`", true)
            }
            Strategy::BlueGreen | Strategy::Recreate => {}
        }
        strategy
    }
}

/// Whether a service names a Dockerfile.
pub(super) fn names_dockerfile(fields: &Fields) -> bool {
    let Some(build) = fields.get("build") else {
        return false;
    };
    build.text().is_some_and(is_dockerfile)
        || build
            .table()
            .is_some_and(|table| ["dockerfile", "stage"].iter().any(|key| table.has(key)))
}

/// `Dockerfile`, `Dockerfile.web`, `web.Dockerfile`, `Containerfile`.
fn is_dockerfile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    ["dockerfile", "containerfile"].iter().any(|word| {
        name == *word
            || name
                .strip_prefix(word)
                .is_some_and(|rest| rest.starts_with(['.', '-']))
            || name.ends_with(&format!(".{word}"))
    })
}
