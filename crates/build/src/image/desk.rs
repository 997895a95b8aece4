//! What one command of docker needs around it: a private folder, an environment, its configuration.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use landfall_redact::Masker;

use super::{
    ImageRequest,
    configuration::{self, users_folder},
};
use crate::{error::BuildError, files::Scratch, progress::Progress, tool::Tools};

/// What `docker` sees of the surroundings: all that its credential helpers and plugins may need, but
/// nothing that would send it to another Engine or builder than was meant, and none of our own keys.
pub fn docker_environment(
    all: impl IntoIterator<Item = (OsString, OsString)>,
) -> BTreeMap<OsString, OsString> {
    const MISLEADING: [&str; 6] = [
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CERT_PATH",
        "DOCKER_BUILDKIT",
        "DOCKER_DEFAULT_PLATFORM",
        "DOCKER_API_VERSION",
    ];
    const PREFIXES: [&str; 4] = ["LANDFALL_", "BUILDX_", "BUILDKIT_", "DOCKER_TLS"];
    let keeps = |name: &OsStr| {
        name.to_str().is_none_or(|name| {
            !MISLEADING.contains(&name) && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        })
    };
    let mut environment: BTreeMap<_, _> = all.into_iter().filter(|(name, _)| keeps(name)).collect();
    // Attestations would make every image another one.
    for (name, value) in [
        ("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"),
        ("DOCKER_CLI_HINTS", "false"),
    ] {
        environment.insert(name.into(), value.into());
    }
    environment
}

/// A command's surroundings; everything on disk goes with it.
pub struct Desk<'a> {
    pub tools: Tools<'a>,
    scratch: Scratch,
}

impl<'a> Desk<'a> {
    /// Makes the folder, and in it the configuration if the app file has logins.
    pub fn new(
        request: &ImageRequest<'a>,
        progress: &'a dyn Fn(Progress),
    ) -> Result<Self, BuildError> {
        let scratch = Scratch::new(request.scratch)?;
        let folder = scratch.path();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(BuildError::file(folder, "made"))?;
        let mut environment = request.variables.clone();
        if !request.logins.is_empty() {
            let variable = |name: &str| request.variables.get(OsStr::new(name));
            let users = users_folder(
                variable("DOCKER_CONFIG").map(OsString::as_os_str),
                variable("HOME").map(OsString::as_os_str),
            );
            let to = folder.join("docker");
            configuration::write(&to, users.as_deref(), request.logins)?;
            environment.insert("DOCKER_CONFIG".into(), to.into());
        }
        let secrets = request
            .secrets
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()));
        let passwords = request
            .logins
            .iter()
            .map(|login| (login.registry.as_str(), login.password.expose()));
        // What can't be masked because it is too short is said where the secrets are.
        let (masker, _) = Masker::new(secrets.chain(passwords));
        let tools = Tools {
            service: request.service,
            environment,
            masker,
            cancelled: request.cancelled,
            progress,
        };
        Ok(Self { tools, scratch })
    }

    /// Its private folder.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs docker to its end.
    pub fn docker(
        &self,
        program: &Path,
        arguments: &[OsString],
        more: &[(&str, &OsStr)],
    ) -> Result<Vec<String>, BuildError> {
        let words: Vec<&OsStr> = [program.as_os_str()]
            .into_iter()
            .chain(arguments.iter().map(OsString::as_os_str))
            .collect();
        self.tools.run(self.folder(), &words, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_mislead_docker_is_left_out() {
        let given = [
            ("PATH", "/bin"),
            ("AWS_PROFILE", "ci"),
            ("DOCKER_CONFIG", "/d"),
            ("DOCKER_CONTEXT", "elsewhere"),
            ("LANDFALL_KEY", "secret"),
            ("BUILDX_BUILDER", "remote"),
        ];
        let kept = docker_environment(given.map(|(name, value)| (name.into(), value.into())));
        let names: Vec<_> = kept.keys().filter_map(|name| name.to_str()).collect();
        assert_eq!(
            names,
            [
                "AWS_PROFILE",
                "BUILDX_NO_DEFAULT_ATTESTATIONS",
                "DOCKER_CLI_HINTS",
                "DOCKER_CONFIG",
                "PATH"
            ]
        );
    }
}
