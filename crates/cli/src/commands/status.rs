//! `landfall status`: how the app is.

use landfall_api::{
    ClientError,
    wire::{AppStatus, HostStatus},
};

use crate::{
    app_file,
    commands::host::overview,
    context::Context,
    host,
    report::{Error, Result},
    view::{plain, status},
};

pub fn run(context: &Context) -> Result {
    let place = match app_file::place(context) {
        Ok(place) => Some(place),
        // Outside of any app the question is about the machine.
        Err(error)
            if error
                .failure
                .as_ref()
                .is_some_and(|failure| failure.name == "no-app-file") =>
        {
            if context.global.file.is_some() || context.global.environment.is_some() {
                return Err(error);
            }
            None
        }
        Err(error) => return Err(error),
    };
    let client = host::client(&context.environment);
    context.block_on(async {
        let Some(place) = place else {
            let status: HostStatus = client.get("/v1/host").await?;
            if context.output.json() {
                context.output.data("host", &status);
            } else {
                context.output.print(&overview(&status));
            }
            return Ok(());
        };
        let answer: std::result::Result<AppStatus, ClientError> =
            client.get(&place.path("status")).await;
        let status = answer.map_err(|error| match error {
            ClientError::Unreachable { .. } => {
                Error::from(error).with("app", format!("{}, {}", place.app, place.environment))
            }
            error => error.into(),
        })?;
        if context.output.json() {
            context.output.data("status", &status);
        } else {
            context
                .output
                .print(&status::render(&status, plain::now(), &context.output));
        }
        Ok(())
    })
}
