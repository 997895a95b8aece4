//! A real S3 server: versitygw, made from its Go module where Go is there.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use landfall_backup::{Credentials, Limits, S3Settings, Store};
use tokio::process::{Child, Command};

use super::skipped;

/// Its version, with which it is asked for.
const VERSION: &str = "v1.8.0";
const ACCESS: &str = "test-access";
const SECRET: &str = "test-secret-of-the-bucket";

/// A server.
pub struct S3 {
    /// Where it is.
    pub address: SocketAddr,
    /// What it keeps, as files.
    pub folder: PathBuf,
    _root: tempfile::TempDir,
    _child: Child,
}

/// The program, made now where it isn't there.
async fn program() -> Option<PathBuf> {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    std::fs::create_dir_all(&tools).unwrap();
    let tools = tools.canonicalize().unwrap();
    let program = tools.join("versitygw");
    // One test makes it, the others wait.
    let lock = std::fs::File::create(tools.join("versitygw.lock")).unwrap();
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let _lock = lock.unwrap().unwrap();
    if program.is_file() {
        return Some(program);
    }
    let module = format!("github.com/versity/versitygw/cmd/versitygw@{VERSION}");
    let made = Command::new("go")
        .args(["install", &module])
        .env("CGO_ENABLED", "0")
        .env("GOBIN", &tools)
        .output()
        .await;
    match made {
        Ok(output) if output.status.success() => Some(program),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            skipped(&format!("no S3 server: go install fails: {said}"));
            None
        }
        Err(error) => {
            skipped(&format!("no S3 server: go isn't there: {error}"));
            None
        }
    }
}

impl S3 {
    /// Starts one with an empty bucket `backups`; none where it can't be had.
    pub async fn start() -> Option<Self> {
        let program = program().await?;
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("data");
        std::fs::create_dir_all(folder.join("backups")).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let child = Command::new(program)
            .args(["--port", &address.to_string(), "posix"])
            .arg(&folder)
            .env("ROOT_ACCESS_KEY", ACCESS)
            .env("ROOT_SECRET_KEY", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "versitygw doesn't listen"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self {
            address,
            folder,
            _root: root,
            _child: child,
        })
    }
}

/// A store at an address, with short limits.
pub fn store(address: SocketAddr, bucket: &str, secret: Option<&str>) -> Store {
    Store::s3(S3Settings {
        bucket: bucket.to_owned(),
        prefix: "some/where".to_owned(),
        endpoint: Some(format!("http://{address}")),
        region: None,
        credentials: Credentials {
            access_key: ACCESS.to_owned(),
            secret_key: secret.unwrap_or(SECRET).to_owned(),
        },
        limits: Limits {
            connect: Duration::from_secs(2),
            stall: Duration::from_secs(3),
            retries: 1,
            retrying: Duration::from_secs(5),
            part: 5 * 1024 * 1024,
        },
    })
    .unwrap()
}
