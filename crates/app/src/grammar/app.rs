//! The tables at the top of the file.

use super::{
    ENV, Kind, Naming, RUN, Shape, TEXT, Table, environment::ENVIRONMENT, key, platform, scalar,
    service::SERVICE, table,
};

/// The file.
pub(crate) static APP: Table = table("app-file", "the file", "What stands at the top of `landfall.toml`.", &[
    key("app", scalar(Kind::Name("app")), "The app's name.").example("\"shop\"").required(),
    key("requires-landfall", scalar(Kind::Version), "The oldest Landfall that can read this file.").example("\"0.1\""),
    key("timezone", scalar(Kind::Zone), "Time zone of jobs, backups and quiet hours; an IANA name.")
        .default("\"UTC\"")
        .example("\"Europe/Berlin\""),
    key("secrets-from", SECRETS_FROM, "Where the values of secrets come from: `landfall.secrets.toml`, the environment of the command, or a command's output (`{environment}` and `{name}` are put in).")
        .default("\"file\"")
        .example("{ command = [\"op\", \"read\", \"op://shop/{environment}/{name}\"] }"),
    key("env", ENV, "Plain values for all services of the app; they never reach someone else's image.")
        .example("{ TZ = \"UTC\" }"),
    key("service", Shape::Map(Naming::Name("service"), &Shape::Table(&SERVICE)), "What is built, shipped and scaled as one, by name.")
        .example("{ web = { command = \"bin/web\", port = 3000 } }"),
    key("backing", BACKINGS, "Databases and caches that the app uses, by name.")
        .example("{ postgres = { version = \"15\" } }"),
    key("job", JOBS, "What runs on a schedule, by name.")
        .example("{ nightly = { run = \"bin/report\", schedule = \"30 2 * * *\", service = \"web\" } }"),
    key("hook", HOOKS, "Commands at points of a deployment.")
        .example("{ switched = { run = \"bin/set-webhook\", service = \"web\" } }"),
    key("logs", LOGS, "How long logs are kept.").example("{ keep = \"7d\" }"),
    key("alert", ALERTS, "What to be told about.").example("{ disk = { above = \"80%\" } }").later_harmless(),
    key("notify", Shape::List(&Shape::Table(&NOTIFY)), "Where news of deployments goes.")
        .example("[{ slack = \"${secret.SLACK_WEBHOOK}\", on = [\"failed\"] }]")
        .later_harmless(),
    key("pipeline", Shape::Table(&PIPELINE), "What must pass before a deployment.")
        .example("{ tests = [{ run = \"npm test\" }] }")
        .later(),
    key("registry", Shape::Map(Naming::Host, &Shape::Table(&REGISTRY)), "Logins of image registries, by host.")
        .example("{ \"ghcr.io\" = { username = \"acme-bot\", password = \"${secret.GHCR_TOKEN}\" } }"),
    key("environment", Shape::Map(Naming::Name("environment"), &Shape::Table(&ENVIRONMENT)), "`local` (always there), `staging`, `production`, …: what is different there, and where it runs.")
        .example("{ production = { target = \"ssh://deploy@203.0.113.7\" } }"),
]);

pub(super) const SECRETS_FROM: Shape = Shape::Either(&[
    scalar(Kind::Word(&["file", "env"])),
    Shape::Table(&SECRETS_COMMAND),
]);
pub(super) const BACKINGS: Shape = Shape::Map(
    Naming::Name("backing service"),
    &Shape::Table(&platform::BACKING),
);
pub(super) const JOBS: Shape = Shape::Map(Naming::Name("job"), &Shape::Table(&JOB));
pub(super) const HOOKS: Shape = Shape::Table(&HOOK_POINTS);
pub(super) const LOGS: Shape = Shape::Table(&LOGS_TABLE);
pub(super) const ALERTS: Shape = Shape::Table(&ALERT_SUBJECTS);

static SECRETS_COMMAND: Table = table(
    "secrets-command",
    "`secrets-from`",
    "A command that prints a secret's value.",
    &[key(
        "command",
        Shape::List(&TEXT),
        "The program and its arguments.",
    )
    .example("[\"pass\", \"shop/{name}\"]")
    .required()],
);

static JOB: Table = table(
    "job",
    "a job",
    "Something that runs on a schedule.",
    &[
        key("run", RUN, "The command.")
            .example("\"bin/report\"")
            .required(),
        key(
            "schedule",
            scalar(Kind::Cron),
            "When, as a cron line of five fields in the app's time zone.",
        )
        .example("\"30 2 * * *\"")
        .required(),
        key(
            "service",
            scalar(Kind::Name("service")),
            "In whose release and environment; the only service by default.",
        )
        .example("\"web\""),
        key(
            "timeout",
            scalar(Kind::Time),
            "It is ended when it takes longer.",
        )
        .example("\"1h\""),
    ],
);

