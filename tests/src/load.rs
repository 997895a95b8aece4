//! Load on an address while a test goes on.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::program;

/// Clients that load until they are told to stop.
#[derive(Debug)]
pub struct Load(Child);

impl Load {
    /// Each of them asks again and again, a few milliseconds apart.
    pub fn start(url: &str, clients: u32) -> Self {
        let child = Command::new(program("fixture"))
            .args(["load", url, "--clients", &clients.to_string()])
            .args(["--until-eof", "--json", "--every", "2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the fixture can be executed");
        Self(child)
    }

    /// Stops them, and says how many requests there were, failed, and went to which version.
    pub fn end(mut self) -> Value {
        drop(self.0.stdin.take());
        let mut output = String::new();
        let mut from = self.0.stdout.take().expect("its output is a pipe");
        std::io::Read::read_to_string(&mut from, &mut output).expect("it prints text");
        self.0.wait().expect("a child of ours can be waited for");
        serde_json::from_str(&output).expect("the load says how it went")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
