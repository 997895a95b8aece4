use crate::{
    Format,
    testing::{app, app_in, example, rendered, text},
};

/// The example, where its processes share a container.
fn union_action() -> String {
    format!("{}\n[environment.production]\n", example("union-action"))
}

#[test]
fn the_example_starts_its_agent_once_its_api_answers() {
    let app = app_in(&union_action(), "production");
    let rendered = rendered(Format::Supervisord, &app, &[]).unwrap();
    let conf = text(&rendered, "supervisord.conf");
    insta::assert_snapshot!(conf);
    assert_eq!(rendered.files[1].path, "supervisord-after.py");
    let settings: Vec<_> = rendered
        .notes
        .iter()
        .map(|note| note.setting.as_str())
        .collect();
    assert_eq!(
        settings,
        [
            "service.union-action.process.api.priority",
            "service.union-action.process.agent.memory"
        ]
    );
}

#[test]
fn what_ends_runs_before_supervisord() {
    let app = app(
        "app = \"shop\"\n[service.web]\nport = 3000\n[service.web.process.prepare]\nrun = \"make assets && echo 'done'\"\n\
         [service.web.process.serve]\ncommand = \"bin/serve $PORT\"\nafter = \"prepare\"\n",
    );
    let rendered = rendered(Format::Supervisord, &app, &[]).unwrap();
    let start = text(&rendered, "supervisord-start");
    assert!(start.starts_with("#!/bin/sh\nset -eu\n"), "{start}");
    assert!(
        start.contains("sh -eu -c 'make assets && echo '\\''done'\\'''\nexec supervisord"),
        "{start}"
    );
    let conf = text(&rendered, "supervisord.conf");
    assert!(!conf.contains("program:prepare"), "{conf}");
    assert!(conf.contains("command=bin/serve 3000\n"), "{conf}");
    assert!(conf.contains("CMD [\"./supervisord-start\", \"supervisord.conf\"]"));
    assert!(rendered.files.iter().any(|file| file.executable));
}

#[test]
fn an_app_of_single_processes_is_refused() {
    let app = app("app = \"shop\"\n[service.web]\ncommand = \"bin/web\"\nport = 3000\n");
    let refusal = rendered(Format::Supervisord, &app, &[]).unwrap_err();
    assert_eq!(refusal.name, "nothing-to-render");
}

#[test]
fn services_of_one_folder_get_files_of_their_own() {
    let processes = |name: &str| {
        format!(
            "[service.{name}]\nport = 3000\n[service.{name}.process.a]\ncommand = \"a $PORT\"\n[service.{name}.process.b]\ncommand = \"b\"\n"
        )
    };
    let app = app(&format!(
        "app = \"shop\"\n{}{}",
        processes("one"),
        processes("two")
    ));
    let rendered = rendered(Format::Supervisord, &app, &[]).unwrap();
    let paths: Vec<_> = rendered
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(paths, ["supervisord.one.conf", "supervisord.two.conf"]);
}

#[test]
fn letters_that_mean_something_to_supervisord_lose_it() {
    let app = app(
        "app = \"shop\"\n[service.web]\nport = 3000\n[service.web.process.a]\ncommand = [\"a\", \"100%\", \"x ;y #z\", \"it's\", \"two\\nlines\"]\n\
         env = { A = \"50% ;of # \\\"it\\\" \\\\n\", B = \"one\\ntwo\", C = \"100%, x=y\" }\n[service.web.process.b]\ncommand = \"b\"\n",
    );
    let rendered = rendered(Format::Supervisord, &app, &[]).unwrap();
    let conf = text(&rendered, "supervisord.conf");
    // The versions of supervisord read escapes of this line in different ways, so none stand in it.
    assert!(conf.contains("\nenvironment=C=\"100%%, x=y\"\n"), "{conf}");
    assert!(conf.contains(" 'A=50%% '';of ''# \"it\" \\\\n' "), "{conf}");
    assert!(conf.contains(" 100%% "), "{conf}");
    assert!(conf.contains("'x '';y ''#z'"), "{conf}");
    assert!(conf.contains("two\\nlines"), "{conf}");
    assert!(conf.contains("'B=one\\ntwo'"), "{conf}");
}
