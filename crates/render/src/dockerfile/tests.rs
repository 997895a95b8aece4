use std::{collections::BTreeMap, fs, path::Path};

use proptest::prelude::*;

use crate::{
    Comment, Format, Input, Rendered, place, render,
    testing::{app, rendered, text},
};

/// All files of a folder, as a repository.
fn repository(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path
                        .strip_prefix(folder)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned();
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    files
}

fn of(folder: &str) -> Rendered {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder);
    let mut files = repository(&folder);
    // What was rendered there once says nothing here.
    files.retain(|name, text| {
        !String::from_utf8_lossy(text).contains("landfall:digest") || name == "landfall.toml"
    });
    let app = app(&String::from_utf8(files["landfall.toml"].clone()).unwrap());
    let input = Input {
        app: &app,
        environments: std::slice::from_ref(&app),
        project: &files,
        version: "0.1.0",
    };
    render(Format::Dockerfile, &input).unwrap()
}

/// Its files but `.dockerignore`, and its notes.
fn shown(rendered: &Rendered) -> String {
    let files = rendered
        .files
        .iter()
        .filter(|file| !file.path.ends_with(".dockerignore"));
    let files = files.map(|file| format!("==> {} <==\n{}", file.path, file.text));
    let notes = rendered
        .notes
        .iter()
        .map(|note| format!("{}: {}\n", note.setting, note.said));
    files
        .chain([format!("==> notes <==\n{}", notes.collect::<String>())])
        .collect()
}

macro_rules! goldens {
    ($($name:ident: $folder:literal,)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(shown(&of($folder)));
        }
    )*};
}

goldens! {
    requirements_are_installed_before_the_code_comes: "tests/projects/pip",
    uv_installs_by_its_lock_and_the_project_apart: "tests/projects/uv",
    poetry_installs_by_its_lock: "tests/projects/poetry",
    npm_installs_by_its_lock_and_prunes: "tests/projects/npm",
    pnpm_installs_by_its_lock_and_prunes: "tests/projects/pnpm",
    next_runs_by_its_standalone_output: "tests/projects/next",
    pages_that_are_built_are_served_by_nginx: "tests/projects/vite",
    pages_are_served_by_nginx: "examples/static-site",
    go_is_one_program: "tests/projects/go",
    rust_is_one_program: "tests/projects/rust",
    several_processes_are_the_supervisors: "examples/union-action",
}

#[test]
fn what_no_image_needs_is_ignored_and_what_a_build_needs_is_not() {
    insta::assert_snapshot!(text(&of("tests/projects/pip"), ".dockerignore"));
    let needed = rendered(
        Format::Dockerfile,
        &app("app = \"a\"\n[service.web]\nstatic = \"target/site\"\nbuild = { run = \"npm run build\" }\n"),
        &[("package.json", "{\"scripts\":{\"build\":\"node tests/build.js\"}}"), ("tests/build.js", "")],
    )
    .unwrap();
    let ignored = text(&needed, ".dockerignore");
    assert!(
        !ignored
            .lines()
            .any(|line| line == "tests" || line == "**/target"),
        "{ignored}"
    );
    assert!(ignored.contains("\n**/node_modules\n"));
}

#[test]
fn services_of_one_folder_have_dockerfiles_of_their_own() {
    let rendered = rendered(
        Format::Dockerfile,
        &app("app = \"a\"\n[service.web]\ncommand = \"a $PORT\"\nport = 1234\n[service.worker]\ncommand = \"b\"\n"),
        &[("requirements.txt", "x==1\n"), ("landfall.toml", "")],
    )
    .unwrap();
    let paths: Vec<&str> = rendered
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["web.Dockerfile", "worker.Dockerfile", ".dockerignore"]
    );
    assert!(!text(&rendered, "worker.Dockerfile").contains("HEALTHCHECK"));
}

