//! What is written is read back as what was meant, by a parser that others wrote.

use landfall_yaml::{
    Map, Node,
    read::{self, Limits, Reading, Value},
    write,
};
use proptest::{collection::vec, prelude::*};

/// What a document means, apart from how it is written.
#[derive(Debug, Clone, PartialEq)]
enum Meant {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Meant>),
    Map(Vec<(String, Meant)>),
}

/// What was read; fails where a word is anything but what it was written as.
fn understood(node: &read::Node) -> Meant {
    match &node.value {
        Value::Scalar(scalar) => match scalar.reading() {
            Reading::Null => Meant::Null,
            Reading::Bool(value) => Meant::Bool(value),
            Reading::Integer(value) => Meant::Integer(value),
            Reading::Text(_) => {
                assert!(
                    !scalar.is_ambiguous(),
                    "{:?} may be read as something else",
                    scalar.text
                );
                Meant::Text(scalar.text.clone())
            }
            other => panic!("{:?} was read as {other:?}", scalar.text),
        },
        Value::List(items) => Meant::List(items.iter().map(understood).collect()),
        Value::Map(map) => Meant::Map(
            map.entries
                .iter()
                .map(|entry| (entry.key.clone(), understood(&entry.value)))
                .collect(),
        ),
    }
}

#[track_caller]
fn read_back(text: &str) -> Meant {
    let documents = read::read(text.as_bytes(), &Limits::default())
        .unwrap_or_else(|problems| panic!("{problems:?} in:\n{text}"));
    assert_eq!(documents.len(), 1, "{text}");
    understood(&documents[0])
}

/// Texts that some reader has taken for something else once.
const TRICKY: [&str; 96] = [
    "",
    " ",
    "  ",
    "a ",
    " a",
    "a  b",
    "\t",
    "a\tb",
    "\ta",
    "a\t",
    "\n",
    "a\n",
    "a\n\n",
    "\na",
    "a\nb",
    "a\nb\n",
    "a\n b\n",
    " a\nb\n",
    "a \nb\n",
    "a\r\nb\r\n",
    "\r",
    "a\rb",
    "\u{85}",
    "a\u{85}b",
    "\u{2028}",
    "a\u{2028}b",
    "a\nb\u{2029}c\n",
    "\u{feff}",
    "\u{feff}a",
    "\u{fffe}",
    "\u{ffff}",
    "\u{0}",
    "\u{1}",
    "\u{7f}",
    "\u{9f}",
    "\u{a0}",
    "yes",
    "Yes",
    "YES",
    "no",
    "on",
    "off",
    "y",
    "Y",
    "n",
    "N",
    "true",
    "True",
    "false",
    "null",
    "Null",
    "NULL",
    "~",
    "None",
    "nan",
    ".nan",
    ".NaN",
    ".inf",
    "-.inf",
    "+.INF",
    "12:30:45",
    "1:2",
    "0o17",
    "017",
    "0x1F",
    "0b1",
    "1_000",
    "1e3",
    "1.",
    ".5",
    "-1",
    "+1",
    "2026-11-21",
    "2026-11-21T10:00:00Z",
    "a: b",
    "a:",
    ":a",
    "a #b",
    "#a",
    "---",
    "--- a",
    "...",
    "-",
    "- a",
    "?",
    "? a",
    "%a",
    "@a",
    "`a`",
    "&a",
    "*a",
    "!a",
    "!!str a",
    "<<",
    "=",
    "{a: b}",
];
const MORE: [&str; 24] = [
    "[a, b]",
    "a, b",
    "}",
    "]",
    "|",
    ">",
    "|-",
    "'",
    "\"",
    "'a'",
    "\"a\"",
    "a'b",
    "a\"b",
    "\\",
    "\\n",
    "a\\",
    "\u{1f600}",
    "\u{1f468}\u{200d}\u{1f469}",
    "\u{10ffff}",
    "é",
    "日本語",
    "${X:-y}",
    "$$",
    "a=b",
];

fn tricky() -> impl Iterator<Item = &'static str> {
    TRICKY.into_iter().chain(MORE)
}

#[test]
fn every_tricky_text_is_read_back_as_it_was_wherever_it_stands() {
    for text in tricky() {
        for node in [Node::Text(text.to_owned()), Node::Block(text.to_owned())] {
            let mut inner = Map::new();
            inner
                .set_noted(text, node.clone(), "a note")
                .set("z", node.clone());
            let mut document = Map::new();
            document
                .comment(text)
                .set("value", node.clone())
                .set("list", vec![node.clone(), node.clone()])
                .set(
                    "flow",
                    Node::Flow(vec![node.clone(), inner.clone().into(), node.clone()]),
                )
                .set("maps", vec![Node::Map(inner.clone()), inner.clone().into()])
                .set_noted("last", node, text);
            if text == "z" {
                continue;
            }
            let own = Meant::Text(text.to_owned());
            let map = Meant::Map(vec![
                (text.to_owned(), own.clone()),
                ("z".to_owned(), own.clone()),
            ]);
            let meant = [
                ("value", own.clone()),
                ("list", Meant::List(vec![own.clone(), own.clone()])),
                (
                    "flow",
                    Meant::List(vec![own.clone(), map.clone(), own.clone()]),
                ),
                ("maps", Meant::List(vec![map.clone(), map])),
                ("last", own),
            ];
            let meant = meant.map(|(key, value)| (key.to_owned(), value)).to_vec();
            assert_eq!(
                read_back(&write(&document)),
                Meant::Map(meant),
                "{text:?}:\n{}",
                write(&document)
            );
        }
    }
}

