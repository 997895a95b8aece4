//! What is read, and what is refused.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use landfall_yaml::read::{Limits, Node, Problem, Style, Value, read};
use proptest::prelude::*;

fn one(text: &str) -> Node {
    let mut documents = read(text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

fn wrong(text: impl AsRef<[u8]>) -> Vec<Problem> {
    read(text.as_ref(), &Limits::default()).unwrap_err().0
}

fn first(text: impl AsRef<[u8]>) -> String {
    wrong(text)[0].to_string()
}

#[test]
fn keys_and_values_know_their_places_and_keep_their_order() {
    let text = "# c\nb: 'x'\na:\n  - é: !reset 5\n    k: |\n      l\n      m\n";
    let node = one(text);
    let map = node.map().unwrap();
    let keys: Vec<_> = map.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["b", "a"]);
    assert_eq!(
        (map.entries[0].span.line, map.entries[0].span.column),
        (2, 1)
    );
    let b = node.get("b").unwrap();
    assert_eq!(&text[b.span.start..b.span.end], "'x'");
    assert_eq!(b.scalar().unwrap().style, Style::Quoted);
    let item = &node.get("a").unwrap().list().unwrap()[0];
    let five = item.get("é").unwrap();
    assert_eq!(five.tag.as_deref(), Some("!reset"));
    assert_eq!((five.span.line, five.as_integer()), (4, Some(5)));
    let block = item.get("k").unwrap();
    assert_eq!(
        (block.text(), block.scalar().unwrap().style),
        (Some("l\nm\n"), Style::Block)
    );
    assert_eq!(item.map().unwrap().entries[1].span.column, 5);
}

#[test]
fn an_alias_is_a_copy_with_the_places_of_its_anchor() {
    let node = one("a: &x {k: 1}\nb: *x\n");
    assert_eq!(node.get("a"), node.get("b"));
    assert_eq!(node.get("b").unwrap().span.line, 1);
}

#[test]
fn merge_keys_give_way_to_the_mapping_itself_and_the_first_of_several_wins() {
    let node = one(
        "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 0\nq:\n  \"<<\": text\nn: &n\n  <<: *x\n  d: 5\nm:\n  <<: *n\n",
    );
    let z = node.get("z").unwrap();
    let get = |key| z.get(key).unwrap().as_integer();
    assert_eq!((get("a"), get("b"), get("c")), (Some(0), Some(2), Some(4)));
    assert!(z.get("<<").is_none());
    assert_eq!(
        node.get("q").unwrap().get("<<").unwrap().text(),
        Some("text")
    );
    assert_eq!(node.get("m").unwrap().map().unwrap().entries.len(), 3);
    assert!(first("a:\n  <<: text\n").contains("takes a mapping"));
}

#[test]
fn a_key_that_stands_twice_is_told_with_both_lines_and_all_of_them_at_once() {
    let problems = wrong("a: 1\nb:\n  c: 1\n  c: 2\na: 2\n");
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0].span.line, 4);
    assert_eq!(problems[0].related.unwrap().line, 3);
    assert_eq!(problems[1].span.line, 5);
    assert!(
        problems[1]
            .message
            .contains("`a` stands here a second time; it stands in line 1")
    );
}

#[test]
fn readings_of_words_by_whoever_asks() {
    let node = one(
        "no: no\nd: 012\nt: 12:30:45\nq: \"yes\"\ns: !!str 12\nn:\nf: 1.50\nl: [80, \"80\", ~]\n",
    );
    let get = |key| node.get(key).unwrap();
    assert_eq!(
        (get("no").as_bool(), get("no").as_text().as_deref()),
        (Some(false), Some("no"))
    );
    assert_eq!(
        (get("d").as_integer(), get("d").text()),
        (Some(10), Some("012"))
    );
    assert_eq!(get("t").as_text().as_deref(), Some("12:30:45"));
    assert_eq!(get("q").as_bool(), Some(true));
    assert_eq!(
        (get("s").as_text().as_deref(), get("s").kind()),
        (Some("12"), "a text")
    );
    assert!(get("n").is_null() && get("n").as_text().is_none());
    assert_eq!(
        (get("f").as_text().as_deref(), get("f").as_number()),
        (Some("1.5"), Some(1.5))
    );
    let list: Vec<_> = get("l")
        .list()
        .unwrap()
        .iter()
        .map(Node::as_integer)
        .collect();
    assert_eq!(list, [Some(80), Some(80), None]);
}

#[test]
fn a_byte_order_mark_windows_line_ends_and_several_documents_are_read() {
    assert_eq!(
        one("\u{feff}a: 1\r\nb:\r\n  - x\r\n")
            .get("b")
            .unwrap()
            .list()
            .unwrap()
            .len(),
        1
    );
    let documents = read(b"a: 1\n---\n---\nb: 2\n...\n", &Limits::default()).unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].get("b").unwrap().span.line, 4);
    assert!(read(b"", &Limits::default()).unwrap().is_empty());
    assert!(read(b"# nothing\n", &Limits::default()).unwrap().is_empty());
    // Anchors end with their document.
    assert!(first("a: &x 1\n---\nb: *x\n").contains("line 3: `*x`"));
}

#[test]
fn what_is_no_text_is_refused_with_its_line() {
    assert!(first(b"a: 1\nb: \xff\n").contains("line 2: the file is not UTF-8"));
    assert!(first(b"a: 1\n\nb: \0\n").contains("line 3: a NUL"));
    assert!(first(b"\xff\xfea\0").contains("UTF-16"));
    let limits = Limits {
        bytes: 3,
        ..Limits::default()
    };
    assert!(
        read(b"a: 1", &limits)
            .unwrap_err()
            .to_string()
            .contains("at most 3")
    );
}

