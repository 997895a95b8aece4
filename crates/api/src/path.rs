//! Paths and queries of the host's HTTP interface, built in one place for both sides.

use serde::Serialize;

/// Percent-encodes everything but what a query value may hold as it stands.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Undoes [`encode`]; `None` for broken escapes or what isn't UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// A query as one parameter `q`: the query's JSON, percent-encoded. One way for all types.
pub fn query(path: &str, query: &impl Serialize) -> String {
    // Our own query types have string keys only, so they always serialize.
    let json = serde_json::to_string(query).expect("a query type serializes");
    format!("{path}?q={}", encode(&json))
}

/// The path of something in an environment: `/v1/apps/shop/local/status`.
pub fn environment(app: &str, environment: &str, rest: &str) -> String {
    match rest {
        "" => format!("/v1/apps/{app}/{environment}"),
        rest => format!("/v1/apps/{app}/{environment}/{rest}"),
    }
}
