//! Commands in a running container, with streams longer than memory should hold.

use crate::support::{self, Place, words};
use landfall_containers::Command;
use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const LONG: u64 = 100 << 20;
/// Far more than all the buffers on the way hold.
const HELD: u64 = 16 << 20;

fn byte(position: u64) -> u8 {
    (position.wrapping_mul(2_654_435_761) >> 13) as u8
}

#[derive(Default)]
struct Counts {
    read: AtomicU64,
    written: AtomicU64,
    most: AtomicU64,
    open: AtomicBool,
}

/// A hundred megabytes of which each byte is known.
struct Source<'a>(&'a Counts);

impl AsyncRead for Source<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let from = self.0.read.load(Ordering::Relaxed);
        let count = (LONG - from).min(buffer.remaining() as u64);
        let bytes: Vec<u8> = (from..from + count).map(byte).collect();
        buffer.put_slice(&bytes);
        self.0.read.store(from + count, Ordering::Relaxed);
        let held = from + count - self.0.written.load(Ordering::Relaxed);
        self.0.most.fetch_max(held, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

/// Checks each byte; takes none while it is shut.
struct Sink<'a> {
    counts: &'a Counts,
    waiting: Option<Waker>,
}

impl AsyncWrite for Sink<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if !self.counts.open.load(Ordering::Relaxed) {
            self.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        let from = self.counts.written.load(Ordering::Relaxed);
        for (position, found) in (from..).zip(bytes) {
            assert_eq!(*found, byte(position), "at {position}");
        }
        let count = bytes.len() as u64;
        self.counts.written.store(from + count, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn container(place: &Place) -> String {
    let container = place.shell("open", "exec sleep 1000");
    place.started(&container).await;
    container.name
}

fn shell(line: &str) -> Command {
    Command {
        command: words(&["/bin/sh", "-c", line]),
        ..Command::default()
    }
}

#[test]
fn a_hundred_megabytes_go_through_and_few_are_held() {
    support::with("execute-long", async |place| {
        let name = container(place).await;
        let counts = Counts::default();
        let mut source = Source(&counts);
        let mut sink = Sink {
            counts: &counts,
            waiting: None,
        };
        let mut nowhere = tokio::io::sink();
        let command = shell("exec cat");
        let run = place
            .engine
            .execute(&name, &command, Some(&mut source), &mut sink, &mut nowhere);
        let mut run = std::pin::pin!(run);
        // While nothing is taken, the source isn't read on and on.
        let shut = tokio::time::timeout(Duration::from_secs(2), &mut run).await;
        assert!(shut.is_err(), "{shut:?}");
        let read = counts.read.load(Ordering::Relaxed);
        assert!(read > 0 && read < HELD, "{read} bytes were read ahead");
        counts.open.store(true, Ordering::Relaxed);
        // The future is polled again by the next await; the sink says yes then.
        assert_eq!(run.await.unwrap(), 0);
        assert_eq!(counts.written.load(Ordering::Relaxed), LONG);
        let most = counts.most.load(Ordering::Relaxed);
        assert!(most < HELD, "{most} bytes were held at once");
    });
}

#[test]
fn streams_exit_code_variables_and_user_are_the_commands() {
    support::with("execute", async |place| {
        let name = container(place).await;
        let command = Command {
            environment: [("WORD".to_owned(), "given".to_owned())].into(),
            user: Some("77".to_owned()),
            directory: Some("/tmp".to_owned()),
            ..shell("echo \"$WORD $(id -u) $(pwd)\"; cat >&2; exit 9")
        };
        let (mut out, mut error) = (Vec::new(), Vec::new());
        let mut input: &[u8] = b"from outside";
        let code = place
            .engine
            .execute(&name, &command, Some(&mut input), &mut out, &mut error)
            .await
            .unwrap();
        assert_eq!(code, 9);
        assert_eq!(String::from_utf8(out).unwrap(), "given 77 /tmp\n");
        assert_eq!(String::from_utf8(error).unwrap(), "from outside");
    });
}

#[test]
fn one_that_reads_no_further_ends() {
    support::with("execute-deaf", async |place| {
        let name = container(place).await;
        let counts = Counts::default();
        let mut source = Source(&counts);
        let mut out = Vec::new();
        let mut nowhere = tokio::io::sink();
        let command = shell("head -c 3 | wc -c; exit 5");
        let code = place
            .engine
            .execute(&name, &command, Some(&mut source), &mut out, &mut nowhere)
            .await
            .unwrap();
        assert_eq!((code, out.as_slice()), (5, &b"3\n"[..]));
        // Neither does one whose input never ends.
        let (_kept, mut endless) = tokio::io::duplex(1);
        let code = place
            .engine
            .execute(
                &name,
                &shell("exit 6"),
                Some(&mut endless),
                &mut out,
                &mut nowhere,
            )
            .await
            .unwrap();
        assert_eq!(code, 6);
    });
}

#[test]
fn what_cannot_be_executed_says_why() {
    support::with("execute-wrong", async |place| {
        let name = container(place).await;
        let mut out = Vec::new();
        let mut nowhere = tokio::io::sink();
        let command = Command {
            command: words(&["/bin/nothing-of-that-name"]),
            ..Command::default()
        };
        let ended = place
            .engine
            .execute(&name, &command, None, &mut out, &mut nowhere)
            .await;
        let said = String::from_utf8(out).unwrap();
        match ended {
            Ok(code) => assert!(matches!(code, 126 | 127), "{code}: {said}"),
            Err(error) => assert!(
                error.to_string().contains("nothing-of-that-name"),
                "{error}"
            ),
        }
        let mut out = Vec::new();
        place.engine.kill(&name).await.unwrap();
        place.engine.wait(&name).await.unwrap();
        let error = place
            .engine
            .execute(&name, &shell("true"), None, &mut out, &mut nowhere)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("not running"), "{error}");
        let error = place
            .engine
            .execute(
                &place.name("absent"),
                &shell("true"),
                None,
                &mut out,
                &mut nowhere,
            )
            .await
            .unwrap_err();
        assert_eq!(error.name(), "container-missing");
    });
}
