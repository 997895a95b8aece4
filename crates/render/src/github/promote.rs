//! Promotion: an environment that is given only what another one has verified.

use landfall_app::App;
use landfall_yaml::{Map, Node};

use super::{
    Plan, actions,
    images::{self, Published},
    words::literal,
    workflow::Job,
};

/// Finds the newest commit, or that which is wanted, whose deployment to the other environment ended well.
const COMMIT: &str = r#"case "$WANTED" in *[!0-9a-f]*) echo "::error::that is no commit"; exit 1 ;; esac
deployments=$(gh api "repos/$GITHUB_REPOSITORY/deployments?environment=$FROM&per_page=50" --jq '.[] | [.id, .sha, .ref] | @tsv')
while read -r id commit ref; do
  case "$commit" in "" | [!0-9a-f]*) continue ;; "$WANTED"*) ;; *) continue ;; esac
  verified=$(gh api "repos/$GITHUB_REPOSITORY/deployments/$id/statuses" --jq 'any(.[]; .state == "success")')
  if [ "$verified" = true ]; then
    printf 'commit=%s\nbranch=%s\n' "$commit" "${BRANCH:-$ref}" >> "$GITHUB_OUTPUT"
    exit 0
  fi
done <<< "$deployments"
echo "::error::$FROM has not verified ${WANTED:-any commit}: deploy it there first"
exit 1
"#;

/// Finds an image by the tag that its commit gave it.
const DIGEST: &str = r#"docker pull --quiet "$TAGGED"
digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$TAGGED" | grep -F "$IMAGE@" | head -n 1)
echo "digest=${digest##*@}" >> "$GITHUB_OUTPUT"
"#;

/// The environment whose word counts.
pub fn source<'a>(plan: &Plan<'a>, app: &App) -> Option<&'a App> {
    let name = app.verified_in.as_ref()?;
    let mut environments = plan.environments.iter().copied();
    environments.find(|other| other.environment == *name)
}

/// What somebody who starts it by hand can say.
pub fn inputs(source: &App) -> Map {
    let mut commit = Map::new();
    commit
        .set(
            "description",
            format!(
                "The commit; without one, the newest that {} has verified",
                source.environment
            ),
        )
        .set("type", "string")
        .set("required", false);
    let (mut inputs, mut dispatch) = (Map::new(), Map::new());
    inputs.set("commit", commit);
    dispatch.set("inputs", inputs);
    dispatch
}

/// The job that finds what was verified: its outputs are the commit, and each image's digest.
pub fn job(plan: &Plan<'_>, source: &App, images: &[Published<'_>]) -> Job {
    let mut job = Job::new(
        "verified",
        format!("What {} has verified", source.environment),
    );
    job.minutes = 15;
    job.permissions = vec![(
        "deployments",
        "read",
        format!("which commits {} has", source.environment),
    )];
    job.outputs
        .set("commit", "${{ steps.commit.outputs.commit }}");
    let mut env = Map::new();
    env.set("GH_TOKEN", "${{ github.token }}")
        .set("FROM", source.environment.as_str())
        .set("BRANCH", source.branch.clone().unwrap_or_default())
        .set(
            "WANTED",
            "${{ github.event_name == 'push' && github.sha || inputs.commit }}",
        );
    let mut find = actions::step("Find the commit");
    find.set("id", "commit")
        .set("env", env)
        .set("shell", "bash")
        .set("run", Node::Block(COMMIT.to_owned()));
    job.steps.push(find.into());
    if images.iter().any(|image| image.host() != "ghcr.io") {
        let mut environment = Map::new();
        environment.set("name", images::SECRETS);
        job.environment = Some(environment);
    }
    let mut hosts: Vec<&str> = images.iter().map(Published::host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    for host in hosts {
        if host == "ghcr.io" {
            job.permissions
                .push(("packages", "read", "asks for the digests".to_owned()));
        }
        job.steps.push(images::login(plan, host));
    }
    for image in images {
        let (id, tag) = (image.job(), format!("tag-{}", image.service));
        let name = literal(image.repository);
        let mut env = Map::new();
        env.set("IMAGE", name.clone())
            .set("BRANCH", "${{ steps.commit.outputs.branch }}")
            .set("COMMIT", "${{ steps.commit.outputs.commit }}")
            .set("DEFAULT_BRANCH", "");
        let mut tags = actions::step(format!("Name the tag of {}", image.service));
        tags.set("id", tag.as_str())
            .set("env", env)
            .set("shell", "sh")
            .set("run", Node::Block(images::TAGS.to_owned()));
        let mut env = Map::new();
        env.set("IMAGE", name)
            .set("TAGGED", format!("${{{{ steps.{tag}.outputs.tags }}}}"));
        let mut digest = actions::step(format!("Find the image of {}", image.service));
        digest
            .set("id", id.as_str())
            .set("env", env)
            .set("shell", "bash")
            .set("run", Node::Block(DIGEST.to_owned()));
        job.steps.extend([tags.into(), digest.into()]);
        let digest = format!("${{{{ steps.{id}.outputs.digest }}}}");
        job.outputs.set(id, digest);
    }
    job
}
