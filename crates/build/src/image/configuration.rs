//! The folder of Docker's configuration for one command: the user's own, with the logins of the app
//! file in it. Gone with the scratch folder that it is in.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use landfall_redact::Secret;
use serde_json::{Map, Value, json};

use super::reference;
use crate::error::BuildError;

/// How Docker calls its own registry in a configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A login of the app file.
#[derive(Debug, Clone)]
pub struct Login {
    /// The registry's host, with its port.
    pub registry: String,
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: Secret,
}

/// The user's own folder of Docker's configuration.
pub fn users_folder(docker_config: Option<&OsStr>, home: Option<&OsStr>) -> Option<PathBuf> {
    let named = docker_config.filter(|folder| !folder.is_empty());
    named
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(home?).join(".docker")))
}

/// Makes a folder at `to` that is the user's with these logins.
pub fn write(to: &Path, users: Option<&Path>, logins: &[Login]) -> Result<(), BuildError> {
    let made = fs::DirBuilder::new().mode(0o700).create(to);
    made.map_err(BuildError::file(to, "made"))?;
    let mut configuration = Value::Null;
    for entry in users
        .and_then(|folder| fs::read_dir(folder).ok())
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.file_name() == "config.json" {
            let text = fs::read(entry.path()).unwrap_or_default();
            configuration = serde_json::from_slice(&text).unwrap_or_default();
        } else {
            // Plugins, contexts and whatever else docker finds beside its configuration.
            let link = to.join(entry.file_name());
            let from = entry.path().canonicalize().unwrap_or(entry.path());
            symlink(from, &link).map_err(BuildError::file(&link, "written"))?;
        }
    }
    let text = merged(configuration, logins).to_string();
    private(&to.join("config.json"), text.as_bytes())
}

/// Writes a file that only this user can read.
pub fn private(path: &Path, content: &[u8]) -> Result<(), BuildError> {
    fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(BuildError::file(path, "written"))
}

/// A configuration with these logins. They win over the user's own, and over credential helpers, for
/// their registries; for all others everything is as the user has it.
fn merged(configuration: Value, logins: &[Login]) -> Value {
    let mut all = match configuration {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    for login in logins {
        let pair = format!("{}:{}", login.username, login.password.expose());
        let value = json!({ "auth": STANDARD.encode(pair) });
        for host in names(&login.registry) {
            table(&mut all, "auths").insert(host.to_owned(), value.clone());
            // Docker reads `auths` only where no helper is set; an empty one is none.
            table(&mut all, "credHelpers").insert(host.to_owned(), json!(""));
        }
    }
    Value::Object(all)
}

/// What a registry is called in a configuration.
fn names(registry: &str) -> Vec<&str> {
    match registry {
        reference::DEFAULT | "index.docker.io" | "registry-1.docker.io" => {
            vec![reference::DEFAULT, DOCKER_HUB]
        }
        other => vec![other],
    }
}

fn table<'a>(all: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = all.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("made one above")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(registry: &str) -> Login {
        Login {
            registry: registry.to_owned(),
            username: "ci".to_owned(),
            password: Secret::new("hunter2".to_owned()),
        }
    }

    #[test]
    fn the_users_own_stays_but_for_the_named_registry() {
        let users = json!({
            "auths": { "ghcr.io": { "auth": "b2xkOm9sZA==" }, "other.io": { "auth": "eDp4" } },
            "credsStore": "secretservice",
            "credHelpers": { "ecr.aws": "ecr-login" },
            "proxies": { "default": {} },
        });
        let merged = merged(users, &[login("ghcr.io")]);
        assert_eq!(merged["auths"]["ghcr.io"]["auth"], "Y2k6aHVudGVyMg==");
        assert_eq!(merged["auths"]["other.io"]["auth"], "eDp4");
        assert_eq!(merged["credsStore"], "secretservice");
        assert_eq!(merged["credHelpers"]["ecr.aws"], "ecr-login");
        assert_eq!(merged["credHelpers"]["ghcr.io"], "");
        assert!(merged["proxies"]["default"].is_object());
    }

    #[test]
    fn dockers_own_registry_has_two_names() {
        let merged = merged(Value::Null, &[login("docker.io")]);
        assert!(merged["auths"][DOCKER_HUB].is_object());
        assert!(merged["auths"]["docker.io"].is_object());
    }

    #[test]
    fn the_folder_is_private_and_has_the_users_plugins() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        fs::create_dir_all(users.join("cli-plugins")).unwrap();
        fs::write(users.join("cli-plugins/docker-buildx"), "").unwrap();
        fs::write(users.join("config.json"), r#"{"credsStore":"pass"}"#).unwrap();
        let to = folder.path().join("to");
        write(&to, Some(&users), &[login("ghcr.io")]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&to), 0o700);
        assert_eq!(mode(&to.join("config.json")), 0o600);
        assert!(to.join("cli-plugins/docker-buildx").exists());
        let text = fs::read_to_string(to.join("config.json")).unwrap();
        assert!(text.contains(r#""credsStore":"pass""#), "{text}");
    }

    #[test]
    fn where_the_users_folder_is() {
        let folder = |named: Option<&str>| {
            users_folder(named.map(OsStr::new), Some(OsStr::new("/home/ada")))
        };
        assert_eq!(folder(None), Some("/home/ada/.docker".into()));
        assert_eq!(folder(Some("")), Some("/home/ada/.docker".into()));
        assert_eq!(folder(Some("/etc/d")), Some("/etc/d".into()));
    }
}
