use crate::{
    Format, Rendered,
    testing::{app, app_in, example, rendered, text},
};

fn units(text: &str) -> Rendered {
    rendered(Format::Systemd, &app(text), &[]).unwrap()
}

fn all(rendered: &Rendered) -> String {
    let files = rendered.files.iter();
    let files: Vec<_> = files
        .map(|file| format!("==> {} <==\n{}", file.path, file.text))
        .collect();
    let notes: Vec<_> = rendered
        .notes
        .iter()
        .map(|note| format!("{}: {}", note.setting, note.said))
        .collect();
    format!(
        "{}\n==> notes <==\n{}\n",
        files.join("\n"),
        notes.join("\n")
    )
}

#[test]
fn an_api_and_its_agent_are_two_units_with_one_limit() {
    let app = app(&example("union-action"));
    insta::assert_snapshot!(all(&rendered(Format::Systemd, &app, &[]).unwrap()));
}

#[test]
fn containers_with_databases_are_run_by_docker() {
    let app = app_in(
        &format!("{}\n[environment.production]\n", example("marketplace")),
        "production",
    );
    insta::assert_snapshot!(all(&rendered(Format::Systemd, &app, &[]).unwrap()));
}

#[test]
fn jobs_are_timers() {
    let rendered = units(
        "app = \"shop\"\ntimezone = \"Europe/Berlin\"\n[service.web]\nport = 3000\ncommand = \"bin/web $PORT\"\n\
         [job.nightly]\nrun = \"bin/report\"\nschedule = \"30 2 13 * fri\"\ntimeout = \"1h\"\n",
    );
    let timer = text(&rendered, "systemd/shop.job.nightly.timer");
    assert!(timer.contains("OnCalendar=*-*-13 02:30:00 Europe/Berlin\nOnCalendar=Fri *-*-* 02:30:00 Europe/Berlin\n"), "{timer}");
    assert!(timer.contains("Persistent=no"));
    let service = text(&rendered, "systemd/shop.job.nightly.service");
    assert!(
        service.contains("Type=oneshot\nTimeoutStartSec=3600s\n"),
        "{service}"
    );
    assert!(
        service.contains("ExecStart=sh -eu -c bin/report\n"),
        "{service}"
    );
    let target = text(&rendered, "systemd/shop.target");
    assert!(
        target.contains("Wants=shop-web.service\nWants=shop.job.nightly.timer\n"),
        "{target}"
    );
    assert!(!target.contains("shop.job.nightly.service"));
}

#[test]
fn replicas_are_instances_named_after_their_ports() {
    let rendered = units(
        "app = \"shop\"\n[service.web]\nport = 3000\nreplicas = 3\nhealth = \"/up?a=%25&b\"\ncommand = \"bin/web --port=$PORT\"\n\
         [service.api]\nport = 3001\ncommand = \"api $PORT\"\n",
    );
    let unit = text(&rendered, "systemd/shop-web@.service");
    assert!(
        unit.contains("ExecStart=/opt/shop/web/bin/web --port=${PORT}\n"),
        "{unit}"
    );
    assert!(unit.contains("Environment=PORT=%i\n"), "{unit}");
    assert!(unit.contains(" http://127.0.0.1:%i/up?a=%%25&b "), "{unit}");
    let target = text(&rendered, "systemd/shop.target");
    for port in [3001, 3002, 3003] {
        assert!(!target.contains("shop-api@"), "{target}");
        assert!(
            target.contains(&format!("Wants=shop-web@{}.service", port + 1)),
            "{target}"
        );
    }
    // Two of one port on one machine: the second moves on, and that is said.
    assert!(text(&rendered, "systemd/shop-api.service").contains("Environment=PORT=3001\n"));
    let moved = rendered
        .notes
        .iter()
        .find(|note| note.setting == "service.web.port");
    assert!(moved.unwrap().said.contains("3002"));
}

#[test]
fn secrets_stand_in_a_file_for_root_alone() {
    let with = |secrets: &str| {
        let rendered = units(&format!(
            "app = \"shop\"\n[service.web]\nport = 3000\ncommand = \"web\"\nsecrets = [{secrets}]\n\
             env = {{ AUTH = \"Bearer ${{secret.A}}\", SALT = {{ generate = 16 }}, B = \"50%\" }}\n"
        ));
        (
            text(&rendered, "systemd/shop-web.service").to_owned(),
            rendered.notes,
        )
    };
    let (unit, notes) = with("\"A\"");
    assert!(
        unit.contains("install -D -m 0600 web.env /etc/shop/web.env"),
        "{unit}"
    );
    assert!(
        unit.contains("\nEnvironmentFile=/etc/shop/web.env\n"),
        "{unit}"
    );
    assert!(unit.contains("\nEnvironment=B=50%%\n"), "{unit}");
    assert!(!unit.contains("AUTH"), "{unit}");
    for variable in ["AUTH", "SALT"] {
        let setting = format!("service.web.env.{variable}");
        assert_eq!(
            notes.iter().filter(|note| note.setting == setting).count(),
            1
        );
    }
}

#[test]
fn a_low_port_is_the_only_capability() {
    let unit = |port: u16| {
        let rendered = units(&format!(
            "app = \"shop\"\n[service.web]\nport = {port}\ncommand = \"web\"\n"
        ));
        text(&rendered, "systemd/shop-web.service").to_owned()
    };
    assert!(unit(80).contains("AmbientCapabilities=CAP_NET_BIND_SERVICE\n"));
    assert!(!unit(80).contains("PrivateUsers"));
    assert!(unit(3000).contains("CapabilityBoundingSet=\nAmbientCapabilities=\n"));
}

#[test]
fn pages_alone_have_no_units() {
    let app = app(&example("static-site"));
    let refusal = rendered(Format::Systemd, &app, &[]).unwrap_err();
    assert_eq!(refusal.name, "nothing-to-render");
}
