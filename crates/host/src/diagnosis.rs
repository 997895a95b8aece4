//! From what a supervisor says to a verdict: ready, not yet, or failed and why. Pure.

use std::net::SocketAddr;

use landfall_app::model::{Probe, Service};
use landfall_release::Failure;
use landfall_supervise::state::{Cause, Ended, Exit, ProcessPhase, ProcessState, State};

use crate::runtime::contained;

/// So many ends in a row at the start, and a release is taken for broken.
const ENDS_IN_A_ROW: u32 = 3;

/// Whether an instance can take over.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// All required processes are ready.
    Ready,
    /// Not yet.
    Wait,
    /// It won't be.
    Failed(Box<Failure>),
}

/// Looks at an instance that is starting.
pub fn verdict(service: &str, facts: &Service, port: Option<u16>, state: &State) -> Verdict {
    if state.healthy {
        return Verdict::Ready;
    }
    for process in state.processes.iter().filter(|process| process.required) {
        if let Some(failure) = failed(service, facts, port, process) {
            return Verdict::Failed(Box::new(failure));
        }
    }
    match &state.ended {
        Some(Ended::GaveUp { process }) => {
            let found = state
                .processes
                .iter()
                .find(|candidate| candidate.name == *process);
            let failure = match found {
                Some(process) => crashed(service, facts, process),
                None => Failure::new("crashed", format!("{process} failed for good")),
            };
            Verdict::Failed(Box::new(failure))
        }
        Some(Ended::Stopped | Ended::Finished) => Verdict::Failed(Box::new(Failure::new(
            "crashed",
            format!("the processes of {service} ended"),
        ))),
        None => Verdict::Wait,
    }
}

fn failed(
    service: &str,
    facts: &Service,
    port: Option<u16>,
    process: &ProcessState,
) -> Option<Failure> {
    let exit = process.last_exit.as_ref()?;
    match &exit.cause {
        Some(Cause::NeverReady) => Some(never_ready(facts, port, process)),
        Some(Cause::NotExecuted(_)) => Some(crashed(service, facts, process)),
        Some(Cause::Asked) => None,
        _ if process.phase == ProcessPhase::Failed => Some(crashed(service, facts, process)),
        _ if process.failures >= ENDS_IN_A_ROW => Some(crashed(service, facts, process)),
        _ => None,
    }
}

/// A process that wasn't ready in time: on another port, or for a reason that its probe names.
pub fn never_ready(facts: &Service, port: Option<u16>, process: &ProcessState) -> Failure {
    let front = facts
        .front()
        .is_some_and(|front| front.name.as_str() == process.name);
    if let (true, Some(port)) = (front, port)
        && !process.listening.is_empty()
        && !process.listening.contains(&port)
    {
        return wrong_port(facts, process, port);
    }
    let start = facts
        .processes
        .iter()
        .find(|candidate| candidate.name.as_str() == process.name)
        .map_or_else(String::new, |process| {
            format!(" within its {}", process.health.start)
        });
    let mut failure = Failure::new("never-ready", format!("{} not ready{start}", process.name));
    if let Some(probe) = &process.last_probe {
        let path = match &facts.front().map(|front| &front.health.ready) {
            Some(Some(Probe::Http { path, .. })) if front => format!("{path}: "),
            _ => String::new(),
        };
        failure = failure.with("its probe said", format!("{path}{}", probe.said));
    }
    if front && process.listening.is_empty() {
        failure = failure.with("it listens on", "no port");
    }
    failure = last_words(failure, process);
    match port {
        Some(_) if front => failure.with(
            "mend",
            "make it answer there, or give it more time: health = { …, start = \"60s\" }",
        ),
        _ => failure.with(
            "mend",
            "see its log, or give it more time: health = { …, start = \"60s\" }",
        ),
    }
}

