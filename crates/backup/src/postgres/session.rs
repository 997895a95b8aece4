//! A conversation with `psql`: a transaction that stays open while `pg_dump` reads its snapshot.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};

use crate::{
    error::Error,
    program::{Boxed, Ended, Programs, start, well},
};

/// No files of the user's, no questions, bare values, the end at the first error.
pub const OPTIONS: [&str; 8] = [
    "-X",
    "-q",
    "-w",
    "-A",
    "-t",
    "-F",
    "\t",
    "-vON_ERROR_STOP=1",
];
/// Stands behind each answer.
const MARK: &str = "landfall: end of answer";

/// The same text of a row whatever the server's settings are, so that checksums can be compared.
const SETTINGS: &str = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; \
    SET intervalstyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1; \
    SET lc_monetary = 'C'; SET search_path = ''; SET statement_timeout = 0; SET lock_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0; SET xmlbinary = 'base64'; SET row_security = off;";

/// A conversation.
pub struct Session {
    input: Box<dyn AsyncWrite + Send + Unpin>,
    output: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    ended: Boxed<'static, io::Result<Ended>>,
}

impl Session {
    /// Opens one.
    pub async fn open(programs: &dyn Programs, database: &str) -> Result<Self, Error> {
        let arguments = [&OPTIONS[..], &["-d", database]].concat();
        let running = start(programs, "psql", &arguments).await?;
        let input = running
            .input
            .ok_or_else(|| Error::Bad("psql takes no input".to_owned()))?;
        let mut session = Self {
            input,
            output: BufReader::new(running.output),
            ended: running.ended,
        };
        session.lines(SETTINGS).await?;
        Ok(session)
    }

    /// Begins a transaction that sees one state of the data until the end; its name for `pg_dump`.
    pub async fn snapshot(&mut self) -> Result<String, Error> {
        self.lines("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
            .await?;
        self.value("SELECT pg_export_snapshot()").await
    }

    /// The lines of the answer.
    pub async fn lines(&mut self, statements: &str) -> Result<Vec<String>, Error> {
        let text = format!("{statements}\n;\n\\echo {}\n", literal(MARK));
        let asked = async {
            self.input.write_all(text.as_bytes()).await?;
            self.input.flush().await
        };
        if asked.await.is_err() {
            return Err(self.why().await);
        }
        let mut lines = Vec::new();
        let mut line = String::new();
        loop {
            line.clear();
            let count = self
                .output
                .read_line(&mut line)
                .await
                .map_err(Error::io("psql"))?;
            if count == 0 {
                return Err(self.why().await);
            }
            match line.trim_end_matches('\n') {
                MARK => return Ok(lines),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// The one value that a query answers.
    pub async fn value(&mut self, query: &str) -> Result<String, Error> {
        Ok(self.lines(query).await?.join("\n"))
    }

    /// Why it ended.
    async fn why(&mut self) -> Error {
        match (&mut self.ended).await {
            Err(error) => Error::io("psql")(error),
            Ok(ended) => match well("psql", ended) {
                Err(error) => error,
                Ok(()) => Error::Bad("psql ended before it answered".to_owned()),
            },
        }
    }

    /// Ends it.
    pub async fn end(mut self) -> Result<(), Error> {
        // Closing its input ends it, and so its transaction.
        let _ = self.input.shutdown().await;
        drop(self.input);
        let mut rest = tokio::io::sink();
        let _ = tokio::io::copy(&mut self.output, &mut rest).await;
        well("psql", self.ended.await.map_err(Error::io("psql"))?)
    }
}

/// A name in SQL.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL, and for `psql` itself.
pub fn literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}
