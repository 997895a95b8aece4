//! Masking of whole texts, and of streams whatever the size of their pieces.

use std::{borrow::Cow, mem::take, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::forms::forms;

/// What stands in a secret's place.
pub const MASK: &[u8] = b"***";

/// The shortest value that is masked, in bytes: masking `1` or `info` ruins the output.
pub const MINIMUM: usize = 6;

/// Replaces every registered value, in each of the forms in which values leak, by [`MASK`].
///
/// Matches that overlap are masked as one, so that no rest of either stays.
#[derive(Clone)]
pub struct Masker {
    automaton: Option<Arc<AhoCorasick>>,
    longest: usize,
}

impl Masker {
    /// Registers values by name; the warnings, whole sentences, name those that are too short.
    pub fn new<Name: AsRef<str>, Value: AsRef<str>>(
        values: impl IntoIterator<Item = (Name, Value)>,
    ) -> (Self, Vec<String>) {
        let mut patterns = Vec::new();
        let mut warnings = Vec::new();
        for (name, value) in values {
            let value = value.as_ref();
            // A value of nothing but the mask's own sign has nothing to hide behind it.
            if value.bytes().all(|byte| byte == b'*') || value.trim().len() < MINIMUM {
                if !value.is_empty() {
                    warnings.push(format!(
                        "{} is not masked in logs: it is shorter than {MINIMUM} characters.",
                        name.as_ref()
                    ));
                }
                continue;
            }
            patterns.extend(forms(value, MINIMUM));
        }
        patterns.sort();
        patterns.dedup();
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        // The contiguous automaton is a tenth of the size of the deterministic one, and quick enough.
        let automaton = (!patterns.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&patterns)
                .expect(
                    "a process's secrets are far fewer than the 2^31 states an automaton may have",
                )
        });
        (
            Self {
                automaton: automaton.map(Arc::new),
                longest,
            },
            warnings,
        )
    }

    /// One that masks nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            automaton: None,
            longest: 0,
        }
    }

    /// Whether the text holds anything to mask: quicker than masking it.
    #[must_use]
    pub fn touches(&self, text: &[u8]) -> bool {
        self.automaton
            .as_ref()
            .is_some_and(|automaton| automaton.is_match(text))
    }

    /// A whole text, masked.
    #[must_use]
    pub fn mask<'text>(&self, text: &'text [u8]) -> Cow<'text, [u8]> {
        if !self.touches(text) {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in self.spans(text, 0) {
            out.extend_from_slice(&text[at..start]);
            out.extend_from_slice(MASK);
            at = end;
        }
        out.extend_from_slice(&text[at..]);
        Cow::Owned(out)
    }

    /// A whole text, masked, as text.
    #[must_use]
    pub fn mask_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask(text.as_bytes())).into_owned()
    }

    /// A masker for a stream.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream {
            masker: self.clone(),
            held: Vec::new(),
            masked: 0,
        }
    }

    /// The parts to mask, in order, none overlapping; the first `masked` bytes count as one.
    fn spans(&self, text: &[u8], masked: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        if masked > 0 {
            found.push((0, masked));
        }
        if let Some(automaton) = &self.automaton {
            found.extend(
                automaton
                    .find_overlapping_iter(text)
                    .map(|found| (found.start(), found.end())),
            );
        }
        found.sort_unstable();
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match spans.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => spans.push((start, end)),
            }
        }
        spans
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker(***)")
    }
}

/// Masks a stream: holds back as much as the longest form needs, so that none slips through between
/// two pieces. What comes out is what [`Masker::mask`] makes of the whole.
#[derive(Debug)]
pub struct Stream {
    masker: Masker,
    held: Vec<u8>,
    /// How much of `held`, from its start, belongs to a part whose mask went out already.
    masked: usize,
}

impl Stream {
    /// Takes a piece in and appends what is sure by now to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(piece);
        let keep = self.masker.longest.saturating_sub(1);
        let cut = self.held.len().saturating_sub(keep);
        if cut > 0 {
            self.emit(cut, out);
        }
    }

    /// Appends the rest to `out`; the stream begins anew.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.emit(self.held.len(), out);
        self.held = Vec::new();
    }

    /// How many bytes it holds back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Emits what stands before `cut`. Matches that start there end within what is held, since no
    /// form is longer than what stays; one that reaches over the cut is remembered.
    fn emit(&mut self, cut: usize, out: &mut Vec<u8>) {
        let already = take(&mut self.masked);
        let mut at = 0;
        for (start, end) in self.masker.spans(&self.held, already) {
            if start >= cut {
                break;
            }
            out.extend_from_slice(&self.held[at..start]);
            if !(start == 0 && already > 0) {
                out.extend_from_slice(MASK);
            }
            at = end;
        }
        if at < cut {
            out.extend_from_slice(&self.held[at..cut]);
        } else {
            self.masked = at - cut;
        }
        self.held.drain(..cut);
    }
}
