//! Health checks: pages asked by curl and wget become pages, everything else stays a command.

use landfall_app::units::Time;

use super::{
    context::Context,
    load,
    tree::{Item, Value},
    units,
};
use crate::{RemarkKind, draft::Table};

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// None, and the image's own counts for nothing either.
    Off,
    /// A page of its own port.
    Page(u16, String),
    /// Whether its own port is open.
    Open(u16),
    /// A program and its arguments.
    Words(Vec<String>),
    /// A line for the shell.
    Line(String),
}

/// What `test` says; nothing where it isn't there or makes no sense.
pub(super) fn check(item: &Item) -> Result<Option<Check>, String> {
    let Some(health) = item.get("healthcheck").filter(|health| !health.is_null()) else {
        return Ok(None);
    };
    if health.get("disable").and_then(Item::flag) == Some(true) {
        return Ok(Some(Check::Off));
    }
    let Some(test) = health.get("test").filter(|test| !test.is_null()) else {
        return Ok(None);
    };
    let check = match &test.value {
        Value::Scalar(scalar) => Check::Line(scalar.text.clone()),
        Value::List(items) => {
            let words: Vec<String> = items
                .iter()
                .filter_map(|item| item.text().map(str::to_owned))
                .collect();
            match words.split_first() {
                None => return Ok(None),
                Some((first, _)) if first == "NONE" => Check::Off,
                Some((first, rest)) if first == "CMD" && !rest.is_empty() => {
                    Check::Words(rest.to_vec())
                }
                Some((first, [line, ..])) if first == "CMD-SHELL" => Check::Line(line.clone()),
                Some((first, _)) => {
                    return Err(format!(
                        "a list begins with CMD, CMD-SHELL or NONE, and this one with `{first}`"
                    ));
                }
            }
        }
        _ => return Err("expected a text or a list of texts".to_owned()),
    };
    let seen = match &check {
        Check::Words(words) => page(words).or_else(|| written_by_us(words)),
        Check::Line(line) => {
            let line = line.trim();
            let line = ["|| exit 1", "||exit 1", "|| exit -1", "|| false"]
                .iter()
                .find_map(|end| line.strip_suffix(end))
                .unwrap_or(line);
            let shell = line.contains(['|', '&', ';', '>', '<', '$', '`', '(']);
            let quiet = [
                "> /dev/null 2>&1",
                ">/dev/null 2>&1",
                "> /dev/null",
                ">/dev/null",
            ]
            .iter()
            .find_map(|end| line.trim_end().strip_suffix(end));
            match quiet {
                Some(line) if !line.contains(['|', '&', ';', '>', '<', '$', '`', '(']) => {
                    units::words(line).and_then(|words| page(&words))
                }
                _ if shell => None,
                _ => units::words(line).and_then(|words| page(&words)),
            }
        }
        _ => None,
    };
    Ok(Some(seen.unwrap_or(check)))
}

/// The port that a check of a page asks.
pub(super) fn port_of(item: &Item) -> Option<u16> {
    match check(item) {
        Ok(Some(Check::Page(port, _) | Check::Open(port))) => Some(port),
        _ => None,
    }
}

