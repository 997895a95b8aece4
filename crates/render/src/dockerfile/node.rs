//! Node: modules by the lock, the build, and of both what runs. Next.js's standalone output and pages alone
//! leave the modules behind.

use serde_json::Value;

use super::{
    Made,
    command::{self, Default},
    health::Asks,
    pages,
    stage::{self, APP, Last},
    subject::Subject,
    text,
};

/// The version where nothing says one.
const VERSION: &str = "22";
const PNPM: &str = "10.24.0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installer {
    Npm,
    /// With a lock there is nothing to choose.
    NpmCi,
    Pnpm,
    Yarn,
}

struct Node {
    package: Value,
    installer: Installer,
    version: String,
    /// What installing needs besides package.json: its lock, `.npmrc`.
    files: Vec<String>,
    /// Whether something is installed at all.
    needs: bool,
    /// Whether some of it is for development alone.
    development: bool,
    /// Whether installing runs scripts of the project's own.
    hooks: bool,
    /// Whether something is built.
    builds: bool,
    /// The folder of Next.js's standalone output.
    standalone: bool,
    /// The folder of pages that the build makes, or that stands there.
    pages: Option<String>,
}

/// Writes the Dockerfile.
pub fn write(subject: &Subject<'_>, made: &mut Made) {
    let node = look(subject, made);
    stage::base(
        made,
        "NODE",
        &format!("node:{}-alpine", node.version),
        "The base image, by the version that the project says",
    );
    if node.pages.is_some() {
        pages::base(made);
    }
    super::several::argument(subject, made);
    modules(subject, made, &node);
    let from = if node.needs { "modules" } else { "${NODE}" };
    if node.builds {
        build(subject, made, &node, from);
    }
    if let Some(folder) = &node.pages {
        pages::last(subject, made, |_, made| {
            made.text
                .copy(&["--from=build"], &[format!("{APP}/{folder}")], "/srv");
        });
        return;
    }
    let trimmed = node.needs && node.development && !node.standalone;
    if trimmed {
        made.text.gap();
        made.text.line("FROM modules AS production");
        let command = match node.installer {
            Installer::Npm | Installer::NpmCi => {
                "npm prune --omit=dev --ignore-scripts --no-audit --no-fund"
            }
            Installer::Pnpm => "CI=true pnpm prune --prod --ignore-scripts",
            Installer::Yarn => "yarn install --production --ignore-scripts --frozen-lockfile",
        };
        made.text.run(&[cache(node.installer)], command);
    }
    let mut environment = vec![("NODE_ENV", "production")];
    if node.standalone {
        environment.push(("HOSTNAME", "0.0.0.0"));
    }
    let by_path = node.needs && !node.standalone;
    if by_path {
        // What `next start` and the like are found by.
        environment.push(("PATH", "/app/node_modules/.bin:$PATH"));
    }
    let uid = subject.user();
    let is_next = node.package["dependencies"]["next"].is_string();
    let last = Last {
        from: "${NODE}",
        // The image has one of that number.
        user: (uid != 1000).then_some("adduser -D -u {uid} app"),
        environment: &environment,
        asks: Asks::Node,
        command: match command::program(subject).as_deref() {
            None | Some("next" | "npm" | "npx" | "pnpm" | "yarn")
                if node.standalone && command::is_single(subject) =>
            {
                Default::Always(vec!["node".to_owned(), "server.js".to_owned()])
            }
            _ if is_next => Default::Else(vec!["next".to_owned(), "start".to_owned()]),
            _ => Default::None,
        },
    };
    stage::last(subject, made, last, |subject, made| {
        let owner = format!("--chown={uid}:{uid}");
        if node.standalone {
            let from = ["--from=build", &owner];
            if subject.has_folder("public") {
                made.text
                    .line(format!("COPY --from=build {APP}/public ./public"));
            }
            made.text
                .copy(&from, &[format!("{APP}/.next/standalone")], "./");
            made.text
                .copy(&from, &[format!("{APP}/.next/static")], "./.next/static");
            return;
        }
        if node.needs {
            let from = if trimmed { "production" } else { "modules" };
            made.text.line(format!(
                "COPY --from={from} {APP}/node_modules ./node_modules"
            ));
        }
        match (node.builds, &subject.build.output) {
            (true, Some(output)) => made.text.copy(
                &["--from=build"],
                &[format!("{APP}/{}", output.trim_matches('/'))],
                "./",
            ),
            (true, None) => made.text.line(format!("COPY --from=build {APP} ./")),
            (false, _) => made.text.copy(&[], &[subject.in_context("")], "./"),
        }
    });
}

