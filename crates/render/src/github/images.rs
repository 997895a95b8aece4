//! Images: built from a commit, published under its tags, and told on by their digest.

use landfall_app::{
    Reference, Value,
    model::{Build, RegistryLogin, Runtime, Service, Source},
    template::Part,
};
use landfall_yaml::{Map, Node};

use super::{
    Plan, actions, ci,
    words::{below, literal, pattern, variable},
    workflow::{Job, Workflow, push},
};

/// The registry whose logins are the workflow's own.
const GITHUBS: &str = "ghcr.io";

/// The environment of GitHub that holds the secrets of builds and of registries: secrets of a whole
/// repository are open to every job in it.
pub const SECRETS: &str = "images";

/// Names the tags of a commit: as `landfall deploy` does, but `latest` is the default branch's alone. What a
/// tag can't hold becomes `-`.
pub const TAGS: &str = r#"name=$(printf '%s' "$BRANCH" | LC_ALL=C.UTF-8 sed 's/[^A-Za-z0-9_.-]/-/g' | cut -c 1-100 | sed 's/^[-.]*//')
tags="$IMAGE:${name:+$name-}$(printf '%s' "$COMMIT" | cut -c 1-7)"
if [ "$BRANCH" = "$DEFAULT_BRANCH" ]; then tags="$tags,$IMAGE:latest"; fi
echo "tags=$tags" >> "$GITHUB_OUTPUT"
"#;

/// A service whose image is published.
#[derive(Clone, Copy)]
pub struct Published<'a> {
    /// The service's name.
    pub service: &'a str,
    /// Its folder.
    pub root: &'a str,
    /// Where its image goes, without a tag.
    pub repository: &'a str,
    /// What it is built from.
    pub build: &'a Build,
}

impl<'a> Published<'a> {
    /// A service that is one.
    pub fn of(name: &'a str, service: &'a Service) -> Option<Self> {
        let (Some(push), Source::Build(build)) = (&service.push, &service.source) else {
            return None;
        };
        if service.static_files.is_some() {
            return None;
        }
        Some(Self {
            service: name,
            root: &service.root,
            repository: repository(push),
            build,
        })
    }

    /// Those that a deployment takes as images.
    pub fn deployed(name: &'a str, service: &'a Service) -> Option<Self> {
        Self::of(name, service).filter(|_| service.runtime == Runtime::Container)
    }

    /// Its registry.
    pub fn host(&self) -> &'a str {
        match self.repository.split_once('/') {
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => "docker.io",
        }
    }

    /// The job that publishes it.
    pub fn job(&self) -> String {
        format!("image-{}", self.service)
    }

    /// The variable that carries it by its digest.
    pub fn variable(&self) -> String {
        variable("IMAGE", self.service)
    }

    /// Whether publishing it needs secrets beside the workflow's own token.
    pub fn needs_secrets(&self) -> bool {
        self.host() != GITHUBS || !self.build.secrets.is_empty()
    }

    /// Its folder of sources.
    pub fn context(&self) -> String {
        match &self.build.context {
            Some(context) => below(&below("", self.root), context),
            None => below("", self.root),
        }
    }

    /// Its Dockerfile.
    pub fn dockerfile(&self, plan: &Plan<'_>) -> String {
        let root = below("", self.root);
        let named = self.build.dockerfile.as_deref().unwrap_or("Dockerfile");
        let mut places = [below(&root, named), below(&self.context(), named)];
        if self.build.dockerfile.is_none() {
            places.reverse();
        }
        let there = places.iter().find(|place| plan.project.has(place));
        there.unwrap_or(&places[0]).clone()
    }

    /// Build arguments that are known here; the names of the others.
    pub fn arguments(&self) -> (Vec<String>, Vec<&'a str>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for (name, value) in &self.build.args {
            match value {
                Value::Text(template) if template.references().next().is_none() => {
                    let text: String = template
                        .parts()
                        .iter()
                        .map(|part| match part {
                            Part::Text(text) => text.as_str(),
                            Part::Reference(_) => "",
                        })
                        .collect();
                    known.push(literal(&format!("{name}={text}")));
                }
                _ => unknown.push(name.as_str()),
            }
        }
        (known, unknown)
    }
}

