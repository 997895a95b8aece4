//! An image's layers, read as the Engine sends them: never unpacked to disk, never whole in memory.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read, Write},
    ops::ControlFlow,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use landfall_containers::{Engine, EngineError};
use landfall_doctor::{Entry, Kind, Layers, Looked, Past};
use serde::Deserialize;

/// Files about the image, not of it, are small.
const LARGEST_ABOUT: u64 = 8 << 20;

/// Compressed sizes by the names of layers in archives: base layers are the same in both images.
pub type Sizes = HashMap<String, u64>;

/// Reads an image.
pub async fn read(
    engine: &Engine,
    image: &str,
    sizes: Sizes,
    cancelled: &AtomicBool,
) -> Result<(io::Result<Looked>, Sizes), EngineError> {
    // So many pieces wait at most, which is a few megabytes.
    let (sender, pieces) = sync_channel::<Vec<u8>>(32);
    let reading = std::thread::spawn(move || {
        let mut sizes = sizes;
        let pieces = Pieces {
            pieces,
            current: Vec::new(),
            at: 0,
        };
        (archive(pieces, &mut sizes), sizes)
    });
    let sent = engine
        .export_image(image, |piece| {
            let gone = sender.send(piece.to_vec()).is_err();
            match gone || cancelled.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
        .await;
    drop(sender);
    let read = reading.join();
    sent?;
    Ok(read.unwrap_or_else(|_| {
        (
            Err(io::Error::other("the archive can't be read")),
            Sizes::new(),
        )
    }))
}

/// Pieces as one stream.
struct Pieces {
    pieces: Receiver<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            match self.pieces.recv() {
                Ok(piece) => (self.current, self.at) = (piece, 0),
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len() - self.at);
        buffer[..count].copy_from_slice(&self.current[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    layers: Vec<String>,
}

/// An image's archive: layers in any order, and files that say which is which.
fn archive(stream: impl Read, sizes: &mut Sizes) -> io::Result<Looked> {
    let mut layers = Layers::default();
    let mut about: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut links: HashMap<String, String> = HashMap::new();
    let mut outer = tar::Archive::new(stream);
    for entry in outer.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes())
            .trim_start_matches("./")
            .to_owned();
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            if let Some(target) = entry.link_name_bytes() {
                let target = String::from_utf8_lossy(&target)
                    .trim_start_matches("../")
                    .to_owned();
                links.insert(name, target);
            }
            continue;
        }
        if !kind.is_file() {
            continue;
        }
        let size = entry.size();
        let mut head = Vec::with_capacity(512);
        entry.by_ref().take(512).read_to_end(&mut head)?;
        let whole = Read::chain(io::Cursor::new(head.clone()), &mut entry);
        if head.len() > 262 && &head[257..262] == b"ustar"
            || (name.ends_with("/layer.tar") && size <= 1024)
        {
            layer(whole, &name, &mut layers, sizes)?;
        } else if head.starts_with(&[0x1f, 0x8b]) {
            inside(GzDecoder::new(whole), &name, &mut layers)?;
            layers.compressed(&name, Some(size));
        } else if size <= LARGEST_ABOUT
            && (name.ends_with(".json") || head.starts_with(b"{") || head.starts_with(b"["))
        {
            let mut text = head;
            entry.read_to_end(&mut text)?;
            about.insert(name, text);
        }
    }
    let bad = |said: &str| io::Error::other(said.to_owned());
    let manifest = about
        .get("manifest.json")
        .ok_or_else(|| bad("the archive has no manifest"))?;
    let manifest: Vec<Manifest> = serde_json::from_slice(manifest).map_err(io::Error::other)?;
    let manifest = manifest
        .into_iter()
        .next()
        .ok_or_else(|| bad("the archive has no image"))?;
    let past = about
        .get(&manifest.config)
        .ok_or_else(|| bad("the archive has no configuration"))?;
    let past = Past::read(past).map_err(io::Error::other)?;
    let order: Vec<String> = manifest
        .layers
        .iter()
        .map(|name| links.get(name).cloned().unwrap_or_else(|| name.clone()))
        .collect();
    Ok(layers.finish(&order, past))
}

/// A layer that isn't compressed: what it takes compressed is found by doing it.
fn layer(stream: impl Read, name: &str, layers: &mut Layers, sizes: &mut Sizes) -> io::Result<()> {
    if let Some(size) = sizes.get(name).copied() {
        inside(stream, name, layers)?;
        layers.compressed(name, Some(size));
        return Ok(());
    }
    let mut tee = Tee {
        stream,
        gzip: GzEncoder::new(Count(0), Compression::new(6)),
    };
    inside(&mut tee, name, layers)?;
    let size = tee.gzip.finish()?.0;
    sizes.insert(name.to_owned(), size);
    layers.compressed(name, Some(size));
    Ok(())
}

/// The entries of a layer.
fn inside(stream: impl Read, name: &str, layers: &mut Layers) -> io::Result<()> {
    let mut archive = tar::Archive::new(stream);
    let mut content = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let header = entry.header();
        let kind = match header.entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                Kind::File
            }
            tar::EntryType::Directory => Kind::Folder,
            tar::EntryType::Link | tar::EntryType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        let about = Entry {
            path: &path,
            size: entry.size(),
            mode: header.mode().unwrap_or(0),
            kind,
        };
        if layers.entry(name, &about) {
            content.clear();
            entry.read_to_end(&mut content)?;
            layers.content(name, &path, &content);
        }
    }
    // What stands behind the end is part of the layer too.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}

/// What is read goes through gzip beside.
struct Tee<R> {
    stream: R,
    gzip: GzEncoder<Count>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.gzip.write_all(&buffer[..count])?;
        Ok(count)
    }
}

/// Counts what is written to it.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn layers_are_read_in_whatever_order_they_come() {
        let first = tar_of(&[
            ("app/a", b"0123456789"),
            ("app/key.pem", b"-----BEGIN PRIVATE KEY-----\n"),
        ]);
        let second = tar_of(&[("app/.wh.a", b""), ("app/b", &[7; 4096])]);
        let config = br#"{"config":{"User":"1000"},"history":[{"created_by":"COPY . . # buildkit"},{"created_by":"RUN /bin/sh -c rm a # buildkit"}]}"#;
        let manifest = br#"[{"Config":"c.json","Layers":["1/layer.tar","2/layer.tar"]}]"#;
        let whole = tar_of(&[
            ("2/layer.tar", &second),
            ("1/layer.tar", &first),
            ("c.json", config),
            ("manifest.json", manifest),
        ]);
        let mut sizes = Sizes::new();
        let looked = archive(whole.as_slice(), &mut sizes).unwrap();
        assert_eq!(looked.layers.len(), 2);
        assert_eq!(
            (looked.layers[0].hidden, looked.layers[1].deleted),
            (10, 10)
        );
        assert_eq!(looked.layers[0].secrets[0].0, "app/key.pem");
        assert_eq!(looked.past.config.user, "1000");
        assert!(
            looked
                .compressed()
                .is_some_and(|bytes| bytes < looked.bytes())
        );
        assert_eq!(sizes.len(), 2);
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        assert!(archive(&b"nonsense"[..], &mut Sizes::new()).is_err());
        assert!(
            archive(
                tar_of(&[("manifest.json", b"[]")]).as_slice(),
                &mut Sizes::new()
            )
            .is_err()
        );
    }
}
