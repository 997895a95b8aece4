//! A small client of PostgreSQL: a login and simple queries, for what the host itself asks of the
//! servers that it keeps. It needs no program on this machine and none in an image.

use std::{io, net::SocketAddr, time::Duration};

use landfall_redact::Secret;
use landfall_release::Failure;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::scram::Login;

/// Protocol 3.0.
const PROTOCOL: u32 = 196_608;
/// No message of a server that is asked small things is longer.
const LONGEST: usize = 64 << 20;

/// Why a server can't be asked, or what it said.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The connection.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// It did not answer in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Slow(Duration),
    /// It is no PostgreSQL, or one that speaks otherwise.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
    /// It said no.
    #[error("{message}")]
    Refused {
        /// The SQLSTATE: `28P01`.
        code: String,
        /// Its words.
        message: String,
    },
}

impl SqlError {
    /// The SQLSTATE, where the server said one.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "",
        }
    }
}

/// A row: texts, or nothing where the value is null.
pub type Row = Vec<Option<String>>;

/// Whom to ask, and as whom.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where it listens.
    pub address: SocketAddr,
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// The database.
    pub database: String,
}

/// A connection that is logged in.
pub struct Sql {
    stream: BufReader<TcpStream>,
    patience: Duration,
}

impl Sql {
    /// Connects and logs in; each answer may take so long.
    pub async fn open(access: &Access, patience: Duration) -> Result<Self, SqlError> {
        let opening = async {
            let stream = TcpStream::connect(access.address).await?;
            let mut sql = Self {
                stream: BufReader::new(stream),
                patience,
            };
            sql.log_in(access).await?;
            Ok(sql)
        };
        timeout(patience, opening)
            .await
            .map_err(|_| SqlError::Slow(patience))?
    }

    async fn log_in(&mut self, access: &Access) -> Result<(), SqlError> {
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        let parameters = [
            ("user", access.user.as_str()),
            ("database", &access.database),
            ("application_name", "landfall"),
            ("client_encoding", "UTF8"),
        ];
        for (name, value) in parameters {
            body.extend(name.bytes().chain([0]).chain(value.bytes()).chain([0]));
        }
        body.push(0);
        let mut message = length(&body).to_be_bytes().to_vec();
        message.extend(body);
        self.stream.write_all(&message).await?;
        let random = crate::host::random_text(18)
            .map_err(|failure| SqlError::Unexpected(failure.to_string()))?;
        let mut login = Login::new(access.password.clone(), random.expose());
        loop {
            let (kind, body) = self.message().await?;
            match (kind, body.split_first_chunk::<4>()) {
                (b'R', Some((code, rest))) => {
                    self.authenticate(u32::from_be_bytes(*code), rest, &mut login)
                        .await?;
                }
                (b'E', _) => return Err(refused(&body)),
                (b'Z', _) => return Ok(()),
                (b'S' | b'K' | b'N', _) => {}
                (kind, _) => return Err(strange(kind)),
            }
        }
    }

    async fn authenticate(
        &mut self,
        code: u32,
        body: &[u8],
        login: &mut Login,
    ) -> Result<(), SqlError> {
        let text = String::from_utf8_lossy(body).into_owned();
        let bad = || SqlError::Unexpected("a login that can't be right".to_owned());
        match code {
            0 => Ok(()),
            10 if text.split('\0').any(|way| way == "SCRAM-SHA-256") => {
                let first = login.first();
                let mut body = b"SCRAM-SHA-256\0".to_vec();
                body.extend(u32::try_from(first.len()).unwrap_or(0).to_be_bytes());
                body.extend(first.bytes());
                self.send(b'p', &body).await
            }
            11 => {
                let answer = login.answer(&text).ok_or_else(bad)?;
                self.send(b'p', answer.as_bytes()).await
            }
            12 if login.holds(&text) => Ok(()),
            12 => Err(bad()),
            other => Err(SqlError::Unexpected(format!(
                "it wants a login of kind {other}, not SCRAM-SHA-256"
            ))),
        }
    }

