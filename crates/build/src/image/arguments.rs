//! The arguments of the user's `docker`: lists, never a shell. Nothing secret is ever among them.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::Path,
};

/// What a build is told.
pub struct Build<'a> {
    pub context: &'a Path,
    pub dockerfile: &'a Path,
    pub name: &'a str,
    /// Where the image's id is written to.
    pub id: &'a Path,
    pub arguments: &'a BTreeMap<String, String>,
    pub labels: &'a BTreeMap<String, String>,
    pub stage: Option<&'a str>,
    /// Names of secrets and the files that hold their values.
    pub secrets: &'a [(String, std::path::PathBuf)],
    /// Look for newer base images.
    pub fresh: bool,
    /// Use nothing that an earlier build made.
    pub anew: bool,
    pub buildkit: bool,
}

/// `docker --host … build …`
pub fn build(engine: &str, build: &Build<'_>) -> Vec<OsString> {
    let mut words = of(engine, &["build", "--tag", build.name]);
    let mut with = |option: &str, value: &OsStr| {
        words.push(option.into());
        words.push(value.into());
    };
    with("--file", build.dockerfile.as_os_str());
    with("--iidfile", build.id.as_os_str());
    for (name, value) in build.labels {
        with("--label", OsStr::new(&format!("{name}={value}")));
    }
    for (name, value) in build.arguments {
        with("--build-arg", OsStr::new(&format!("{name}={value}")));
    }
    if let Some(stage) = build.stage {
        with("--target", OsStr::new(stage));
    }
    for (name, file) in build.secrets {
        let mut value = OsString::from(format!("id={name},src="));
        value.push(file);
        with("--secret", &value);
    }
    if build.buildkit {
        words.push("--progress=plain".into());
    }
    if build.fresh {
        words.push("--pull".into());
    }
    if build.anew {
        words.push("--no-cache".into());
    }
    words.push(build.context.into());
    words
}

/// `docker --host … COMMAND …`
pub fn of(engine: &str, rest: &[&str]) -> Vec<OsString> {
    ["--host", engine]
        .iter()
        .chain(rest)
        .map(OsString::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(given: &Build<'_>) -> String {
        let words = build("unix:///s", given);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn a_build_is_told_everything_it_needs() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let (arguments, labels) = (one("PYTHON", "3.13 or so"), one("landfall.app", "shop"));
        let secrets = [("NPM_TOKEN".to_owned(), "/c/secret-0".into())];
        let full = Build {
            context: Path::new("/c/context"),
            dockerfile: Path::new("/c/Dockerfile"),
            name: "landfall/shop-web:0",
            id: Path::new("/c/id"),
            arguments: &arguments,
            labels: &labels,
            stage: Some("runtime"),
            secrets: &secrets,
            fresh: true,
            anew: true,
            buildkit: true,
        };
        assert_eq!(
            words(&full),
            "--host unix:///s build --tag landfall/shop-web:0 --file /c/Dockerfile --iidfile /c/id \
             --label landfall.app=shop --build-arg PYTHON=3.13 or so --target runtime \
             --secret id=NPM_TOKEN,src=/c/secret-0 --progress=plain --pull --no-cache /c/context"
        );
        let none = BTreeMap::new();
        let plain = Build {
            arguments: &none,
            labels: &none,
            stage: None,
            secrets: &[],
            fresh: false,
            anew: false,
            buildkit: false,
            ..full
        };
        assert_eq!(
            words(&plain),
            "--host unix:///s build --tag landfall/shop-web:0 --file /c/Dockerfile --iidfile /c/id /c/context"
        );
    }
}
