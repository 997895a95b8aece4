//! `landfall config`: the resolved app file, with every default and where each value comes from.

use serde_json::json;

use crate::{app_file, arguments::Config, context::Context, report::Result};

pub fn run(context: &Context, arguments: &Config) -> Result {
    if arguments.schema {
        let schema = landfall_app::schema();
        let text = serde_json::to_string_pretty(&schema).expect("a schema serializes");
        context.output.print(&text);
        return Ok(());
    }
    let app_file = app_file::read(context)?;
    let environment = app_file
        .named(context.global.environment.as_deref())?
        .unwrap_or_else(app_file::local);
    let resolved = app_file.resolve(context, &environment)?;
    if context.output.json() {
        context.output.data(
            "config",
            &json!({ "app": resolved.app, "origins": resolved.origins() }),
        );
    } else {
        context.output.print(&landfall_app::config_text(
            &resolved,
            &app_file::shown(&app_file.path),
        ));
    }
    Ok(())
}
