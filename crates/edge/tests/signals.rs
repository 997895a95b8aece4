//! An edge that runs until it is told to end. Alone in its process, which gets the signal.

mod support;

use landfall_edge::client::Client;
use support::*;

#[test]
fn an_edge_runs_until_sigterm_and_then_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let running = std::thread::spawn(move || landfall_edge::run(settings));
    let client = Client::new(folder.path().join(landfall_edge::CONTROL));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let state = eventually("it answers", || runtime.block_on(client.state()).ok());
    let http = state.http.unwrap();
    assert_eq!(get(http, "/").status, 404);
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
        .unwrap();
    running.join().unwrap().unwrap();
    assert!(std::net::TcpStream::connect(http).is_err());
}
