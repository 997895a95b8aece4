//! The forms in which a secret leaks: as it is, and as programs write it when they quote it.

use std::fmt::Write as _;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Every form of a value worth looking for, without repetitions, none shorter than `minimum`.
pub fn forms(value: &str, minimum: usize) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for part in parts(value) {
        all.push(part.as_bytes().to_vec());
        for escaped in escaped(part) {
            all.push(escaped.into_bytes());
        }
        for alphabet in [STANDARD, URL_SAFE] {
            for offset in 0..3 {
                all.push(base64_core(part.as_bytes(), offset, alphabet));
            }
        }
    }
    all.retain(|form| form.len() >= minimum);
    all.sort();
    all.dedup();
    all
}

/// The value, what is left of it without white space around it, and each of its lines.
fn parts(value: &str) -> Vec<&str> {
    let mut parts = vec![value, value.trim()];
    if value.contains(['\n', '\r']) {
        parts.extend(value.split(['\n', '\r']).map(str::trim));
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn escaped(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for upper in [true, false] {
        all.push(url(text, upper, "-._~", "%20"));
        all.push(url(text, upper, "-._~!*'()", "%20"));
        all.push(url(text, upper, "-._*", "+"));
        all.push(url(text, upper, "-._~/", "%20"));
        for ascii in [true, false] {
            for slash in [true, false] {
                all.push(json(text, ascii, slash, upper));
            }
        }
    }
    // Inside single quotes, two usual ways; inside double quotes; without quotes; as Python's repr.
    all.push(text.replace('\'', r"'\''"));
    all.push(text.replace('\'', r#"'"'"'"#));
    all.push(backslashed(text, |character| "\"\\$`".contains(character)));
    all.push(backslashed(text, |character| "\"\\$`!".contains(character)));
    all.push(backslashed(text, |character| {
        !(character.is_alphanumeric() || "%+-./:=@_".contains(character))
    }));
    all.push(backslashed(text, |character| {
        !(character.is_alphanumeric() || "%+-./:=@_,".contains(character))
    }));
    all.push(backslashed(text, |character| "'\\".contains(character)).replace('\n', "\\n"));
    all
}

fn url(text: &str, upper: bool, unreserved: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let character = char::from(byte);
        if character.is_ascii_alphanumeric() || unreserved.contains(character) {
            out.push(character);
        } else if byte == b' ' {
            out.push_str(space);
        } else if upper {
            let _ = write!(out, "%{byte:02X}");
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

fn json(text: &str, ascii: bool, slash: bool, upper: bool) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '/' if slash => out.push_str("\\/"),
            _ if character < ' ' || (ascii && !character.is_ascii()) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = if upper {
                        write!(out, "\\u{unit:04X}")
                    } else {
                        write!(out, "\\u{unit:04x}")
                    };
                }
            }
            _ => out.push(character),
        }
    }
    out
}

fn backslashed(text: &str, special: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if special(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// What base64 makes of the value whatever stands around it: with `offset` unknown bytes before it
/// in its first group of three, only the characters that depend on the value alone.
fn base64_core(value: &[u8], offset: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let start = offset * 8;
    let end = start + value.len() * 8;
    let bit = |at: usize| -> u8 {
        let at = at - start;
        (value[at / 8] >> (7 - at % 8)) & 1
    };
    (start.div_ceil(6)..end / 6)
        .map(|group| {
            let index = (group * 6..group * 6 + 6).fold(0_u8, |index, at| (index << 1) | bit(at));
            alphabet[usize::from(index)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(value: &str, form: &str) -> bool {
        forms(value, 4).iter().any(|known| known == form.as_bytes())
    }

    #[test]
    fn base64_at_three_offsets() {
        // printf 'hunter2!' | base64, and with one and two letters before it.
        assert!(has("hunter2!", "aHVudGVyMi"));
        assert!(has("hunter2!", "h1bnRlcjIh"), "offset 1: eGh1bnRlcjIh");
        assert!(has("hunter2!", "odW50ZXIyI"), "offset 2: eHhodW50ZXIyIQ==");
        // The two alphabets part where there is a 62 or 63.
        assert!(has("??>>??>>", "Pz8+Pj8/Pj"));
        assert!(has("??>>??>>", "Pz8-Pj8_Pj"));
    }

    #[test]
    fn url_json_and_shell() {
        assert!(has("a/b c=d", "a%2Fb%20c%3Dd"));
        assert!(has("a/b c=d", "a%2fb%20c%3dd"));
        assert!(has("a/b c=d", "a%2Fb+c%3Dd"));
        assert!(has("say \"ü\"", "say \\\"ü\\\""));
        assert!(has("say \"ü\"", "say \\\"\\u00fc\\\""));
        assert!(has("it's $5", "it'\\''s $5"));
        assert!(has("it's $5", "it\\'s\\ \\$5"));
        assert!(has("pa$s\"word", "pa\\$s\\\"word"));
    }

    #[test]
    fn each_line_of_many() {
        let key = "-----BEGIN KEY-----\r\nabcdefghij\nxy\n-----END KEY-----\n";
        for line in ["-----BEGIN KEY-----", "abcdefghij", "-----END KEY-----"] {
            assert!(has(key, line), "{line}");
        }
        assert!(!has(key, "xy"));
        assert!(has(
            key,
            "-----BEGIN KEY-----\\r\\nabcdefghij\\nxy\\n-----END KEY-----\\n"
        ));
    }
}
