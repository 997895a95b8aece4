//! Settings of a backing service's server that an app file can't make.

use super::BackingKind;

/// Why a setting is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedSetting {
    /// Landfall makes it itself: another value would part the server from who uses it.
    Own,
    /// It is no single setting with its value: a server would read another one in it.
    NotOne,
}

/// Those of PostgreSQL that are Landfall's.
const OWN_OF_POSTGRES: &[&str] = &[
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "password_encryption",
    "port",
    "unix_socket_directories",
];

/// Those of Redis; `maxmemory` and `save` have keys of their own in the app file.
const OWN_OF_REDIS: &[&str] = &[
    "aclfile",
    "bind",
    "cluster-enabled",
    "daemonize",
    "dbfilename",
    "dir",
    "include",
    "logfile",
    "maxmemory",
    "pidfile",
    "port",
    "protected-mode",
    "rename-command",
    "requirepass",
    "save",
    "supervised",
    "tls-port",
    "unixsocket",
    "user",
];

impl BackingKind {
    /// Why a setting can't stand in `settings`, if it can't. Names are read as the servers read them:
    /// without regard to case, and PostgreSQL takes a dash for an underscore.
    pub fn refuses_setting(&self, setting: &str, value: &str) -> Option<RefusedSetting> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let redis = *self == Self::Redis;
        let further = || value.split_whitespace().any(|word| word.starts_with("--"));
        if !setting.chars().all(plain) || redis && (setting.starts_with('-') || further()) {
            return Some(RefusedSetting::NotOne);
        }
        let read = setting.to_ascii_lowercase();
        let own = match self {
            Self::Postgres => OWN_OF_POSTGRES.contains(&read.replace('-', "_").as_str()),
            Self::Redis => OWN_OF_REDIS.contains(&read.as_str()),
            Self::Image(_) => false,
        };
        own.then_some(RefusedSetting::Own)
    }
}
