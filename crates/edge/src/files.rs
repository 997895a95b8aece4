//! A folder's files: whole, in part, or not at all where the client has them already.

use std::{
    fs::File,
    future::Future,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{
        ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
        IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, X_CONTENT_TYPE_OPTIONS,
    },
};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    answer::{self, Body, Kind, plain},
    date, media,
};

/// Read at once.
const CHUNK: usize = 128 * 1024;

/// A file's bytes on their way to the client.
pub(crate) struct FileBody {
    left: u64,
    reading: Reading,
}

enum Reading {
    Chunk(Bytes, Option<File>),
    Next(JoinHandle<io::Result<(Bytes, File)>>),
    Done,
}

impl FileBody {
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let (chunk, file) = match std::mem::replace(&mut self.reading, Reading::Done) {
            Reading::Done => return Poll::Ready(None),
            Reading::Chunk(chunk, file) => (chunk, file),
            Reading::Next(mut reading) => match Pin::new(&mut reading).poll(context) {
                Poll::Pending => {
                    self.reading = Reading::Next(reading);
                    return Poll::Pending;
                }
                Poll::Ready(read) => match read.map_err(io::Error::other).flatten() {
                    Ok((chunk, file)) => (chunk, Some(file)),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
            },
        };
        self.left -= chunk.len() as u64;
        if let Some(file) = file
            && self.left > 0
        {
            let left = self.left;
            self.reading = Reading::Next(spawn_blocking(move || read(file, left)));
        }
        Poll::Ready((!chunk.is_empty()).then_some(Ok(chunk)))
    }
}

fn read(mut file: File, left: u64) -> io::Result<(Bytes, File)> {
    let mut chunk = Vec::with_capacity(CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)));
    (&mut file)
        .take(left.min(CHUNK as u64))
        .read_to_end(&mut chunk)?;
    if chunk.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file has become shorter",
        ));
    }
    Ok((chunk.into(), file))
}

/// What a path leads to.
enum Found {
    File(File, PathBuf),
    /// A folder, asked for without its slash.
    Folder,
    Nothing,
}

/// Answers with a file of `folder`. `path` is what the request asks for there, still encoded.
pub(crate) async fn serve<B>(folder: &Path, request: &Request<B>, path: &str) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "files can only be read");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(relative) = relative(path) else {
        return plain(StatusCode::NOT_FOUND, "no such file");
    };
    let folder = folder.to_owned();
    let (is_folder, headers, whole) = (
        path.ends_with('/'),
        request.headers().clone(),
        request.uri().clone(),
    );
    let answered = spawn_blocking(move || {
        Ok(match find(&folder, &relative, is_folder)? {
            Found::File(file, path) => present(file, &path, &headers)?,
            // To the path as the client knows it, in a form that can't lead to another host.
            Found::Folder => {
                let query = whole
                    .query()
                    .map(|query| format!("?{query}"))
                    .unwrap_or_default();
                answer::redirect(
                    308,
                    &format!("/{}/{query}", whole.path().trim_start_matches('/')),
                )
            }
            Found::Nothing => match find(&folder, Path::new("404.html"), false)? {
                Found::File(file, path) => {
                    let mut response = present(file, &path, &HeaderMap::new())?;
                    *response.status_mut() = StatusCode::NOT_FOUND;
                    response
                }
                _ => plain(StatusCode::NOT_FOUND, "no such file"),
            },
        })
    });
    match answered.await.map_err(io::Error::other).flatten() {
        Ok(response) => response,
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the file can't be read"),
    }
}

/// The path below the folder; none where it leads elsewhere or to what is hidden.
fn relative(path: &str) -> Option<PathBuf> {
    let mut all = PathBuf::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let part = decode(part)?;
        let hidden = part.starts_with('.') && part != ".well-known";
        if hidden || part.contains(['/', '\\', '\0']) {
            return None;
        }
        all.push(part);
    }
    Some(all)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digit = |byte: &u8| (*byte as char).to_digit(16);
        bytes.push(u8::try_from(digit(rest.first()?)? * 16 + digit(rest.get(1)?)?).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

fn find(folder: &Path, relative: &Path, is_folder: bool) -> io::Result<Found> {
    // Links are followed as far as they stay in the folder.
    let folder = folder.canonicalize()?;
    let Ok(mut path) = folder.join(relative).canonicalize() else {
        return Ok(Found::Nothing);
    };
    if !path.starts_with(&folder) {
        return Ok(Found::Nothing);
    }
    if path.is_dir() {
        if !is_folder && !relative.as_os_str().is_empty() {
            let has_index = path.join("index.html").is_file();
            return Ok(if has_index {
                Found::Folder
            } else {
                Found::Nothing
            });
        }
        match path.join("index.html").canonicalize() {
            Ok(index) if index.starts_with(&folder) => path = index,
            _ => return Ok(Found::Nothing),
        }
    } else if is_folder {
        return Ok(Found::Nothing);
    }
    // A pipe would block.
    if !path.is_file() {
        return Ok(Found::Nothing);
    }
    let file = File::open(&path)?;
    Ok(Found::File(file, path))
}

fn present(mut file: File, path: &Path, asked: &HeaderMap) -> io::Result<Response<Body>> {
    let metadata = file.metadata()?;
    let size = metadata.len();
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tag = format!("\"{:x}-{size:x}\"", since.as_nanos());
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let kind = media::of(path);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache(path, kind)));
    if let (Ok(tag), Ok(date)) = (
        HeaderValue::from_str(&tag),
        HeaderValue::from_str(&date::http(modified)),
    ) {
        headers.insert(ETAG, tag);
        headers.insert(LAST_MODIFIED, date);
    }
    if is_known(asked, &tag, modified) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let (start, length) = match range(asked, size, &tag, modified) {
        Wanted::All => (0, size),
        Wanted::Part(start, length) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let part = format!("bytes {start}-{}/{size}", start + length - 1);
            response.headers_mut().insert(
                CONTENT_RANGE,
                HeaderValue::from_str(&part).map_err(io::Error::other)?,
            );
            (start, length)
        }
        Wanted::Beyond => {
            let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter");
            let all =
                HeaderValue::from_str(&format!("bytes */{size}")).map_err(io::Error::other)?;
            response.headers_mut().insert(CONTENT_RANGE, all);
            return Ok(response);
        }
    };
    if length > 0 {
        if start > 0 {
            file.seek(SeekFrom::Start(start))?;
        }
        let (chunk, file) = read(file, length)?;
        let reading = Reading::Chunk(chunk, Some(file));
        *response.body_mut() = Body::new(Kind::File(FileBody {
            left: length,
            reading,
        }));
    }
    Ok(response)
}

