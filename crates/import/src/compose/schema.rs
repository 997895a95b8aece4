//! Every key of the Compose specification, and what becomes of it.

use crate::RemarkKind::{self, Changed, Lost, Note};

/// What becomes of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Code of its own looks at it.
    Taken,
    /// It is said what it would have done.
    Said(RemarkKind, &'static str),
}

use Fate::{Said, Taken};

/// Keys of a service.
pub(super) const SERVICE: &[(&str, Fate)] = &[
    (
        "annotations",
        Said(
            Note,
            "annotations are for other programs' eyes; a container of Landfall has only its own",
        ),
    ),
    (
        "attach",
        Said(
            Note,
            "whether its output is shown by `up` is asked by `landfall logs`",
        ),
    ),
    (
        "blkio_config",
        Said(
            Lost,
            "would have weighed and limited its reading and writing of disks",
        ),
    ),
    ("build", Taken),
    ("cap_add", Taken),
    ("cap_drop", Taken),
    (
        "cgroup",
        Said(Lost, "would have chosen the control groups that it sees"),
    ),
    (
        "cgroup_parent",
        Said(
            Lost,
            "would have put it into a control group of the machine",
        ),
    ),
    ("command", Taken),
    ("configs", Taken),
    (
        "container_name",
        Said(
            Note,
            "containers are named by Landfall, so that an old and a new release can run side by side",
        ),
    ),
    (
        "cpu_count",
        Said(Lost, "would have counted its processors, on Windows"),
    ),
    (
        "cpu_percent",
        Said(
            Lost,
            "would have limited its share of processors, on Windows",
        ),
    ),
    ("cpu_period", Taken),
    ("cpu_quota", Taken),
    (
        "cpu_rt_period",
        Said(Lost, "would have given it real-time scheduling"),
    ),
    (
        "cpu_rt_runtime",
        Said(Lost, "would have given it real-time scheduling"),
    ),
    (
        "cpu_shares",
        Said(
            Lost,
            "would have weighed its processor time against the others'; `cpu` limits it",
        ),
    ),
    ("cpus", Taken),
    (
        "cpuset",
        Said(Lost, "would have bound it to certain processors"),
    ),
    (
        "credential_spec",
        Said(Lost, "would have given it a Windows account"),
    ),
    ("depends_on", Taken),
    ("deploy", Taken),
    (
        "develop",
        Said(
            Note,
            "says what a development server watches; a deployment has nothing of it",
        ),
    ),
    (
        "device_cgroup_rules",
        Said(Lost, "would have allowed it kinds of devices"),
    ),
    (
        "devices",
        Said(Lost, "would have given it devices of the machine"),
    ),
    ("dns", Said(Lost, "would have set its name servers")),
    (
        "dns_opt",
        Said(Lost, "would have set options of its resolver"),
    ),
    (
        "dns_search",
        Said(
            Lost,
            "would have set the domains in which it looks for names",
        ),
    ),
    ("domainname", Said(Lost, "would have set its domain name")),
    ("entrypoint", Taken),
    ("env_file", Taken),
    ("environment", Taken),
    ("expose", Taken),
    ("extends", Taken),
    (
        "external_links",
        Said(Lost, "would have let it reach containers of other projects"),
    ),
    (
        "extra_hosts",
        Said(Lost, "would have put names into its /etc/hosts"),
    ),
    ("gpus", Taken),
    (
        "group_add",
        Said(Lost, "would have given its user further groups"),
    ),
    ("healthcheck", Taken),
    (
        "hostname",
        Said(Note, "its own name for itself is the container's"),
    ),
    ("image", Taken),
    (
        "init",
        Said(
            Note,
            "Landfall's supervisor is always its first process, and reaps",
        ),
    ),
    (
        "ipc",
        Said(Lost, "would have shared its memory with others"),
    ),
    (
        "isolation",
        Said(Lost, "would have chosen how Windows isolates it"),
    ),
    (
        "label_file",
        Said(
            Lost,
            "would have put labels on its container, which other programs read",
        ),
    ),
    ("labels", Taken),
    ("links", Taken),
    ("logging", Taken),
    (
        "mac_address",
        Said(Lost, "would have set the address of its network card"),
    ),
    ("mem_limit", Taken),
    ("mem_reservation", Taken),
    (
        "mem_swappiness",
        Said(Lost, "would have said how readily it is swapped out"),
    ),
    (
        "memswap_limit",
        Said(
            Note,
            "a container of Landfall has no swap beyond its memory",
        ),
    ),
    (
        "models",
        Said(
            Lost,
            "would have given it a language model that Compose runs",
        ),
    ),
    ("network_mode", Taken),
    ("networks", Taken),
    (
        "oom_kill_disable",
        Said(Lost, "would have kept it alive when memory runs out"),
    ),
    (
        "oom_score_adj",
        Said(
            Lost,
            "would have said how soon it is ended when memory runs out",
        ),
    ),
    (
        "pid",
        Said(Lost, "would have let it see processes of others"),
    ),
    ("pids_limit", Taken),
    (
        "platform",
        Said(
            Lost,
            "would have chosen the processor that its image is for; Landfall takes that of the machine",
        ),
    ),
    ("ports", Taken),
    (
        "post_start",
        Said(
            Lost,
            "would have run a command in it once it has started; a `hook` or `migrate` runs one in a deployment",
        ),
    ),
    (
        "pre_start",
        Said(
            Lost,
            "would have run a command before it starts; `migrate` runs one in a deployment",
        ),
    ),
    (
        "pre_stop",
        Said(Lost, "would have run a command before it is stopped"),
    ),
    ("privileged", Taken),
    ("profiles", Taken),
    ("provider", Taken),
    (
        "pull_policy",
        Said(
            Note,
            "a release pins its image; `landfall deploy --pull` looks for a newer one",
        ),
    ),
    (
        "pull_refresh_after",
        Said(
            Note,
            "a release pins its image; `landfall deploy --pull` looks for a newer one",
        ),
    ),
    ("read_only", Taken),
    ("restart", Taken),
    ("runtime", Taken),
    ("scale", Taken),
    ("secrets", Taken),
    ("security_opt", Taken),
    (
        "shm_size",
        Said(
            Lost,
            "would have set the size of its shared memory, /dev/shm",
        ),
    ),
    (
        "stdin_open",
        Said(
            Note,
            "nothing is attached to its input; `landfall exec` has a terminal",
        ),
    ),
    ("stop_grace_period", Taken),
    ("stop_signal", Taken),
    ("storage_opt", Taken),
    (
        "sysctls",
        Said(Lost, "would have set parameters of the kernel for it"),
    ),
    ("tmpfs", Taken),
    (
        "tty",
        Said(
            Note,
            "no terminal is attached to it; `landfall exec` has one",
        ),
    ),
    (
        "ulimits",
        Said(
            Lost,
            "would have limited open files, processes and the like",
        ),
    ),
    (
        "use_api_socket",
        Said(Lost, "would have given it the Engine's socket"),
    ),
    ("user", Taken),
    (
        "userns_mode",
        Said(Lost, "would have chosen its user namespace"),
    ),
    (
        "uts",
        Said(Lost, "would have let it share the machine's host name"),
    ),
    ("volumes", Taken),
    (
        "volumes_from",
        Said(
            Lost,
            "would have put in the volumes of another service; name them here",
        ),
    ),
    (
        "working_dir",
        Said(
            Lost,
            "would have set the folder in which it starts; WORKDIR of the Dockerfile says it",
        ),
    ),
    // Of files of the versions 2 and 3 that Compose doesn't take any more.
    (
        "cpu_percentage",
        Said(Lost, "would have limited its share of processors"),
    ),
    ("net", Said(Lost, "is `network_mode` of the oldest files")),
    (
        "volume_driver",
        Said(Lost, "would have chosen where its volumes are kept"),
    ),
    ("dockerfile", Said(Lost, "belongs under `build`")),
    (
        "log_driver",
        Said(Note, "its output is kept by Landfall; [logs] says how long"),
    ),
    (
        "log_opt",
        Said(Note, "its output is kept by Landfall; [logs] says how long"),
    ),
];

