//! Why a text isn't what it should be.

use std::str::FromStr;

use crate::{
    name::Name,
    template::{Template, TemplateError},
};

use super::Problem;

pub(super) fn check(good: bool, code: &'static str, expected: &str) -> Result<(), Problem> {
    if good {
        Ok(())
    } else {
        Err(Problem::new(code, format!("expected {expected}")))
    }
}

pub(super) fn parsed<T: FromStr<Err = E>, E: std::fmt::Display>(text: &str) -> Result<(), Problem> {
    text.parse::<T>()
        .map(|_| ())
        .map_err(|error| Problem::new("bad-value", error.to_string()))
}

/// Letters, digits and `_`, not beginning with a digit.
pub(crate) fn is_variable(text: &str) -> bool {
    let first = |c: u8| c.is_ascii_alphabetic() || c == b'_';
    text.bytes().next().is_some_and(first) && text.bytes().all(|c| first(c) || c.is_ascii_digit())
}

pub(super) fn variable(text: &str) -> Result<(), Problem> {
    let label = "a variable is made of letters, digits and `_`, and doesn't begin with a digit";
    if is_variable(text) {
        Ok(())
    } else {
        Err(mended(Problem::new("bad-variable-name", label), text))
    }
}

pub(super) fn secret(text: &str) -> Result<(), Problem> {
    if is_variable(text) {
        return Ok(());
    }
    if text.contains("${") || text.starts_with('$') {
        let label = "only the name stands here, without `$`";
        return Err(Problem::new("bad-secret-name", label));
    }
    if text.contains('=') {
        let label = "only the name stands here; its value is set by `landfall secrets set`";
        return Err(Problem::new("bad-secret-name", label));
    }
    let label = "a secret's name is that of its variable: letters, digits and `_`";
    Err(mended(Problem::new("bad-secret-name", label), text))
}

pub(super) fn mended(problem: Problem, text: &str) -> Problem {
    let mended: String = text
        .trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if is_variable(&mended) {
        problem.help(format!("for example `{mended}`"))
    } else {
        problem
    }
}

/// Why a text isn't a name.
pub(crate) fn name(what: &str, text: &str) -> Result<(), Problem> {
    let Err(error) = text.parse::<Name>() else {
        return Ok(());
    };
    let problem = Problem::new("bad-name", error.to_string());
    let mended: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    let mended = mended
        .trim_start_matches(|c: char| !c.is_ascii_lowercase())
        .trim_end_matches('-');
    Err(match mended.parse::<Name>() {
        Ok(mended) => problem.help(format!("the {what} could be called `{mended}`")),
        Err(_) => problem,
    })
}

pub(super) fn template(text: &str) -> Result<(), Problem> {
    if text.contains('\0') {
        return Err(Problem::new("bad-value", "holds a NUL character"));
    }
    let Err(error) = text.parse::<Template>() else {
        return Ok(());
    };
    let problem = Problem::new("bad-reference", error.to_string());
    Err(match error {
        TemplateError::Unknown(inside) if is_variable(&inside) => problem.help(format!(
            "a secret is `${{secret.{inside}}}`; `${inside}` of the running process can't stand in a value"
        )),
        _ => problem,
    })
}

pub(super) fn word(words: &[&str], text: &str) -> Result<(), Problem> {
    if words.contains(&text) {
        return Ok(());
    }
    let list: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let problem = Problem::new("unknown-word", format!("expected {}", list.join(", ")));
    if words == ["node-port", "load-balancer"] && ["true", "yes", "on"].contains(&text) {
        return Err(problem.help("or true, without quotes"));
    }
    Err(match crate::suggest::nearest(text, words.iter().copied()) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => problem,
    })
}

pub(super) fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

pub(super) fn path(text: &str) -> Result<(), Problem> {
    if text.is_empty() || !plain(text) {
        return Err(Problem::new(
            "bad-path",
            "expected a path such as \"backend\"; \".\" is the folder itself",
        ));
    }
    if text.starts_with('/') || text.starts_with('~') {
        return Err(Problem::new(
            "bad-path",
            "a path in the repository is relative",
        ));
    }
    let mut depth = 0;
    for part in text.split('/') {
        depth += match part {
            ".." => -1,
            "" | "." => 0,
            _ => 1,
        };
        if depth < 0 {
            return Err(Problem::new("bad-path", "leads out of the repository"));
        }
    }
    Ok(())
}

pub(super) fn http_path(text: &str) -> Result<(), Problem> {
    if text.starts_with("http://") || text.starts_with("https://") {
        let path = text
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        let problem = Problem::new("bad-path", "only the path, without host and port");
        return Err(problem.help(format!("for example \"{}\"", path.unwrap_or("/"))));
    }
    let good = text.starts_with('/') && text.bytes().all(|c| c.is_ascii_graphic());
    let problem = Problem::new("bad-path", "expected a path such as \"/health\"");
    match good {
        true => Ok(()),
        false if plain(text) && !text.contains(' ') && !text.is_empty() => Err(problem.help(
            format!("did you mean \"/{}\"?", text.trim_start_matches('/')),
        )),
        false => Err(problem),
    }
}

