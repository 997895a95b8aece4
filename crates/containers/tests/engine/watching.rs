//! What happens to containers, and what they use.

use crate::{
    proxy::Proxy,
    support::{self, until},
};
use futures_util::StreamExt as _;
use landfall_containers::{ContainerSpecification, Engine, EngineEvent, EventKind, Usage};
use std::time::{Duration, SystemTime};

#[test]
fn events_are_told_of_ones_own_containers() {
    support::with("events", async |place| {
        let before = SystemTime::now();
        let mut other = place.shell("other", "exit 1");
        other.labels.clear();
        place.ran(&other).await;
        let hungry = ContainerSpecification {
            memory: Some(32 << 20),
            ..place.shell(
                "hungry",
                "dd if=/dev/zero of=/dev/null bs=200M count=1; exec sleep 1000",
            )
        };
        place.started(&hungry).await;
        let mut events = place.engine.events(&place.labels(), Some(before));
        let live = place.shell("live", "exit 3");
        let mut found: Vec<EngineEvent> = Vec::new();
        let mut ended = false;
        while !ended {
            let event = events.next().await.unwrap().unwrap();
            if event.kind == EventKind::OutOfMemory {
                // Once it knows of it, the Engine says so of the end too.
                place.engine.kill(&hungry.name).await.unwrap();
                let ended = place.engine.wait(&hungry.name).await.unwrap();
                assert!(ended.unwrap().oom_killed);
                assert_eq!(place.ran(&live).await.0, 3);
            }
            ended = event.name == live.name && event.kind == EventKind::Removed;
            found.push(event);
        }
        let kinds = |name: &str| {
            let of = found.iter().filter(|event| event.name == name);
            of.map(|event| event.kind).collect::<Vec<_>>()
        };
        let usual = |code| {
            vec![
                EventKind::Started,
                EventKind::Died(code),
                EventKind::Removed,
            ]
        };
        assert_eq!(kinds(&live.name), usual(3));
        let hungry = kinds(&hungry.name);
        let expected = [
            EventKind::Started,
            EventKind::OutOfMemory,
            EventKind::Died(137),
        ];
        assert_eq!(hungry, expected);
        assert!(kinds(&other.name).is_empty());
        assert!(
            found
                .iter()
                .all(|event| event.labels["landfall.home"] == place.home())
        );
        assert!(found[0].time >= before - Duration::from_secs(1));
    });
}

#[test]
fn an_engine_that_goes_away_ends_all_that_waits_for_it() {
    support::with("away", async |place| {
        let proxy = Proxy::start(place.folder.path());
        let engine = Engine::connect(&proxy.address()).await.unwrap();
        let mut events = engine.events(&place.labels(), None);
        let run = place.shell("run", "exec sleep 1000");
        let waiting = place.shell("waiting", "exec sleep 1000");
        place.started(&waiting).await;
        let watched = async { while let Some(Ok(_)) = events.next().await {} };
        let ended = engine.run_once(&run, None, |_, _| {});
        let gone = async {
            until("both run", async || {
                let found = place.engine.containers(&place.labels()).await.unwrap();
                (found.iter().filter(|found| found.running).count() == 2).then_some(())
            })
            .await;
            proxy.cut();
        };
        let waited = engine.wait(&waiting.name);
        let ((), ended, waited, ()) = tokio::join!(watched, ended, waited, gone);
        assert!(ended.unwrap_err().is_away());
        assert!(waited.unwrap_err().is_away());
        let error = engine.container(&run.name).await.unwrap_err();
        assert_eq!(error.name(), "no-engine");
    });
}

#[test]
fn what_a_container_uses_is_seen() {
    support::with("usage", async |place| {
        let busy = ContainerSpecification {
            memory: Some(64 << 20),
            cpu: Some(500),
            ..place.shell("busy", "sleep 1000 & while :; do :; done")
        };
        place.started(&busy).await;
        let first = place.engine.usage(&busy.name).await.unwrap().unwrap();
        let later = until("it has used some", async || {
            let now = place.engine.usage(&busy.name).await.unwrap().unwrap();
            (now.cpu > first.cpu + Duration::from_millis(300)).then_some(now)
        })
        .await;
        let percent = later.cpu_percent_since(&first);
        assert!(percent > 1.0 && percent < 90.0, "{percent}");
        assert_eq!(later.memory_limit, Some(64 << 20));
        assert!(later.memory > 0 && later.memory < 64 << 20);
        assert_eq!(later.processes, 2);

        let pid = place.engine.host_pid(&busy.name).await.unwrap().unwrap();
        if Usage::of_pid(pid).is_some() {
            let processes = place.engine.processes(&busy.name).await.unwrap();
            assert_eq!(processes.len(), 2);
            assert_eq!(processes[&1], pid);
        } else {
            println!("skipped: cgroups of containers aren't seen from here");
        }
        place.engine.kill(&busy.name).await.unwrap();
        place.engine.wait(&busy.name).await.unwrap();
        assert_eq!(place.engine.usage(&busy.name).await.unwrap(), None);
    });
}
