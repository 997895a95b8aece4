//! `landfall psql`: a shell in a PostgreSQL, or a dump of it.

use std::path::Path;

use crate::{
    app_file,
    arguments::Psql,
    commands::backing::{client, dump, execute, program},
    context::Context,
    host,
    report::Result,
};

pub fn run(context: &Context, arguments: Psql) -> Result {
    let place = app_file::place(context)?;
    let (_, found) = context.block_on(async {
        let host = host::client(&context.environment);
        let name = arguments.backing.as_deref();
        client(&host, &place, name, Some("postgres"), true).await
    })?;
    match &arguments.dump {
        Some(file) => {
            let options = options(file).map(str::to_owned);
            dump(context, program(&found, "pg_dump", &options, false), file)
        }
        None => execute(program(
            &found,
            "psql",
            &arguments.arguments,
            context.output.interactive(),
        )),
    }
}

/// SQL where people will read it, else what `pg_restore` can choose from.
fn options(file: &Path) -> [&'static str; 1] {
    let plain = file.as_os_str() == "-" || file.extension().is_some_and(|end| end == "sql");
    if plain {
        ["--format=plain"]
    } else {
        ["--format=custom"]
    }
}
