//! From the parser's events to a tree, with an own stack, so that no file is too deep for it.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};

use super::{Entry, Limits, Mapping, Node, Problem, Problems, Scalar, Span, Style, Value, problem};

/// More aren't told: the first ones are the ones that get mended.
const TOLD: usize = 20;

/// A list or a mapping that isn't closed yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value. None: a key comes next.
    key: Option<Key>,
    /// Where each key stood first; merged ones aren't in it.
    seen: HashMap<String, Span>,
    /// What `<<` brings in.
    merged: Vec<Node>,
}

struct Key {
    text: String,
    span: Span,
    /// Whether it is `<<`.
    merges: bool,
}

/// What an anchor stands for.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
    depth: usize,
}

struct Builder<'a> {
    limits: &'a Limits,
    documents: Vec<Node>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    problems: Vec<Problem>,
    nodes: usize,
    copied_bytes: usize,
}

/// Reading ends here, whatever else is in the file.
struct Stop;

pub(super) fn build(text: &str, limits: &Limits) -> Result<Vec<Node>, Problems> {
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder {
        limits,
        documents: Vec::new(),
        stack: Vec::new(),
        anchors: HashMap::new(),
        problems: Vec::new(),
        nodes: 0,
        copied_bytes: 0,
    };
    while let Some(event) = parser.next_event() {
        let outcome = match event {
            Ok((event, span)) => {
                let span = place(&span, text);
                builder.event(event, span)
            }
            Err(error) => {
                builder.tell(syntax(&error, text));
                // What stands in the next document can be wrong too.
                builder.stack.clear();
                builder.anchors.clear();
                match parser.proceed_next_document() {
                    Ok(true) => Ok(()),
                    _ => Err(Stop),
                }
            }
        };
        if outcome.is_err() || builder.problems.len() >= TOLD {
            break;
        }
    }
    if builder.problems.is_empty() {
        Ok(builder.documents)
    } else {
        builder
            .problems
            .sort_by_key(|problem| (problem.span.line, problem.span.column));
        // What an anchor has wrong is wrong wherever it is used.
        builder.problems.dedup();
        Err(Problems(builder.problems))
    }
}

