//! The table of an environment, and its targets.

use super::{
    ENV, Kind, Naming, Shape, Table,
    app::{ALERTS, BACKINGS, HOOKS, JOBS, LOGS, SECRETS_FROM},
    key, scalar,
    service::SERVICE,
    table,
};

/// An environment.
pub(super) static ENVIRONMENT: Table = table("environment", "an environment", "What is different in one environment. Any value of a service can be set again, by dotted keys or tables of its own; the values given here are stronger than those at the top.", &[
    key("target", TARGET, "Where services run that name no target of their own.").default("\"local\"").example("\"ssh://deploy@203.0.113.7\""),
    key("runtime", scalar(Kind::Word(RUNTIMES)), "How services run: as plain processes, or as containers. By default a service that names a Dockerfile or an image is a container.").example("\"process\""),
    key("extends", scalar(Kind::Name("environment")), "Takes over everything of another environment but `target`, `domains`, `branch`, `publish`, the destinations of backups and secrets.").example("\"production\""),
    key("env", ENV, "Plain values for all services.").example("{ LOG_LEVEL = \"debug\" }"),
    key("branch", scalar(Kind::Filled), "A push to this branch deploys; other branches are refused.").example("\"main\"").later(),
    key("verified-in", scalar(Kind::Name("environment")), "Only what this environment has verified can be deployed.").example("\"staging\"").later(),
    key("approvals", scalar(Kind::Count { least: 0, most: 100 }), "How many people must agree to a plan.").default("0").example("1").later(),
    key("basic-auth", scalar(Kind::Template), "A password in front of everything, `user:password`.").example("\"${secret.STAGING_AUTH}\"").later(),
    key("per", scalar(Kind::Word(&["pull-request"])), "One such environment for each pull request.").example("\"pull-request\"").later(),
    key("expires", scalar(Kind::Time), "When one made for a pull request ends.").example("\"7d\"").later(),
    key("service", Shape::Map(Naming::Name("service"), &Shape::Table(&SERVICE)), "Values of services, set again.").example("{ web = { replicas = 1 } }"),
    key("backing", BACKINGS, "Values of backing services, set again.").example("{ postgres = { memory = \"256MiB\" } }"),
    key("job", JOBS, "Values of jobs, set again.").example("{ nightly = { schedule = \"0 4 * * *\" } }"),
    key("hook", HOOKS, "Hooks, set again.").example("{ switched = \"bin/announce\" }"),
    key("logs", LOGS, "How long logs are kept, set again.").example("{ keep = \"30d\" }"),
    key("alert", ALERTS, "Alerts, set again.").example("{ disk = \"90%\" }").later_harmless(),
    key("secrets-from", SECRETS_FROM, "Where the values of secrets come from, set again.").example("\"env\""),
]);

pub(super) const RUNTIMES: &[&str] = &["process", "container"];

pub(super) const TARGET: Shape = Shape::Either(&[scalar(Kind::Target), Shape::Table(&TARGETS)]);

static TARGETS: Table = table(
    "target",
    "a target",
    "Where services run, where it is neither this machine nor a server.",
    &[
        key(
            "dokku",
            scalar(Kind::Destination),
            "A Dokku server: its SSH destination.",
        )
        .example("\"dokku@paas.example.com\""),
        key(
            "kubernetes",
            Shape::Either(&[scalar(Kind::Filled), Shape::Table(&CLUSTER)]),
            "A Kubernetes cluster: its context.",
        )
        .example("{ context = \"minikube\", namespace = \"todo\" }"),
        key("netlify", scalar(Kind::Filled), "A Netlify site.").example("\"textbook\""),
        key("huggingface", scalar(Kind::Space), "A Hugging Face Space.")
            .example("\"acme/textbook\""),
    ],
)
.exclusive(&[&["dokku", "kubernetes", "netlify", "huggingface"]]);

static CLUSTER: Table = table(
    "kubernetes",
    "a Kubernetes target",
    "A cluster and a namespace in it.",
    &[
        key(
            "context",
            scalar(Kind::Filled),
            "The context of the kubeconfig; the current one by default.",
        )
        .example("\"minikube\""),
        key(
            "namespace",
            scalar(Kind::Name("namespace")),
            "The namespace; the app's name by default.",
        )
        .example("\"todo\""),
    ],
);
