use std::collections::BTreeMap;

use landfall_app::{App, read};

use super::*;

type Files = BTreeMap<String, Vec<u8>>;

fn files(all: &[(&str, &str)]) -> Files {
    all.iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect()
}

fn resolved(text: &str) -> Vec<App> {
    let (file, diagnostics) = read(text.as_bytes(), "landfall.toml");
    let file = file.unwrap_or_else(|| panic!("{}", diagnostics.render(false)));
    let of = |name| match file.resolve(name) {
        Ok(resolved) => resolved.app,
        Err(diagnostics) => panic!("{}", diagnostics.render(false)),
    };
    file.environments().iter().map(of).collect()
}

/// What is rendered of an environment.
fn rendered(text: &str, environment: &str, project: &Files) -> Rendered {
    let environments = resolved(text);
    let app = environments
        .iter()
        .find(|app| app.environment.as_str() == environment);
    let app = app.unwrap_or(&environments[0]);
    render(&Input {
        app,
        environments: &environments,
        project,
        version: "0.1.0",
    })
    .unwrap()
}

fn shop(service: &str, rest: &str) -> String {
    format!("app = \"shop\"\n[service.web]\n{service}\n{rest}\n[environment.production]\n")
}

/// The compose file of production.
fn compose(service: &str, rest: &str) -> String {
    rendered(&shop(service, rest), "production", &Files::new())
        .files
        .remove(0)
        .text
}

