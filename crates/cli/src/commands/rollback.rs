//! `landfall rollback`: an earlier release live again, whole.

use landfall_api::wire::{Accepted, Rollback};
use landfall_release::ReleaseNumber;

use crate::{
    app_file, arguments,
    commands::change::{live, submitted},
    context::Context,
    follow, host,
    report::Result,
};

pub fn run(context: &Context, arguments: &arguments::Rollback) -> Result {
    let place = app_file::place(context)?;
    context.block_on(async {
        let (client, started) = host::again(context).await?;
        follow::carry_on(context, &client, &place, started).await?;
        let before = live(&client, &place).await?;
        let rollback = Rollback {
            release: arguments.release.map(ReleaseNumber),
            keep_secrets: arguments.keep_secrets,
            by: context.environment.by(),
        };
        let accepted: Accepted = client.post(&place.path("rollback"), &rollback).await?;
        let forward = accepted
            .from
            .map(|from| format!(" Forward again: landfall rollback {from}{}", place.flag()));
        submitted(
            context,
            &client,
            &place,
            before.as_ref(),
            &accepted,
            &forward.unwrap_or_default(),
        )
        .await
    })
}
