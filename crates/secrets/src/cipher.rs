//! age, as far as it is needed here: X25519 recipients, ASCII armour for what is committed.

use std::io::Write as _;

use age::{
    DecryptError, Encryptor,
    armor::{ArmoredWriter, Format},
    x25519::{Identity, Recipient},
};
use landfall_redact::Secret;

/// The first line of an armoured ciphertext.
pub const ARMOUR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// Why something doesn't decrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is encrypted to others.
    NotForMe,
    /// It is not what was once written.
    Damaged,
    /// It holds what no variable can.
    NotText,
}

/// Encrypts to all recipients, as armoured text.
pub fn encrypt(recipients: &[Recipient], value: &Secret) -> String {
    let armoured = (|| -> std::io::Result<Vec<u8>> {
        let all = recipients
            .iter()
            .map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(all).map_err(std::io::Error::other)?;
        let armour = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armour)?;
        writer.write_all(value.expose().as_bytes())?;
        writer.finish()?.finish()
    })()
    .expect("encrypting to X25519 in memory fails only without recipients, which callers refuse");
    String::from_utf8(armoured).expect("armour is ASCII")
}

/// Encrypts to one recipient, as bytes.
pub fn seal(recipient: &Recipient, value: &Secret) -> Vec<u8> {
    age::encrypt(recipient, value.expose().as_bytes())
        .expect("encrypting to X25519 in memory can't fail")
}

/// Decrypts either form.
pub fn decrypt(identity: &Identity, ciphertext: &[u8]) -> Result<Secret, Refused> {
    let plain = age::decrypt(identity, ciphertext).map_err(|error| match error {
        DecryptError::NoMatchingKeys => Refused::NotForMe,
        _ => Refused::Damaged,
    })?;
    String::from_utf8(plain)
        .map(Secret::new)
        .map_err(|_| Refused::NotText)
}
