//! What the edge hears from supervisors: how instances are, and the sockets they hold for it.

#[path = "support/supervisor.rs"]
mod supervisor;
mod support;

use landfall_edge::{
    Settings,
    routes::{Instance, ServiceRoutes, Upstream},
};
use landfall_supervise::control::Request;
use supervisor::Supervisor;
use support::*;

fn watched(apps: &[(&App, &Supervisor)]) -> ServiceRoutes {
    let instance = |(app, supervisor): &(&App, &Supervisor)| Instance {
        id: app.address.to_string(),
        address: app.address,
        control: Some(supervisor.control.clone()),
    };
    let mut service = web(1, Upstream::Instances(apps.iter().map(instance).collect()));
    service.health_path = Some("/health".into());
    service
}

#[test]
fn on_the_health_path_the_apps_answer_passes_while_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let (app, supervisor) = (App::saying("ok"), Supervisor::start(folder.path()));
    let stage = Stage::new();
    stage.serve(1, watched(&[(&app, &supervisor)]));
    eventually("it is watched", || {
        (supervisor.watching() == 1).then_some(())
    });
    assert_eq!(stage.get("/health").text(), "ok");
    supervisor.is(true, false, Some("agent not ready"));
    let answer = eventually("health turns", || {
        Some(stage.get("/health")).filter(|answer| answer.status == 503)
    });
    assert_eq!(
        answer.text(),
        r#"{"reason":"agent not ready","status":"unhealthy"}"#
    );
    assert_eq!(answer.get("content-type"), Some("application/json"));
    assert_eq!(
        stage.get("/").text(),
        "ok",
        "a crashing worker doesn't take the rest away"
    );
    supervisor.is(true, true, None);
    eventually("health turns back", || {
        (stage.get("/health").text() == "ok").then_some(())
    });
}

#[test]
fn an_instance_that_is_not_ready_gets_nothing_while_another_is() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let apps = [App::saying("one"), App::saying("two")];
    let supervisors = folders
        .each_ref()
        .map(|folder| Supervisor::start(folder.path()));
    let stage = Stage::new();
    stage.serve(
        1,
        watched(&[(&apps[0], &supervisors[0]), (&apps[1], &supervisors[1])]),
    );
    let seen = || {
        (0..20)
            .map(|_| stage.get("/").text().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(seen().len(), 2);
    supervisors[0].is(false, false, Some("web not ready"));
    eventually("one is out", || (!seen().contains("one")).then_some(()));
    assert_eq!(stage.get("/health").text(), "two");
    supervisors[1].is(false, false, Some("web crashes"));
    let answer = eventually("both are out", || {
        Some(stage.get("/")).filter(|answer| answer.status == 503)
    });
    assert!(
        answer.text().contains("not ready") && answer.get("retry-after").is_some(),
        "{}",
        answer.text()
    );
    supervisors[0].is(true, true, None);
    eventually("one is back", || {
        (stage.get("/").text() == "one").then_some(())
    });
}

#[test]
fn an_instance_whose_supervisor_is_gone_is_used_as_long_as_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (app, supervisor) = (App::saying("ok"), Supervisor::start(folder.path()));
    let stage = Stage::new();
    stage.serve(1, watched(&[(&app, &supervisor)]));
    eventually("it is watched", || {
        (supervisor.watching() == 1).then_some(())
    });
    supervisor.is(false, false, Some("web not ready"));
    eventually("it is out", || (stage.get("/").status == 503).then_some(()));
    supervisor.leave();
    eventually("it is in again", || {
        (stage.get("/").text() == "ok").then_some(())
    });
    stage.delete(1).unwrap();
    assert_eq!(stage.get("/").status, 404);
}

/// An edge whose sockets that supervisor holds.
fn held(supervisor: &Supervisor) -> impl Fn(&mut Settings) {
    let control = supervisor.control.clone();
    move |settings| settings.supervisor = Some(control.clone())
}

#[test]
fn the_sockets_outlive_the_edge_and_connections_wait_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(folder.path());
    let app = App::saying("hello");
    let stage = Stage::with(held(&supervisor));
    let mut service = web(1, instances(&[app.address]));
    let own = free_address();
    service.listeners = vec![own];
    stage.serve(1, service);
    assert_eq!(supervisor.held(), [own.to_string(), "http".to_owned()]);
    let http = stage.http();
    assert_eq!(
        (get(own, "/").text(), get(http, "/").text()),
        ("hello", "hello")
    );
    // Both idle, as a browser's would be, and one with a request.
    let Stage {
        folder: state,
        edge,
        ..
    } = stage;
    edge.stop();
    let waiting: Vec<_> = [http, own]
        .into_iter()
        .cycle()
        .take(40)
        .map(|address| std::thread::spawn(move || get(address, "/").text().to_owned()))
        .collect();
    let mut settings = settings(&state);
    held(&supervisor)(&mut settings);
    let edge = landfall_edge::start(settings).unwrap();
    assert_eq!(edge.http(), http);
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), "hello");
    }
}

#[test]
fn a_port_that_another_has_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(folder.path());
    let app = App::saying("hello");
    for stage in [Stage::new(), Stage::with(held(&supervisor))] {
        let mut service = web(1, instances(&[app.address]));
        stage.serve(1, service.clone());
        let before = stage.state().apps;
        // They are opened in order: the first can be had, and must be given up again.
        let mut both = [free_address(), free_address()];
        both.sort();
        let fine = both[0];
        let other = std::net::TcpListener::bind(both[1]).unwrap();
        service.listeners = vec![fine, other.local_addr().unwrap()];
        let error = stage.put(&support::app(2, vec![service])).unwrap_err();
        assert!(
            matches!(&error, landfall_edge::client::ClientError::Refused(refused) if refused.error == "port-taken"),
            "{error}"
        );
        assert_eq!(stage.state().apps, before);
        assert!(
            std::net::TcpStream::connect(fine).is_err(),
            "what was opened with it is closed again"
        );
        assert_eq!(stage.get("/").text(), "hello");
    }
    assert_eq!(supervisor.held(), ["http"]);
    assert!(
        supervisor
            .asked()
            .iter()
            .any(|request| matches!(request, Request::Close { .. }))
    );
}