fn modules(subject: &Subject<'_>, made: &mut Made, node: &Node) {
    if !node.needs {
        return;
    }
    made.text.gap();
    made.text.line("FROM ${NODE} AS modules");
    made.text
        .says("Packages of the system that building modules needs, such as a compiler:");
    made.text.keep("packages");
    if node.installer == Installer::Pnpm {
        let version = node.package["packageManager"]
            .as_str()
            .and_then(|text| text.strip_prefix("pnpm@"))
            .and_then(|text| text::tame(text.split('+').next().unwrap_or_default()))
            .unwrap_or_else(|| PNPM.to_owned());
        made.text.run(
            &["--mount=type=cache,target=/root/.npm".to_owned()],
            &format!("npm install --global pnpm@{version}"),
        );
    }
    made.text.line(format!("WORKDIR {APP}"));
    if node.hooks {
        made.note(
            subject.setting("build"),
            "package.json has scripts that run while modules are installed: each change of a file installs them again",
        );
        made.text.copy(&[], &[subject.in_context("")], "./");
    } else {
        let files: Vec<String> = node
            .files
            .iter()
            .map(|file| subject.in_context(file))
            .collect();
        made.text.copy(&[], &files, "./");
    }
    let (secrets, values) = stage::secrets(subject);
    let mounts: Vec<String> = std::iter::once(cache(node.installer))
        .chain(secrets)
        .collect();
    let command = match node.installer {
        Installer::NpmCi => "npm ci --no-audit --no-fund",
        Installer::Npm => "npm install --no-audit --no-fund --no-package-lock",
        Installer::Pnpm => "pnpm install --frozen-lockfile --store-dir /root/.pnpm",
        Installer::Yarn => "yarn install --frozen-lockfile",
    };
    made.text.run(&mounts, &format!("{values}{command}"));
}

fn cache(installer: Installer) -> String {
    let folder = match installer {
        Installer::Npm | Installer::NpmCi => "/root/.npm",
        Installer::Pnpm => "/root/.pnpm",
        Installer::Yarn => "/usr/local/share/.cache",
    };
    format!("--mount=type=cache,target={folder}")
}

fn build(subject: &Subject<'_>, made: &mut Made, node: &Node, from: &str) {
    made.text.gap();
    made.text.line(format!("FROM {from} AS build"));
    if !node.needs {
        made.text.line(format!("WORKDIR {APP}"));
    }
    stage::arguments(subject, made);
    if node.standalone {
        made.text.line("ENV NEXT_TELEMETRY_DISABLED=1");
    }
    if !node.hooks {
        made.text.copy(&[], &[subject.in_context("")], "./");
    }
    let mut mounts: Vec<String> = Vec::new();
    if node.package["dependencies"]["next"].is_string() {
        // Kept from build to build, and left out of the image.
        mounts.push(format!(
            "--mount=type=cache,id={}-{}-next,target={APP}/.next/cache",
            subject.app.app, subject.name
        ));
    }
    if !stage::builds(subject, made, &mounts) {
        let (secrets, values) = stage::secrets(subject);
        mounts.extend(secrets);
        let program = match node.installer {
            Installer::Npm | Installer::NpmCi => "npm",
            Installer::Pnpm => "pnpm",
            Installer::Yarn => "yarn",
        };
        made.text
            .run(&mounts, &format!("{values}{program} run build"));
    }
    if node.needs && !node.standalone && node.pages.is_none() {
        made.text.says("Those that run come from another stage:");
        made.text.line("RUN rm -rf node_modules");
    }
}

