//! One HTTP request to an address of this machine: for smoke pages and for finding a wrong port.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// No page that is looked at is read further than this.
const LARGEST: usize = 4 << 20;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The body, as far as it is text.
    pub body: String,
}

/// `GET` of a path, as HTTP/1.1 with this host name. The error is in a few words.
pub async fn get(
    address: SocketAddr,
    host: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    limit: Duration,
) -> Result<Fetched, String> {
    let whole = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.kind().to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let mut request = Request::get(path)
            .header("host", host)
            .header("user-agent", "landfall");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        connection.abort();
        Ok(Fetched {
            status,
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        })
    };
    timeout(limit, whole)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs_f32())))
}
