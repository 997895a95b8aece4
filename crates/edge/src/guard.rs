//! A client's stream under the eyes of the [`Scanner`].

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use crate::{
    conn::{Conn, Phase, Upgrade},
    head::{Flaw, Found, Scanner, Watch},
};

/// How long, and how much, is read on from a connection that we ended, so that the client gets our
/// answer and not a reset.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// A client's connection: what hyper and upgraded connections read from and write to.
pub(crate) struct Guard {
    stream: Option<TcpStream>,
    conn: Arc<Conn>,
    scanner: Scanner,
    /// Bytes behind a request to upgrade.
    held: Vec<u8>,
    ended_by_client: bool,
    ended_by_us: bool,
}

impl Watch for Conn {
    fn head(&self, flaw: Option<Flaw>) {
        self.head_scanned(flaw);
    }
}

impl Guard {
    pub(crate) fn new(stream: TcpStream, conn: Arc<Conn>) -> Self {
        Self {
            stream: Some(stream),
            conn,
            scanner: Scanner::new(),
            held: Vec::new(),
            ended_by_client: false,
            ended_by_us: false,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Scans `buffer` from `start` on, and takes back what mustn't be passed on yet.
    fn scan(&mut self, buffer: &mut ReadBuf<'_>, start: usize) -> io::Result<()> {
        let read = &buffer.filled()[start..];
        let passed = match self.scanner.scan(read, &*self.conn) {
            Found::All => read.len(),
            Found::Wait(passed) => {
                self.held = read[passed..].to_vec();
                passed
            }
            Found::Refuse(passed) => passed,
            Found::Broken(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a chunk can't be understood",
                ));
            }
            Found::Broken(passed) => passed,
        };
        buffer.set_filled(start + passed);
        self.conn.set_phase(if self.scanner.is_idle() {
            Phase::Idle
        } else if self.scanner.is_in_head() {
            Phase::Head
        } else {
            Phase::Busy
        });
        Ok(())
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.scanner.is_undecided() {
            this.conn.read_by(context.waker());
            match this.conn.upgrade() {
                Upgrade::Open => return Poll::Pending,
                outcome => this.scanner.decide(outcome == Upgrade::Done),
            }
        }
        let start = buffer.filled().len();
        if !this.held.is_empty() {
            let taken = this.held.len().min(buffer.remaining());
            buffer.put_slice(&this.held[..taken]);
            this.held.drain(..taken);
            let rest = std::mem::take(&mut this.held);
            this.scan(buffer, start)?;
            this.held.extend(rest);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(this.stream()?.poll_read(context, buffer))?;
            if buffer.filled().len() == start {
                this.ended_by_client = true;
                return Poll::Ready(Ok(()));
            }
            if this.scanner.is_through() {
                return Poll::Ready(Ok(()));
            }
            this.scan(buffer, start)?;
            // An empty read would mean the end; what was refused is thrown away and read on.
            if buffer.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream()?.poll_write(context, bytes);
        self.note(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream()?.poll_write_vectored(context, parts);
        self.note(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended_by_us = true;
        self.stream()?.poll_shutdown(context)
    }
}

impl Guard {
    fn note(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending => self.conn.write_blocked(),
            Poll::Ready(Ok(bytes)) => self.conn.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        if !self.ended_by_us
            || self.ended_by_client
            || tokio::runtime::Handle::try_current().is_err()
        {
            return;
        }
        tokio::spawn(async move {
            let mut rest = [0; 4096];
            let mut left = LINGER_BYTES;
            let reading = async {
                while let Ok(read @ 1..) = stream.read(&mut rest).await {
                    left = left.saturating_sub(read);
                    if left == 0 {
                        break;
                    }
                }
            };
            // Either way the connection is closed now.
            let _ = timeout(LINGER, reading).await;
        });
    }
}
