//! A workflow as it is written: what is the same in each stands here.

use landfall_yaml::{Map, Node, write};

use super::words::pattern;
use crate::{Comment, Extent, Written, keep};

/// What begins an item of a list that is a place of the user's; see [`place`].
const PLACE: &str = "landfall:keep ";

/// A workflow of one file.
pub struct Workflow {
    /// The file's name in `.github/workflows`, without its ending.
    pub file: String,
    /// What it is called on GitHub.
    pub name: String,
    /// What stands above it for who reads it.
    pub about: String,
    /// What starts it.
    pub on: Map,
    /// Runs of the same group wait for one another.
    pub group: String,
    /// Whether a newer run ends an older one: an expression, or nothing for never.
    pub cancel: Option<&'static str>,
    /// Its jobs in order.
    pub jobs: Vec<Job>,
}

/// A job.
pub struct Job {
    /// By what others name it.
    pub id: String,
    /// What it is called on GitHub.
    pub name: String,
    /// The jobs before it.
    pub needs: Vec<String>,
    /// When it runs: an expression.
    pub condition: Option<String>,
    /// Where it runs.
    pub runner: Runner,
    /// After so many minutes it has failed.
    pub minutes: u64,
    /// The environment of GitHub whose protection and secrets are its.
    pub environment: Option<Map>,
    /// What its token may do, and what for.
    pub permissions: Vec<(&'static str, &'static str, String)>,
    /// What it tells the jobs after it.
    pub outputs: Map,
    /// Its steps.
    pub steps: Vec<Node>,
}

/// Where a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// On a machine of GitHub's.
    Hosted,
    /// On the machine that is deployed to.
    Own,
}

impl Job {
    /// One that only reads the repository.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            needs: Vec::new(),
            condition: None,
            runner: Runner::Hosted,
            minutes: 30,
            environment: None,
            permissions: vec![("contents", "read", "the sources".to_owned())],
            outputs: Map::new(),
            steps: Vec::new(),
        }
    }

    fn map(self) -> Map {
        let mut map = Map::new();
        map.set("name", self.name);
        if !self.needs.is_empty() {
            map.set("needs", self.needs);
        }
        map.set_some("if", self.condition);
        match self.runner {
            Runner::Hosted => map.set("runs-on", "ubuntu-latest"),
            Runner::Own => map.set_noted(
                "runs-on",
                "self-hosted",
                "zizmor: ignore[self-hosted-runner] it deploys to the machine that it runs on",
            ),
        };
        map.set(
            "timeout-minutes",
            i64::try_from(self.minutes).unwrap_or(360),
        );
        map.set_some("environment", self.environment);
        let mut permissions = Map::new();
        for (scope, access, why) in self.permissions {
            permissions.set_noted(scope, access, why);
        }
        map.set("permissions", permissions);
        if !self.outputs.is_empty() {
            map.set("outputs", self.outputs);
        }
        map.set("steps", self.steps);
        map
    }
}

impl Workflow {
    /// The file.
    pub fn written(self) -> Written {
        let mut concurrency = Map::new();
        concurrency.set("group", self.group);
        match self.cancel {
            Some(when) => concurrency.set("cancel-in-progress", when),
            None => concurrency.set_noted(
                "cancel-in-progress",
                false,
                "one that was begun is always ended",
            ),
        };
        let mut jobs = Map::new();
        for job in self.jobs {
            jobs.blank().set(job.id.clone(), job.map());
        }
        let mut document = Map::new();
        document
            .comment(self.about)
            .set("name", self.name)
            .blank()
            .set("on", self.on)
            .blank()
            .set_noted("permissions", Map::new(), "each job says what it needs")
            .blank()
            .set("concurrency", concurrency)
            .blank()
            .set("jobs", jobs);
        Written {
            path: format!(".github/workflows/{}.yml", self.file),
            text: with_places(&write(&document).replacen("\njobs:\n\n", "\njobs:\n", 1)),
            extent: Extent::Whole,
            comment: Comment::Hash,
            executable: false,
        }
    }
}

/// A place of the user's among the items of a list.
pub fn place(name: &str) -> Node {
    Node::Text(format!("{PLACE}{name}"))
}

/// Items that stand for places become those: a list in YAML can't hold comments of its own.
fn with_places(text: &str) -> String {
    let mut with = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let item = line.trim().strip_prefix("- \"").and_then(|item| {
            let name = item.strip_prefix(PLACE)?.strip_suffix('"')?;
            Some((name, line.len() - line.trim_start().len()))
        });
        match item {
            Some((name, indent)) => with.push_str(&keep(name, indent, Comment::Hash)),
            None => with.push_str(line),
        }
    }
    with
}

/// A trigger by pushes to one branch.
pub fn push_to(branch: &str) -> Map {
    let mut push = Map::new();
    push.set("branches", vec![pattern(branch)]);
    push
}

/// A trigger by pushes to branches, to which a user can add some, and to paths where some are given: these
/// are patterns already.
pub fn push(branches: &[String], paths: &[String]) -> Map {
    let list = |items: &[String], name: &str| {
        let mut nodes: Vec<Node> = items.iter().map(|item| item.as_str().into()).collect();
        nodes.push(place(name));
        nodes
    };
    let mut push = Map::new();
    let branches: Vec<String> = branches.iter().map(|branch| pattern(branch)).collect();
    push.set("branches", list(&branches, "branches"));
    if !paths.is_empty() {
        push.set("paths", list(paths, "paths"));
    }
    push
}