fn look(subject: &Subject<'_>, made: &mut Made) -> Node {
    let package: Value = subject
        .text("package.json")
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let has = |key: &str| match &package[key] {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    };
    let lock = [
        ("npm-shrinkwrap.json", Installer::NpmCi),
        ("package-lock.json", Installer::NpmCi),
        ("pnpm-lock.yaml", Installer::Pnpm),
        ("yarn.lock", Installer::Yarn),
    ]
    .into_iter()
    .find(|(name, _)| subject.has(name));
    let mut files = vec!["package.json".to_owned()];
    files.extend(lock.map(|(name, _)| name.to_owned()));
    for name in [".npmrc", ".yarnrc", "pnpm-workspace.yaml", ".pnpmfile.cjs"] {
        if subject.has(name) {
            files.push(name.to_owned());
        }
    }
    let installer = lock.map_or(Installer::Npm, |(_, installer)| installer);
    if lock.is_none() && (has("dependencies") || has("devDependencies")) {
        made.note(
            subject.setting("build"),
            "package.json has no lock beside it: the next build may get other versions; npm install writes one",
        );
    }
    let own = ["preinstall", "install", "postinstall", "prepare"];
    let hooks = own.iter().any(|hook| package["scripts"][*hook].is_string()) || has("workspaces");
    let script = package["scripts"]["build"].is_string();
    let builds = subject.build.run.is_some() || script;
    let settings = [
        "next.config.js",
        "next.config.mjs",
        "next.config.ts",
        "next.config.cjs",
    ]
    .iter()
    .find_map(|name| subject.text(name))
    .unwrap_or_default();
    let is_next = package["dependencies"]["next"].is_string();
    let says = |what: &str| {
        is_next
            && settings.lines().any(|line| {
                let line = line.trim_start();
                line.contains("output") && line.contains(what) && !line.starts_with("//")
            })
    };
    let standalone = says("standalone") && builds;
    if is_next && builds && !standalone && !subject.serves_pages() {
        made.note(
            subject.setting("build"),
            "output: \"standalone\" in Next.js's settings makes the image several times smaller: without it all modules are in it",
        );
    }
    let pages = subject
        .service
        .static_files
        .clone()
        .filter(|_| subject.serves_pages())
        .map(|folder| match &subject.build.output {
            Some(output) => super::subject::join(output.trim_matches('/'), &folder),
            None => folder,
        });
    Node {
        version: version(subject, &package),
        installer,
        files,
        needs: has("dependencies") || has("devDependencies") || has("optionalDependencies"),
        development: has("devDependencies"),
        hooks,
        builds,
        standalone,
        pages,
        package,
    }
}

fn version(subject: &Subject<'_>, package: &Value) -> String {
    let file = |name: &str| {
        let text = subject.text(name)?;
        numbers(text.lines().next()?.trim().trim_start_matches('v'))
    };
    file(".nvmrc")
        .or_else(|| file(".node-version"))
        .or_else(|| numbers(package["volta"]["node"].as_str()?))
        .or_else(|| subject.existing.version("node"))
        .or_else(|| range(package["engines"]["node"].as_str()?))
        .unwrap_or_else(|| VERSION.to_owned())
}

/// `22`, `22.11`, `22.11.0`.
fn numbers(text: &str) -> Option<String> {
    let good = text.split('.').all(|part| {
        !part.is_empty() && part.len() < 4 && part.bytes().all(|it| it.is_ascii_digit())
    });
    good.then(|| text.to_owned())
}

/// The version that `engines` means: the usual one where that is in it, else the lowest that it names.
fn range(text: &str) -> Option<String> {
    let usual: u32 = VERSION.parse().ok()?;
    let mut lowest: Option<u32> = None;
    for part in text.split("||") {
        let (mut least, mut most) = (0, u32::MAX);
        for word in part
            .replace(" - ", " <=")
            .replace("> ", ">")
            .replace("= ", "=")
            .replace("< ", "<")
            .split_whitespace()
        {
            let at = word.find(|c: char| c.is_ascii_digit())?;
            let (operator, rest) = word.split_at(at);
            let major: u32 = rest.split('.').next()?.parse().ok()?;
            let partly = rest
                .split('.')
                .skip(1)
                .any(|part| part != "0" && part != "x" && part != "*");
            match operator.trim_end_matches('v') {
                ">=" | ">" => least = least.max(major),
                "<" if partly => most = most.min(major),
                "<" => most = most.min(major.checked_sub(1)?),
                "<=" => most = most.min(major),
                _ => (least, most) = (least.max(major), most.min(major)),
            }
        }
        if least > most {
            continue;
        }
        if (least..=most).contains(&usual) {
            return Some(VERSION.to_owned());
        }
        lowest = Some(lowest.map_or(least, |known| known.min(least)));
    }
    lowest
        .filter(|lowest| *lowest > 0)
        .map(|lowest| lowest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_mean_the_usual_version_where_it_is_in_them() {
        for (text, expected) in [
            (">=18", Some("22")),
            ("^20.9.0 || >=22", Some("22")),
            ("20.x", Some("20")),
            (">=18 <21", Some("18")),
            (">= 24", Some("24")),
            ("18 - 20", Some("18")),
            ("lts", None),
        ] {
            assert_eq!(range(text).as_deref(), expected, "{text}");
        }
    }
}
