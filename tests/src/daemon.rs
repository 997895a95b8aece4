//! A Docker Engine of a test's own, in a network of its own: one that may be killed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Ran, World, wait, world::program};

/// An Engine that ends with the test, and everything in it.
#[derive(Debug)]
pub struct Daemon {
    folder: TempDir,
    /// Keeps the network while the Engine is away.
    network: Child,
    engine: Option<Child>,
    options: Vec<String>,
    /// Whether its data lies on a disk of its own.
    disk: bool,
}

impl Daemon {
    /// Starts one, with an image of the machine's own Engine in it. None where that can't be had: it
    /// needs root and `dockerd`.
    pub fn start(image: &str, options: &[&str]) -> Option<Self> {
        Self::start_on(None, image, options)
    }

    /// The same, on a disk of so many megabytes of its own where that is asked for.
    pub fn start_on(disk: Option<u32>, image: &str, options: &[&str]) -> Option<Self> {
        let there = Command::new("dockerd").arg("--version").output().is_ok();
        if !there || !rustix::process::geteuid().is_root() {
            eprintln!("skipped: an Engine of its own needs root and dockerd");
            return None;
        }
        let folder = TempDir::with_prefix("landfall-engine-").expect("a folder can be made");
        if let Some(megabytes) = disk {
            let data = folder.path().join("data");
            fs::create_dir(&data).expect("the folder is fresh");
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
                .arg(&data)
                .status();
            if !mounted.is_ok_and(|mounted| mounted.success()) {
                eprintln!("skipped: a disk of its own can't be mounted here");
                return None;
            }
        }
        let network = Command::new("unshare")
            .args(["--net", "sleep", "infinity"])
            .spawn()
            .expect("unshare is there");
        let mut daemon = Self {
            folder,
            network,
            engine: None,
            options: options.iter().map(ToString::to_string).collect(),
            disk: disk.is_some(),
        };
        let own = fs::read_link("/proc/self/ns/net").expect("there are namespaces");
        wait("a network of its own", || {
            let found = fs::read_link(daemon.namespace()).ok()?;
            (found != own).then_some(())
        });
        let up = daemon
            .within("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.is_ok_and(|up| up.success()), "ip link set lo up");
        daemon.again();
        let images = daemon.folder.path().join("images.tar");
        let images = images.to_str().expect("a path in text");
        crate::engine::docker(&["save", "--output", images, image]);
        daemon.docker(&["load", "--input", images]);
        Some(daemon)
    }

    fn namespace(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.network.id()).into()
    }

    /// Where its data lies.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program in its network.
    pub fn within(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace().display()));
        command.arg(program);
        command
    }

    /// `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("d.sock").display())
    }

    /// Starts it again after its end, and waits until it answers.
    pub fn again(&mut self) {
        self.kill();
        let folder = self.folder.path().to_owned();
        let path = |name: &str| folder.join(name).display().to_string();
        // What was killed leaves these behind, and the next believes in them.
        for stale in ["pid", "exec/containerd/containerd.pid"] {
            let _ = fs::remove_file(folder.join(stale));
        }
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .expect("a log can be written");
        let engine = self
            .within("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "--host", &self.host()])
            .args(["--bridge", "none", "--iptables=false", "--ip-masq=false"])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nsenter is there");
        self.engine = Some(engine);
        wait("an Engine of its own", || {
            let asked = self
                .within("docker")
                .args(["--host", &self.host(), "version"])
                .output();
            asked.ok()?.status.success().then_some(())
        });
    }

    /// Runs the `docker` client with it; fails the test where it fails.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = self
            .within("docker")
            .args(["--host", &self.host()])
            .args(arguments)
            .output()
            .expect("the engine's tests need a docker client");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "docker {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs `landfall` of a world with it, in its network.
    #[track_caller]
    pub fn landfall(&self, world: &World, arguments: &[&str]) -> Ran {
        ran(self.command(world, arguments), arguments)
    }

    /// The same beside the test, which may kill the Engine meanwhile.
    pub fn landfall_beside(&self, world: &World, arguments: &'static [&str]) -> JoinHandle<Ran> {
        let command = self.command(world, arguments);
        std::thread::spawn(move || ran(command, arguments))
    }

    fn command(&self, world: &World, arguments: &[&str]) -> Command {
        let mut command = world.command(Path::new("nsenter"));
        command
            .arg(format!("--net={}", self.namespace().display()))
            .arg(program("landfall"))
            .args(arguments)
            .env("DOCKER_HOST", self.host());
        command
    }

    /// What a client in its network gets from an address.
    #[track_caller]
    pub fn fetch(&self, url: &str) -> String {
        let curl = ["--silent", "--show-error", "--fail", "--max-time", "10"];
        let output = self.within("curl").args(curl).arg(url).output();
        let output = output.expect("nsenter is there");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{url}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut engine) = self.engine.take() {
            let _ = engine.kill();
            let _ = engine.wait();
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        if let Some(mut engine) = self.engine.take() {
            let _ = engine.wait();
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let process = self.engine.as_ref().map(Child::id);
        let process = process.and_then(|process| Pid::from_raw(process.try_into().ok()?));
        if let Some(process) = process {
            // It may have ended already.
            let _ = kill_process(process, signal);
        }
    }
}

#[track_caller]
fn ran(mut command: Command, arguments: &[&str]) -> Ran {
    let output = command.output().expect("nsenter is there");
    Ran::new(format!("landfall {}", arguments.join(" ")), &output)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.engine.is_none() && !std::thread::panicking() {
            self.again();
        }
        if self.engine.is_some() {
            let all = self
                .within("docker")
                .args(["--host", &self.host(), "ps", "-aq", "--no-trunc"])
                .output();
            let all = all.map(|all| String::from_utf8_lossy(&all.stdout).into_owned());
            let all = all.unwrap_or_default();
            let _ = self
                .within("docker")
                .args(["--host", &self.host(), "rm", "-f", "-v"])
                .args(all.split_whitespace())
                .output();
        }
        self.stop();
        let _ = self.network.kill();
        let _ = self.network.wait();
        // An Engine that was killed leaves a mount of its data upon itself; a disk of its own is one more.
        for _ in 0..1 + usize::from(self.disk) {
            let mut unmount = Command::new("umount");
            let unmount = unmount.arg("-l").arg(self.data()).stderr(Stdio::null());
            let _ = unmount.status();
        }
    }
}
