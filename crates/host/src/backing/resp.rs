//! A small client of Redis: requests and their answers, for what the host itself asks.

use std::{io, net::SocketAddr, time::Duration};

use landfall_redact::Secret;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A text, or nothing.
    Text(Option<String>),
    /// A number.
    Number(i64),
    /// An error.
    Error(String),
    /// Several.
    List(Vec<Reply>),
}

/// A connection to a Redis.
pub struct Redis {
    stream: BufReader<TcpStream>,
    patience: Duration,
}

impl Redis {
    /// Connects, and logs in where there is a password.
    pub async fn open(
        address: SocketAddr,
        password: Option<&Secret>,
        patience: Duration,
    ) -> io::Result<Self> {
        let stream = timeout(patience, TcpStream::connect(address)).await??;
        let mut redis = Self {
            stream: BufReader::new(stream),
            patience,
        };
        if let Some(password) = password {
            redis.text(&["AUTH", password.expose()]).await?;
        }
        Ok(redis)
    }

    /// Asks something.
    pub async fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let patience = self.patience;
        let asking = async {
            self.stream.write_all(request.as_bytes()).await?;
            self.reply().await
        };
        timeout(patience, asking).await?
    }

    /// Asks for a text; an error is one.
    pub async fn text(&mut self, words: &[&str]) -> io::Result<String> {
        match self.ask(words).await? {
            Reply::Text(text) => Ok(text.unwrap_or_default()),
            Reply::Number(number) => Ok(number.to_string()),
            Reply::Error(error) => Err(io::Error::other(error)),
            Reply::List(_) => Err(io::Error::other("a list was answered")),
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.stream)
            .take(64 << 10)
            .read_line(&mut line)
            .await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        let line = self.line().await?;
        let strange = || io::Error::other("it doesn't speak the protocol of Redis");
        let (kind, rest) = line.split_at_checked(1).ok_or_else(strange)?;
        let number = || rest.parse::<i64>().map_err(|_| strange());
        Ok(match kind {
            "+" => Reply::Text(Some(rest.to_owned())),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(number()?),
            "$" => match usize::try_from(number()?) {
                Err(_) => Reply::Text(None),
                Ok(length) if length > 64 << 20 => return Err(strange()),
                Ok(length) => {
                    let mut text = vec![0; length + 2];
                    self.stream.read_exact(&mut text).await?;
                    text.truncate(length);
                    Reply::Text(Some(String::from_utf8_lossy(&text).into_owned()))
                }
            },
            "*" => {
                let mut list = Vec::new();
                for _ in 0..number()?.clamp(0, 100_000) {
                    list.push(Box::pin(self.reply()).await?);
                }
                Reply::List(list)
            }
            _ => return Err(strange()),
        })
    }
}

/// A field of what `INFO` answers.
pub fn field<'t>(info: &'t str, name: &str) -> Option<&'t str> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| *field == name)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_a_server_says_is_read_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let said = "+OK\r\n$5\r\nab\r\nc\r\n*2\r\n:3\r\n$-1\r\n-NOAUTH no\r\nSSH\r\n";
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        });
        let password = Secret::new("secret".to_owned());
        let mut redis = Redis::open(address, Some(&password), Duration::from_secs(10))
            .await
            .unwrap();
        let text = redis.text(&["GET", "a"]).await.unwrap();
        assert_eq!(text, "ab\r\nc");
        let list = redis.ask(&["LIST"]).await.unwrap();
        assert_eq!(list, Reply::List(vec![Reply::Number(3), Reply::Text(None)]));
        let error = redis.text(&["PING"]).await.unwrap_err();
        assert_eq!(error.to_string(), "NOAUTH no");
        assert!(redis.text(&["PING"]).await.is_err());
    }

    #[test]
    fn a_field_of_info() {
        let info = "# Memory\r\nused_memory:1000\r\nmaxmemory:2000\r\n";
        assert_eq!(field(info, "maxmemory"), Some("2000"));
        assert_eq!(field(info, "memory"), None);
    }
}