/// Keys of `build`.
pub(super) const BUILD: &[(&str, Fate)] = &[
    (
        "additional_contexts",
        Said(
            Lost,
            "would have given the build further folders or images by name",
        ),
    ),
    ("args", Taken),
    (
        "cache_from",
        Said(Note, "what was built already is found by its content"),
    ),
    (
        "cache_to",
        Said(Note, "what was built already is found by its content"),
    ),
    ("context", Taken),
    ("dockerfile", Taken),
    ("dockerfile_inline", Taken),
    (
        "entitlements",
        Said(Lost, "would have allowed the build more than usual"),
    ),
    (
        "extra_hosts",
        Said(Lost, "would have put names into the build's /etc/hosts"),
    ),
    (
        "isolation",
        Said(Lost, "would have chosen how Windows isolates the build"),
    ),
    (
        "labels",
        Said(Note, "labels of an image stand in its Dockerfile: LABEL"),
    ),
    (
        "network",
        Said(Lost, "would have chosen the build's network"),
    ),
    (
        "no_cache",
        Said(
            Note,
            "what was built already from the same content isn't built again",
        ),
    ),
    (
        "no_cache_filter",
        Said(
            Note,
            "what was built already from the same content isn't built again",
        ),
    ),
    (
        "platforms",
        Said(
            Lost,
            "would have built for several kinds of processors; Landfall builds for the machine",
        ),
    ),
    (
        "privileged",
        Said(Lost, "would have allowed the build everything"),
    ),
    (
        "provenance",
        Said(
            Note,
            "where an image comes from is attested by the workflow that `landfall render github` writes",
        ),
    ),
    (
        "pull",
        Said(Note, "`landfall deploy --pull` looks for newer bases"),
    ),
    (
        "sbom",
        Said(
            Note,
            "a list of contents is attested by the workflow that `landfall render github` writes",
        ),
    ),
    ("secrets", Taken),
    (
        "shm_size",
        Said(Lost, "would have set the build's shared memory"),
    ),
    (
        "ssh",
        Said(
            Lost,
            "would have given the build keys of SSH; a secret in `build.secrets` can be a deploy key",
        ),
    ),
    (
        "tags",
        Said(
            Note,
            "a published image is called `latest` and `<branch>-<commit>`, see `push`",
        ),
    ),
    ("target", Taken),
    (
        "ulimits",
        Said(
            Lost,
            "would have limited the build's open files and processes",
        ),
    ),
];

