//! A rendered compose file and Docker Compose itself.

use std::process::Command;

use serde_json::Value;

use crate::{
    Ran, World,
    engine::{docker, unique},
    tools::{run, tool},
    world::{copy, example},
};

const PRODUCTION: &str = "\n[environment.production]\n";

/// An app that Compose is asked about; what it started ends with it.
pub struct Composed {
    /// Its folder and ports.
    pub world: World,
    /// The app's name, which no other test has.
    pub name: String,
    /// The compose file.
    pub file: String,
}

impl Composed {
    /// An example under a name of its own, rendered for an environment.
    pub fn example(name: &str, environment: &str) -> Self {
        let world = World::new();
        copy(&example(name), &world.app());
        let own = unique(name);
        let text = world.read("landfall.toml");
        let named = text.replacen(&format!("\"{name}\""), &format!("\"{own}\""), 1);
        assert_ne!(named, text, "{name} has its name in its file");
        for written in [
            "compose.yaml",
            "compose.local.yaml",
            ".env.example",
            ".env.local.example",
        ] {
            let _ = std::fs::remove_file(world.app().join(written));
        }
        let more = match named.contains("[environment.production") {
            true => "",
            false => PRODUCTION,
        };
        Self::of(world, own, &format!("{named}{more}"), environment)
    }

    /// An app by its file.
    pub fn app(text: &str, environment: &str) -> Self {
        let own = unique("composed");
        let text = format!("app = \"{own}\"\n{text}{PRODUCTION}");
        Self::of(World::new(), own, &text, environment)
    }

    fn of(world: World, name: String, text: &str, environment: &str) -> Self {
        world.write("landfall.toml", text);
        world
            .landfall(&["render", "compose", "-e", environment])
            .ok();
        let file = match environment {
            "production" => "compose.yaml".to_owned(),
            other => format!("compose.{other}.yaml"),
        };
        Self { world, name, file }
    }

    /// The variables, one in each line.
    pub fn variables(&self, text: &str) -> &Self {
        self.world.write(".env", text);
        self
    }

    /// Runs Compose with its file.
    pub fn compose(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(tool("docker-compose"));
        command
            .current_dir(self.world.app())
            .args(["-f", &self.file])
            .args(arguments);
        run(&mut command)
    }

    /// The file as Compose understands it.
    pub fn understood(&self) -> Value {
        let ran = self.compose(&["config", "--format", "json"]).ok();
        serde_json::from_str(&ran.stdout).expect("Compose prints JSON")
    }

    /// The only container of a service.
    pub fn container(&self, service: &str) -> String {
        let ran = self.compose(&["ps", "-aq", service]).ok();
        let ids: Vec<&str> = ran.stdout.split_whitespace().collect();
        assert_eq!(ids.len(), 1, "containers of {service}");
        ids[0].to_owned()
    }

    /// What the Engine says of a service's only container.
    pub fn inspected(&self, service: &str) -> Value {
        let text = docker(&["inspect", &self.container(service)]);
        let all: Value = serde_json::from_str(&text).expect("docker prints JSON");
        all[0].clone()
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        // In every profile; a failed test has said why already.
        self.compose(&[
            "--profile",
            "*",
            "down",
            "-v",
            "--remove-orphans",
            "-t",
            "1",
        ]);
        let named = format!("{}-*", self.name);
        let images = Command::new("docker")
            .args(["images", "-q", &named])
            .output();
        let images = images
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        for image in images.split_whitespace() {
            let _ = Command::new("docker").args(["rmi", "-f", image]).output();
        }
    }
}