#[test]
fn long_texts_and_long_keys() {
    let long = "word \u{1}: # ".repeat(10_000);
    let key = "k".repeat(100_000);
    let mut document = Map::new();
    document
        .set(long.as_str(), long.as_str())
        .set(key.as_str(), vec![Node::from("a")]);
    let meant = vec![
        (long.clone(), Meant::Text(long)),
        (key, Meant::List(vec![Meant::Text("a".to_owned())])),
    ];
    assert_eq!(read_back(&write(&document)), Meant::Map(meant));
}

#[test]
fn what_holds_comments_alone_is_empty() {
    let mut comments = Map::new();
    comments.comment("Nothing").blank();
    let mut document = Map::new();
    document
        .set("a", comments.clone())
        .set("b", vec![Node::Map(comments.clone())]);
    let empty = Meant::Map(Vec::new());
    assert_eq!(
        read_back(&write(&document)),
        Meant::Map(vec![
            ("a".to_owned(), empty.clone()),
            ("b".to_owned(), Meant::List(vec![empty.clone()]))
        ])
    );
    assert_eq!(read_back(&write(&comments)), empty);
}

#[test]
fn a_list_of_lists_of_maps_that_begin_with_a_comment() {
    let mut inner = Map::new();
    inner
        .comment("First")
        .set("a", "b")
        .blank()
        .comment("Then")
        .set("c", Vec::<Node>::new());
    let mut document = Map::new();
    let list = Node::List(vec![
        Node::Map(inner.clone()),
        Node::List(vec![Node::Map(inner), "x".into()]),
    ]);
    document.set("lists", vec![list.clone(), list]);
    let map = Meant::Map(vec![
        ("a".to_owned(), Meant::Text("b".to_owned())),
        ("c".to_owned(), Meant::List(Vec::new())),
    ]);
    let list = Meant::List(vec![
        map.clone(),
        Meant::List(vec![map, Meant::Text("x".to_owned())]),
    ]);
    assert_eq!(
        read_back(&write(&document)),
        Meant::Map(vec![(
            "lists".to_owned(),
            Meant::List(vec![list.clone(), list])
        )])
    );
}

/// A text: a tricky one, or any made of what makes them tricky, or any at all.
fn text() -> impl Strategy<Value = String> {
    let all: Vec<String> = tricky().map(str::to_owned).collect();
    prop_oneof![
        proptest::sample::select(all),
        "[-a-fA-F0-9_.:+ #'\"\\\\\n\t\r,\\[\\]{}&*!|>%@`?~=<$\u{85}\u{2028}\u{feff}yesnotrufal]{0,12}",
        any::<String>(),
    ]
}

/// A node, with what it means: each meaning in any of the ways in which it can be written.
fn node() -> impl Strategy<Value = (Node, Meant)> {
    let leaf = prop_oneof![
        Just((Node::Null, Meant::Null)),
        any::<bool>().prop_map(|value| (Node::Bool(value), Meant::Bool(value))),
        any::<i64>().prop_map(|value| (Node::Integer(value), Meant::Integer(value))),
        text().prop_map(|text| (Node::Text(text.clone()), Meant::Text(text))),
        text().prop_map(|text| (Node::Block(text.clone()), Meant::Text(text))),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            (any::<bool>(), vec(inner.clone(), 0..5)).prop_map(|(flow, items)| {
                let (nodes, meant): (Vec<Node>, Vec<Meant>) = items.into_iter().unzip();
                let node = match flow {
                    true => Node::Flow(nodes),
                    false => Node::List(nodes),
                };
                (node, Meant::List(meant))
            }),
            map(inner).prop_map(|(map, meant)| (map.into(), meant)),
        ]
    })
}

/// A map, with comments, notes and blank lines here and there.
fn map(inner: impl Strategy<Value = (Node, Meant)>) -> impl Strategy<Value = (Map, Meant)> {
    vec((text(), inner, 0..4u8, text()), 0..5).prop_map(|entries| {
        let (mut map, mut meant) = (Map::new(), Vec::new());
        for (key, (node, value), around, comment) in entries {
            match around {
                0 => map.comment(comment.as_str()),
                1 => map.blank(),
                _ => &mut map,
            };
            if meant.iter().any(|(known, _)| *known == key) {
                continue;
            }
            match around {
                2 => map.set_noted(key.as_str(), node, comment),
                _ => map.set(key.as_str(), node),
            };
            meant.push((key, value));
        }
        (map, Meant::Map(meant))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_document_is_read_back_as_it_was_meant((document, meant) in map(node())) {
        let text = write(&document);
        prop_assert_eq!(read_back(&text), meant, "{}", text);
    }
}