/// A process that listens somewhere else.
pub fn wrong_port(facts: &Service, process: &ProcessState, expected: u16) -> Failure {
    let ports: Vec<_> = process.listening.iter().map(u16::to_string).collect();
    let message = format!(
        "{} listens on {}, expected {expected}",
        process.name,
        ports.join(", ")
    );
    let failure = last_words(Failure::new("wrong-port", message), process);
    match process.listening.first().filter(|_| contained(facts)) {
        Some(port) => failure.with(
            "mend",
            format!("let it listen on $PORT, or say where it listens: port = {port}"),
        ),
        None => failure.with(
            "mend",
            "let it listen on $PORT, by its command or in its code (process.env.PORT, os.environ[\"PORT\"]); one that insists on its own port works with strategy = \"recreate\"",
        ),
    }
}

/// A process in a container that listens for itself alone.
pub fn wrong_address(process: &ProcessState, port: u16) -> Failure {
    let message = format!(
        "{} listens on 127.0.0.1:{port} only; in a container it must listen on 0.0.0.0",
        process.name
    );
    last_words(Failure::new("wrong-address", message), process).with(
        "mend",
        "let it listen on all addresses: --host 0.0.0.0, --bind 0.0.0.0:$PORT, or what it calls that",
    )
}

/// A container that is ready and whom nobody reaches.
pub fn unreachable(process: &str, address: SocketAddr, why: &str) -> Failure {
    let message = format!("{process} is ready, and can't be reached at {address}: {why}");
    Failure::new("container-unreachable", message).with(
        "mend",
        "a firewall of this machine may drop what goes to its containers, or their bridge is gone: ip route and nft list ruleset show it; restarting the Docker Engine makes its rules anew",
    )
}

fn crashed(service: &str, facts: &Service, process: &ProcessState) -> Failure {
    let exit = process.last_exit.as_ref();
    let times = match process.failures {
        0 | 1 => String::new(),
        times => format!(", {times} times in a row"),
    };
    if let Some(Exit {
        cause: Some(Cause::NotExecuted(said)),
        ..
    }) = exit
    {
        return last_words(
            Failure::new(
                "crashed",
                format!("{} can't be executed: {said}", process.name),
            ),
            process,
        )
        .with(
            "mend",
            match contained(facts) {
                true => format!(
                    "its program must be in the image of {service}, and made for this machine"
                ),
                false => format!(
                    "its program must be in the build of {service}, or on the machine's own PATH"
                ),
            },
        );
    }
    let how = exit.map_or_else(|| "ended".to_owned(), ended);
    let failure = last_words(
        Failure::new("crashed", format!("{} {how}{times}", process.name)),
        process,
    );
    match exit.and_then(|exit| exit.cause.as_ref()) {
        Some(Cause::Memory) => {
            let limit = facts.memory.and_then(|memory| memory.limit);
            let failure = match limit {
                Some(limit) => failure.with("its limit", limit.to_string()),
                None => failure,
            };
            failure.with("mend", "give it more: memory = \"…\"")
        }
        _ if process.last_words.is_empty() => {
            failure.with("mend", "it says nothing: try it by hand, landfall run -- …")
        }
        _ => failure.with(
            "mend",
            "its last words say why; the whole log: landfall logs",
        ),
    }
}

/// How a process ended, as the second half of a sentence.
pub fn ended(exit: &Exit) -> String {
    match (&exit.cause, exit.code, &exit.signal) {
        (Some(Cause::Memory), ..) => "exceeded its memory limit and was killed".to_owned(),
        (Some(Cause::NotAlive), ..) => "didn't answer its liveness probe and was killed".to_owned(),
        (Some(Cause::NeverReady), ..) => "wasn't ready in time and was killed".to_owned(),
        (Some(Cause::NotExecuted(said)), ..) => format!("can't be executed: {said}"),
        (_, Some(code), _) => format!("exited with {code}"),
        (_, None, Some(signal)) => format!("was ended by {signal}"),
        (_, None, None) => "ended".to_owned(),
    }
}

