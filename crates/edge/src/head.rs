//! A look at the raw bytes of each request, before hyper sees them.
//!
//! hyper drops `Content-Length` where `Transfer-Encoding` stands too, and takes some line ends that
//! others don't. Such requests are how one request is smuggled inside another, so they are refused
//! here. To know where heads begin, the framing of bodies is followed as well; nothing is buffered
//! but a line that spans two reads.

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Flaw {
    /// The scanner and hyper see different requests.
    Framing = 1,
    /// `Content-Length` and `Transfer-Encoding` in one head.
    BothLengths,
    /// `Content-Length` twice, or not a number.
    BadLength,
    /// `Transfer-Encoding` that isn't exactly `chunked`, or in HTTP/1.0.
    BadEncoding,
    /// A line that ends without CR.
    BareLineFeed,
    /// A header that goes on in the next line.
    FoldedHeader,
}

impl Flaw {
    pub(crate) fn from_code(code: u8) -> Self {
        [
            Self::BothLengths,
            Self::BadLength,
            Self::BadEncoding,
            Self::BareLineFeed,
            Self::FoldedHeader,
        ]
        .into_iter()
        .find(|flaw| *flaw as u8 == code)
        .unwrap_or(Self::Framing)
    }

    /// What the client reads.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Framing => "the request's length is ambiguous",
            Self::BothLengths => "Content-Length and Transfer-Encoding stand in one request",
            Self::BadLength => "Content-Length stands more than once or isn't a number",
            Self::BadEncoding => "Transfer-Encoding is anything but chunked",
            Self::BareLineFeed => "a line of the head ends without CR",
            Self::FoldedHeader => "a header goes on in the next line",
        }
    }
}

/// The longest line kept between two reads; hyper refuses heads of that size by itself.
const LONGEST_LINE: usize = 128 * 1024;
/// A chunk's size with its extensions.
const LONGEST_CHUNK_LINE: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between requests.
    Start,
    /// In a head, after its first line.
    Headers,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// After a head that asks for an upgrade.
    Undecided,
    /// Another protocol.
    Through,
    /// After a flawed head nothing more is let through.
    Refused,
    /// In a body whose framing is flawed.
    Broken,
}

#[derive(Debug, Default, Clone, Copy)]
struct Head {
    length: Option<u64>,
    chunked: bool,
    old: bool,
    get: bool,
    connect: bool,
    upgrade: bool,
    flaw: Option<Flaw>,
}

/// What [`Scanner::scan`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// All may be passed on.
    All,
    /// So many bytes may be passed on; the rest must wait until it is known whether the protocol
    /// changes.
    Wait(usize),
    /// So many bytes, to the end of a flawed head, may be passed on, nothing after them ever.
    Refuse(usize),
    /// So many bytes may be passed on; the body that goes on after them can't be understood.
    Broken(usize),
}

/// The state of one connection's requests.
#[derive(Debug)]
pub(crate) struct Scanner {
    state: State,
    head: Head,
    line: Vec<u8>,
}