#[test]
fn what_stands_there_says_the_command_and_the_version_and_is_said_again() {
    let by_hand = "FROM python:3.12-slim\nEXPOSE 5000\nCMD [\"gunicorn\", \"app:app\"]\n";
    let app = app("app = \"a\"\n[service.web]\nbuild = \"Dockerfile\"\nport = 5000\n");
    let first = rendered(
        Format::Dockerfile,
        &app,
        &[("requirements.txt", ""), ("Dockerfile", by_hand)],
    )
    .unwrap();
    let text_of = |rendered: &Rendered| text(rendered, "Dockerfile").to_owned();
    let text = text_of(&first);
    assert!(text.contains("ARG PYTHON=python:3.12-slim\n"), "{text}");
    assert!(
        text.ends_with("CMD [\"gunicorn\", \"app:app\"]\n"),
        "{text}"
    );
    // And so it stays what it is.
    let again = rendered(
        Format::Dockerfile,
        &app,
        &[("requirements.txt", ""), ("Dockerfile", &text)],
    )
    .unwrap();
    assert_eq!(text_of(&again), text);
}

#[test]
fn where_nothing_is_known_nothing_is_written() {
    let app = app("app = \"a\"\n[service.web]\ncommand = \"x\"\n");
    let refusal = rendered(Format::Dockerfile, &app, &[("main.cob", "")]).unwrap_err();
    assert_eq!(refusal.name, "nothing-to-render");
    let many: String = (0..20)
        .map(|number| format!("[service.s{number}]\ncommand = \"x\"\n"))
        .collect();
    let app = self::app(&format!("app = \"a\"\n{many}"));
    let refusal = rendered(Format::Dockerfile, &app, &[("main.cob", "")]).unwrap_err();
    assert!(refusal.message.contains(", and 8 more"), "{refusal}");
}

#[test]
fn a_context_of_its_own_is_where_the_project_is_looked_for() {
    let app = app(
        "app = \"a\"\n[service.web]\nbuild = { dockerfile = \"docker/web.Dockerfile\", context = \"backend\" }\nport = 80\n",
    );
    let rendered = rendered(
        Format::Dockerfile,
        &app,
        &[
            ("backend/requirements.txt", "x==1"),
            ("docker/web.Dockerfile", "FROM x\nCMD [\"y\"]"),
        ],
    )
    .unwrap();
    let text = text(&rendered, "docker/web.Dockerfile");
    assert!(text.contains("COPY requirements.txt ./\n"), "{text}");
    assert_eq!(rendered.files[1].path, "backend/.dockerignore");
}

/// Instructions that a Dockerfile's reader would see.
fn instructions(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with(' ') && !line.is_empty());
    lines
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_global_rejects: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_app_says_stays_data(
        word in "[ -~äß\\n]{1,24}",
        path in "/[ -~ä]{0,20}",
        value in "[ -~ü\\n]{0,24}",
        kind in 0_usize..5,
    ) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let file = format!(
            "app = \"a\"\n[service.web]\ncommand = [\"x\", {}]\nport = 1000\nhealth = {{ ready = {}, body = {} }}\n\
             build = {{ env = {{ VALUE = {} }} }}\nsecrets = [\"TOKEN\"]\nenv = {{ KEY = \"${{secret.TOKEN}}\" }}\n",
            quoted(&word), quoted(&path), quoted(&value), quoted(&value),
        );
        let (read, _) = landfall_app::read(file.as_bytes(), "landfall.toml");
        // What an app file may not hold isn't rendered either.
        let resolved = read.and_then(|read| read.resolve(&"local".parse().unwrap()).ok());
