//! The tables of a service and of its processes.

use super::{
    COMMAND, ENV, Kind, Naming, RUN, SECRET_NAME, Shape, TEMPLATE, Table, edge,
    environment::{RUNTIMES, TARGET},
    key, platform, scalar, table,
};

/// A service.
pub(super) static SERVICE: Table = table("service", "a service", "What is built, shipped and scaled as one: a source tree with commands, a Dockerfile, somebody else's image, or a folder of static files.", &[
    key("root", scalar(Kind::Path), "Its folder, relative to the file.").default("\".\"").example("\"backend\""),
    key("build", BUILD_SHAPE, "A Dockerfile or, as in Compose, a folder; long: how it is built. By default what stands in its folder says it (requirements.txt, pyproject.toml, package.json).").example("\"Dockerfile\""),
    key("image", scalar(Kind::Filled), "Somebody else's image; a release pins its digest.").example("\"mendhak/http-https-echo:25\""),
    key("static", scalar(Kind::Path), "The folder of static files that is served.").example("\"build\""),
    key("command", COMMAND, "Of a service with one process: what it executes. A string is split into words and `$NAME` is expanded, without a shell; a list is exact.").example("\"bin/web --port $PORT\""),
    key("process", Shape::Map(Naming::Name("process"), &Shape::Table(&PROCESS)), "Several commands that share the service, by name.").example("{ api = { command = \"bin/api\" }, agent = { command = \"bin/agent\", after = \"api\" } }"),
    key("port", scalar(Kind::Port), "Where the app listens; `$PORT` says it too. Opens nothing.").example("8000"),
    key("publish", scalar(Kind::Port), "A port opened on the machine.").example("5000"),
    key("public", Shape::Either(&[scalar(Kind::Boolean), scalar(Kind::Word(&["node-port", "load-balancer"]))]), "Open to the outside where a target needs that said.").default("false").example("\"node-port\""),
    key("domains", Shape::List(&DOMAIN_SHAPE), "Host names that lead here.").default("[]").example("[\"shop.example.com\", { host = \"www.shop.example.com\", redirect = \"shop.example.com\" }]"),
    key("routes", Shape::List(&Shape::Table(&edge::ROUTE)), "Hosts and paths that lead here.").default("[]").example("[{ host = \"shop.example.com\", path = \"/api\", strip = true }]"),
    key("health", HEALTH_SHAPE, "How to see that it is ready: the path of a page that answers 2xx; long: probes and their times. Without it a service with a `port` is ready when it accepts connections.").example("\"/health\""),
    key("smoke", Shape::List(&SMOKE_SHAPE), "Pages fetched through the front after the switch; 2xx expected.").default("[]").example("[\"/docs\"]"),
    key("memory", MEMORY_SHAPE, "Memory for all its processes together.").example("\"512MiB\""),
    key("cpu", CPU_SHAPE, "Processor time for all its processes together, in cores.").example("0.5"),
    key("gpu", scalar(Kind::Count { least: 0, most: 64 }), "Graphics processors.").default("0").example("1"),
    key("env", ENV, "Environment variables; stronger than those of the app.").example("{ LOG_LEVEL = \"info\" }"),
    key("secrets", Shape::List(&SECRET_SHAPE), "Secrets that it gets as environment variables; missing ones stop a deployment before it starts.").default("[]").example("[\"OPENAI_API_KEY\", { name = \"SENTRY_DSN\", optional = true }]"),
    key("uses", Shape::Either(&[Shape::List(&BACKING_NAME), Shape::Map(Naming::Name("backing service"), &scalar(Kind::Variable))]), "Backing services that it uses and the variable that carries the URL of each; it starts after them. As a list: `DATABASE_URL` for postgres, `REDIS_URL` for redis, else `NAME_URL`.").example("{ postgres = \"DATABASE_URL\" }"),
    key("migrate", RUN, "Runs once per deployment, with the new release, before it gets traffic.").example("\"alembic upgrade head\""),
    key("replicas", REPLICAS_SHAPE, "How many run; long: between two numbers, by load.").default("1").example("2"),
    key("start", scalar(Kind::Word(&["together", "one-first"])), "All replicas at once, or one until it is ready and then the others.").default("\"together\"").example("\"one-first\""),
    key("strategy", STRATEGY_SHAPE, "How a new release takes the place of the old one: beside it and switched at once, replica by replica, by shares of the traffic, or after it has stopped (for what can't run twice).").default("\"blue-green\"").example("\"recreate\""),
    key("drain", scalar(Kind::Time), "How long old connections live after the switch.").default("\"30s\"").example("\"2m\""),
    key("stop", Shape::Table(&STOP), "How its processes are asked to end.").example("{ signal = \"SIGINT\", grace = \"30s\" }"),
    key("observe", Shape::Either(&[scalar(Kind::Time), Shape::Table(&OBSERVE)]), "The window after the switch in which trouble rolls back by itself.").example("{ for = \"2m\", errors = \"5%\" }").later(),
    key("restart", Shape::Table(&RESTART), "When and how its processes are started again.").example("{ delay = \"1s\", give-up = \"exit\" }"),
    key("http", Shape::Table(&edge::HTTP), "Limits and headers of HTTP.").example("{ max-body = \"10MiB\" }"),
    key("cors", Shape::Table(&edge::CORS), "Cross-origin answers; replaces what the app sends, never adds to it.").example("{ origins = [\"https://chat.example.com\"] }").later_harmless(),
    key("redirects", Shape::List(&Shape::Table(&edge::REDIRECT)), "Redirects answered in front of the app.").default("[]").example("[{ from = \"/old/*\", to = \"/new/:splat\", status = 301 }]"),
    key("volumes", Shape::Map(Naming::Name("volume"), &VOLUME_SHAPE), "Kept folders: a name, and where the service finds it.").example("{ data = \"/var/lib/shop\" }"),
    key("files", Shape::Map(Naming::Path, &scalar(Kind::Path)), "Files put in: where the service finds each, and where it stands in the repository.").example("{ \"/etc/shop.toml\" = \"config/shop.toml\" }"),
    key("user", scalar(Kind::Count { least: 0, most: 4_294_967_294 }), "The number of the user that it runs as; the image's by default.").example("1000"),
    key("read-only", scalar(Kind::Boolean), "Whether a container's own file system can't be written; `/tmp` and `/run` are in memory then.").default("false").example("true"),
    key("tmpfs", Shape::List(&scalar(Kind::AbsolutePath)), "Folders in memory, in a container.").default("[]").example("[\"/tmp\"]"),
    key("capabilities", Shape::List(&CAPABILITY), "Capabilities that a container keeps; all others are dropped.").default("[]").example("[\"NET_BIND_SERVICE\"]"),
    key("pids", scalar(Kind::Count { least: 1, most: 4_194_304 }), "Most processes and threads in a container.").default("4096").example("512"),
    key("disk", scalar(Kind::Size), "Disk limit of a container's own file system, where the Engine's storage can.").example("\"2GiB\""),
    key("scan", SCAN_SHAPE, "Findings of this severity or worse in its image stop a deployment; needs a scanner and its database.").example("\"critical\""),
    key("push", scalar(Kind::Filled), "Where its image is published, once all is built and before anything is switched: as `latest` and `<branch>-<sha>`. From `local` only with `--push`; what isn't committed never is.").example("\"ghcr.io/acme/shop\""),
    key("target", TARGET, "Where it runs, if elsewhere than its environment.").example("{ netlify = \"textbook\" }"),
    key("runtime", scalar(Kind::Word(RUNTIMES)), "As plain processes, or as a container.").example("\"process\""),
])
.always()
.exclusive(&[&["build", "image"], &["command", "process", "static"], &["static", "port"],
    &["static", "health"], &["image", "static"]]);

