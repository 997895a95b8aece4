//! Programs of a database, wherever they run: beside it as processes, or in its container.

use std::{collections::VecDeque, future::Future, io, pin::Pin};

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

use crate::error::Error;

/// A future that is sent about.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// So much of a program's answer is kept where the whole of it is asked for.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whether it ended with 0.
    pub well: bool,
    /// In a few words: `exit 1`, `signal 9`.
    pub said: String,
    /// The last lines of its standard error.
    pub last_words: Vec<String>,
}

/// A program under way. It is ended where this is dropped.
pub struct Running {
    /// Its standard input.
    pub input: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Its standard output.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// Its end, which comes only when its output was read.
    pub ended: Boxed<'static, io::Result<Ended>>,
}

/// Starts the programs of a database: `psql`, `pg_dump`, `redis-cli`. It sees to it that they find
/// their server and may enter: address and password are in their environment.
pub trait Programs: Send + Sync {
    /// Starts one.
    fn start<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [String],
    ) -> Boxed<'a, io::Result<Running>>;
}

/// So many of a program's last lines are kept.
const LAST_WORDS: usize = 20;
/// A line of a program's complaints is cut here.
const LONGEST_LINE: u64 = 4096;

/// The last lines of what a program complains about.
pub async fn last_words(from: Option<impl AsyncRead + Unpin>) -> Vec<String> {
    let mut lines = VecDeque::new();
    let Some(from) = from else {
        return Vec::new();
    };
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        match (&mut from)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return lines.into(),
            Ok(_) => {}
        }
        if lines.len() == LAST_WORDS {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
    }
}

/// Turns a bad end into an error.
pub fn well(program: &str, ended: Ended) -> Result<(), Error> {
    if ended.well {
        return Ok(());
    }
    Err(Error::Program {
        program: program.to_owned(),
        said: ended
            .last_words
            .iter()
            .rev()
            .find(|line| !line.trim().is_empty())
            .cloned()
            .unwrap_or(ended.said),
        last_words: ended.last_words,
    })
}

/// Starts a program.
pub async fn start(
    programs: &dyn Programs,
    program: &str,
    arguments: &[&str],
) -> Result<Running, Error> {
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    programs
        .start(program, &arguments)
        .await
        .map_err(|source| Error::Program {
            program: program.to_owned(),
            said: format!("it can't be started: {source}"),
            last_words: Vec::new(),
        })
}

/// Runs a program with this input to its end; what it wrote.
pub async fn answer(
    programs: &dyn Programs,
    program: &str,
    arguments: &[&str],
    input: &str,
) -> Result<String, Error> {
    let running = start(programs, program, arguments).await?;
    let Running {
        input: stdin,
        output,
        ended,
    } = running;
    let giving = async {
        if let Some(mut stdin) = stdin {
            // One that ended early says why in its end.
            let _ = stdin.write_all(input.as_bytes()).await;
            let _ = stdin.shutdown().await;
        }
    };
    let taking = async {
        let mut text = Vec::new();
        output.take(LONGEST_ANSWER).read_to_end(&mut text).await?;
        Ok::<_, io::Error>(text)
    };
    let ((), text, ended) = tokio::join!(giving, taking, ended);
    well(program, ended.map_err(Error::io(program))?)?;
    let text = text.map_err(Error::io(program))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
