//! A real registry of images on this machine, for one test.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use crate::{World, engine::docker, get, wait};

/// Who may use it.
pub const USER: &str = "tester";
/// The password of that user.
pub const PASSWORD: &str = "right-password";
/// The password as the registry keeps it.
const HASH: &str = "$2b$04$wWq2bqOkA0OHPI/NQ.IA9uBS5pd1RdoklKQXVrW6jRhT8Nt5gp2YG";

/// Serves /www, where `index.html` is what stands in `page`.
pub const DOCKERFILE: &str =
    "FROM busybox:test\nCOPY page /www/index.html\nCMD httpd -f -p $PORT -h /www\n";

/// A registry that wants a login. It ends with the test.
#[derive(Debug)]
pub struct Registry {
    /// Its host and port.
    pub host: String,
    child: Child,
}

impl Registry {
    /// Starts one, on the last of a world's ports.
    pub fn start(world: &World) -> Self {
        let registry = Self::start_by(Command::new("docker-registry"), world);
        let url = format!("http://{}/v2/", registry.host);
        wait("the registry answers", || {
            get(&url).ok().filter(|answer| answer.status == 401)
        });
        registry
    }

    /// Starts one in whatever place a command runs it; nobody has looked yet whether it answers.
    pub fn start_by(mut command: Command, world: &World) -> Self {
        let port = world.ports().1;
        let folder = world.folder().join("registry");
        fs::create_dir(&folder).expect("the world's folder is fresh");
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file of the registry can be written");
            path
        };
        let users = file("users", &format!("{USER}:{HASH}\n"));
        let configuration = file(
            "configuration.yml",
            &format!(
                "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
                 http: {{ addr: \"127.0.0.1:{port}\" }}\nauth: {{ htpasswd: {{ realm: tests, path: {} }} }}\n",
                folder.join("data").display(),
                users.display()
            ),
        );
        let child = command
            .arg("serve")
            .arg(configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("apt install docker-registry: these tests need a registry");
        let host = format!("127.0.0.1:{port}");
        Self { host, child }
    }

    /// `[registry."…"]` with a password.
    pub fn login(&self, password: &str) -> String {
        format!(
            "\n[registry.\"{}\"]\nusername = \"{USER}\"\npassword = \"{password}\"\n",
            self.host
        )
    }

    /// Puts an image there as somebody else would; what its digest is.
    pub fn publish(&self, world: &World, name: &str, page: &str) -> String {
        let folder = world.folder().join("somebody");
        let _ = fs::create_dir(&folder);
        fs::write(folder.join("Dockerfile"), DOCKERFILE).expect("a file can be written");
        fs::write(folder.join("page"), page).expect("a file can be written");
        let reference = format!("{}/{name}", self.host);
        let folder = folder.to_str().expect("the folder has a plain name");
        docker(&["build", "-q", "-t", &reference, folder]);
        let configuration = world.folder().join("somebody-docker");
        let _ = fs::create_dir(&configuration);
        let config = configuration.to_str().expect("the folder has a plain name");
        docker(&[
            "--config", config, "login", "-u", USER, "-p", PASSWORD, &self.host,
        ]);
        let said = docker(&["--config", config, "push", &reference]);
        let digest = said
            .split("digest: ")
            .nth(1)
            .expect("a push says the digest");
        let digest = digest
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        docker(&["rmi", &reference]);
        digest
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What was tagged for it, so that no run leaves names of it behind.
        let of = format!("reference={}/*", self.host);
        let listed = Command::new("docker")
            .args([
                "images",
                "--filter",
                &of,
                "--format",
                "{{.Repository}}:{{.Tag}}",
            ])
            .output();
        for name in listed
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
            .lines()
        {
            let _ = Command::new("docker").args(["rmi", name]).output();
        }
    }
}
