//! Children with behaviour that a shell doesn't have: this test binary, executed again.

use std::{
    env,
    io::Write,
    net::TcpListener,
    os::fd::{FromRawFd, OwnedFd},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

const BEHAVIOUR: &str = "FIXTURE_BEHAVIOUR";

/// A process that behaves so: `listen PORT`, `flood LINES`, `memory BYTES`.
pub fn process(name: &str, behaviour: &str) -> Value {
    let program = env::current_exe().unwrap();
    json!({
        "name": name,
        "command": [program, "--exact", "fixture::behave", "--nocapture"],
        "environment": { BEHAVIOUR: behaviour, "PATH": "/usr/bin:/bin" },
    })
}

/// Not a test: what [`process`] executes. Without a behaviour there is nothing to do.
#[test]
fn behave() {
    let Ok(behaviour) = env::var(BEHAVIOUR) else {
        return;
    };
    let (what, argument) = behaviour.split_once(' ').unwrap();
    match what {
        "listen" => {
            let socket = TcpListener::bind(format!("127.0.0.1:{argument}")).unwrap();
            for stream in socket.incoming() {
                drop(stream);
            }
        }
        "flood" => flood(argument.parse().unwrap()),
        "memory" => {
            let memory = vec![1_u8; argument.parse().unwrap()];
            thread::sleep(Duration::from_secs(1000));
            drop(memory);
        }
        other => panic!("no behaviour {other}"),
    }
    std::process::exit(0);
}

/// Numbered lines on both streams, in blocks of 4 KiB that end anywhere within a line.
fn flood(lines: usize) {
    let writers = ["out", "err"]
        .into_iter()
        .zip(1..)
        .map(|(name, descriptor)| {
            thread::spawn(move || {
                #[expect(unsafe_code, reason = "past the locks and buffers of std")]
                // SAFETY: nothing else in this process uses the descriptor; it is never closed.
                let owned =
                    std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(descriptor) });
                let mut file = std::fs::File::from(owned.try_clone().unwrap());
                let mut buffer = Vec::new();
                for line in 0..lines {
                    writeln!(buffer, "{name} {line} {}", "x".repeat(line % 60)).unwrap();
                    while buffer.len() >= 4096 {
                        file.write_all(&buffer[..4096]).unwrap();
                        buffer.drain(..4096);
                    }
                }
                file.write_all(&buffer).unwrap();
            })
        });
    for writer in writers.collect::<Vec<_>>() {
        writer.join().unwrap();
    }
}
