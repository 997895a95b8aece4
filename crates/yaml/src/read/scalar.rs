//! What a plain word means. YAML 1.1 and 1.2 differ, and so do their readers; compose files are read by
//! Go's, which takes numbers as 1.1 did and truth values as 1.2 does.

use super::Scalar;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// As a block, `|` or `>`.
    Block,
}

/// What a scalar is read as.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Nothing.
    Null,
    /// A truth value; only the words of YAML 1.2.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Scalar {
    /// What it is read as by Go's readers, which Compose uses: numbers may be octal (`012`), hexadecimal
    /// and have underscores; `yes`, `on` and `12:30:45` are text.
    pub fn reading(&self) -> Reading {
        match self.style {
            Style::Plain => plain(&self.text),
            Style::Quoted | Style::Block => Reading::Text(self.text.clone()),
        }
    }

    /// Whether readers of YAML 1.1 and of 1.2 take it for different things: `yes`, `012`, `12:30:45`.
    pub fn is_ambiguous(&self) -> bool {
        if self.style != Style::Plain {
            return false;
        }
        let text = self.text.trim_start_matches(['-', '+']);
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let octal = text.len() > 1 && text.starts_with('0') && digits(text);
        let sexagesimal = text.contains(':') && text.split(':').all(digits);
        let underscored = text.contains('_') && !matches!(plain(&self.text), Reading::Text(_));
        octal
            || sexagesimal
            || underscored
            || (truth(&self.text).is_some() && !matches!(plain(&self.text), Reading::Bool(_)))
    }
}

/// A truth value in words of either YAML.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// What a word without quotes is read as.
pub(super) fn plain(text: &str) -> Reading {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Reading::Null,
        "true" | "True" | "TRUE" => return Reading::Bool(true),
        "false" | "False" | "FALSE" => return Reading::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Reading::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Reading::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Reading::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        let bare: String = text.chars().filter(|c| *c != '_').collect();
        if let Some(number) = integer(&bare) {
            return Reading::Integer(number);
        }
        if is_float(&bare)
            && let Ok(number) = bare.parse()
        {
            return Reading::Float(number);
        }
    }
    Reading::Text(text.to_owned())
}

/// A whole number with its base in front; a leading nought is base eight.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let based = |prefix: [&str; 2], base| {
        let rest = digits
            .strip_prefix(prefix[0])
            .or(digits.strip_prefix(prefix[1]))?;
        Some((rest, base))
    };
    let (digits, base) = based(["0x", "0X"], 16)
        .or(based(["0b", "0B"], 2))
        .or(based(["0o", "0O"], 8))
        .or((digits.len() > 1).then(|| based(["0", "0"], 8)).flatten())
        .unwrap_or((digits, 10));
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, which is less than what Rust parses.
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()) && exponent
}

/// As Go prints it.
pub(super) fn printed(reading: Reading) -> Option<String> {
    Some(match reading {
        Reading::Null => return None,
        Reading::Bool(value) => value.to_string(),
        Reading::Integer(number) => number.to_string(),
        Reading::Text(text) => text,
        Reading::Float(number) if number.is_nan() => "NaN".to_owned(),
        Reading::Float(number) if number.is_infinite() => match number > 0.0 {
            true => "+Inf".to_owned(),
            false => "-Inf".to_owned(),
        },
        Reading::Float(number) => {
            let size = number.abs();
            if size != 0.0 && !(1e-4..1e21).contains(&size) {
                let text = format!("{number:e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (sign, exponent) = match exponent.strip_prefix('-') {
                    Some(exponent) => ('-', exponent),
                    None => ('+', exponent),
                };
                format!("{digits}e{sign}{exponent:0>2}")
            } else {
                number.to_string()
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_are_read_as_go_reads_them() {
        for (text, printed_as) in [
            ("012", "10"),
            ("08", "8"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("-0b11", "-3"),
            ("1_000", "1000"),
            ("1.50", "1.5"),
            ("1e3", "1000"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e21", "1e+21"),
            ("0.00001", "1e-05"),
            ("TRUE", "true"),
            ("yes", "yes"),
            ("on", "on"),
            ("12:30:45", "12:30:45"),
            ("1.2.3", "1.2.3"),
            ("+", "+"),
            ("0x", "0x"),
            ("1e", "1e"),
            ("inf", "inf"),
            ("99999999999999999999", "100000000000000000000"),
        ] {
            assert_eq!(printed(plain(text)).as_deref(), Some(printed_as), "{text}");
        }
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(printed(plain(text)), None, "{text}");
        }
    }

    #[test]
    fn words_that_readers_take_differently_are_known() {
        let scalar = |text: &str, style| Scalar {
            text: text.to_owned(),
            style,
        };
        for text in ["yes", "No", "on", "off", "012", "12:30:45", "1_000", "-017"] {
            assert!(scalar(text, Style::Plain).is_ambiguous(), "{text}");
            assert!(!scalar(text, Style::Quoted).is_ambiguous(), "{text}");
        }
        for text in ["true", "12", "0", "a:b", "8080:80x", "1.5", "", ":"] {
            assert!(!scalar(text, Style::Plain).is_ambiguous(), "{text}");
        }
    }
}