impl Builder<'_> {
    fn tell(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        if event.is_node() && !event.is_alias() {
            self.count(1, 0, span)?;
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    _ => Style::Block,
                };
                let node = Node {
                    span,
                    tag: tag.as_deref().map(written),
                    value: Value::Scalar(Scalar {
                        text: text.into_owned(),
                        style,
                    }),
                };
                self.complete(node, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Value::List(Vec::new()), span, anchor, tag.as_deref())
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(Value::Map(Mapping::default()), span, anchor, tag.as_deref())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut open) = self.stack.pop() else {
                    return Ok(());
                };
                open.node.span.end = span.end.max(open.node.span.start);
                self.merge(&mut open);
                self.complete(open.node, open.anchor)
            }
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let message = format!("`*{name}` names an anchor that isn't there");
                let mend =
                    format!("an anchor stands before what it marks and before its use: `&{name}`");
                self.tell(problem(span, message, &mend));
                self.complete(nothing(span), 0)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn open(
        &mut self,
        value: Value,
        span: Span,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Stop> {
        if self.stack.len() >= self.limits.depth {
            return self.too_deep(span);
        }
        self.stack.push(Open {
            node: Node {
                span,
                tag: tag.map(written),
                value,
            },
            anchor,
            key: None,
            seen: HashMap::new(),
            merged: Vec::new(),
        });
        Ok(())
    }

    fn too_deep(&mut self, span: Span) -> Result<(), Stop> {
        let message = format!(
            "lists and mappings stand more than {} deep in each other",
            self.limits.depth
        );
        self.tell(problem(span, message, ""));
        Err(Stop)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&id) else {
            self.tell(problem(
                span,
                "an anchor that holds itself: what it stands for would never end",
                "take the alias out of what its anchor marks",
            ));
            return self.complete(nothing(span), 0);
        };
        if self.stack.len() + anchored.depth > self.limits.depth {
            return self.too_deep(span);
        }
        let (nodes, bytes) = (anchored.nodes, anchored.bytes);
        self.count(nodes, bytes, span)?;
        match self.anchors.get(&id) {
            Some(anchored) => self.complete_at(anchored.node.clone(), 0, span),
            None => Ok(()),
        }
    }

    /// Counts what is about to be kept.
    fn count(&mut self, nodes: usize, copied_bytes: usize, span: Span) -> Result<(), Stop> {
        self.nodes += nodes;
        self.copied_bytes += copied_bytes;
        let message = if self.nodes > self.limits.nodes {
            format!("the file holds more than {} values", self.limits.nodes)
        } else if self.copied_bytes > self.limits.copied_bytes {
            format!(
                "aliases stand for more than {} bytes",
                self.limits.copied_bytes
            )
        } else {
            return Ok(());
        };
        let mend = "aliases of aliases multiply: write less by them";
        self.tell(problem(span, message, mend));
        Err(Stop)
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        let span = node.span;
        self.complete_at(node, anchor, span)
    }

    /// A node is whole: it becomes a key, a value, an item or a document. `span`: where it stands, which
    /// for an alias is not where its content does.
    fn complete_at(&mut self, node: Node, anchor: usize, span: Span) -> Result<(), Stop> {
        if anchor > 0 {
            let (nodes, bytes, depth) = size(&node);
            // Keeping what an anchor marks is a copy too: anchors in anchors would be quadratic.
            self.count(nodes, bytes, span)?;
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    nodes,
                    bytes,
                    depth,
                },
            );
        }
        let Some(open) = self.stack.last_mut() else {
            if !(node.is_null() && node.tag.is_none()) {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(map) => match open.key.take() {
                None => {
                    let merges = is_merge(&node);
                    let Value::Scalar(scalar) = node.value else {
                        let kind = match node.value {
                            Value::List(_) => "a list",
                            _ => "a mapping",
                        };
                        self.tell(problem(
                            span,
                            format!("{kind} can't be a key"),
                            "expected a word; to put in a template, quote it: \"{{ x }}\"",
                        ));
                        open_key(&mut self.stack, span);
                        return Ok(());
                    };
                    if let Some(first) = open.seen.get(&scalar.text) {
                        let message = format!(
                            "`{}` stands here a second time; it stands in line {} already",
                            scalar.text, first.line
                        );
                        let mut problem = problem(span, message, "take one of them out");
                        problem.related = Some(*first);
                        self.problems.push(problem);
                    } else {
                        open.seen.insert(scalar.text.clone(), span);
                    }
                    open.key = Some(Key {
                        text: scalar.text,
                        span,
                        merges,
                    });
                }
                Some(key) if key.merges => open.merged.push(node),
                Some(key) => map.entries.push(Entry {
                    key: key.text,
                    span: key.span,
                    value: node,
                }),
            },
            Value::Scalar(_) => {}
        }
        Ok(())
    }

    /// Puts in what the merge keys of a mapping bring: nothing that it says itself, and of several the
    /// first that says it.
    fn merge(&mut self, open: &mut Open) {
        let Value::Map(map) = &mut open.node.value else {
            return;
        };
        for source in std::mem::take(&mut open.merged) {
            let span = source.span;
            let sources = match source.value {
                Value::List(items) => items,
                _ => vec![source],
            };
            for source in sources {
                let Value::Map(source) = source.value else {
                    self.problems.push(problem(
                        span,
                        "`<<` takes a mapping or a list of mappings",
                        "expected an alias: `<<: *name`",
                    ));
                    continue;
                };
                for entry in source.entries {
                    if !open.seen.contains_key(&entry.key) {
                        open.seen.insert(entry.key.clone(), entry.span);
                        map.entries.push(entry);
                    }
                }
            }
        }
    }
}