/// A host name, also `*.example.com`, `localhost` and addresses.
pub(crate) fn is_host(text: &str) -> bool {
    let text = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        let inside = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

pub(super) fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let (host, port) = rest.split_once(':').unwrap_or((rest, "1"));
        is_host(host) && port.parse::<u16>().is_ok()
    })
}

pub(super) fn is_zone(text: &str) -> bool {
    let part = |part: &str| {
        let inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'+');
        !part.is_empty() && part.bytes().all(inside) && part.as_bytes()[0].is_ascii_uppercase()
    };
    text == "UTC" || text == "GMT" || (text.contains('/') && text.split('/').all(part))
}

pub(super) fn cron(text: &str) -> Result<(), Problem> {
    let bad = |label: String| Err(Problem::new("bad-schedule", label));
    let fields: Vec<_> = text.split_whitespace().collect();
    if text.starts_with('@') {
        return bad("expected five fields: minute, hour, day, month, weekday".to_owned());
    }
    if fields.len() != 5 {
        return bad(format!(
            "expected five fields (minute, hour, day, month, weekday), found {}",
            fields.len()
        ));
    }
    let ranges = [
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("day", 1, 31),
        ("month", 1, 12),
        ("weekday", 0, 7),
    ];
    for (field, (what, least, most)) in fields.into_iter().zip(ranges) {
        if !field.split(',').all(|item| cron_item(item, least, most)) {
            return bad(format!(
                "`{field}` is no {what}: expected {least} to {most}, `*`, `*/5`, `1-5` or a list"
            ));
        }
    }
    Ok(())
}

pub(super) fn cron_item(item: &str, least: u32, most: u32) -> bool {
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let inside = |text: &str| match text.parse::<u32>() {
        Ok(value) => (least..=most).contains(&value),
        Err(_) => most < 20 && text.len() == 3 && text.bytes().all(|c| c.is_ascii_alphabetic()),
    };
    let range = range == "*"
        || range
            .split_once('-')
            .map_or_else(|| inside(range), |(a, b)| inside(a) && inside(b));
    range
        && step
            .parse::<u32>()
            .is_ok_and(|step| step > 0 && step <= most)
}

/// The numbers of a version, the missing ones 0.
pub(crate) fn version(text: &str) -> Option<[u64; 3]> {
    let mut numbers = [0; 3];
    let mut parts = text.split('.');
    for (number, part) in numbers.iter_mut().zip(parts.by_ref()) {
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// `2x` is 20, `1.5x` is 15.
pub(crate) fn factor_tenths(text: &str) -> Option<u32> {
    let number = text.strip_suffix('x')?;
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let tenth = if tenth.len() == 1 {
        tenth.parse::<u32>().ok()?
    } else {
        return None;
    };
    let value = whole
        .parse::<u32>()
        .ok()?
        .checked_mul(10)?
        .checked_add(tenth)?;
    (value > 10).then_some(value)
}

/// `50/s` is 50.
pub(crate) fn rate_per_second(text: &str) -> Option<u32> {
    text.strip_suffix("/s")?
        .parse()
        .ok()
        .filter(|rate| *rate > 0)
}

pub(super) fn target(text: &str) -> Result<(), Problem> {
    if text == "local" {
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix("ssh://") {
        let (rest, port) = match rest.rsplit_once(':') {
            Some((rest, port)) => (rest, port),
            None => (rest, "22"),
        };
        let good = is_destination(rest) && port.parse::<u16>().is_ok_and(|port| port > 0);
        return check(
            good,
            "bad-target",
            "ssh://user@host or ssh://user@host:port",
        );
    }
    let problem = Problem::new(
        "bad-target",
        "expected \"local\", \"ssh://user@host\" or a table such as { dokku = \"dokku@host\" }",
    );
    Err(match text {
        "dokku" | "kubernetes" | "netlify" | "huggingface" => {
            problem.help(format!("write {{ {text} = … }}"))
        }
        _ if text.contains('@') => problem.help(format!("did you mean \"ssh://{text}\"?")),
        _ => problem,
    })
}

pub(super) fn word_of_ssh(text: &str) -> bool {
    text.bytes()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
}

pub(super) fn space(text: &str) -> Result<(), Problem> {
    let mut parts = text.split('/');
    let good = [parts.next(), parts.next()]
        .into_iter()
        .all(|part| part.is_some_and(|p| !p.is_empty() && word_of_ssh(p)));
    check(
        good && parts.next().is_none(),
        "bad-value",
        "an owner and a name such as \"acme/textbook\"",
    )
}

/// `user@host` or `host`, which no program takes for an option.
pub(super) fn is_destination(text: &str) -> bool {
    let (user, host) = text.split_once('@').unwrap_or(("user", text));
    !user.is_empty() && !user.starts_with('-') && word_of_ssh(user) && is_host(host)
}

/// One word, which no program takes for an option.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// An absolute path that says where it leads.
pub(super) fn is_absolute(text: &str) -> bool {
    text.starts_with('/') && plain(text) && !text.split('/').any(|part| part == "..")
}
