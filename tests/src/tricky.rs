//! Texts that readers take for something else.

/// Values of all kinds that some reader took for something else once, and any made of their characters.
pub fn texts() -> Vec<String> {
    let mut all: Vec<String> = [
        "",
        " ",
        "a ",
        " a",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "Y",
        "~",
        "null",
        "true",
        "12:30:45",
        "0o17",
        "017",
        "0x1F",
        "1_000",
        "1e3",
        ".inf",
        ".nan",
        "-1",
        "2026-11-21",
        "a: b",
        "a #b",
        "#",
        "---",
        "...",
        "- a",
        "%a",
        "@a",
        "`a`",
        "\t",
        "a\tb",
        "a\nb",
        "a\nb\n",
        "\r\n",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{1f600}",
        "\u{10ffff}",
        "'",
        "\"",
        "\\",
        "a\\nb",
        "{a}",
        "[a]",
        "$",
        "$$",
        "$HOME",
        "a$",
        "a}b",
        "!a",
        "&a",
        "*a",
        "<<",
        "=",
        "?",
        "|",
        ">",
        ":-",
        ":?x",
        "a:-b",
        "a:?b",
        "a+b",
        "-",
        "é",
        "日本語",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push("long ".repeat(20_000));
    // The same numbers each time: what fails once fails again.
    let mut state: u64 = 0x1234_5678_9abc_def1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("it is below a usize")
    };
    let alphabet: Vec<char> =
        "-:?+#'\"\\ \t\n\r[]{}&*!|>%@`~=<$,.0123eExXoOyn\u{85}\u{2028}\u{a0}\u{1f4a9}\u{0301}aß"
            .chars()
            .collect();
    for _ in 0..400 {
        let length = 1 + next(9);
        all.push(
            (0..length)
                .map(|_| alphabet[next(alphabet.len())])
                .collect(),
        );
    }
    all
}
