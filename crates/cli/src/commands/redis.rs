//! `landfall redis-cli`: a shell in a Redis, or a dump of it.

use crate::{
    app_file,
    arguments::RedisCli,
    commands::backing::{client, dump, execute, program},
    context::Context,
    host,
    report::Result,
};

pub fn run(context: &Context, arguments: RedisCli) -> Result {
    let place = app_file::place(context)?;
    let (_, found) = context.block_on(async {
        let host = host::client(&context.environment);
        let name = arguments.backing.as_deref();
        client(&host, &place, name, Some("redis"), true).await
    })?;
    let inside = found.container.is_some();
    let address = if inside { "127.0.0.1" } else { &found.host };
    let port = found.port.to_string();
    let mut words = ["-h", address, "-p", &port].map(str::to_owned).to_vec();
    if !found.user.is_empty() {
        words.extend(["--user".to_owned(), found.user.clone()]);
    }
    if found.url.starts_with("rediss:") {
        words.push("--tls".to_owned());
    }
    match &arguments.dump {
        Some(file) => {
            words.extend(["--rdb", "-"].map(str::to_owned));
            dump(context, program(&found, "redis-cli", &words, false), file)
        }
        None => {
            let database = found.database.parse::<u32>().ok();
            if let Some(database) = database.filter(|database| *database > 0) {
                words.extend(["-n".to_owned(), database.to_string()]);
            }
            words.extend(arguments.arguments);
            let terminal = context.output.interactive();
            execute(program(&found, "redis-cli", &words, terminal))
        }
    }
}
