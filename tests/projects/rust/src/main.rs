use std::{
    env,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::MetadataExt,
    process, thread,
};

use signal_hook::{consts::SIGTERM, iterator::Signals};

fn main() {
    // The first process of a container is ended by no signal that it doesn't ask for.
    let mut signals = Signals::new([SIGTERM]).expect("signals can be asked for");
    thread::spawn(move || {
        signals.forever().next();
        process::exit(0);
    });
    let port = env::args().nth(1).expect("a port");
    let user = std::fs::metadata("/proc/self").map_or(0, |found| found.uid());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("a free port");
    for mut stream in listener.incoming().flatten() {
        let _ = stream.read(&mut [0; 1024]);
        let body = format!("{{\"status\":\"ok\",\"user\":{user}}}");
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }
}