static BACKING_NAME: Shape = scalar(Kind::Name("backing service"));
static CAPABILITY: Shape = scalar(Kind::Word(CAPABILITIES));
const SEVERITIES: &[&str] = &["low", "medium", "high", "critical"];
const SCAN_SHAPE: Shape = Shape::Either(&[scalar(Kind::Word(SEVERITIES)), Shape::Table(&SCAN)]);

static SCAN: Table = table(
    "scan",
    "`scan`",
    "A scan of the image for known vulnerabilities.",
    &[
        key(
            "severity",
            scalar(Kind::Word(SEVERITIES)),
            "Findings of this severity or worse stop a deployment.",
        )
        .example("\"high\"")
        .required(),
        key(
            "required",
            scalar(Kind::Boolean),
            "Whether a deployment stops too where nothing could be scanned.",
        )
        .default("false")
        .example("true"),
    ],
);

const BUILD_SHAPE: Shape = Shape::Either(&[scalar(Kind::Path), Shape::Table(&BUILD)]);
const HEALTH_SHAPE: Shape = Shape::Either(&[scalar(Kind::HttpPath), Shape::Table(&HEALTH)]);
static DOMAIN_SHAPE: Shape = Shape::Either(&[scalar(Kind::Host), Shape::Table(&edge::DOMAIN)]);
static SMOKE_SHAPE: Shape = Shape::Either(&[scalar(Kind::HttpPath), Shape::Table(&edge::SMOKE)]);
static SECRET_SHAPE: Shape = Shape::Either(&[scalar(Kind::Secret), Shape::Table(&SECRET_USE)]);
const MEMORY_SHAPE: Shape = Shape::Either(&[scalar(Kind::Size), Shape::Table(&MEMORY)]);
const CPU_SHAPE: Shape = Shape::Either(&[scalar(Kind::Cpu), Shape::Table(&CPU)]);
const REPLICAS_SHAPE: Shape = Shape::Either(&[
    scalar(Kind::Count {
        least: 1,
        most: 1000,
    }),
    Shape::Table(&REPLICAS),
]);
const STRATEGY_SHAPE: Shape = Shape::Either(&[
    scalar(Kind::Word(&["blue-green", "rolling", "recreate"])),
    Shape::Table(&STRATEGY),
]);
static VOLUME_SHAPE: Shape =
    Shape::Either(&[scalar(Kind::AbsolutePath), Shape::Table(&platform::VOLUME)]);