/// What happened in a step, for who keeps count.
pub(crate) trait Watch {
    /// A head is over.
    fn head(&self, flaw: Option<Flaw>);
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Start,
            head: Head::default(),
            line: Vec::new(),
        }
    }

    /// Between two requests, with nothing of the next one read.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Start && self.line.is_empty()
    }

    /// In the middle of a head.
    pub(crate) fn is_in_head(&self) -> bool {
        self.state == State::Headers || (self.state == State::Start && !self.line.is_empty())
    }

    pub(crate) fn is_undecided(&self) -> bool {
        self.state == State::Undecided
    }

    pub(crate) fn is_through(&self) -> bool {
        self.state == State::Through
    }

    /// Says what the request to upgrade turned into.
    pub(crate) fn decide(&mut self, upgraded: bool) {
        if self.state == State::Undecided {
            self.state = if upgraded {
                State::Through
            } else {
                State::Start
            };
        }
    }

    /// Looks at the next bytes of the connection.
    pub(crate) fn scan(&mut self, bytes: &[u8], watch: &impl Watch) -> Found {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.state {
                State::Through => return Found::All,
                State::Refused => return Found::Refuse(at),
                State::Broken => return Found::Broken(at),
                State::Undecided => return Found::Wait(at),
                State::Body(left) | State::Chunk(left) => {
                    let taken = left.min(rest.len() as u64);
                    at += usize::try_from(taken).unwrap_or(rest.len());
                    let left = left - taken;
                    self.state = match self.state {
                        State::Body(_) if left == 0 => State::Start,
                        State::Body(_) => State::Body(left),
                        _ if left == 0 => State::ChunkEnd,
                        _ => State::Chunk(left),
                    };
                }
                State::Start
                | State::Headers
                | State::ChunkSize
                | State::ChunkEnd
                | State::Trailers => {
                    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                        return self.keep(rest, at);
                    };
                    at += end + 1;
                    if self.line.is_empty() {
                        self.line(&rest[..end], watch);
                    } else {
                        let mut line = std::mem::take(&mut self.line);
                        line.extend_from_slice(&rest[..end]);
                        self.line(&line, watch);
                        line.clear();
                        self.line = line;
                    }
                }
            }
        }
        match self.state {
            State::Refused => Found::Refuse(at),
            State::Broken => Found::Broken(at),
            _ => Found::All,
        }
    }

    fn keep(&mut self, part: &[u8], at: usize) -> Found {
        let longest = match self.state {
            State::ChunkSize | State::ChunkEnd => LONGEST_CHUNK_LINE,
            _ => LONGEST_LINE,
        };
        if self.line.len() + part.len() > longest {
            self.state = State::Broken;
            return Found::Broken(at);
        }
        self.line.extend_from_slice(part);
        Found::All
    }

    /// A whole line without its LF.
    fn line(&mut self, line: &[u8], watch: &impl Watch) {
        let (line, bare) = match line {
            [line @ .., b'\r'] => (line, false),
            line => (line, true),
        };
        match self.state {
            State::Start if line.is_empty() => {}
            State::Start => {
                self.head = Head {
                    old: !line.ends_with(b"HTTP/1.1"),
                    get: line.starts_with(b"GET "),
                    connect: line.starts_with(b"CONNECT "),
                    ..Head::default()
                };
                self.head.note(bare, Flaw::BareLineFeed);
                self.state = State::Headers;
            }
            State::Headers if line.is_empty() => {
                self.head.note(bare, Flaw::BareLineFeed);
                self.end_of_head(watch);
            }
            State::Headers => {
                self.head.note(bare, Flaw::BareLineFeed);
                self.head.header(line);
            }
            State::ChunkSize => match chunk_size(line) {
                _ if bare => self.state = State::Broken,
                Some(0) => self.state = State::Trailers,
                Some(size) => self.state = State::Chunk(size),
                None => self.state = State::Broken,
            },
            State::ChunkEnd if line.is_empty() && !bare => self.state = State::ChunkSize,
            State::Trailers if bare => self.state = State::Broken,
            State::Trailers if line.is_empty() => self.state = State::Start,
            State::Trailers => {}
            _ => self.state = State::Broken,
        }
    }

    fn end_of_head(&mut self, watch: &impl Watch) {
        let head = &mut self.head;
        head.note(head.chunked && head.length.is_some(), Flaw::BothLengths);
        head.note(head.chunked && head.old, Flaw::BadEncoding);
        watch.head(head.flaw);
        self.state = if head.flaw.is_some() || head.connect {
            State::Refused
        } else if head.chunked {
            State::ChunkSize
        } else if let Some(length) = head.length.filter(|&length| length > 0) {
            State::Body(length)
        } else if head.upgrade && head.get && !head.old {
            State::Undecided
        } else {
            State::Start
        };
    }
}

impl Head {
    fn note(&mut self, wrong: bool, flaw: Flaw) {
        if wrong && self.flaw.is_none() {
            self.flaw = Some(flaw);
        }
    }

    fn header(&mut self, line: &[u8]) {
        match line[0] {
            b' ' | b'\t' => self.note(true, Flaw::FoldedHeader),
            b'c' | b'C' | b't' | b'T' | b'u' | b'U' => {
                let Some(colon) = line.iter().position(|&byte| byte == b':') else {
                    return;
                };
                let name = line[..colon].trim_ascii();
                let value = line[colon + 1..].trim_ascii();
                if name.eq_ignore_ascii_case(b"content-length") {
                    self.note(self.length.is_some(), Flaw::BadLength);
                    self.length = number(value, 10);
                    self.note(self.length.is_none(), Flaw::BadLength);
                } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                    self.note(
                        self.chunked || !value.eq_ignore_ascii_case(b"chunked"),
                        Flaw::BadEncoding,
                    );
                    self.chunked = true;
                } else if name.eq_ignore_ascii_case(b"upgrade") {
                    self.upgrade = true;
                }
            }
            _ => {}
        }
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|&byte| byte == b';').next()?;
    number(size.trim_ascii_end(), 16)
}

