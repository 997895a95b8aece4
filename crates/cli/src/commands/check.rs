//! `landfall check`: everything that is wrong with the app file, in all environments.

use crate::{
    app_file,
    context::Context,
    exit::Exit,
    report::{Error, Result},
    view::plain,
};

pub fn run(context: &Context) -> Result {
    let app_file = app_file::read(context)?;
    app_file.named(context.global.environment.as_deref())?;
    let diagnostics = &app_file.diagnostics;
    if context.output.json() {
        context
            .output
            .data("check", &app_file::summary(diagnostics));
        return match diagnostics.has_errors() {
            true => Err(Error::said(Exit::Usage)),
            false => Ok(()),
        };
    }
    if diagnostics.has_errors() {
        return Err(app_file::bad(diagnostics, context));
    }
    if !diagnostics.is_empty() {
        context
            .output
            .error(&diagnostics.render(context.output.error_colour()));
    }
    let environments = app_file.environments();
    let name = app_file
        .path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let warnings = match diagnostics.warnings() {
        0 => String::new(),
        count => format!(", {}", plain::counted(count, "warning")),
    };
    context.output.say(format!(
        "{name} is good in {}{warnings}.",
        plain::names(&environments)
    ));
    Ok(())
}
