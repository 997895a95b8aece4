//! `landfall open`: the app's address, in a browser where there is one.

use std::process::{Command, Stdio};

use landfall_api::wire::AppStatus;

use crate::{
    app_file,
    arguments::Open,
    context::Context,
    host,
    report::{Error, Result},
};

const MEND: &str = "if it answers requests, give its service a `port` in the app file, \
                    then landfall deploy";

pub fn run(context: &Context, arguments: &Open) -> Result {
    let place = app_file::place(context)?;
    let client = host::client(&context.environment);
    let status: AppStatus =
        context.block_on(async { Ok(client.get(&place.path("status")).await?) })?;
    let wanted = |service: &str| {
        arguments
            .service
            .as_deref()
            .is_none_or(|wanted| wanted == service)
    };
    let services = status
        .services
        .iter()
        .filter(|service| wanted(service.service.as_str()));
    let Some(url) = services.flat_map(|service| service.urls.iter()).next() else {
        let names: Vec<&str> = status
            .services
            .iter()
            .map(|service| service.service.as_str())
            .collect();
        return Err(match arguments.service.as_deref() {
            Some(service) if !names.contains(&service) => {
                Error::new("unknown-service", format!("no service is called {service}"))
                    .with("services", names.join(", "))
            }
            Some(service) => {
                Error::new("no-address", format!("service {service} has no `port`")).mend(MEND)
            }
            None => Error::new("no-address", "no service has a `port`").mend(MEND),
        });
    };
    if context.output.json() {
        context
            .output
            .data("address", &serde_json::json!({ "url": url }));
        return Ok(());
    }
    context.output.print(url);
    if context.output.interactive()
        && let Some(program) = browser()
    {
        // The address is printed; a browser that doesn't open is no failure of ours.
        let _ = Command::new(program)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
    }
    Ok(())
}

fn browser() -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("open");
    }
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    (set("DISPLAY") || set("WAYLAND_DISPLAY")).then_some("xdg-open")
}