fn example(rendered: &Rendered) -> &str {
    &rendered.files[1].text
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn production_has_the_usual_name_and_development_a_whole_file_of_its_own() {
    let names = |text: &str, environment: &str| -> Vec<String> {
        let rendered = rendered(text, environment, &Files::new());
        rendered.files.into_iter().map(|file| file.path).collect()
    };
    let text = shop("image = \"a:1\"", "[environment.staging]");
    assert_eq!(
        names(&text, "production"),
        ["compose.yaml", ".env.example", ".gitignore"]
    );
    assert_eq!(
        names(&text, "local"),
        ["compose.local.yaml", ".env.local.example", ".gitignore"]
    );
    assert_eq!(names(&text, "staging")[0], "compose.staging.yaml");
    let only = "app = \"shop\"\n[service.web]\nimage = \"a:1\"\n[environment.live]\n";
    assert_eq!(names(only, "live")[0], "compose.yaml");
    // Volumes and networks of one machine's environments are told apart by the project's name.
    has(
        &rendered(&text, "local", &Files::new()).files[0].text,
        &["name: shop-local\n"],
    );
}

#[test]
fn no_value_of_a_secret_is_written_and_each_must_be_set() {
    let rendered = rendered(
        &shop(
            "image = \"a:1\"\nsecrets = [\"TOKEN\", { name = \"MAYBE\", optional = true }]\nenv = { URL = \"https://u:${secret.TOKEN}@x\" }",
            "",
        ),
        "production",
        &Files::new(),
    );
    let text = &rendered.files[0].text;
    has(
        text,
        &[
            "TOKEN: \"${TOKEN:?set it in .env}\"",
            "URL: \"https://u:${TOKEN:?set it in .env}@x\"",
            "MAYBE: null",
        ],
    );
    has(example(&rendered), &["\nTOKEN=\n", "\n#MAYBE=\n"]);
}

#[test]
fn a_port_is_open_where_it_is_published_and_nowhere_else() {
    assert!(!compose("image = \"a:1\"\nport = 80", "").contains("ports:"));
    let text = shop("image = \"a:1\"\nport = 80\npublish = 8080", "");
    has(
        &rendered(&text, "production", &Files::new()).files[0].text,
        &["- \"${WEB_PORT:-8080}:80\""],
    );
    let local = rendered(&text, "local", &Files::new());
    has(
        &local.files[0].text,
        &["- \"127.0.0.1:${WEB_PORT:-8080}:80\""],
    );
    // Who develops and finds no address is told why.
    let closed = rendered(
        &shop("image = \"a:1\"\nport = 80", ""),
        "local",
        &Files::new(),
    );
    assert!(
        closed
            .notes
            .iter()
            .any(|note| note.setting == "service.web.port")
    );
}

#[test]
fn replicas_that_share_a_port_of_the_machine_are_one_and_said() {
    let text = shop("image = \"a:1\"\nport = 80\npublish = 80\nreplicas = 3", "");
    let rendered = rendered(&text, "production", &Files::new());
    assert!(!rendered.files[0].text.contains("replicas"));
    assert!(
        rendered
            .notes
            .iter()
            .any(|note| note.setting == "service.web.replicas")
    );
    has(
        &compose("image = \"a:1\"\nreplicas = 3", ""),
        &["      replicas: 3\n"],
    );
}

#[test]
fn an_image_built_here_is_never_asked_for_at_a_registry() {
    let text = compose("build = \"Dockerfile\"\nmigrate = \"bin/migrate\"", "");
    has(
        &text,
        &[
            "image: shop-web\n    pull_policy: build\n",
            "image: shop-web\n    pull_policy: never\n",
        ],
    );
    let text = shop(
        "build = \"Dockerfile\"\npush = \"localhost:5000/shop/web\"",
        "",
    );
    let production = rendered(&text, "production", &Files::new());
    has(
        &production.files[0].text,
        &["image: \"localhost:5000/shop/web:${WEB_TAG:-latest}\"\n    build:\n"],
    );
    let local = rendered(&text, "local", &Files::new());
    has(
        &local.files[0].text,
        &["image: shop-web\n    pull_policy: build\n"],
    );
}

#[test]
fn an_images_own_health_check_is_preferred() {
    let service = "build = \"Dockerfile\"\nport = 80\nhealth = \"/health\"";
    let of = |dockerfile: &str| {
        let files = files(&[("Dockerfile", dockerfile)]);
        rendered(&shop(service, ""), "production", &files)
    };
    let own = of("FROM python:3\nHEALTHCHECK CMD true\n")
        .files
        .remove(0)
        .text;
    assert!(
        own.contains("healthcheck:\n      interval:") && !own.contains("test:"),
        "{own}"
    );
    for (base, program) in [
        ("python:3-slim", "python"),
        ("node:22", "node"),
        ("nginx:1-alpine", "wget"),
        ("debian:12-slim", "bash"),
    ] {
        let text = of(&format!("FROM {base}\n")).files.remove(0).text;
        has(
            &text,
            &[&format!("test: [\"CMD\", \"{program}\""), "/health"],
        );
    }
    let none = of("FROM scratch\n");
    assert!(!none.files[0].text.contains("healthcheck"));
    assert!(
        none.notes
            .iter()
            .any(|note| note.setting == "service.web.health")
    );
}

#[test]
fn a_file_put_in_is_found_from_the_repository_and_not_from_the_services_root() {
    let text = compose(
        "root = \"api\"\nimage = \"a:1\"\nfiles = { \"/etc/x.ini\" = \"api/x.ini\" }",
        "",
    );
    has(&text, &["source: \"./api/x.ini\"", "target: /etc/x.ini"]);
}

#[test]
fn a_dollar_is_doubled_wherever_compose_would_interpolate_it() {
    let text = compose(
        "image = \"a:1\"\ncommand = [\"serve\", \"$HOME\"]\nhealth = { run = \"test $x\" }\nenv = { A = \"$x\" }\nvolumes = { data = \"/$v\" }\ntmpfs = [\"/t$t\"]\nfiles = { \"/f$f\" = \"f$f\" }",
        "",
    );
    has(
        &text,
        &[
            "\"$$HOME\"",
            "\"test $$x\"",
            "A: \"$$x\"",
            "target: /$$v",
            "/t$$t:mode",
            "target: /f$$f",
            "./f$$f",
        ],
    );
    assert!(!text.replace("$$", "").contains('$'), "{text}");
}

#[test]
fn a_command_names_what_its_environment_says() {
    let text = compose(
        "image = \"a:1\"\nport = 80\ncommand = \"serve --port $PORT --level=${LEVEL} '$5'\"\nenv = { LEVEL = \"info\" }",
        "",
    );
    has(
        &text,
        &["command: [\"serve\", \"--port\", \"80\", \"--level=${LEVEL:-info}\", \"$$5\"]"],
    );
}

#[test]
fn a_backing_service_is_waited_for_and_its_password_stands_in_no_command() {
    let text = compose(
        "image = \"a:1\"\nuses = { db = \"DATABASE_URL\", redis = \"REDIS_URL\" }\nmigrate = \"bin/migrate\"",
        "[backing.db]\nkind = \"postgres\"\nversion = \"18\"\n[backing.redis]\nversion = \"7\"",
    );
    has(
        &text,
        &[
            "DATABASE_URL: \"postgresql://shop:${DB_PASSWORD:?set it in .env}@db:5432/shop\"",
            "REDIS_URL: \"redis://default:${REDIS_PASSWORD:?set it in .env}@redis:6379/0\"",
            "db:\n        condition: service_healthy",
            "web-migrate:\n        condition: service_completed_successfully",
            "target: /var/lib/postgresql\n",
            "requirepass \"${REDIS_PASSWORD",
        ],
    );
    for line in text
        .lines()
        .filter(|line| line.contains("command:") || line.contains("test:"))
    {
        assert!(!line.contains("PASSWORD"), "{line}");
    }
}

#[test]
fn somebody_elses_database_is_an_address_and_no_service() {
    let text = compose(
        "image = \"a:1\"\nuses = { db = \"DATABASE_URL\" }\nsecrets = [\"NEON\"]",
        "[backing.db]\nkind = \"postgres\"\nurl = \"${secret.NEON}\"",
    );
    has(&text, &["DATABASE_URL: \"${NEON:?set it in .env}\""]);
    assert!(
        !text.contains("depends_on") && !text.contains("  db:"),
        "{text}"
    );
}

#[test]
fn what_compose_has_not_is_said() {
    let text = shop(
        "image = \"a:1\"\nport = 80\ndomains = [\"a.example\"]\nobserve = \"5m\"\nredirects = [{ from = \"/a\", to = \"/b\" }]\nsmoke = [\"/\"]\nhttp = { rate = \"5/s\" }",
        "[job.nightly]\nrun = \"bin/report\"\nschedule = \"0 3 * * *\"\nservice = \"web\"\n[hook]\nafter = { run = \"bin/tell\", service = \"web\" }",
    );
    let rendered = rendered(&text, "production", &Files::new());
    for setting in [
        "strategy",
        "service.web.domains",
        "service.web.observe",
        "service.web.redirects",
        "service.web.smoke",
        "service.web.http",
        "job.nightly",
        "hook.after",
    ] {
        assert!(
            rendered.notes.iter().any(|note| note.setting == setting),
            "{setting} in {:?}",
            rendered.notes
        );
    }
    // What runs by hand now is there for it, and doesn't start with the rest.
    has(
        &rendered.files[0].text,
        &[
            "  nightly:\n    profiles: [\"jobs\"]\n",
            "  hook-after:\n    profiles: [\"hooks\"]\n",
        ],
    );
}

#[test]
fn two_things_never_have_one_name() {
    let text = compose(
        "image = \"a:1\"\nmigrate = \"bin/migrate\"",
        "[service.web-migrate]\nimage = \"b:1\"\n[job.web]\nrun = \"x\"\nschedule = \"0 3 * * *\"\nservice = \"web\"",
    );
    has(
        &text,
        &[
            "\n  web-migrate:\n    image: \"b:1\"",
            "\n  web-migrate-once:\n",
            "\n  web-job:\n",
            "web-migrate-once:\n        condition",
        ],
    );
}

#[test]
fn in_development_what_a_command_ran_over_is_built_anew_and_the_rest_mounted() {
    let files = files(&[
        (
            "api/Dockerfile",
            "FROM python:3\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY app app\n",
        ),
        ("api/requirements.txt", ""),
        ("api/app/main.py", ""),
    ]);
    let text = shop("root = \"api\"\nbuild = \"Dockerfile\"", "");
    let local = rendered(&text, "local", &files).files.remove(0).text;
    has(
        &local,
        &[
            "source: \"./api/app\"\n        target: /app/app\n        read_only: true",
            "- action: restart\n          path: \"./api/app\"",
            "- action: rebuild\n          path: \"./api/requirements.txt\"",
            "- action: rebuild\n          path: \"./api/Dockerfile\"",
        ],
    );
    let production = rendered(&text, "production", &files).files.remove(0).text;
    assert!(
        !production.contains("develop:") && !production.contains("volumes:"),
        "{production}"
    );
}

fn many(count: usize) -> String {
    let mut text =
        "app = \"shop\"\n[backing.db]\nkind = \"postgres\"\nversion = \"17\"\n".to_owned();
    for index in 0..count {
        let other = (index + 1) % count;
        text.push_str(&format!(
            "[service.s{index}]\nimage = \"python:3\"\nport = 80\nhealth = \"/health\"\nmemory = \"256MiB\"\nuses = {{ db = \"DATABASE_URL\" }}\n\
             env = {{ A = \"{index}\", B = \"x\", C = \"${{service.s{other}.url}}\" }}\n"
        ));
    }
    text + "[environment.production]\n"
}

#[test]
fn what_is_the_same_everywhere_has_one_variable_and_what_differs_each_its_own() {
    let rendered = rendered(&many(1000), "production", &Files::new());
    assert_eq!(
        rendered.files[0]
            .text
            .matches("image: \"python:3\"")
            .count(),
        1000
    );
    has(example(&rendered), &["#B=x\n", "#S999_A=999\n"]);
    assert_eq!(example(&rendered).matches("B=x").count(), 1);
}

/// 100 ms are promised of a release build, on an idle machine.
#[test]
fn a_thousand_services_are_rendered_within_a_tenth_of_a_second() {
    let environments = resolved(&many(1000));
    let project = Files::new();
    let input = Input {
        app: &environments[1],
        environments: &environments,
        project: &project,
        version: "0.1.0",
    };
    let begun = std::time::Instant::now();
    render(&input).unwrap();
    let took = begun.elapsed();
    println!("1,000 services: {took:?}");
    let promised = std::time::Duration::from_millis(100);
    let allowed = if cfg!(debug_assertions) {
        promised * 40
    } else {
        promised * 4
    };
    assert!(took < allowed, "{took:?}");
}

#[test]
fn variables_stay_out_of_the_repository_and_out_of_images() {
    let text = shop("build = \"Dockerfile\"", "");
    let last = |project: &Files| rendered(&text, "production", project).files.pop().unwrap();
    assert_eq!(
        (
            last(&Files::new()).path.as_str(),
            last(&Files::new()).text.as_str()
        ),
        (".gitignore", "/.env\n")
    );
    assert_eq!(
        last(&files(&[(".gitignore", "target\n.env\n")])).path,
        ".env.example"
    );
    let warned = |project: &Files| {
        let notes = rendered(&text, "production", project).notes;
        notes
            .iter()
            .any(|note| note.said.starts_with(".env is in what it is built from"))
    };
    assert!(warned(&files(&[("Dockerfile", "")])));
    assert!(!warned(&files(&[
        ("Dockerfile", ""),
        (".dockerignore", ".git\n.env\n")
    ])));
}
