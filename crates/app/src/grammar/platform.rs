//! The tables of backing services, volumes and their backups.

use super::{
    COMMAND, ENV, Kind, Naming, RUN, Shape, TEXT, Table, environment::RUNTIMES, key, scalar, table,
};

pub(super) static BACKING: Table = table(
    "backing",
    "a backing service",
    "A database or cache that the app uses.",
    &[
        key(
            "kind",
            scalar(Kind::Word(&["postgres", "redis"])),
            "What it is; its name by default.",
        )
        .example("\"postgres\""),
        key(
            "image",
            scalar(Kind::Filled),
            "Any image, where it is neither postgres nor redis.",
        )
        .example("\"opensearchproject/opensearch:2\""),
        key(
            "url",
            scalar(Kind::Template),
            "Somebody else's: checked before a deployment, never provisioned.",
        )
        .example("\"${secret.NEON_URL}\""),
        key("version", scalar(Kind::Filled), "Its version.").example("\"15\""),
        key("memory", scalar(Kind::Size), "Its memory limit.").example("\"1GiB\""),
        key("disk", scalar(Kind::Size), "Its disk limit.").example("\"20GiB\""),
        key(
            "backup",
            Shape::Table(&BACKUP),
            "When it is backed up, and where to.",
        )
        .example("{ schedule = \"0 3 * * *\", keep = \"7d\", to = \"s3://backups/shop\" }"),
        key(
            "save",
            Shape::List(&TEXT),
            "Snapshots of Redis: seconds and changes.",
        )
        .default("[]")
        .example("[\"900 1\", \"300 10\"]"),
        key(
            "settings",
            Shape::Map(Naming::Free, &TEXT),
            "Settings passed on as they are.",
        )
        .example("{ max_connections = \"200\" }"),
        key(
            "extensions",
            Shape::List(&TEXT),
            "Extensions of PostgreSQL.",
        )
        .default("[]")
        .example("[\"pgvector\"]"),
        key(
            "init",
            Shape::List(&scalar(Kind::Path)),
            "Scripts that run at its first start.",
        )
        .default("[]")
        .example("[\"db/init.sql\"]"),
        key("env", ENV, "Environment of an image.").example("{ discovery_type = \"single-node\" }"),
        key("port", scalar(Kind::Port), "Port of an image.").example("9200"),
        key("command", COMMAND, "What an image executes in the place of its CMD.").example("[\"--verbose\"]"),
        key("data", scalar(Kind::AbsolutePath), "The folder in which an image keeps its data.").example("\"/usr/share/opensearch/data\""),
        key("health", RUN, "A command in an image that ends with 0 when it is ready; a connection to its port by default.").example("\"bin/healthy\""),
        key("cpu", scalar(Kind::Cpu), "Its processor limit, in cores.").example("1.0"),
        key("runtime", scalar(Kind::Word(RUNTIMES)), "As a plain process from this machine's packages, or as a container. By default what the environment says, else a container where a service that uses it is one.").example("\"process\""),
    ],
)
.exclusive(&[
    &["kind", "image"],
    &["image", "url"],
    &["url", "version"],
    &["url", "memory"],
    &["url", "disk"],
    &["url", "runtime"],
    &["url", "data"],
    // What is somebody else's can't be restored, so that no backup of it would count.
    &["url", "backup"],
]);

static BACKUP: Table = table(
    "backup",
    "a backup",
    "When something is backed up, and where to.",
    &[
        key(
            "schedule",
            scalar(Kind::Cron),
            "When, as a cron line of five fields in the app's time zone.",
        )
        .example("\"0 3 * * *\"")
        .required(),
        key("keep", scalar(Kind::Time), "How long each is kept.")
            .default("\"7d\"")
            .example("\"30d\""),
        key(
            "to",
            scalar(Kind::Filled),
            "`s3://bucket/prefix`, or a folder of the machine; a relative one is the app file's.",
        )
        .example("\"s3://backups/shop\"")
        .required(),
        key("endpoint", scalar(Kind::Filled), "The S3 server.")
            .example("\"https://fra1.digitaloceanspaces.com\""),
        key(
            "region",
            scalar(Kind::Filled),
            "Its region, where it wants one.",
        )
        .default("\"us-east-1\"")
        .example("\"fra1\""),
        key("access-key", scalar(Kind::Filled), "The key to the bucket.")
            .default("\"${secret.AWS_ACCESS_KEY_ID}\"")
            .example("\"${secret.BACKUP_ACCESS_KEY}\""),
        key("secret-key", scalar(Kind::Filled), "Its secret half.")
            .default("\"${secret.AWS_SECRET_ACCESS_KEY}\"")
            .example("\"${secret.BACKUP_SECRET_KEY}\""),
        key(
            "quiesce",
            RUN,
            "A command that brings a volume to rest first.",
        )
        .example("\"bin/flush\""),
    ],
);

pub(super) static VOLUME: Table = table(
    "volume",
    "a volume",
    "A kept folder.",
    &[
        key(
            "path",
            scalar(Kind::AbsolutePath),
            "Where the service finds it.",
        )
        .example("\"/var/lib/shop\"")
        .required(),
        key(
            "backup",
            Shape::Table(&BACKUP),
            "When it is backed up, and where to.",
        )
        .example("{ schedule = \"0 3 * * *\", to = \"s3://backups/shop\" }"),
    ],
);
