//! The host's own remarks: a line each on standard error, which its starter keeps in `host.log`.

use std::io::Write as _;

/// Says something that no client asked for. Where nobody reads it any more, the host goes on.
pub fn remark(text: &str) {
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let _ = writeln!(std::io::stderr().lock(), "{at} {text}");
}
