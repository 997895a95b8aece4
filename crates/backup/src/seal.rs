//! A part of a backup on its way: hashed, encrypted with age, hashed again, stored; and back. A few
//! pieces are in memory at a time, however large it is.

use std::io::{self, Read, Write};

use age::{DecryptError, Decryptor, Encryptor};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use crate::{
    channel::{PIECE, PieceReader, PieceWriter, pieces},
    error::Error,
    key::{Keys, Recipients},
    manifest::{Part, Sum},
    progress::{Progress, Stage, Watcher},
    store::Store,
};

/// What passes is counted and hashed.
pub struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    /// Around this.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// What passed.
    pub fn sum(self) -> (Sum, T) {
        let sum = Sum {
            bytes: self.bytes,
            sha256: hexadecimal(&self.hash.finalize()),
        };
        (sum, self.inner)
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Bytes as text.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Encrypts and stores what is read. `expected` is about how much will come. What was written of it
/// is gone again where this fails.
pub async fn write_part(
    store: &Store,
    folder: &str,
    name: &str,
    recipients: &Recipients,
    from: impl AsyncRead + Unpin,
    expected: u64,
    watcher: &dyn Watcher,
) -> Result<Part, Error> {
    let (plain, plain_end) = pieces();
    let feeding = feed(from, plain, watcher);
    part_of(
        store, folder, name, recipients, feeding, plain_end, expected,
    )
    .await
}

/// Reads until the end, into pieces.
async fn feed(
    mut from: impl AsyncRead + Unpin,
    plain: mpsc::Sender<Bytes>,
    watcher: &dyn Watcher,
) -> Result<(), Error> {
    let mut done = 0;
    loop {
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        let count = from
            .read_buf(&mut piece)
            .await
            .map_err(Error::io("the dump"))?;
        if count == 0 {
            return Ok(());
        }
        done += count as u64;
        watcher.news(Progress {
            stage: Stage::Dumping,
            bytes: done,
            of: None,
        });
        if plain.send(piece.freeze()).await.is_err() {
            // The one behind it failed, and says so itself.
            return Ok(());
        }
    }
}

/// Encrypts and stores what `feeding` puts into the channel.
pub(crate) async fn part_of(
    store: &Store,
    folder: &str,
    name: &str,
    recipients: &Recipients,
    feeding: impl Future<Output = Result<(), Error>>,
    plain: mpsc::Receiver<Bytes>,
    expected: u64,
) -> Result<Part, Error> {
    let path = format!("{folder}/{name}");
    let mut writer = store.writer(&path, expected).await?;
    let (sealed, mut sealed_end) = pieces();
    let recipients = recipients.parsed();
    let sealing = tokio::task::spawn_blocking(move || {
        seal(
            &recipients,
            PieceReader::new(plain),
            PieceWriter::new(sealed),
        )
    });
    let storing = async {
        while let Some(piece) = sealed_end.recv().await {
            writer.write(piece).await?;
        }
        // Without it the one before would wait for room for ever.
        drop(sealed_end);
        Ok::<_, Error>(())
    };
    let (fed, stored) = tokio::join!(feeding, storing);
    let sealing = sealing
        .await
        .map_err(|error| Error::io("encryption")(io::Error::other(error)))?;
    let result = match (fed, stored, sealing) {
        // The store's own error is the cause where the pipe before it broke.
        (_, Err(error), _) | (Err(error), Ok(()), _) => Err(error),
        (Ok(()), Ok(()), Err(error)) => Err(Error::io("encryption")(error)),
        (Ok(()), Ok(()), Ok((plain, sealed))) => Ok(Part {
            name: name.to_owned(),
            plain,
            sealed,
        }),
    };
    match result {
        Ok(part) => {
            writer.finish().await?;
            Ok(part)
        }
        Err(error) => {
            writer.abort().await;
            Err(error)
        }
    }
}

fn seal(
    recipients: &[age::x25519::Recipient],
    plain: PieceReader,
    sealed: PieceWriter,
) -> io::Result<(Sum, Sum)> {
    let mut plain = Hashing::new(plain);
    let all = recipients.iter().map(|one| one as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(all).map_err(io::Error::other)?;
    let mut writer = encryptor.wrap_output(Hashing::new(sealed))?;
    let mut buffer = vec![0; PIECE];
    loop {
        let count = plain.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        writer.write_all(&buffer[..count])?;
    }
    let mut sealed = writer.finish()?;
    sealed.flush()?;
    Ok((plain.sum().0, sealed.sum().0))
}

/// Reads a part back from the store, decrypts it and hands it on. It ends well only where all of it
/// is what was once written.
pub async fn read_part(
    store: &Store,
    folder: &str,
    part: &Part,
    keys: &Keys,
    mut to: impl AsyncWrite + Unpin,
    stage: Stage,
    watcher: &dyn Watcher,
) -> Result<(), Error> {
    let (plain, mut plain_end) = pieces();
    let giving = async move {
        let mut done = 0;
        let result = async {
            while let Some(piece) = plain_end.recv().await {
                done += piece.len() as u64;
                watcher.news(Progress {
                    stage,
                    bytes: done,
                    of: Some(part.plain.bytes),
                });
                to.write_all(&piece).await?;
            }
            to.shutdown().await
        }
        .await;
        // Without it the one before would wait for room for ever.
        drop(plain_end);
        result
    };
    let (opened, given) = tokio::join!(open_part(store, folder, part, keys, plain), giving);
    match (opened, given) {
        // What reads it went away: its own end says why.
        (Err(Error::Io { .. }), Err(source)) | (Ok(()), Err(source)) => {
            Err(Error::io("what is restored")(source))
        }
        (opened, _) => opened,
    }
}

/// The same into a channel.
pub(crate) async fn open_part(
    store: &Store,
    folder: &str,
    part: &Part,
    keys: &Keys,
    plain: mpsc::Sender<Bytes>,
) -> Result<(), Error> {
    let path = format!("{folder}/{}", part.name);
    let (sealed, sealed_end) = pieces();
    let fetching = store.read(&path, sealed);
    let (keys, wanted, what) = (keys.clone(), part.clone(), path.clone());
    let opening = tokio::task::spawn_blocking(move || {
        open(
            &keys,
            PieceReader::new(sealed_end),
            PieceWriter::new(plain),
            &wanted,
            &what,
        )
    });
    let fetched = fetching.await;
    let opened = opening
        .await
        .map_err(|error| Error::io("decryption")(io::Error::other(error)))?;
    // A broken fetch looks like a truncated file to the one behind it.
    fetched?;
    opened
}

fn open(
    keys: &Keys,
    sealed: PieceReader,
    mut plain: PieceWriter,
    part: &Part,
    what: &str,
) -> Result<(), Error> {
    let damaged = |said: String| Error::Damaged {
        what: what.to_owned(),
        said,
    };
    let refused = |error: DecryptError| match error {
        DecryptError::NoMatchingKeys => Error::NotForKey {
            what: what.to_owned(),
        },
        error => damaged(error.to_string()),
    };
    let mut sealed = Hashing::new(sealed);
    let mut hash = Hashing::new(io::sink());
    let mut buffer = vec![0; PIECE];
    let decryptor = Decryptor::new_buffered(io::BufReader::with_capacity(PIECE, &mut sealed))
        .map_err(refused)?;
    let mut reader = decryptor.decrypt(keys.identities()).map_err(refused)?;
    loop {
        let count = reader
            .read(&mut buffer)
            .map_err(|_| damaged("it was cut off or changed since it was written".to_owned()))?;
        if count == 0 {
            break;
        }
        let piece = &buffer[..count];
        hash.write_all(piece).map_err(Error::io(what))?;
        plain.write_all(piece).map_err(Error::io(what))?;
    }
    drop(reader);
    // Whatever stands behind the end is none of ours.
    let rest = io::copy(&mut sealed, &mut io::sink()).map_err(Error::io(what))?;
    if rest > 0 {
        return Err(damaged(format!("{rest} bytes too many")));
    }
    let (plain_sum, sealed_sum) = (hash.sum().0, sealed.sum().0);
    if sealed_sum != part.sealed || plain_sum != part.plain {
        return Err(damaged(format!(
            "its SHA-256 is {}, the manifest says {}",
            sealed_sum.sha256, part.sealed.sha256
        )));
    }
    plain.flush().map_err(Error::io(what))
}