/// A reference without its tag or digest.
fn repository(reference: &str) -> &str {
    let name = reference
        .split_once('@')
        .map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

/// `publish-SERVICE.yml`: for pushes from which no environment deploys.
pub fn workflow(plan: &Plan<'_>, image: Published<'_>) -> Workflow {
    let file = format!("publish-{}", image.service);
    let branches = plan.branches_without_deployment();
    let mut on = Map::new();
    if !branches.is_empty() {
        on.set("push", push(&branches, &paths(plan, image, &file)));
    }
    on.set("workflow_dispatch", Map::new());
    let mut jobs: Vec<Job> = ci::tests(plan).into_iter().collect();
    let needs = jobs.iter().map(|job| job.id.clone()).collect();
    jobs.push(job(plan, image, needs));
    let when = match jobs.len() {
        1 => "",
        _ => "built once the tests have passed, ",
    };
    Workflow {
        name: format!("Publish the image of {}", image.service),
        about: format!(
            "The image of {}: {when}published as `<branch>-<commit>`, from the\n\
             default branch as `latest` too, and attested.",
            image.service
        ),
        group: format!("{file}-${{{{ github.ref }}}}"),
        file,
        on,
        cancel: None,
        jobs,
    }
}

/// What an image is made of, as patterns; nothing where that is the whole repository.
fn paths(plan: &Plan<'_>, image: Published<'_>, file: &str) -> Vec<String> {
    let folder = image.context();
    if folder == "." {
        return Vec::new();
    }
    let mut paths = vec![format!("{}/**", pattern(&folder))];
    let dockerfile = image.dockerfile(plan);
    if !dockerfile.starts_with(&format!("{folder}/")) {
        paths.push(pattern(&dockerfile));
    }
    paths.push("landfall.toml".to_owned());
    paths.push(format!(".github/workflows/{file}.yml"));
    paths
}

/// The job that builds and publishes an image; its output `digest` is what it made.
pub fn job(plan: &Plan<'_>, image: Published<'_>, needs: Vec<String>) -> Job {
    let (host, name) = (image.host(), literal(image.repository));
    let mut job = Job::new(image.job(), format!("The image of {}", image.service));
    job.needs = needs;
    job.minutes = 30;
    job.permissions.extend([
        ("packages", "write", format!("publishes to {host}")),
        ("id-token", "write", "signs the attestation".to_owned()),
        ("attestations", "write", "keeps the attestation".to_owned()),
    ]);
    if host != GITHUBS {
        job.permissions.retain(|(scope, ..)| *scope != "packages");
    }
    if image.needs_secrets() {
        let mut environment = Map::new();
        environment.set("name", SECRETS);
        job.environment = Some(environment);
    }
    job.outputs
        .set("digest", "${{ steps.image.outputs.digest }}");

    let mut builder = actions::uses("Prepare the builder", actions::BUILDER);
    let mut with = Map::new();
    // What is published isn't built by a program out of a cache.
    with.set("cache-binary", false);
    builder.set("with", with);

    let mut env = Map::new();
    env.set("IMAGE", name.clone())
        .set("BRANCH", "${{ github.ref_name }}")
        .set("COMMIT", "${{ github.sha }}")
        .set(
            "DEFAULT_BRANCH",
            "${{ github.event.repository.default_branch }}",
        );
    let mut tags = actions::step("Name its tags");
    tags.set("id", "tags")
        .set("env", env)
        .set("shell", "sh")
        .set("run", Node::Block(TAGS.to_owned()));

    let mut attest = actions::uses("Attest where it comes from", actions::ATTEST);
    // Attestations of private repositories need GitHub Enterprise Cloud.
    attest.set("if", "${{ !github.event.repository.private }}");
    let mut with = Map::new();
    with.set("subject-name", attested(host, &name))
        .set("subject-digest", "${{ steps.image.outputs.digest }}")
        .set("push-to-registry", true)
        // Only organisations keep such records, and it would need one more permission.
        .set("create-storage-record", false);
    attest.set("with", with);

    let mut env = Map::new();
    env.set("TAGS", "${{ steps.tags.outputs.tags }}")
        .set("DIGEST", "${{ steps.image.outputs.digest }}");
    let summary = actions::run(
        "Say what was published",
        env,
        r#"echo "Published $TAGS as $DIGEST" >> "$GITHUB_STEP_SUMMARY""#,
    );

    job.steps = vec![
        actions::checkout(plan, None),
        super::workflow::place("image-setup"),
        builder.into(),
        login(plan, host),
        tags.into(),
        build(plan, image, &name).into(),
        attest.into(),
        summary.into(),
    ];
    job
}

/// Docker Hub is called by another name where an attestation is kept.
fn attested(host: &str, name: &str) -> String {
    match host {
        "docker.io" if !name.starts_with("docker.io/") => format!("index.docker.io/{name}"),
        _ => name.to_owned(),
    }
}

fn build(plan: &Plan<'_>, image: Published<'_>, name: &str) -> Map {
    let mut step = actions::uses("Build and publish it", actions::BUILD);
    step.set("id", "image");
    let mut secrets = Map::new();
    for secret in &image.build.secrets {
        secrets.set(secret.as_str(), format!("${{{{ secrets.{secret} }}}}"));
    }
    if !secrets.is_empty() {
        step.set("env", secrets);
    }
    let lines = |lines: Vec<String>| match lines.as_slice() {
        [line] => Node::Text(line.clone()),
        lines => Node::Block(lines.join("\n") + "\n"),
    };
    let mut with = Map::new();
    with.set("context", literal(&image.context()))
        .set("file", literal(&image.dockerfile(plan)));
    with.set_some("target", image.build.stage.as_deref().map(literal));
    let (known, _) = image.arguments();
    if !known.is_empty() {
        with.set("build-args", lines(known));
    }
    if !image.build.secrets.is_empty() {
        let names = image.build.secrets.iter();
        with.set(
            "secret-envs",
            lines(names.map(|name| format!("{name}={name}")).collect()),
        );
    }
    with.set("push", true)
        .set("tags", "${{ steps.tags.outputs.tags }}")
        .set(
            "labels",
            Node::Block(
                "org.opencontainers.image.source=${{ github.server_url }}/${{ github.repository }}\n\
                 org.opencontainers.image.revision=${{ github.sha }}\n"
                    .to_owned(),
            ),
        )
        .set("provenance", "mode=max")
        .set("sbom", true)
        .set("cache-from", format!("type=registry,ref={name}:latest"))
        .set("cache-to", "type=inline");
    step.set("with", with);
    step
}

/// Logs in to where images are published.
pub fn login(plan: &Plan<'_>, host: &str) -> Node {
    if host == GITHUBS {
        return actions::login_by_token(host);
    }
    let (username, password) = match plan.registries.get(host) {
        Some(login) => credentials(login),
        None => (None, None),
    };
    actions::login(
        host,
        &username.unwrap_or_else(|| "${{ vars.REGISTRY_USERNAME }}".to_owned()),
        &password.unwrap_or_else(|| "${{ secrets.REGISTRY_PASSWORD }}".to_owned()),
    )
}

/// A login as the app file says it; a password in plain text is not taken over.
pub fn credentials(login: &RegistryLogin) -> (Option<String>, Option<String>) {
    let text = |value: &Value, plain: bool| {
        let Value::Text(template) = value else {
            return None;
        };
        let mut text = String::new();
        let mut secret = false;
        for part in template.parts() {
            match part {
                Part::Text(part) => text.push_str(&literal(part)),
                Part::Reference(Reference::Secret(name)) => {
                    secret = true;
                    text.push_str(&format!("${{{{ secrets.{name} }}}}"));
                }
                Part::Reference(_) => return None,
            }
        }
        (plain || secret).then_some(text)
    };
    (text(&login.username, true), text(&login.password, false))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What the step gives as its output.
    fn tags(branch: &str) -> String {
        let output = Command::new("sh")
            .args(["-e", "-c", TAGS])
            .env("IMAGE", "ghcr.io/acme/shop")
            .env("BRANCH", branch)
            .env("COMMIT", "0123456789abcdef")
            .env("DEFAULT_BRANCH", "main")
            .env("GITHUB_OUTPUT", "/dev/stdout")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim_end().replace("ghcr.io/acme/shop:", "")
    }

    #[test]
    fn a_branch_becomes_part_of_a_tag_as_at_the_desk() {
        assert_eq!(tags("main"), "tags=main-0123456,latest");
        assert_eq!(tags("feature/a+b"), "tags=feature-a-b-0123456");
        assert_eq!(tags(".-x"), "tags=x-0123456");
        assert_eq!(tags("-/-"), "tags=0123456");
        let long = "a".repeat(130);
        assert_eq!(tags(&long), format!("tags={}-0123456", &long[..100]));
    }
}