#[test]
fn mistakes_are_told_with_their_line_and_what_was_expected() {
    for (text, expected) in [
        ("a:\n\tb: 1\n", "line 2: a tab"),
        ("a: [1, 2\nb: 3\n", "line 2: "),
        ("a: [1, 2\n", "line "),
        ("a: 'x\n", "a quote is opened"),
        ("a:\n  b: 1\n c: 2\n", "line 3: "),
        ("a: @x\n", "`@` can't begin"),
        ("a: \"\\q\"\n", "an escape"),
        ("a: b: c\n", "line 1: "),
        ("a: *x\n", "`*x` names an anchor"),
        ("a: &x [*x]\n", "an anchor that holds itself"),
        ("a: &x\n  b:\n    <<: *x\n", "an anchor that holds itself"),
        ("{a: 1}: 2\n", "a mapping can't be a key"),
        ("- [a]: 2\n", "a list can't be a key"),
        ("a: {{ x }}\n", "a mapping can't be a key"),
    ] {
        let problems = wrong(text);
        assert!(
            problems[0].to_string().contains(expected),
            "{text:?}: {}",
            problems[0]
        );
        assert!(problems[0].mend.is_some(), "{text:?}");
    }
    // A mistake in one document doesn't hide one in the next.
    assert_eq!(wrong("a: 'x\n").len(), 1);
    assert_eq!(wrong("a: [}\n---\nb: 1\nb: 2\n").len(), 2);
}

#[test]
fn bombs_are_refused_quickly() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let text = format!(
        "a: &a \"{}\"\nb: [{}]\n",
        "x".repeat(1 << 20),
        ["*a"; 100].join(", ")
    );
    let anchors = (0..100_000).map(|n| format!("&a{n} [")).collect::<String>();
    let merges: String = (1..40)
        .map(|n| {
            format!(
                "m{n}: &m{n}\n  <<: [{}]\n  k{n}: 1\n",
                vec![format!("*m{}", n - 1); 9].join(", ")
            )
        })
        .collect();
    for (name, text) in [
        ("laughs", laughs),
        ("text", text),
        ("anchors", anchors),
        ("flow", "[".repeat(1 << 20)),
        ("block", "- ".repeat(1 << 20)),
        ("keys", "? ".repeat(1 << 20)),
        ("many", format!("[{}]", "a,".repeat(1 << 20))),
        ("questions", "{? ".repeat(1 << 19)),
        ("merges", format!("m0: &m0 {{k: 1}}\n{merges}")),
    ] {
        let begun = Instant::now();
        let _ = read(text.as_bytes(), &Limits::default())
            .map(|nodes| assert_eq!(name, "merges", "{}", nodes.len()));
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn a_text_that_is_written_is_read_back() {
    // The other direction has its own property in `write`; this one is about the reader's own limits.
    let depth = 128;
    let deep: String = (0..depth - 1)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    assert!(read(deep.as_bytes(), &Limits::default()).is_ok());
    let deeper: String = (0..depth + 2)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    assert!(first(deeper).contains("deep in each other"));
}

const SAMPLE: &str = "x-e: &e\n  A: 1\n  B: \"x: y\"\nservices:\n  web: &w\n    image: 'a:1'\n    command: [\"a\", b, {c: d}]\n    environment:\n      <<: *e\n      C: |\n        l\n        m\n    ports:\n      - 80:80\n      - \"443\"\n  b:\n    <<: *w\n    x: !reset null\n---\nz: ~\n";

fn walk(node: &Node, text: &str) {
    assert!(node.span.line >= 1 && node.span.column >= 1);
    assert!(node.span.start <= node.span.end && node.span.end <= text.len());
    match &node.value {
        Value::Scalar(_) => {
            let _ = (
                node.reading(),
                node.as_text(),
                node.as_integer(),
                node.as_bool(),
                node.kind(),
            );
        }
        Value::List(items) => items.iter().for_each(|item| walk(item, text)),
        Value::Map(map) => {
            for (at, entry) in map.entries.iter().enumerate() {
                assert!(map.entries[..at].iter().all(|other| other.key != entry.key));
                walk(&entry.value, text);
            }
        }
    }
}

fn try_it(bytes: &[u8]) {
    match read(bytes, &Limits::default()) {
        Ok(nodes) => {
            let text = std::str::from_utf8(bytes).unwrap();
            nodes.iter().for_each(|node| walk(node, text));
        }
        Err(problems) => {
            assert!(!problems.0.is_empty());
            assert!(
                problems
                    .0
                    .iter()
                    .all(|p| p.span.line >= 1 && !p.message.is_empty())
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        try_it(&bytes);
    }

    #[test]
    fn no_text_of_yamls_own_signs_makes_it_panic(text in "[-?:,\\[\\]{}#&*!|>'\"%@`<~ \\t\\n\\r a0é=$]{0,120}") {
        try_it(text.as_bytes());
    }

    #[test]
    fn no_change_of_a_file_makes_it_panic(
        edits in proptest::collection::vec((0..SAMPLE.len(), 0..12usize, "[-?:,\\[\\]{}#&*!|>'\"<~ \\t\\n a0]{0,4}"), 1..6),
    ) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for (at, length, text) in edits {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, text.bytes());
        }
        try_it(&bytes);
    }
}