/// A page of its own that curl, wget or nc asks for, and nothing else.
fn page(words: &[String]) -> Option<Check> {
    let (program, rest) = words.split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    if program == "nc" {
        let plain: Vec<&String> = rest.iter().filter(|word| !word.starts_with('-')).collect();
        return match plain.as_slice() {
            [host, port] if is_own(host) && rest.iter().any(|word| word.contains('z')) => {
                Some(Check::Open(port.parse().ok()?))
            }
            _ => None,
        };
    }
    if !matches!(program, "curl" | "wget") {
        return None;
    }
    let mut url = None;
    let mut words = rest.iter().peekable();
    while let Some(word) = words.next() {
        let takes = match program {
            "curl" => [
                "-o",
                "--output",
                "-m",
                "--max-time",
                "--connect-timeout",
                "--retry",
                "--retry-delay",
                "-A",
                "--user-agent",
            ]
            .as_slice(),
            _ => ["-O", "-T", "--timeout", "-t", "--tries", "-o"].as_slice(),
        };
        if takes.contains(&word.as_str()) {
            words.next();
        } else if word.starts_with('-') && word.len() > 1 {
            // What asks for more than a page that answers well.
            let asks = [
                "-X",
                "--request",
                "-H",
                "--header",
                "-d",
                "--data",
                "-u",
                "--user",
                "-k",
                "--insecure",
                "--post-data",
                "--unix-socket",
            ];
            if asks
                .iter()
                .any(|ask| word == ask || word.starts_with(&format!("{ask}=")))
                || (!word.starts_with("--")
                    && program == "curl"
                    && word.contains(['k', 'H', 'X', 'd', 'u', 'w']))
            {
                return None;
            }
        } else if url.replace(word.as_str()).is_some() {
            return None;
        }
    }
    let url = url?;
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some(_) => return None,
        None => url,
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, 80),
    };
    let good = path.bytes().all(|byte| byte.is_ascii_graphic());
    (is_own(host) && good).then(|| Check::Page(port, path.to_owned()))
}

/// A page, asked by the program that `landfall render compose` writes where no curl is in the image: behind
/// its text stand port, seconds, path, status and body; of a connection port and seconds alone.
fn written_by_us(words: &[String]) -> Option<Check> {
    if let [program, flag, _, port, _] = words
        && matches!(program.as_str(), "python" | "python3" | "node")
        && matches!(flag.as_str(), "-c" | "-e")
    {
        return Some(Check::Open(port.parse().ok()?));
    }
    let [program, flag, _, port, _, path, status, body] = words else {
        return None;
    };
    let runs = matches!(program.as_str(), "python" | "python3" | "node");
    (runs
        && matches!(flag.as_str(), "-c" | "-e")
        && path.starts_with('/')
        && status == "2"
        && body.is_empty())
    .then(|| Some(Check::Page(port.parse().ok()?, path.clone())))?
}

fn is_own(host: &str) -> bool {
    matches!(
        host,
        "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]" | "::1"
    )
}

