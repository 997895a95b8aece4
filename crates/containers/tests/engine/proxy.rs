//! A socket that leads to the Engine until it is cut.

use landfall_containers::EngineAddress;
use std::path::{Path, PathBuf};
use tokio::{
    net::{UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
};

pub struct Proxy {
    socket: PathBuf,
    serving: JoinHandle<()>,
}

impl Proxy {
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let serving = tokio::spawn(async move {
            // Dropped with the task, so that cutting it cuts all that goes through it.
            let mut connections = JoinSet::new();
            while let Ok((mut inside, _)) = listener.accept().await {
                let engine = crate::support::address();
                connections.spawn(async move {
                    let mut outside = UnixStream::connect(engine.socket()).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                });
            }
        });
        Self { socket, serving }
    }

    pub fn address(&self) -> EngineAddress {
        EngineAddress::at(&self.socket)
    }

    pub fn cut(&self) {
        self.serving.abort();
    }
}