/// Files whose name has a hash in it never change; all others are asked for again each time, and
/// answered 304.
fn cache(path: &Path, kind: &str) -> &'static str {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let hashed = stem.rsplit(['-', '.', '_']).next().is_some_and(|last| {
        last.len() >= 8
            && last.len() < stem.len()
            && last.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && last.bytes().any(|byte| byte.is_ascii_digit())
            && last.bytes().any(|byte| byte.is_ascii_alphabetic())
    });
    if hashed && !kind.starts_with("text/html") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

fn text(headers: &HeaderMap, name: hyper::header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whole seconds, as the header has it.
fn is_after(modified: SystemTime, date: SystemTime) -> bool {
    modified
        .duration_since(date)
        .is_ok_and(|later| later >= Duration::from_secs(1))
}

/// Whether the client has this very file.
fn is_known(asked: &HeaderMap, tag: &str, modified: SystemTime) -> bool {
    if let Some(tags) = text(asked, IF_NONE_MATCH) {
        return tags
            .split(',')
            .map(|one| one.trim().trim_start_matches("W/"))
            .any(|one| one == tag || one == "*");
    }
    text(asked, IF_MODIFIED_SINCE)
        .and_then(date::read)
        .is_some_and(|date| !is_after(modified, date))
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(u64, u64),
    Beyond,
}

/// The part that is asked for. Several at once, and what can't be understood, get all of it.
fn range(asked: &HeaderMap, size: u64, tag: &str, modified: SystemTime) -> Wanted {
    let Some(range) = text(asked, RANGE).and_then(|range| range.strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    if let Some(condition) = text(asked, IF_RANGE) {
        let holds =
            condition == tag || date::read(condition).is_some_and(|date| !is_after(modified, date));
        if !holds {
            return Wanted::All;
        }
    }
    let Some((first, last)) = range.trim().split_once('-') else {
        return Wanted::All;
    };
    let (first, last) = (first.trim(), last.trim());
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(first) || !plain(last) {
        return Wanted::All;
    }
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), _) if first >= size => Wanted::Beyond,
        (Ok(first), Ok(last)) if last < first => Wanted::All,
        (Ok(first), Ok(last)) => Wanted::Part(first, last.min(size - 1) - first + 1),
        (Ok(first), Err(_)) if last.is_empty() => Wanted::Part(first, size - first),
        (Err(_), Ok(0)) => Wanted::Beyond,
        (Err(_), Ok(_)) if first.is_empty() && size == 0 => Wanted::Beyond,
        (Err(_), Ok(last)) if first.is_empty() => {
            Wanted::Part(size - last.min(size), last.min(size))
        }
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_lead_nowhere() {
        for path in [
            "/../x",
            "/a/%2e%2e/x",
            "/%2e%2E/x",
            "/a/..%2fx",
            "/a%5c..%5cx",
            "/.env",
            "/a/.git/config",
            "/%2eenv",
            "/a%00",
            "/%",
            "/%zz",
            "/%ff",
        ] {
            assert_eq!(relative(path), None, "{path}");
        }
        assert_eq!(relative("//a//b%20c").unwrap(), Path::new("a/b c"));
        assert_eq!(
            relative("/.well-known/x").unwrap(),
            Path::new(".well-known/x")
        );
    }

    #[test]
    fn ranges_are_understood_as_far_as_they_make_sense() {
        let of = |range: &'static str| {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]);
            super::range(&headers, 10, "\"t\"", UNIX_EPOCH)
        };
        assert_eq!(of("bytes=0-3"), Wanted::Part(0, 4));
        assert_eq!(of("bytes=8-"), Wanted::Part(8, 2));
        assert_eq!(of("bytes=-3"), Wanted::Part(7, 3));
        assert_eq!(of("bytes=-30"), Wanted::Part(0, 10));
        assert_eq!(of("bytes=5-99"), Wanted::Part(5, 5));
        assert_eq!(
            (of("bytes=10-"), of("bytes=-0")),
            (Wanted::Beyond, Wanted::Beyond)
        );
        for odd in [
            "bytes=0-1,3-4",
            "bytes=5-3",
            "items=0-1",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
        ] {
            assert_eq!(of(odd), Wanted::All, "{odd}");
        }
    }

    #[test]
    fn only_hashed_names_are_kept_for_long() {
        let cached = |name: &str| cache(Path::new(name), media::of(Path::new(name))) != "no-cache";
        assert!(cached("index-B3x9aQ21.js") && cached("app.3f2a9b1c.css"));
        assert!(
            !cached("index.html")
                && !cached("page-3f2a9b1c.html")
                && !cached("background.png")
                && !cached("3f2a9b1c.js")
        );
    }
}