impl Context<'_> {
    /// `healthcheck` of a service.
    pub(super) fn write_health(&mut self, at: usize, table: &mut Table) -> load::Result<()> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let Some(health) = item.get("healthcheck").filter(|health| !health.is_null()) else {
            return Ok(());
        };
        let place = health
            .get("test")
            .map_or(&health.at, |test| &test.at)
            .clone();
        let own = self.services[at].port;
        let found =
            check(&item).map_err(|message| self.wrong(at, &place, "healthcheck.test", &message))?;
        let mut long = Table::new();
        let mut page = None;
        if let Some(Check::Page(port, path)) = &found
            && own == Some(*port)
        {
            long.set("ready", path.as_str());
        }
        match found {
            None => {
                let said = "sets times of the check that the image brings; name the check too, so that the times are kept";
                self.remark(at, RemarkKind::Changed, &place, "healthcheck", said);
                return Ok(());
            }
            Some(Check::Off) => {
                // Else the image's own would count.
                match own {
                    Some(_) => long.set("tcp", true),
                    None => long.set("up", "5s"),
                };
                table.set("health", long).from(&place.file, place.line);
                return Ok(());
            }
            Some(Check::Page(port, path)) if own == Some(port) => page = Some(path),
            Some(Check::Open(port)) if own == Some(port) => {
                long.set("tcp", true);
            }
            Some(Check::Open(port)) => {
                long.set("tcp", port);
            }
            Some(Check::Page(..)) => match health.get("test").map(|test| &test.value) {
                Some(Value::List(items)) if items.first().and_then(Item::text) == Some("CMD") => {
                    let words: Vec<&str> = items.iter().skip(1).filter_map(Item::text).collect();
                    long.set("run", words);
                }
                Some(Value::List(items)) => {
                    long.set("run", items.get(1).and_then(Item::text).unwrap_or_default());
                }
                Some(Value::Scalar(scalar)) => {
                    long.set("run", scalar.text.as_str());
                }
                _ => {}
            },
            Some(Check::Words(words)) => {
                long.set("run", words);
            }
            Some(Check::Line(line)) => {
                long.set("run", line.as_str());
            }
        }
        let read = |key: &str| -> load::Result<Option<Time>> {
            let Some(item) = health.get(key).filter(|item| !item.is_null()) else {
                return Ok(None);
            };
            let text = item.text().unwrap_or_default();
            units::time(text).map(Some).ok_or_else(|| {
                let message = format!("`{text}` is no time; expected for example 30s or 1m30s");
                self.wrong(at, &item.at, &format!("healthcheck.{key}"), &message)
            })
        };
        let (interval, timeout, start) =
            (read("interval")?, read("timeout")?, read("start_period")?);
        let retries = health.get("retries").filter(|item| !item.is_null());
        let retries =
            match retries {
                None => None,
                Some(item) => Some(item.whole().filter(|n| *n > 0 && *n <= 1000).ok_or_else(
                    || {
                        self.wrong(
                            at,
                            &item.at,
                            "healthcheck.retries",
                            "expected a whole number from 1 to 1000",
                        )
                    },
                )?),
            };
        let seconds = Time::from_secs;
        // Compose's own defaults are ours where the file says none: how often is looked is no meaning.
        let set = |long: &mut Table, key: &str, value: Option<Time>, usual: Time| {
            if let Some(value) = value.filter(|value| *value != usual && value.as_millis() > 0) {
                long.set(key, value.to_string());
            }
        };
        set(&mut long, "interval", interval, seconds(1));
        set(&mut long, "timeout", timeout, seconds(5));
        if let Some(retries) = retries.filter(|retries| *retries != 3) {
            long.set("retries", retries);
        }
        // It counts as failed once the start is over and so many checks have failed in a row. A start that
        // is said in full is taken as it is.
        let counted = u64::try_from(retries.unwrap_or(3)).unwrap_or(3);
        let between = interval.unwrap_or(seconds(30)).as_millis();
        let begun = start.map_or(0, Time::as_millis);
        let patience = match begun + counted * between {
            _ if begun >= 30_000 => begun,
            patience if patience > 30_000 && interval.is_some() => patience,
            _ if begun > 0 => begun,
            _ => 30_000,
        };
        if patience != 30_000 {
            long.set("start", Time::from_millis(patience).to_string());
        }
        match page {
            Some(path) if long.len() == 1 => {
                table
                    .set("health", path.as_str())
                    .from(&place.file, place.line);
            }
            Some(_) => {
                table.set("health", long).from(&place.file, place.line);
            }
            None => {
                table.set("health", long).from(&place.file, place.line);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<Check> {
        page(&units::words(line).unwrap())
    }

    #[test]
    fn a_page_asked_by_curl_or_wget_is_seen() {
        for (line, port, path) in [
            ("curl -f http://localhost:5000/health", 5000, "/health"),
            (
                "curl --fail --silent --show-error http://127.0.0.1/",
                80,
                "/",
            ),
            (
                "/usr/bin/curl -sSf -o /dev/null localhost:3000/up?x=1",
                3000,
                "/up?x=1",
            ),
            ("wget --spider -q http://0.0.0.0:80", 80, "/"),
            ("wget -q -O - http://[::1]:8080/a", 8080, "/a"),
            (
                "wget --no-verbose --tries=1 --spider http://localhost:80/x",
                80,
                "/x",
            ),
        ] {
            assert_eq!(
                asked(line),
                Some(Check::Page(port, path.to_owned())),
                "{line}"
            );
        }
        for line in [
            "curl -f https://localhost/",
            "curl http://db:80/",
            "curl -X POST http://localhost/",
            "curl -H a:b localhost",
            "curl a b",
            "curl",
            "python x.py",
            "curl -fk http://localhost",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
        assert_eq!(asked("nc -z localhost 80"), Some(Check::Open(80)));
        assert_eq!(asked("nc -z db 80"), None);
    }
}