fn last_words(failure: Failure, process: &ProcessState) -> Failure {
    match process.last_words.as_slice() {
        [] => failure.with("its last words", "none: it wrote nothing"),
        words => failure.with("its last words", words.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use landfall_supervise::state::{Phase, ProbeResult};

    use super::*;

    fn service() -> Service {
        let file = b"app = \"shop\"\n[service.web]\nport = 8000\nhealth = \"/health\"\ncommand = \"serve $PORT\"\n";
        let (file, _) = landfall_app::read(file, "landfall.toml");
        let local = "local".parse().unwrap();
        file.unwrap()
            .resolve(&local)
            .unwrap()
            .app
            .services
            .into_values()
            .next()
            .unwrap()
    }

    fn process() -> ProcessState {
        ProcessState {
            name: "web".to_owned(),
            required: true,
            phase: ProcessPhase::Starting,
            pid: Some(7),
            started_at: Some(1),
            ready_at: None,
            restarts: 0,
            failures: 0,
            next_start_at: None,
            last_exit: None,
            last_probe: None,
            listening: Vec::new(),
            addresses: Vec::new(),
            last_words: vec!["out of luck".to_owned()],
        }
    }

    fn state(process: ProcessState) -> State {
        State {
            version: 1,
            sequence: 1,
            instance: "shop.local.web.1.1.1".to_owned(),
            supervisor: 6,
            started_at: 0,
            phase: Phase::Starting,
            ready: false,
            healthy: false,
            reason: None,
            processes: vec![process],
            notes: Vec::new(),
            dropped: 0,
            ended: None,
        }
    }

    fn exit(code: Option<i32>, cause: Option<Cause>) -> Option<Exit> {
        let signal = code.is_none().then(|| "SIGKILL".to_owned());
        Some(Exit {
            at: 2,
            code,
            signal,
            cause,
        })
    }

    fn failure(process: ProcessState) -> Failure {
        match verdict("web", &service(), Some(21_007), &state(process)) {
            Verdict::Failed(failure) => *failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_start_is_waited_for_and_forgiven_twice() {
        let waiting =
            |process| verdict("web", &service(), Some(21_007), &state(process)) == Verdict::Wait;
        assert!(waiting(process()));
        assert!(waiting(ProcessState {
            failures: 2,
            last_exit: exit(Some(1), None),
            ..process()
        }));
        let failure = failure(ProcessState {
            failures: 3,
            last_exit: exit(Some(1), None),
            ..process()
        });
        assert_eq!(
            (failure.name.as_str(), failure.message.as_str()),
            ("crashed", "web exited with 1, 3 times in a row")
        );
        assert!(
            failure
                .details
                .iter()
                .any(|detail| detail.text.contains("out of luck"))
        );
    }

    #[test]
    fn another_port_is_told_from_no_answer() {
        let late = ProcessState {
            failures: 1,
            last_exit: exit(None, Some(Cause::NeverReady)),
            ..process()
        };
        let failure_elsewhere = failure(ProcessState {
            listening: vec![3000],
            ..late.clone()
        });
        assert_eq!(failure_elsewhere.name, "wrong-port");
        assert_eq!(
            failure_elsewhere.message,
            "web listens on 3000, expected 21007"
        );
        let probe = ProbeResult {
            at: 2,
            passed: false,
            said: "503".to_owned(),
            took: 9,
        };
        let failure = failure(ProcessState {
            listening: vec![21_007],
            last_probe: Some(probe),
            ..late
        });
        assert_eq!(failure.name, "never-ready");
        assert!(
            failure
                .details
                .iter()
                .any(|detail| detail.text == "/health: 503"),
            "{failure:?}"
        );
    }

    #[test]
    fn what_can_t_be_executed_fails_at_once() {
        let cause = Some(Cause::NotExecuted("no such file".to_owned()));
        let failure = failure(ProcessState {
            failures: 1,
            last_exit: exit(Some(127), cause),
            ..process()
        });
        assert_eq!(failure.message, "web can't be executed: no such file");
    }

    #[test]
    fn a_supervisor_that_gave_up_says_for_whom() {
        let mut gone = state(ProcessState {
            phase: ProcessPhase::Done,
            last_exit: exit(Some(3), None),
            ..process()
        });
        gone.ended = Some(Ended::GaveUp {
            process: "web".to_owned(),
        });
        let Verdict::Failed(failure) = verdict("web", &service(), None, &gone) else {
            panic!()
        };
        assert_eq!(failure.message, "web exited with 3");
    }
}
