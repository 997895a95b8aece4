//! The files of the design: each reads without errors and resolves in each of its environments.

#![expect(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

use std::path::PathBuf;

use landfall_app::{App, File, Name, config_text, read};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/examples")
}

fn example(name: &str) -> File {
    let text = std::fs::read(folder().join(name)).unwrap();
    let (file, diagnostics) = read(&text, name);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
    file.unwrap()
}

#[test]
fn all_read_and_resolve_everywhere() {
    let mut files = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = example(name);
        for environment in file.environments() {
            let resolved = file
                .resolve(&environment)
                .unwrap_or_else(|error| panic!("{}", error.render(false)));
            let json = serde_json::to_string(&resolved.app).unwrap();
            assert_eq!(serde_json::from_str::<App>(&json).unwrap(), resolved.app);
            assert!(config_text(&resolved, name).contains("app = "));
            assert_eq!(
                resolved.origins().len(),
                resolved.settings().len(),
                "a value of {name} stands there twice"
            );
        }
        files += 1;
    }
    assert!(files >= 6, "{files}");
}

#[test]
fn local_is_always_first() {
    let names: Vec<_> = example("static-and-api.toml")
        .environments()
        .iter()
        .map(Name::to_string)
        .collect();
    assert_eq!(names, ["local", "staging", "production"]);
}
