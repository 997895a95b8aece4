//! The edge's own remarks: a line each on standard error, which its supervisor keeps.

use std::io::{self, Write};

/// Says something that nobody asked for.
pub(crate) fn remark(text: &str) {
    say(&mut io::stderr().lock(), text);
}

/// Serving goes on where nobody reads any more: the supervisor that held the pipe may be gone.
fn say(to: &mut impl Write, text: &str) {
    let _ = writeln!(to, "edge: {text}");
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_remark_that_nobody_reads_costs_nothing() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        say(&mut ours, "it is read");
        let mut read = [0; 17];
        io::Read::read_exact(&mut &theirs, &mut read).unwrap();
        assert_eq!(&read, b"edge: it is read\n");
        drop(theirs);
        assert!(ours.write_all(b"broken").is_err());
        say(&mut ours, "it is not read");
    }
}