/// Digits alone: no sign, no space.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = !text.is_empty() && text.bytes().all(|byte| (byte as char).is_digit(radix));
    plain.then(|| u64::from_str_radix(text, radix).ok())?
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Heads(RefCell<Vec<Option<Flaw>>>);

    impl Watch for Heads {
        fn head(&self, flaw: Option<Flaw>) {
            self.0.borrow_mut().push(flaw);
        }
    }

    /// Scans whole, and byte by byte, and wants the same of both.
    fn heads(text: &str) -> (Vec<Option<Flaw>>, State) {
        let (whole, mut scanner) = (Heads::default(), Scanner::new());
        scanner.scan(text.as_bytes(), &whole);
        let (single, mut slow) = (Heads::default(), Scanner::new());
        for byte in text.as_bytes() {
            if slow.scan(std::slice::from_ref(byte), &single) != Found::All {
                break;
            }
        }
        assert_eq!(*whole.0.borrow(), *single.0.borrow(), "{text:?}");
        assert_eq!(scanner.state, slow.state, "{text:?}");
        (whole.0.into_inner(), scanner.state)
    }

    fn flaw(headers: &str) -> Option<Flaw> {
        heads(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).0[0]
    }

    #[test]
    fn ambiguous_lengths_are_flaws() {
        for (headers, wanted) in [
            (
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                Flaw::BothLengths,
            ),
            (
                "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
                Flaw::BothLengths,
            ),
            (
                "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n",
                Flaw::BothLengths,
            ),
            (
                "Content-Length: 3\r\nContent-Length: 3\r\n",
                Flaw::BadLength,
            ),
            ("Content-Length: 3, 3\r\n", Flaw::BadLength),
            ("Content-Length: +3\r\n", Flaw::BadLength),
            ("Content-Length:\r\n", Flaw::BadLength),
            ("Content-Length: 99999999999999999999\r\n", Flaw::BadLength),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Flaw::BadEncoding,
            ),
            (
                "Transfer-Encoding: chunked, identity\r\n",
                Flaw::BadEncoding,
            ),
            ("Transfer-Encoding: xchunked\r\n", Flaw::BadEncoding),
            ("X: y\n", Flaw::BareLineFeed),
            ("X: y\r\n folded: z\r\n", Flaw::FoldedHeader),
        ] {
            assert_eq!(flaw(headers), Some(wanted), "{headers:?}");
        }
        assert_eq!(flaw("Content-Length: 0\r\n"), None);
        assert_eq!(flaw("Transfer-Encoding: Chunked\r\n"), None);
        for text in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
        ] {
            assert_eq!(heads(text).0, [Some(Flaw::BareLineFeed)], "{text:?}");
        }
        let old = heads("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").0;
        assert_eq!(old, [Some(Flaw::BadEncoding)]);
    }

    #[test]
    fn heads_are_found_behind_bodies() {
        let bad = "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n";
        for good in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "\r\nGET / HTTP/1.1\r\n\r\n".to_owned(),
            format!(
                "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{bad}",
                bad.len()
            ),
            format!(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:X};x=y\r\n{bad}\r\n0\r\nT: x\r\n\r\n",
                bad.len()
            ),
        ] {
            let (found, state) = heads(&format!("{good}{bad}after"));
            assert_eq!(found, [None, Some(Flaw::BothLengths)], "{good:?}");
            assert_eq!(state, State::Refused);
        }
    }

    #[test]
    fn a_body_with_broken_chunks_goes_no_further() {
        for body in [
            "x\r\n",
            "3\n",
            "3\r\nabcd\r\n",
            "-1\r\n",
            "0\r\nA: b\n\n",
            "fffffffffffffffff\r\n",
        ] {
            let (_, state) = heads(&format!(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
            ));
            assert_eq!(state, State::Broken, "{body:?}");
        }
    }

    #[test]
    fn what_follows_an_upgrade_waits_for_the_answer() {
        let request = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let (heads, mut scanner) = (Heads::default(), Scanner::new());
        let both = [&request[..], b"GET / HTTP/1.1\nX:y\n\n"].concat();
        assert_eq!(scanner.scan(&both, &heads), Found::Wait(request.len()));
        scanner.decide(true);
        assert_eq!(scanner.scan(&both[request.len()..], &heads), Found::All);
        assert_eq!(*heads.0.borrow(), [None]);
    }
}