/// Keys of `deploy`.
pub(super) const DEPLOY: &[(&str, Fate)] = &[
    (
        "endpoint_mode",
        Said(Note, "other services are reached through the edge"),
    ),
    ("labels", Taken),
    ("mode", Taken),
    (
        "placement",
        Said(Lost, "would have chosen machines of a swarm"),
    ),
    ("replicas", Taken),
    ("resources", Taken),
    ("restart_policy", Taken),
    (
        "rollback_config",
        Said(
            Note,
            "a release that doesn't become ready is undone before it gets traffic",
        ),
    ),
    ("update_config", Taken),
];

/// Keys of `healthcheck`.
pub(super) const HEALTHCHECK: &[(&str, Fate)] = &[
    ("disable", Taken),
    ("interval", Taken),
    ("retries", Taken),
    (
        "start_interval",
        Said(
            Note,
            "while it starts, Landfall looks as often as `interval` says",
        ),
    ),
    ("start_period", Taken),
    ("test", Taken),
    ("timeout", Taken),
];

/// Keys of the file itself.
pub(super) const TOP: &[(&str, Fate)] = &[
    ("configs", Taken),
    ("include", Taken),
    ("models", Said(Lost, "would have run language models")),
    ("name", Taken),
    ("networks", Taken),
    ("secrets", Taken),
    ("services", Taken),
    (
        "version",
        Said(
            Note,
            "says which old Compose could read the file; today's doesn't look at it",
        ),
    ),
    ("volumes", Taken),
];

/// What becomes of a key of a table; none where Compose doesn't know it.
pub(super) fn fate(table: &[(&str, Fate)], key: &str) -> Option<Fate> {
    table
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, fate)| *fate)
}

/// Only [`Changed`] is said where code decides; named here so that the words stand together.
pub(super) const ORDER: (RemarkKind, &str) = (
    Changed,
    "services of an app start together: it doesn't wait until the other is ready, and must try again until it is",
);
