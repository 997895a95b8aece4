//! Compose's times and sizes in ours.

use landfall_app::units::{Size, Time};

/// `1m30s`, `1.5h`, `500ms`: units in a row. A bare number isn't a time.
pub(super) fn time(text: &str) -> Option<Time> {
    let mut rest = text.trim();
    let mut total = 0f64;
    if rest.is_empty() {
        return None;
    }
    if rest == "0" {
        return Some(Time::from_millis(0));
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let factor = match &rest[..unit] {
            "ns" => 0.000_001,
            "us" | "µs" => 0.001,
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            "w" => 604_800_000.0,
            _ => return None,
        };
        total += number * factor;
        rest = &rest[unit..];
    }
    (total.is_finite() && total < 1e15).then(|| Time::from_millis(total.round() as u64))
}

/// `512m`, `1.5gb`, `64MiB`, `1073741824`: powers of 1024, as the Engine counts.
pub(super) fn size(text: &str) -> Option<Size> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim().to_ascii_lowercase();
    let power = match unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit)
    {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = number * 1024f64.powi(power);
    (bytes.is_finite() && bytes < 9e18).then(|| Size::from_bytes(bytes as u64))
}

/// Words of a command, as Compose splits one: quotes and backslashes, and nothing else of a shell.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => match characters.next()? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => {
                let next = characters.next()?;
                if next != '\n' {
                    word.get_or_insert_default().push(next);
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_of_compose_are_read() {
        for (text, milliseconds) in [
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("500ms", 500),
            ("10s", 10_000),
            ("0s", 0),
            ("0", 0),
        ] {
            assert_eq!(time(text), Some(Time::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "10", "x", "10 s", "-5s", "1y"] {
            assert_eq!(time(text), None, "{text}");
        }
        for (text, bytes) in [
            ("512m", 512 << 20),
            ("1.5gb", 3 << 29),
            ("64MiB", 64 << 20),
            ("1073741824", 1 << 30),
            ("1k", 1024),
            ("50 M", 50 << 20),
            ("2b", 2),
        ] {
            assert_eq!(size(text), Some(Size::from_bytes(bytes)), "{text}");
        }
        for text in ["", "m", "x1", "1q"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn commands_are_split_without_a_shell() {
        assert_eq!(
            words("a 'b c' \"d \\\" e\" f\\ g $H && i").unwrap(),
            ["a", "b c", "d \" e", "f g", "$H", "&&", "i"]
        );
        assert_eq!(words("a 'b"), None);
        assert_eq!(words("").unwrap(), Vec::<String>::new());
    }
}
