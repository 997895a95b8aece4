//! The tables, as migrations: each brings the file from one `user_version` to the next.

/// One migration for each version of the schema, in order. Never edited after a release: added to.
pub(crate) const MIGRATIONS: &[&str] = &[FIRST, SECOND];

/// Containers, backing services, schedules, backups.
const SECOND: &str = "
ALTER TABLE instances ADD COLUMN address TEXT;

CREATE TABLE backing (
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    running INTEGER NOT NULL DEFAULT 1,
    body TEXT NOT NULL,
    PRIMARY KEY (app, environment, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    due_at INTEGER,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_name ON runs (app, environment, kind, name, number);

CREATE TABLE backups (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    subject TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    verified_at INTEGER,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX backups_by_subject ON backups (app, environment, subject, created_at);
";

const FIRST: &str = "
CREATE TABLE environments (
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    folder BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    first_event INTEGER NOT NULL,
    live_release INTEGER,
    live_since INTEGER,
    generation INTEGER,
    running INTEGER NOT NULL DEFAULT 1,
    last_release INTEGER NOT NULL DEFAULT 0,
    last_deployment INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, environment)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    pruned_at INTEGER,
    body TEXT NOT NULL,
    PRIMARY KEY (app, environment, number)
) STRICT;

CREATE TABLE deployments (
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    number INTEGER NOT NULL,
    release INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    body TEXT NOT NULL,
    finish TEXT,
    prepared TEXT,
    PRIMARY KEY (app, environment, number)
) STRICT;
CREATE INDEX deployments_unfinished ON deployments (started_at) WHERE ended_at IS NULL;

CREATE TABLE records (
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    deployment INTEGER NOT NULL,
    position INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app, environment, deployment, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    app TEXT,
    environment TEXT,
    deployment INTEGER,
    body TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_environment ON events (app, environment, sequence);

CREATE TABLE head (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO head VALUES (0, 0, zeroblob(32));

CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('generation', 0), ('lease', 0);

CREATE TABLE locks (
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    holder TEXT NOT NULL,
    reason TEXT NOT NULL,
    deployment INTEGER,
    token INTEGER NOT NULL,
    since INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (app, environment)
) STRICT, WITHOUT ROWID;

CREATE TABLE ports (
    port INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    purpose TEXT NOT NULL,
    UNIQUE (app, environment, purpose)
) STRICT;

CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    release INTEGER NOT NULL,
    service TEXT NOT NULL,
    replica INTEGER NOT NULL,
    port INTEGER,
    folder BLOB NOT NULL,
    boot_id TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE secrets (
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    mac BLOB NOT NULL,
    ciphertext BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (app, environment, name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE generated (
    app TEXT NOT NULL,
    environment TEXT NOT NULL,
    key TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (app, environment, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
";
