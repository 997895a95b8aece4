//! `landfall secrets keygen` and `recipients`: who can read.

use landfall_secrets::{FILE_NAME, KeySource, SecretsFile};
use serde_json::json;

use crate::{
    arguments::{Recipients, SecretsKeygen},
    commands::secrets::Desk,
    context::Context,
    prepare::secrets::key_source,
    report::Result,
    view::{plain, table::Table},
};

/// `landfall secrets keygen`
pub fn keygen(context: &Context, arguments: &SecretsKeygen) -> Result {
    let source = match &arguments.output {
        Some(path) => KeySource {
            file: path.clone(),
            value: None,
        },
        None => KeySource {
            value: None,
            ..key_source(context)?
        },
    };
    let key = source.generate()?;
    if context.output.json() {
        context.output.data(
            "key",
            &json!({ "file": source.file, "public-key": key.public() }),
        );
        return Ok(());
    }
    context.output.say(format!(
        "Made a key at {}. Keep a copy; never commit it.",
        source.file.display()
    ));
    context.output.print(&key.public());
    context.output.say(format!(
        "Whoever can read the secrets lets it in: landfall secrets recipients add {} {}",
        recipient_name(&context.environment.user),
        key.public()
    ));
    Ok(())
}

/// `landfall secrets recipients`
pub fn recipients(context: &Context, command: &Recipients) -> Result {
    let desk = Desk::open(context)?;
    match command {
        Recipients::Add { name, key } => {
            let count = desk.change(context, |file, own| file.add_recipient(name, key, own))?;
            context.output.say(format!(
                "{name} can read the secrets now; {} encrypted anew. Commit {FILE_NAME}.",
                plain::counted(count, "value")
            ));
        }
        Recipients::List => {
            let file = SecretsFile::load(&desk.path)?;
            if context.output.json() {
                context.output.data("recipients", file.recipients());
                return Ok(());
            }
            let mut table = Table::new(0);
            for (name, key) in file.recipients() {
                table.row([name, key]);
            }
            context.output.print(&table.render());
        }
        Recipients::Remove { name } => {
            let known = desk.change(context, |file, own| file.remove_recipient(name, own))?;
            context.output.say(format!(
                "{name} can't read what comes from now on. Commit {FILE_NAME}."
            ));
            if !known.is_empty() {
                let names: Vec<String> = known
                    .iter()
                    .map(|(environment, name)| format!("{name} ({environment})"))
                    .collect();
                context.output.say(format!(
                    "Git keeps the old versions: replace the values that {name} could read: {}",
                    names.join(", ")
                ));
            }
        }
    }
    Ok(())
}

/// A user's name as a recipient's.
pub fn recipient_name(user: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let name: String = user.chars().filter(|c| allowed(*c)).collect();
    if name.is_empty() {
        "me".to_owned()
    } else {
        name
    }
}
