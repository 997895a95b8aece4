//! Somebody else's backing services: whether they are there, before anything is changed.

use std::time::Duration;

use landfall_app::{Name, model::BackingKind};
use landfall_release::Failure;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::address::BackingAddress;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects, and has it say in its own protocol that it is what it should be. Nobody logs in.
pub async fn check(
    name: &Name,
    kind: &BackingKind,
    address: &BackingAddress,
) -> Result<(), Failure> {
    let place = format!("{}:{}", address.host, address.port);
    let unreachable = |what: String| {
        Failure::new(
            "backing-unreachable",
            format!("{name} at {place} {what}"),
        )
        .with("mend", format!("look whether {place} can be reached from this machine, and at the URL in the secrets"))
    };
    let talking = async {
        let mut stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .map_err(|error| unreachable(format!("can't be reached: {error}")))?;
        let encrypted = address.url.expose().starts_with("rediss:");
        let hello: &[u8] = match kind {
            // Whether it encrypts: every PostgreSQL answers with one letter.
            BackingKind::Postgres => &[0, 0, 0, 8, 4, 210, 22, 47],
            BackingKind::Redis if encrypted => return Ok(()),
            BackingKind::Redis => b"*1\r\n$4\r\nPING\r\n",
            BackingKind::Image(_) => return Ok(()),
        };
        let mut first = [0];
        let said = async {
            stream.write_all(hello).await?;
            stream.read_exact(&mut first).await
        };
        said.await
            .map_err(|error| unreachable(format!("doesn't answer: {error}")))?;
        let (product, right) = match kind {
            BackingKind::Redis => ("Redis", matches!(first[0], b'+' | b'-')),
            _ => ("PostgreSQL", matches!(first[0], b'S' | b'N' | b'E')),
        };
        match right {
            true => Ok(()),
            false => Err(unreachable(format!("is no {product}"))),
        }
    };
    timeout(PATIENCE, talking)
        .await
        .map_err(|_| unreachable(format!("doesn't answer within {} s", PATIENCE.as_secs())))?
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answer(kind: BackingKind, url: &str, said: &'static [u8]) -> Result<(), Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 8]).await.unwrap();
            stream.write_all(said).await.unwrap();
        });
        let name = "store".parse().unwrap();
        let url = url.replace("PORT", &port.to_string());
        let address = BackingAddress::external(&name, &kind, &url)?;
        check(&name, &kind, &address).await
    }

    #[tokio::test]
    async fn those_that_are_what_they_should_be() {
        let (postgres, redis) = (
            "postgres://a:hidden@127.0.0.1:PORT/b",
            "redis://:hidden@127.0.0.1:PORT",
        );
        for said in [b"S", b"N"] {
            answer(BackingKind::Postgres, postgres, said).await.unwrap();
        }
        answer(
            BackingKind::Redis,
            redis,
            b"-NOAUTH Authentication required.\r\n",
        )
        .await
        .unwrap();
        answer(BackingKind::Redis, redis, b"+PONG\r\n")
            .await
            .unwrap();
        let failure = answer(BackingKind::Postgres, postgres, b"HTTP/1.1 400")
            .await
            .unwrap_err();
        assert_eq!(failure.name, "backing-unreachable");
        assert!(failure.message.ends_with("is no PostgreSQL"), "{failure}");
        assert!(!format!("{failure:?}").contains("hidden"));
    }

    #[tokio::test]
    async fn those_that_are_not_there() {
        let name = "store".parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let url = format!("redis://:hidden@127.0.0.1:{port}");
        let address = BackingAddress::external(&name, &BackingKind::Redis, &url).unwrap();
        let failure = check(&name, &BackingKind::Redis, &address)
            .await
            .unwrap_err();
        assert!(
            failure
                .message
                .contains(&format!("127.0.0.1:{port} can't be reached"))
        );
        assert!(!format!("{failure:?}").contains("hidden"));
    }
}
