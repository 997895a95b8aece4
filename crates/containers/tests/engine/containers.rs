//! Made, started with something on standard input, stopped, killed, removed.

use crate::support::{self, until, words};
use landfall_containers::{ContainerSpecification, EngineError, Mount};
use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    time::Duration,
};

/// Everything that the Engine tells of a container, as it tells it.
fn told(name: &str) -> String {
    let mut stream = UnixStream::connect(support::address().socket()).unwrap();
    let request = format!("GET /containers/{name}/json HTTP/1.0\r\nHost: engine\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("200 OK"), "{answer}");
    answer
}

#[test]
fn what_is_written_at_the_start_is_read_and_stands_nowhere() {
    support::with("stdin", async |place| {
        let out = place.folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        std::fs::set_permissions(&out, PermissionsExt::from_mode(0o777)).unwrap();
        let line = "cat > /out/part && mv /out/part /out/got; exec sleep 1000";
        let container = ContainerSpecification {
            input: true,
            command: words(&["/bin/sh", "-c", &line.replace("mv", "busybox mv")]),
            mounts: vec![Mount::Bind {
                source: out.clone(),
                target: "/out".to_owned(),
                read_only: false,
            }],
            ..place.shell("reader", "")
        };
        // More than a pipe holds.
        let secret = "correct horse battery staple\n".repeat(10_000);
        let id = place.engine.create(&container).await.unwrap();
        let made = place.engine.container(&id).await.unwrap().unwrap();
        assert_eq!(
            (made.running, made.pid, made.exit_code),
            (false, None, None)
        );
        place
            .engine
            .start(&container.name, Some(secret.as_bytes()))
            .await
            .unwrap();
        let got = until("its input was read", async || {
            std::fs::read_to_string(out.join("got")).ok()
        })
        .await;
        assert_eq!(got.len(), secret.len());
        assert_eq!(got, secret);
        let running = place
            .engine
            .container(&container.name)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((running.id, running.name), (id, container.name.clone()));
        assert!(running.running && running.pid.is_some() && running.started.is_some());
        assert!(
            running.labels.contains_key("landfall.test"),
            "the image's labels"
        );
        let told = told(&container.name);
        assert!(told.contains("\"OpenStdin\":true"), "{told}");
        assert!(!told.contains("correct horse"), "{told}");
    });
}

#[test]
fn one_that_reads_nothing_and_ends_is_started() {
    support::with("unread", async |place| {
        let container = ContainerSpecification {
            input: true,
            ..place.shell("deaf", "exit 3")
        };
        place.engine.create(&container).await.unwrap();
        let bytes = vec![b'x'; 4 << 20];
        place
            .engine
            .start(&container.name, Some(&bytes))
            .await
            .unwrap();
        let ended = place.engine.wait(&container.name).await.unwrap().unwrap();
        assert_eq!((ended.running, ended.exit_code), (false, Some(3)));
        assert!(ended.finished.is_some());
    });
}

#[test]
fn stopped_by_its_signal_and_killed_without() {
    support::with("stop", async |place| {
        let polite = place.shell("polite", "trap 'exit 7' INT; while :; do sleep 0.05; done");
        let stubborn = place.shell("stubborn", "trap '' INT TERM; while :; do sleep 1; done");
        place.started(&polite).await;
        place.started(&stubborn).await;
        // The image's stop signal is INT.
        until("it took the signal", async || {
            place
                .engine
                .stop(&polite.name, Duration::from_secs(30))
                .await
                .unwrap();
            let found = place.engine.container(&polite.name).await.unwrap().unwrap();
            (!found.running).then_some(found.exit_code)
        })
        .await;
        let found = place.engine.container(&polite.name).await.unwrap().unwrap();
        assert!(matches!(found.exit_code, Some(7 | 130)), "{found:?}");
        place
            .engine
            .stop(&stubborn.name, Duration::from_secs(1))
            .await
            .unwrap();
        let found = place.engine.wait(&stubborn.name).await.unwrap().unwrap();
        assert_eq!(found.exit_code, Some(137));
        assert!(!found.oom_killed);

        place.engine.start(&stubborn.name, None).await.unwrap();
        let refused = place
            .engine
            .remove(&stubborn.name, false)
            .await
            .unwrap_err();
        assert_eq!(refused.name(), "engine-refused");
        place.engine.kill(&stubborn.name).await.unwrap();
        place.engine.wait(&stubborn.name).await.unwrap();
        place.engine.remove(&stubborn.name, false).await.unwrap();
        place.engine.remove(&polite.name, true).await.unwrap();
        assert!(
            place
                .engine
                .containers(&place.labels())
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn what_is_not_there_is_stopped_and_removed() {
    support::with("absent", async |place| {
        let name = place.name("absent");
        place
            .engine
            .stop(&name, Duration::from_secs(1))
            .await
            .unwrap();
        place.engine.kill(&name).await.unwrap();
        place.engine.remove(&name, true).await.unwrap();
        assert_eq!(place.engine.container(&name).await.unwrap(), None);
        assert_eq!(place.engine.wait(&name).await.unwrap(), None);
        assert_eq!(place.engine.usage(&name).await.unwrap(), None);
        let error = place.engine.start(&name, None).await.unwrap_err();
        assert_eq!(error.name(), "container-missing");
        let error = place.engine.start(&name, Some(b"x")).await.unwrap_err();
        assert_eq!(error.name(), "container-missing");
    });
}

#[test]
fn a_foreign_container_of_the_same_name_is_not_touched() {
    support::with("foreign", async |place| {
        let mut foreign = place.shell("taken", "exec sleep 1000");
        // The sweep must find it, and the name says whose it is.
        foreign
            .labels
            .insert("whose".to_owned(), "somebody's".to_owned());
        let id = place.started(&foreign).await;
        let error = place
            .engine
            .create(&place.shell("taken", "true"))
            .await
            .unwrap_err();
        assert_eq!(error.name(), "container-exists");
        let EngineError::Exists {
            labels, running, ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(labels["whose"], "somebody's");
        assert!(running);
        let found = place
            .engine
            .container(&foreign.name)
            .await
            .unwrap()
            .unwrap();
        assert!(found.running && found.id == id);
    });
}

#[test]
fn what_cannot_be_started_says_why() {
    support::with("unstartable", async |place| {
        let mut absent = place.shell("absent", "");
        absent.image = "sha256:".to_owned() + &"0".repeat(64);
        let error = place.engine.create(&absent).await.unwrap_err();
        assert_eq!(error.name(), "image-missing");

        let mut wrong = place.shell("wrong", "");
        wrong.command = words(&["/bin/nothing-of-that-name"]);
        place.engine.create(&wrong).await.unwrap();
        let error = place.engine.start(&wrong.name, None).await.unwrap_err();
        assert!(
            error.to_string().contains("nothing-of-that-name"),
            "{error}"
        );
        let found = place.engine.container(&wrong.name).await.unwrap().unwrap();
        assert!(found.error.unwrap().contains("nothing-of-that-name"));

        let mut unbound = place.shell("unbound", "true");
        unbound.mounts = vec![Mount::Bind {
            source: place.folder.path().join("nowhere"),
            target: "/x".to_owned(),
            read_only: true,
        }];
        let error = place.engine.create(&unbound).await.unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
        assert!(!place.folder.path().join("nowhere").exists());
    });
}