/// A key that can't be one: its value is read and dropped with the file.
fn open_key(stack: &mut [Open], span: Span) {
    if let Some(open) = stack.last_mut() {
        open.key = Some(Key {
            text: String::new(),
            span,
            merges: false,
        });
    }
}

fn is_merge(node: &Node) -> bool {
    match node.tag.as_deref() {
        Some("!!merge") => true,
        Some(_) => false,
        None => {
            matches!(&node.value, Value::Scalar(Scalar { text, style: Style::Plain }) if text == "<<")
        }
    }
}

fn nothing(span: Span) -> Node {
    Node {
        span,
        tag: None,
        value: Value::Scalar(Scalar {
            text: String::new(),
            style: Style::Plain,
        }),
    }
}

/// Nodes, bytes of text and depth. No deeper than the limit, so it may call itself.
fn size(node: &Node) -> (usize, usize, usize) {
    let add = |sum: (usize, usize, usize), more: (usize, usize, usize)| {
        (sum.0 + more.0, sum.1 + more.1, sum.2.max(more.2 + 1))
    };
    match &node.value {
        Value::Scalar(scalar) => (1, scalar.text.len(), 0),
        Value::List(items) => items.iter().map(size).fold((1, 0, 1), add),
        Value::Map(map) => map.entries.iter().fold((1, 0, 1), |sum, entry| {
            let (nodes, bytes, depth) = size(&entry.value);
            add(sum, (nodes + 1, bytes + entry.key.len(), depth))
        }),
    }
}

/// A tag as it is written where it is one of YAML's own or a local one.
fn written(tag: &Tag) -> String {
    match tag.core_suffix() {
        Some(suffix) => format!("!!{suffix}"),
        None => tag.original(),
    }
}

fn place(span: &granit_parser::Span, text: &str) -> Span {
    let start = span.start.byte_offset().unwrap_or(text.len());
    Span {
        line: span.start.line(),
        column: span.start.col() + 1,
        start,
        end: span.end.byte_offset().unwrap_or(text.len()).max(start),
    }
}

/// A mistake of syntax in words that say what was expected.
fn syntax(error: &ScanError, text: &str) -> Problem {
    let marker = error.marker();
    let start = marker.byte_offset().unwrap_or(text.len()).min(text.len());
    let span = Span {
        line: marker.line(),
        column: marker.col() + 1,
        start,
        end: start,
    };
    const QUOTE: &str = "quote a text that holds `: ` or begins with one of `{ [ & * ! | > % @ \"`";
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => problem(
            span,
            "a tab where only spaces can indent",
            "put spaces in its place",
        ),
        ErrorKind::RecursionLimitExceeded => {
            problem(span, "lists and mappings stand too deep in each other", "")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey => problem(
            span,
            "expected a key and its `:`, indented as the ones before it",
            "look at the indentation of this line and the one before",
        ),
        ErrorKind::InvalidIndentation => problem(
            span,
            "the indentation fits none of the lines before",
            "expected as many spaces as its siblings have",
        ),
        ErrorKind::InvalidColonPlacement | ErrorKind::MappingValueNotAllowed => {
            problem(span, "a `:` where no key can stand", QUOTE)
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => problem(
            span,
            "a quote is opened and not closed",
            "expected a closing quote",
        ),
        ErrorKind::UnclosedFlowCollection { open } => {
            problem(span, format!("`{open}` is opened and not closed"), QUOTE)
        }
        ErrorKind::UnexpectedCharacter { character } => problem(
            span,
            format!("`{}` can't begin a value", character.escape_default()),
            QUOTE,
        ),
        ErrorKind::UnknownQuotedScalarEscape => problem(
            span,
            "an escape that YAML doesn't have, in double quotes",
            "in single quotes a backslash is a backslash",
        ),
        ErrorKind::UndeclaredTagHandle => {
            problem(span, "a tag with a prefix that isn't declared", QUOTE)
        }
        other => problem(span, other.to_string(), QUOTE),
    }
}