    /// Executes statements, of which the rows of the last one that has some are the answer. Several
    /// at once are one transaction.
    pub async fn query(&mut self, text: &str) -> Result<Vec<Row>, SqlError> {
        let patience = self.patience;
        timeout(patience, self.execute(text))
            .await
            .map_err(|_| SqlError::Slow(patience))?
    }

    /// As [`query`](Self::query), for as long as it takes.
    pub async fn execute(&mut self, text: &str) -> Result<Vec<Row>, SqlError> {
        let mut body = text.as_bytes().to_vec();
        body.push(0);
        self.send(b'Q', &body).await?;
        let (mut rows, mut error) = (Vec::new(), None);
        loop {
            let (kind, body) = self.message().await?;
            match kind {
                b'T' => rows.clear(),
                b'D' => rows.push(row(&body).ok_or_else(|| strange(kind))?),
                b'E' => error = Some(refused(&body)),
                // A script that wants to copy from its client has none.
                b'G' => {
                    self.send(b'f', b"COPY FROM STDIN isn't possible here\0")
                        .await?
                }
                b'Z' => {
                    return match error {
                        Some(error) => Err(error),
                        None => Ok(rows),
                    };
                }
                b'C' | b'I' | b'N' | b'S' | b'A' | b'H' | b'd' | b'c' => {}
                kind => return Err(strange(kind)),
            }
        }
    }

    /// The first value of the first row.
    pub async fn value(&mut self, text: &str) -> Result<Option<String>, SqlError> {
        let rows = self.query(text).await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next()?))
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), SqlError> {
        let mut message = vec![kind];
        message.extend(length(body).to_be_bytes());
        message.extend(body);
        Ok(self.stream.write_all(&message).await?)
    }

    async fn message(&mut self) -> Result<(u8, Vec<u8>), SqlError> {
        let kind = self.stream.read_u8().await?;
        let length = self.stream.read_u32().await? as usize;
        if !(4..=LONGEST).contains(&length) {
            return Err(SqlError::Unexpected(
                "it doesn't speak PostgreSQL".to_owned(),
            ));
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).await?;
        Ok((kind, body))
    }
}

/// A message's length with that of the length itself.
fn length(body: &[u8]) -> u32 {
    u32::try_from(body.len() + 4).unwrap_or(u32::MAX)
}

fn strange(kind: u8) -> SqlError {
    SqlError::Unexpected(format!("a message `{}`", char::from(kind).escape_default()))
}

fn row(body: &[u8]) -> Option<Row> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        let length = i32::from_be_bytes(*length);
        let Ok(length) = usize::try_from(length) else {
            row.push(None);
            continue;
        };
        let (value, after) = rest.split_at_checked(length)?;
        rest = after;
        row.push(Some(String::from_utf8_lossy(value).into_owned()));
    }
    Some(row)
}

/// What an error message says: fields, each with a letter in front.
pub fn refused(body: &[u8]) -> SqlError {
    let field = |letter: u8| {
        body.split(|byte| *byte == 0)
            .find(|part| part.first() == Some(&letter))
            .map(|part| String::from_utf8_lossy(&part[1..]).into_owned())
            .unwrap_or_default()
    };
    SqlError::Refused {
        code: field(b'C'),
        message: field(b'M'),
    }
}

/// A name as an identifier of SQL.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal of SQL.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A failure of a question to a backing service.
pub fn failed(name: &str, what: &str, error: &SqlError) -> Failure {
    Failure::new("backing-failed", format!("{name}: {what}: {error}"))
        .with("mend", format!("landfall logs {name} says more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_rows_as_the_server_sends_them() {
        let error = refused(b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0");
        assert_eq!(error.code(), "28P01");
        assert_eq!(error.to_string(), "password authentication failed");
        let body = [0, 2, 0, 0, 0, 2, b'1', b'5', 0xff, 0xff, 0xff, 0xff];
        assert_eq!(row(&body), Some(vec![Some("15".to_owned()), None]));
        assert_eq!(row(&body[..7]), None);
    }

    #[test]
    fn names_and_texts_can_hold_quotes() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
    }
}