static HOOK_POINTS: Table = table(
    "hooks",
    "the hooks",
    "The points of a deployment at which commands can run.",
    &[
        key(
            "before",
            HOOK_SHAPE,
            "After the lock, before anything changes.",
        )
        .example("\"bin/announce\""),
        key(
            "verified",
            HOOK_SHAPE,
            "After the new release is ready, before the switch.",
        )
        .example("\"bin/warm\""),
        key("switched", HOOK_SHAPE, "After the switch.")
            .example("{ run = \"bin/set-webhook\", service = \"web\" }"),
        key("after", HOOK_SHAPE, "After the old release has retired.").example("\"bin/tidy\""),
        key(
            "failed",
            HOOK_SHAPE,
            "After a deployment has failed and was undone; in the release that failed.",
        )
        .example("\"bin/tell\""),
    ],
);

const HOOK_SHAPE: Shape =
    Shape::Either(&[scalar(Kind::Shell), Shape::List(&TEXT), Shape::Table(&HOOK)]);

static HOOK: Table = table(
    "hook",
    "a hook",
    "A command at a point of a deployment.",
    &[
        key("run", RUN, "The command.")
            .example("\"bin/set-webhook\"")
            .required(),
        key(
            "service",
            scalar(Kind::Name("service")),
            "In whose release and environment; the only service by default.",
        )
        .example("\"web\""),
    ],
);

static LOGS_TABLE: Table = table(
    "logs",
    "the logs",
    "How long logs are kept.",
    &[
        key("keep", scalar(Kind::Time), "By age.")
            .default("\"7d\"")
            .example("\"14d\""),
        key("max", scalar(Kind::Size), "By size, for each service.")
            .default("\"1GiB\"")
            .example("\"4GiB\""),
    ],
)
.always();

static ALERT_SUBJECTS: Table = table(
    "alerts",
    "the alerts",
    "What to be told about.",
    &[
        key("cpu", ALERT_SHAPE, "Processor time of the machine.")
            .example("{ above = \"80%\", for = \"10m\" }"),
        key("memory", ALERT_SHAPE, "Memory of the machine.")
            .example("{ above = \"80%\", for = \"5m\" }"),
        key("disk", ALERT_SHAPE, "Disk of the machine.").example("{ above = \"80%\" }"),
        key("errors", ALERT_SHAPE, "Share of requests that fail.")
            .example("{ above = \"5%\", for = \"5m\" }"),
    ],
);

const ALERT_SHAPE: Shape = Shape::Either(&[scalar(Kind::Share), Shape::Table(&ALERT)]);

static ALERT: Table = table(
    "alert",
    "an alert",
    "When to be told.",
    &[
        key(
            "above",
            scalar(Kind::Share),
            "The share above which it fires.",
        )
        .example("\"80%\"")
        .required(),
        key(
            "for",
            scalar(Kind::Time),
            "For how long before it fires; at once by default.",
        )
        .example("\"10m\""),
    ],
);

static NOTIFY: Table = table(
    "notify",
    "a `[[notify]]`",
    "Where news of deployments goes.",
    &[
        key("slack", scalar(Kind::Template), "A Slack webhook.")
            .example("\"${secret.SLACK_WEBHOOK}\""),
        key(
            "webhook",
            scalar(Kind::Template),
            "Any URL, which gets the event as JSON.",
        )
        .example("\"https://example.com/deployed\""),
        key("email", scalar(Kind::Template), "An address.").example("\"team@example.com\""),
        key(
            "on",
            Shape::List(&NEWS),
            "Which news; all of them by default.",
        )
        .example("[\"failed\", \"rolled-back\"]"),
    ],
)
.exclusive(&[&["slack", "webhook", "email"]]);

/// The kinds of news.
pub(crate) const ALL_NEWS: &[&str] = &["started", "succeeded", "failed", "rolled-back", "alert"];
static NEWS: Shape = scalar(Kind::Word(ALL_NEWS));

static PIPELINE: Table = table("pipeline", "the pipeline", "What must pass before a deployment.", &[
    key("tests", Shape::List(&Shape::Table(&TEST)), "Commands that must end with 0, in order.")
        .example("[{ run = \"pytest --cov --cov-report=xml\", root = \"backend\", report = \"coverage.xml\" }]"),
    key("coverage", scalar(Kind::Share), "Least coverage of all reports together; below it nothing is deployed.").example("\"70%\""),
    key("timeout", scalar(Kind::Time), "For all tests together.").example("\"10m\""),
]);

static TEST: Table = table(
    "test",
    "a test",
    "A command of the pipeline.",
    &[
        key("run", RUN, "The command.")
            .example("\"npm test\"")
            .required(),
        key("root", scalar(Kind::Path), "Its folder.")
            .default("\".\"")
            .example("\"frontend\""),
        key(
            "report",
            scalar(Kind::Path),
            "A coverage report that it writes (Cobertura or lcov), relative to its folder.",
        )
        .example("\"coverage.xml\""),
    ],
);

static REGISTRY: Table = table(
    "registry",
    "a registry",
    "A login of an image registry.",
    &[
        key("username", scalar(Kind::Template), "The user.")
            .example("\"acme-bot\"")
            .required(),
        key("password", scalar(Kind::Template), "The password or token.")
            .example("\"${secret.GHCR_TOKEN}\"")
            .required(),
    ],
);
