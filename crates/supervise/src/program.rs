//! Whether a program can run in any container: whether it needs nothing but the kernel.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// The kind of program header that names the dynamic linker.
const INTERPRETER: u64 = 3;

/// A program has a dozen headers; a file with more than so many is none.
const MOST_HEADERS: u16 = 512;

/// Whether a file is a program that needs no dynamic linker, by its ELF program headers.
///
/// # Errors
/// Those of reading. What is no program at all isn't a static one either: that is no error.
pub fn is_static(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    match needs_interpreter(&mut file) {
        Ok(needs) => Ok(needs == Some(false)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// None: it is no program.
fn needs_interpreter(file: &mut (impl Read + Seek)) -> io::Result<Option<bool>> {
    let mut head = [0; 20];
    file.read_exact(&mut head)?;
    let (class, order, kind) = (head[4], head[5], [head[16], head[17]]);
    let little = order == 1;
    let number = |bytes: &[u8]| -> u64 {
        let place = |index: usize| {
            if little {
                index
            } else {
                bytes.len() - 1 - index
            }
        };
        (0..bytes.len()).rev().fold(0, |number, index| {
            number << 8 | u64::from(bytes[place(index)])
        })
    };
    // 2: executable; 3: also a shared one, as static programs at any address are.
    let known = matches!(class, 1 | 2) && matches!(order, 1 | 2);
    if head[..4] != *b"\x7fELF" || !known || !matches!(number(&kind), 2 | 3) {
        return Ok(None);
    }
    let wide = class == 2;
    let mut read = |at: u64, length: usize| -> io::Result<u64> {
        let mut bytes = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut bytes[..length])?;
        Ok(number(&bytes[..length]))
    };
    let (table, size, count) = if wide {
        (read(32, 8)?, read(54, 2)?, read(56, 2)?)
    } else {
        (read(28, 4)?, read(42, 2)?, read(44, 2)?)
    };
    if count == 0 || count > MOST_HEADERS.into() {
        return Ok(None);
    }
    for index in 0..count {
        let at = table
            .checked_add(index * size)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        if read(at, 4)? == INTERPRETER {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Cursor};

    use super::*;

    /// A program's beginning, with headers of these kinds.
    fn program(wide: bool, little: bool, kinds: &[u32]) -> Vec<u8> {
        let (head, size) = if wide { (64, 56) } else { (52, 32) };
        let mut bytes = vec![0; head + size * kinds.len()];
        bytes[..4].copy_from_slice(b"\x7fELF");
        bytes[4] = if wide { 2 } else { 1 };
        bytes[5] = if little { 1 } else { 2 };
        let mut put = |at: usize, length: usize, value: usize| {
            for index in 0..length {
                let place = if little { index } else { length - 1 - index };
                bytes[at + place] = u8::try_from(value >> (8 * index) & 0xff).unwrap();
            }
        };
        put(16, 2, 3);
        let places = if wide {
            [(32, 8), (54, 2), (56, 2)]
        } else {
            [(28, 4), (42, 2), (44, 2)]
        };
        for ((at, length), value) in places.into_iter().zip([head, size, kinds.len()]) {
            put(at, length, value);
        }
        for (index, kind) in kinds.iter().enumerate() {
            put(head + index * size, 4, *kind as usize);
        }
        bytes
    }

    #[test]
    fn a_program_is_static_that_names_no_dynamic_linker() {
        for (wide, little) in [(true, true), (true, false), (false, true), (false, false)] {
            let needs = |kinds: &[u32]| {
                needs_interpreter(&mut Cursor::new(program(wide, little, kinds))).unwrap()
            };
            assert_eq!(needs(&[6, 3, 1]), Some(true));
            assert_eq!(needs(&[1, 1, 2]), Some(false));
            assert_eq!(needs(&[]), None);
        }
    }

    #[test]
    fn what_is_no_program_is_not_static() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let cut = &program(true, true, &[1, 1])[..100];
        for text in [&b""[..], b"#!/bin/sh\nexit 0\n# a script\n", cut] {
            fs::write(&file, text).unwrap();
            assert!(!is_static(&file).unwrap());
        }
        assert!(is_static(&folder.path().join("nowhere")).is_err());
        // Whatever this test itself is, a linker that is found in it makes the answer.
        let own = std::env::current_exe().unwrap();
        assert_eq!(
            is_static(&own).unwrap(),
            cfg!(target_feature = "crt-static")
        );
    }
}