static PROCESS: Table = table("process", "a process", "One of several commands that share a service. The one that listens on `$PORT` is the one whose command or `env` names `$PORT`, else the one with an HTTP or TCP `health` of its own, else the first that stays.", &[
    key("command", COMMAND, "What it executes; it stays, and is started again when it ends.").example("\"uvicorn app.main:app --port $PORT\""),
    key("run", RUN, "Must end with 0 before the others start.").example("\"bin/assets\""),
    key("after", Shape::Either(&[scalar(Kind::Name("process")), Shape::List(&PROCESS_NAME)]), "Started once these are ready, stopped before them.").example("\"api\""),
    key("health", HEALTH_SHAPE, "How to see that it is ready; of the process that listens on `$PORT` it is merged over the service's.").example("{ run = \"bin/healthy\" }"),
    key("required", scalar(Kind::Boolean), "Whether the service's health needs it.").default("true").example("false"),
    key("priority", scalar(Kind::Word(&["high", "normal", "low"])), "Relative to its siblings.").default("\"normal\"").example("\"low\""),
    key("memory", scalar(Kind::Size), "Its own memory limit.").example("\"128MiB\""),
    key("cpu", scalar(Kind::Cpu), "Its own processor limit, in cores.").example("0.25"),
    key("env", ENV, "Environment variables; stronger than those of the service.").example("{ API_URL = \"${process.api.url}\" }"),
])
.always()
.exclusive(&[&["command", "run"]]);

static PROCESS_NAME: Shape = scalar(Kind::Name("process"));

static BUILD: Table = table(
    "build",
    "`build`",
    "How a service is built.",
    &[
        key("dockerfile", scalar(Kind::Path), "A Dockerfile.").example("\"Dockerfile\""),
        key(
            "context",
            scalar(Kind::Path),
            "The folder that is built; the root by default.",
        )
        .example("\".\""),
        key(
            "args",
            Shape::Map(Naming::Variable, &TEMPLATE),
            "Build arguments.",
        )
        .example("{ PYTHON = \"3.13\" }"),
        key(
            "stage",
            scalar(Kind::Filled),
            "The stage of the Dockerfile.",
        )
        .example("\"runtime\""),
        key(
            "secrets",
            Shape::List(&SECRET_NAME),
            "Secrets given to the build.",
        )
        .default("[]")
        .example("[\"NPM_TOKEN\"]"),
        key("run", RUN, "A command that builds.").example("\"npm ci && npm run build\""),
        key(
            "env",
            Shape::Map(Naming::Variable, &TEMPLATE),
            "Environment of that command.",
        )
        .example("{ API_URL = \"${service.api.url}\" }"),
        key(
            "output",
            scalar(Kind::Path),
            "What a release keeps of the folder; all of it by default.",
        )
        .example("\"dist\""),
        key(
            "cache",
            Shape::List(&scalar(Kind::Path)),
            "Folders kept from build to build.",
        )
        .default("[]")
        .example("[\"node_modules\"]"),
        key(
            "same-as",
            scalar(Kind::Name("service")),
            "The same artifact as another service's.",
        )
        .example("\"web\""),
    ],
)
.exclusive(&[
    &["dockerfile", "run", "same-as"],
    &["stage", "run"],
    &["stage", "same-as"],
    &["context", "same-as"],
]);

