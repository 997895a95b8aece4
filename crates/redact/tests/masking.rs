//! What masking promises: no registered value survives in any of its forms, however the text is cut.

use landfall_redact::{MINIMUM, Masker};
use proptest::prelude::*;

fn masker(values: &[&str]) -> Masker {
    let (masker, warnings) = Masker::new(values.iter().map(|value| ("NAME", value)));
    assert_eq!(warnings, Vec::<String>::new());
    masker
}

fn in_pieces(masker: &Masker, text: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut stream = masker.stream();
    let mut out = Vec::new();
    let mut rest = text;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(1).clamp(1, rest.len());
        stream.push(&rest[..size], &mut out);
        rest = &rest[size..];
    }
    stream.finish(&mut out);
    out
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn short_values_are_named_and_left() {
    let (masker, warnings) = Masker::new([("LEVEL", "info"), ("TOKEN", "abcdefgh"), ("EMPTY", "")]);
    assert_eq!(
        warnings,
        ["LEVEL is not masked in logs: it is shorter than 6 characters."]
    );
    assert_eq!(masker.mask_text("info: abcdefgh"), "info: ***");
}

#[test]
fn overlapping_values_leave_no_rest() {
    let masker = masker(&["abcdefgh", "efghijkl", "abcdefghijkl-longer"]);
    assert_eq!(masker.mask_text("<abcdefghijkl>"), "<***>");
    assert_eq!(masker.mask_text("abcdefghijkl-longer"), "***");
    assert_eq!(masker.mask_text("abcdefghefghijkl"), "******");
}

#[test]
fn a_run_without_end_is_held_in_bounded_memory() {
    let masker = masker(&["aaaaaaaa"]);
    let mut stream = masker.stream();
    let mut out = Vec::new();
    for _ in 0..10_000 {
        stream.push(b"aaaaaaaaaa", &mut out);
        assert!(stream.held() < 100);
    }
    stream.push(b" end", &mut out);
    stream.finish(&mut out);
    assert_eq!(out, b"*** end");
}

#[test]
fn nothing_registered_changes_nothing() {
    let masker = Masker::none();
    assert_eq!(&*masker.mask(b"any"), b"any");
    assert_eq!(in_pieces(&masker, b"any text", &[3]), b"any text");
}

#[test]
fn debug_shows_no_value() {
    let masker = masker(&["sesame-open"]);
    let mut stream = masker.stream();
    stream.push(b"sesame", &mut Vec::new());
    assert!(!format!("{masker:?}").contains("sesame"));
}

/// Encoders of their own, so that the forms are not checked against themselves.
fn base64(bytes: &[u8], alphabet: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let number = group
            .iter()
            .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte))
            << (8 * (3 - group.len()));
        for index in 0..=group.len() {
            out.push(char::from(
                alphabet[(number >> (18 - 6 * index)) as usize & 63],
            ));
        }
    }
    out
}

fn percent(text: &str, upper: bool) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ if upper => format!("%{byte:02X}"),
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

// Without `*`: a value that holds the mask itself can be put together by masking.
const VALUE: &str = r#"[a-e/+=@'"\\ $%?>&é-]{6,24}"#;

proptest! {
    #[test]
    fn pieces_give_what_the_whole_gives(
        values in prop::collection::vec("[ab]{6,9}", 1..4),
        text in "[abc]{0,300}",
        sizes in prop::collection::vec(1_usize..40, 1..8),
    ) {
        let (masker, _) = Masker::new(values.iter().map(|value| ("NAME", value)));
        let whole = masker.mask(text.as_bytes()).into_owned();
        prop_assert_eq!(&in_pieces(&masker, text.as_bytes(), &sizes), &whole);
        for value in &values {
            prop_assert!(!contains(&whole, value.as_bytes()), "{} survives", value);
        }
    }

    #[test]
    fn no_form_survives(
        value in VALUE,
        before in "[a-z ]{0,9}",
        after in "[a-z ]{0,9}",
        sizes in prop::collection::vec(1_usize..64, 1..8),
    ) {
        prop_assume!(value.trim().len() >= MINIMUM);
        let (masker, _) = Masker::new([("NAME", &value)]);
        let json = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        for form in [
            value.clone(),
            percent(&value, true),
            percent(&value, false),
            json(&value),
            json(&value).replace('é', "\\u00e9"),
            json(&value).replace('/', "\\/"),
            value.replace('\'', "'\\''"),
        ] {
            let text = format!("{before}{form}{after}");
            let masked = in_pieces(&masker, text.as_bytes(), &sizes);
            prop_assert!(!contains(&masked, form.as_bytes()), "{form} survives in {text}");
        }
    }

    #[test]
    fn base64_survives_at_no_offset(value in VALUE, before in "[ -)+-~]{0,5}", after in "[ -)+-~]{0,5}", safe in any::<bool>()) {
        prop_assume!(value.trim().len() >= MINIMUM + 2);
        let alphabet: &[u8] = if safe {
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        } else {
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        };
        let text = base64(format!("{before}{value}{after}").as_bytes(), alphabet);
        let (masker, _) = Masker::new([("NAME", &value)]);
        let masked = masker.mask(text.as_bytes()).into_owned();
        // What is left beside the mask is too short to hold the value: at most what the bytes
        // around it make, and one shared character on each side.
        prop_assert!(contains(&masked, b"***"), "{text} is not masked");
        let left = masked.len() - 3;
        prop_assert!(left <= (before.len() + after.len()) * 4 / 3 + 4, "{} of {text} left", String::from_utf8_lossy(&masked));
    }
}
