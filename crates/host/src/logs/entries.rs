//! Which lines a query wants. Lines that continue the one before (a stack trace) belong to it: they
//! are found with it. Pure.

use std::collections::{BTreeMap, VecDeque};

use landfall_api::wire::{LogLine, LogQuery};

/// A filter that lines pass in order.
#[derive(Debug)]
pub struct Entries {
    process: Option<String>,
    grep: Option<String>,
    last: Option<usize>,
    open: BTreeMap<(String, String), Open>,
    /// Whole entries that match, while an earlier one of another process is still open.
    ended: Vec<Vec<LogLine>>,
    kept: VecDeque<LogLine>,
}

/// The entry that a process is writing.
#[derive(Debug, Default)]
struct Open {
    lines: Vec<LogLine>,
    matches: bool,
    in_traceback: bool,
}

impl Entries {
    /// A filter for a query.
    pub fn new(query: &LogQuery) -> Self {
        Self {
            process: query.process.clone(),
            grep: query.grep.clone(),
            last: query.last,
            open: BTreeMap::new(),
            ended: Vec::new(),
            kept: VecDeque::new(),
        }
    }

    /// Takes a line in; what can be said already comes out.
    pub fn take(&mut self, line: LogLine) -> Vec<LogLine> {
        if self
            .process
            .as_ref()
            .is_some_and(|process| *process != line.process)
        {
            return Vec::new();
        }
        let Some(grep) = &self.grep else {
            return self.keep(vec![line]);
        };
        let matches = line.text.contains(grep.as_str());
        let open = self
            .open
            .entry((line.instance.clone(), line.process.clone()))
            .or_default();
        if open.continues(&line.text) {
            open.matches |= matches;
            open.lines.push(line);
            return Vec::new();
        }
        let in_traceback = line.text.starts_with("Traceback");
        let before = std::mem::replace(
            open,
            Open {
                lines: vec![line],
                matches,
                in_traceback,
            },
        );
        if before.matches {
            self.ended.push(before.lines);
        }
        let lines = self.settled();
        self.keep(lines)
    }

    /// The lines of ended entries that no open one can still come before.
    fn settled(&mut self) -> Vec<LogLine> {
        let began = |lines: &[LogLine]| lines.first().map(|line| line.at);
        let open = self.open.values().filter(|open| open.matches);
        let oldest = open.filter_map(|open| began(&open.lines)).min();
        self.ended.sort_by_key(|lines| began(lines));
        let count = self
            .ended
            .partition_point(|lines| oldest.is_none_or(|oldest| began(lines) <= Some(oldest)));
        self.ended.drain(..count).flatten().collect()
    }

    /// What can be said without waiting for more: the open entries that match, as far as they are.
    /// Further lines of theirs follow as they come.
    pub fn flush(&mut self) -> Vec<LogLine> {
        for open in self.open.values_mut().filter(|open| open.matches) {
            self.ended.push(std::mem::take(&mut open.lines));
        }
        let lines = self.settled();
        self.keep(lines)
    }

    /// The end: everything that was held back.
    pub fn finish(&mut self) -> Vec<LogLine> {
        self.last = match self.last.take() {
            Some(last) => {
                self.last = Some(last);
                self.flush();
                None
            }
            None => return self.flush(),
        };
        self.kept.drain(..).collect()
    }

    /// Holds back all but the last ones, where only so many are wanted.
    fn keep(&mut self, lines: Vec<LogLine>) -> Vec<LogLine> {
        let Some(last) = self.last else { return lines };
        self.kept.extend(lines);
        while self.kept.len() > last {
            self.kept.pop_front();
        }
        Vec::new()
    }
}

impl Open {
    /// Whether a line belongs to the entry before it: indented, a cause, a traceback and its last line.
    fn continues(&mut self, text: &str) -> bool {
        // Nothing came before it.
        if self.lines.is_empty() && !self.matches {
            return false;
        }
        let indented = text.starts_with([' ', '\t']);
        if indented || text.starts_with("Caused by") || text.starts_with("... ") {
            return true;
        }
        if text.starts_with("Traceback") {
            self.in_traceback = true;
            return true;
        }
        // The exception itself stands at the margin again, right after the frames.
        std::mem::take(&mut self.in_traceback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: u64, process: &str, text: &str) -> LogLine {
        LogLine {
            at,
            service: "web".to_owned(),
            process: process.to_owned(),
            instance: "shop.local.web.1.1.1".to_owned(),
            replica: 1,
            release: 1,
            error: false,
            text: text.to_owned(),
        }
    }

    fn found(query: &LogQuery, lines: &[(&str, &str)]) -> Vec<String> {
        let mut entries = Entries::new(query);
        let mut found = Vec::new();
        for (at, (process, text)) in lines.iter().enumerate() {
            found.extend(entries.take(line(at as u64, process, text)));
        }
        found.extend(entries.finish());
        found.into_iter().map(|line| line.text).collect()
    }

    const TRACE: &[(&str, &str)] = &[
        ("api", "started"),
        ("api", "ERROR request failed"),
        ("agent", "polling"),
        ("api", "Traceback (most recent call last):"),
        ("api", "  File \"main.py\", line 3"),
        ("api", "ValueError: no such task"),
        ("api", "next request"),
        ("agent", "polling again"),
    ];

    #[test]
    fn a_stack_trace_is_found_whole_by_any_of_its_lines() {
        let whole = [
            "ERROR request failed",
            "Traceback (most recent call last):",
            "  File \"main.py\", line 3",
            "ValueError: no such task",
        ];
        for grep in ["no such task", "request failed", "main.py"] {
            let query = LogQuery {
                grep: Some(grep.to_owned()),
                ..LogQuery::default()
            };
            assert_eq!(found(&query, TRACE), whole, "{grep}");
        }
    }

    #[test]
    fn entries_of_several_processes_come_in_the_order_of_time() {
        let query = LogQuery {
            grep: Some("stopped".to_owned()),
            ..LogQuery::default()
        };
        let lines = [
            ("agent", "stopped 1"),
            ("api", "stopped 2"),
            ("api", "stopped 3"),
            ("agent", "stopped 4"),
            ("api", "stopped 5"),
        ];
        let expected: Vec<_> = lines.iter().map(|(_, text)| *text).collect();
        assert_eq!(found(&query, &lines), expected);
    }

    #[test]
    fn by_process_and_the_last_ones() {
        let query = LogQuery {
            process: Some("agent".to_owned()),
            ..LogQuery::default()
        };
        assert_eq!(found(&query, TRACE), ["polling", "polling again"]);
        let query = LogQuery {
            last: Some(2),
            ..LogQuery::default()
        };
        assert_eq!(found(&query, TRACE), ["next request", "polling again"]);
        let query = LogQuery {
            last: Some(1),
            grep: Some("polling".to_owned()),
            ..LogQuery::default()
        };
        assert_eq!(found(&query, TRACE), ["polling again"]);
    }
}