static HEALTH: Table = table("health", "`health`", "Probes of the process that listens on `$PORT`, or of the only process.", &[
    key("ready", PROBE_SHAPE, "Ready for traffic.").example("\"/ready\""),
    key("live", PROBE_SHAPE, "Still alive; started again when not. Only what is named here.").example("\"/health\""),
    key("tcp", TCP_SHAPE, "Ready when it accepts connections: on `$PORT`, or on another port.").example("true"),
    key("run", RUN, "Ready when this command ends with 0.").example("\"bin/healthy\""),
    key("start", scalar(Kind::Time), "How long a start may take.").default("\"30s\"").example("\"60s\""),
    key("interval", scalar(Kind::Time), "Between two probes.").default("\"1s\"").example("\"5s\""),
    key("timeout", scalar(Kind::Time), "For one probe.").default("\"5s\"").example("\"2s\""),
    key("retries", scalar(Kind::Count { least: 1, most: 100 }), "Failures in a row until it counts as not ready, or not alive.").default("3").example("5"),
    key("up", scalar(Kind::Time), "Without a probe: ready once it has been up so long. 5s, or 1s for a further process beside a probed one.").example("\"10s\""),
    key("status", scalar(Kind::Status), "The status that `ready` answers; any 2xx by default.").example("204"),
    key("body", scalar(Kind::Text), "A text that the answer of `ready` must contain.").example("\"ok\""),
])
.always()
.exclusive(&[&["ready", "tcp", "run"], &["status", "tcp", "run"], &["body", "tcp", "run"]]);

const PROBE_SHAPE: Shape = Shape::Either(&[scalar(Kind::HttpPath), Shape::Table(&PROBE)]);
const TCP_SHAPE: Shape = Shape::Either(&[scalar(Kind::True), scalar(Kind::Port)]);

static PROBE: Table = table(
    "probe",
    "a probe",
    "One way to ask a process how it is.",
    &[
        key("path", scalar(Kind::HttpPath), "A page on `$PORT`.").example("\"/ready\""),
        key(
            "status",
            scalar(Kind::Status),
            "The status of its answer; any 2xx by default.",
        )
        .example("204"),
        key(
            "body",
            scalar(Kind::Text),
            "A text that its answer must contain.",
        )
        .example("\"ok\""),
        key(
            "tcp",
            TCP_SHAPE,
            "A connection to `$PORT`, or to another port.",
        )
        .example("6379"),
        key("run", RUN, "A command that must end with 0.").example("\"bin/healthy\""),
    ],
)
.exclusive(&[
    &["path", "tcp", "run"],
    &["status", "tcp", "run"],
    &["body", "tcp", "run"],
]);

static MEMORY: Table = table(
    "memory",
    "`memory`",
    "Memory, promised and allowed.",
    &[
        key("request", scalar(Kind::Size), "What it is promised.").example("\"128MiB\""),
        key("limit", scalar(Kind::Size), "What it may not exceed.").example("\"256MiB\""),
    ],
);

static CPU: Table = table(
    "cpu",
    "`cpu`",
    "Processor time, promised and allowed.",
    &[
        key("request", scalar(Kind::Cpu), "What it is promised.").example("\"100m\""),
        key("limit", scalar(Kind::Cpu), "What it may not exceed.").example("\"200m\""),
    ],
);

