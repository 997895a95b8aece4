//! `.env.example`: every variable of the compose file, with what it is.

use super::variables::Variables;

/// The file's text.
pub fn write(variables: &Variables, env: &str) -> String {
    let mut text = format!(
        "# Copy it to {env}, which no repository keeps, and fill it in: docker compose reads it there.\n"
    );
    let (must, may): (Vec<_>, Vec<_>) = variables
        .iter()
        .partition(|(_, variable)| !variable.optional);
    if !must.is_empty() {
        text.push_str("\n# Without these nothing starts.\n");
    }
    for (name, variable) in must {
        text.push_str(&format!("\n# {}.\n{name}=\n", sentence(&variable.said)));
    }
    if !may.is_empty() {
        text.push_str("\n# These may be set.\n");
    }
    for (name, variable) in may {
        let value = variable.default.as_deref().map(quoted).unwrap_or_default();
        text.push_str(&format!(
            "\n# {}.\n#{name}={value}\n",
            sentence(&variable.said)
        ));
    }
    text
}

/// A value as such a file has it: in quotes, where a reader would take a part of it for something else.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@+=%".contains(c);
    match value.chars().all(plain) {
        true => value.to_owned(),
        false if !value.contains('\'') => format!("'{value}'"),
        // No dollar is in a default.
        false => format!("\"{}\"", value.replace('"', "\\\"")),
    }
}

fn sentence(said: &str) -> String {
    let mut characters = said.chars();
    let first = characters
        .next()
        .map(|c| c.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}", characters.as_str()).replace(['\n', '\r'], " ")
}
