//! Apps for the tests of formats.

use std::collections::BTreeMap;

use landfall_app::App;

use crate::{Format, Input, Refusal, Rendered, render};

/// The app of a file's text in an environment.
pub(crate) fn app_in(text: &str, environment: &str) -> App {
    let (file, diagnostics) = landfall_app::read(text.as_bytes(), "landfall.toml");
    let file = file.unwrap_or_else(|| panic!("{diagnostics:?}"));
    let environment = environment.parse().unwrap();
    let resolved = file.resolve(&environment);
    resolved.unwrap_or_else(|error| panic!("{error:?}")).app
}

/// The app of a file's text in `local`.
pub(crate) fn app(text: &str) -> App {
    app_in(text, "local")
}

/// The app of one of the examples, in an environment that is set up as `[environment.production]` of it.
pub(crate) fn example(name: &str) -> String {
    let path = format!(
        "{}/../../examples/{name}/landfall.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Renders an app whose repository holds these files.
pub(crate) fn rendered(
    format: Format,
    app: &App,
    files: &[(&str, &str)],
) -> Result<Rendered, Refusal> {
    let project: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect();
    render(
        format,
        &Input {
            app,
            environments: std::slice::from_ref(app),
            project: &project,
            version: "0.1.0",
        },
    )
}

/// The text of a file that was rendered.
pub(crate) fn text<'a>(rendered: &'a Rendered, path: &str) -> &'a str {
    let file = rendered.files.iter().find(|file| file.path == path);
    let paths: Vec<_> = rendered.files.iter().map(|file| &file.path).collect();
    &file
        .unwrap_or_else(|| panic!("no {path} among {paths:?}"))
        .text
}