prop_assume!(resolved.is_some());
        let app = resolved.unwrap().app;
        let files: [&[(&str, &str)]; 5] = [
            &[("requirements.txt", "x==1"), ("pyproject.toml", "[project]\nname = \"x\"\n[build-system]\n"), ("uv.lock", "")],
            &[("package.json", "{\"dependencies\":{\"a\":\"1\"},\"scripts\":{\"build\":\"x\"}}")],
            &[("Cargo.toml", "[package]\nname = \"x\"\n"), ("src/main.rs", "")],
            &[("go.mod", "module x\n"), ("main.go", "package main\n")],
            &[("a.py", "")],
        ];
        let rendered = rendered(Format::Dockerfile, &app, files[kind]).unwrap();
        let text = text(&rendered, "Dockerfile");
        let known = ["ARG", "FROM", "RUN", "WORKDIR", "ENV", "COPY", "USER", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "CMD"];
        for instruction in instructions(text) {
            prop_assert!(known.contains(&instruction), "{instruction} in {text}");
        }
        let command = text.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
        let words: Vec<String> = serde_json::from_str(command).unwrap();
        prop_assert_eq!(&words, &["x".to_owned(), word.clone()]);
        let health = text.lines().find_map(|line| line.strip_prefix("    CMD "));
        if let Some(health) = health {
            prop_assert!(serde_json::from_str::<Vec<String>>(health).is_ok(), "{health}");
        }
        prop_assert!(!text.contains("TOKEN"), "{text}");
    }

    #[test]
    fn whatever_a_project_says_stays_data(name in "[ -~\\n]{0,20}", version in "[ -~\\n]{0,12}") {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let files = [
            (".python-version", version.clone()), (".nvmrc", version.clone()),
            ("rust-toolchain", version.clone()), ("go.mod", format!("module {name}\ngo {version}\ntoolchain go{version}")),
            ("Cargo.toml", format!("[package]\nname = {}\n", quoted(&name))), ("src/main.rs", String::new()),
            ("package.json", format!("{{\"packageManager\":{},\"dependencies\":{{\"a\":\"1\"}}}}", quoted(&format!("pnpm@{version}")))),
            ("pnpm-lock.yaml", String::new()), ("requirements.txt", format!("-r {name}\n{version}")), ("main.go", "package main\n".to_owned()),
        ];
        let app = app("app = \"a\"\n[service.web]\ncommand = \"x\"\n");
        for only in [&["requirements.txt", ".python-version"][..], &["package.json", "pnpm-lock.yaml", ".nvmrc"], &["Cargo.toml", "src/main.rs", "rust-toolchain"], &["go.mod", "main.go"]] {
            let files: Vec<(&str, &str)> = files.iter().filter(|(path, _)| only.contains(path)).map(|(path, text)| (*path, text.as_str())).collect();
            let rendered = rendered(Format::Dockerfile, &app, &files).unwrap();
            let text = text(&rendered, "Dockerfile");
            let known = ["ARG", "FROM", "RUN", "WORKDIR", "ENV", "COPY", "USER", "CMD"];
            for instruction in instructions(text) {
                prop_assert!(known.contains(&instruction), "{instruction} in {text}");
            }
            for base in text.lines().filter(|line| line.starts_with("ARG ")) {
                prop_assert!(base.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" =:.-_/".contains(&byte)), "{base}");
            }
        }
    }
}

#[test]
fn what_is_written_is_placed_and_known_again() {
    for file in of("examples/union-action").files {
        let first = place(None, &file, "landfall render dockerfile", false).unwrap();
        let again = place(
            Some(&first.text),
            &file,
            "landfall render dockerfile",
            false,
        )
        .unwrap();
        assert_eq!(again.text, first.text);
        assert!(matches!(file.comment, Comment::Hash | Comment::None));
    }
}

#[test]
fn a_thousand_services_are_no_matter() {
    let (mut apart, mut together) = ("app = \"a\"\n".to_owned(), "app = \"a\"\n".to_owned());
    let mut names = Vec::new();
    for index in 0..1000 {
        let service = format!(
            "[service.s{index}]\ncommand = \"web $PORT\"\nport = 1000\nhealth = \"/health\"\n"
        );
        apart.push_str(&format!("{service}root = \"s{index}\"\n"));
        together.push_str(&service);
        names.push(format!("s{index}/requirements.txt"));
    }
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x==1\n")).collect();
    files.push(("requirements.txt", "x==1\n"));
    for file in [apart, together] {
        let app = app(&file);
        let begun = std::time::Instant::now();
        let rendered = rendered(Format::Dockerfile, &app, &files).unwrap();
        let took = begun.elapsed();
        assert!(rendered.files.len() > 1000);
        // With an optimized program below 0.1 s; this one is slower, and the machine may be busy.
        assert!(took.as_secs() < 5, "{took:?}");
        println!("1,000 services: {took:?}");
    }
}
