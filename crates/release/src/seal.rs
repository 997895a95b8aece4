//! Sealing: what turns a release's content into a release.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::release::{Content, Release, ReleaseNumber};

impl Content {
    /// Seals it: gives it its number, its time and the digest over all of it.
    pub fn seal(self, number: ReleaseNumber, created_at: u64) -> Release {
        Release {
            number,
            digest: self.digest(),
            created_at,
            content: self,
        }
    }

    /// SHA-256 over its canonical JSON, in hexadecimal.
    pub fn digest(&self) -> String {
        let digest = Sha256::digest(canonical_json(self));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Release {
    /// Whether its digest fits its content.
    pub fn is_intact(&self) -> bool {
        self.digest == self.content.digest()
    }
}

/// JSON with sorted keys and no spaces: the same value gives the same bytes, however it was made.
pub(crate) fn canonical_json(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value)
        .expect("only paths that aren't UTF-8 can't be JSON, and none gets in");
    let mut text = String::new();
    write_canonical(&value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(&map[key], text);
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(value, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}