static SECRET_USE: Table = table(
    "secret",
    "a secret",
    "A secret that a service gets.",
    &[
        key("name", scalar(Kind::Secret), "Its name.")
            .example("\"SENTRY_DSN\"")
            .required(),
        key(
            "optional",
            scalar(Kind::Boolean),
            "A deployment goes on without it.",
        )
        .default("false")
        .example("true"),
    ],
);

static REPLICAS: Table = table(
    "replicas",
    "`replicas`",
    "As many replicas as the load needs.",
    &[
        key(
            "min",
            scalar(Kind::Count {
                least: 1,
                most: 1000,
            }),
            "At least.",
        )
        .default("1")
        .example("2"),
        key(
            "max",
            scalar(Kind::Count {
                least: 1,
                most: 1000,
            }),
            "At most.",
        )
        .example("10")
        .required(),
        key("cpu", scalar(Kind::Share), "The processor load aimed at.")
            .default("\"70%\"")
            .example("\"70%\""),
    ],
);

static STRATEGY: Table = table(
    "strategy",
    "`strategy`",
    "How a new release takes the place of the old one, step by step.",
    &[
        key("rolling", Shape::Table(&ROLLING), "Replica by replica.")
            .example("{ surge = 1, unavailable = 1 }"),
        key(
            "canary",
            Shape::List(&scalar(Kind::Share)),
            "Shares of the traffic, in order.",
        )
        .example("[\"10%\", \"50%\"]"),
        key(
            "step",
            scalar(Kind::Time),
            "How long each share lasts; 1m by default.",
        )
        .example("\"2m\""),
    ],
)
.exclusive(&[&["rolling", "canary"], &["rolling", "step"]]);

static ROLLING: Table = table(
    "rolling",
    "`rolling`",
    "How many replicas change at a time.",
    &[
        key(
            "surge",
            scalar(Kind::Count {
                least: 0,
                most: 1000,
            }),
            "How many more may run meanwhile.",
        )
        .default("1")
        .example("1"),
        key(
            "unavailable",
            scalar(Kind::Count {
                least: 0,
                most: 1000,
            }),
            "How many fewer may run meanwhile.",
        )
        .default("0")
        .example("1"),
    ],
);

static STOP: Table = table(
    "stop",
    "`stop`",
    "How processes are asked to end.",
    &[
        key("signal", scalar(Kind::Signal), "The signal.")
            .default("\"SIGTERM\"")
            .example("\"SIGINT\""),
        key(
            "grace",
            scalar(Kind::Time),
            "How long until they are killed.",
        )
        .default("\"10s\"")
        .example("\"30s\""),
    ],
)
.always();

static OBSERVE: Table = table(
    "observe",
    "`observe`",
    "The window after the switch in which trouble rolls back by itself.",
    &[
        key("for", scalar(Kind::Time), "How long it lasts.")
            .example("\"2m\"")
            .required(),
        key(
            "errors",
            scalar(Kind::Share),
            "Share of failed requests that rolls back.",
        )
        .example("\"5%\""),
        key(
            "latency",
            scalar(Kind::Factor),
            "How many times slower than before rolls back.",
        )
        .example("\"2x\""),
        key(
            "restarts",
            scalar(Kind::Count {
                least: 0,
                most: 1000,
            }),
            "Restarts that roll back.",
        )
        .example("1"),
    ],
);

static RESTART: Table = table("restart", "`restart`", "When and how processes are started again.", &[
    key("delay", scalar(Kind::Time), "The first delay; doubled each time.").default("\"1s\"").example("\"500ms\""),
    key("max-delay", scalar(Kind::Time), "The longest delay.").default("\"1m\"").example("\"5m\""),
    key("reset", scalar(Kind::Time), "Up so long, and the next delay is the first again.").default("\"10m\"").example("\"1h\""),
    key("give-up", scalar(Kind::Word(&["never", "exit", "stay"])), "After the last attempt: try for ever, stop the siblings and end with an error, or leave this process stopped.").default("\"never\"").example("\"exit\""),
    key("attempts", scalar(Kind::Count { least: 1, most: 100_000 }), "Failures in a row until it gives up; 10 where `give-up` is set.").example("5"),
])
.always();

/// What Linux calls its capabilities, without `CAP_`.
const CAPABILITIES: &[&str] = &[
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
