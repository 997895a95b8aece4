//! SCRAM-SHA-256 as PostgreSQL speaks it (RFC 5802, RFC 7677): the client's side of a login, and the
//! verifier that stands in a role instead of its password. Pure, given random text.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use landfall_redact::Secret;
use sha2::{Digest as _, Sha256};

/// Rounds of a verifier that we make; PostgreSQL's own number.
const ROUNDS: u32 = 4096;

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// PBKDF2 with one block, which is as long as SHA-256's digest.
fn salted(password: &Secret, salt: &[u8], rounds: u32) -> [u8; 32] {
    let key = password.expose().as_bytes();
    let mut block = hmac(key, &[salt, &[0, 0, 0, 1]].concat());
    let mut sum = block;
    for _ in 1..rounds {
        block = hmac(key, &block);
        sum.iter_mut()
            .zip(block)
            .for_each(|(sum, block)| *sum ^= block);
    }
    sum
}

/// What PostgreSQL keeps of a password: it can be checked with it, and not be found out.
pub fn verifier(password: &Secret, salt: &[u8]) -> String {
    let salted = salted(password, salt, ROUNDS);
    let stored = Sha256::digest(hmac(&salted, b"Client Key"));
    let server = hmac(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${ROUNDS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

/// A login under way.
pub struct Login {
    password: Secret,
    first: String,
    expected: Option<[u8; 32]>,
}

impl Login {
    /// One with a fresh random text in it.
    pub fn new(password: Secret, random: &str) -> Self {
        Self {
            password,
            first: format!("n=,r={random}"),
            expected: None,
        }
    }

    /// The client's first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// The client's answer to the server's first message; none where that can't be right.
    pub fn answer(&mut self, server: &str) -> Option<String> {
        let field = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name));
        let (nonce, salt, rounds) = (field("r=")?, field("s=")?, field("i=")?);
        if !nonce.starts_with(self.first.strip_prefix("n=,r=")?) {
            return None;
        }
        let rounds: u32 = rounds.parse().ok().filter(|rounds| *rounds <= 10_000_000)?;
        let salted = salted(&self.password, &STANDARD.decode(salt).ok()?, rounds);
        let last = format!("c=biws,r={nonce}");
        let all = format!("{},{server},{last}", self.first);
        let key = hmac(&salted, b"Client Key");
        let signature = hmac(&Sha256::digest(key), all.as_bytes());
        let proof: Vec<u8> = key
            .iter()
            .zip(signature)
            .map(|(key, by)| key ^ by)
            .collect();
        self.expected = Some(hmac(&hmac(&salted, b"Server Key"), all.as_bytes()));
        Some(format!("{last},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server knows the password too.
    pub fn holds(&self, server: &str) -> bool {
        let said = server
            .strip_prefix("v=")
            .and_then(|text| STANDARD.decode(text.split(',').next()?).ok());
        said.is_some() && said.as_deref() == self.expected.as_ref().map(<[u8; 32]>::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, but for the user's name, which PostgreSQL takes from elsewhere.
    #[test]
    fn a_proof_and_the_servers_answer() {
        let mut login = Login::new(Secret::new("pencil".to_owned()), "rOprNGfwEbeRWgbNEkqO");
        login.first = "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned();
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        // The nonce is looked for behind an empty name.
        assert_eq!(login.answer(server), None);
        login.first = "n=,r=rOprNGfwEbeRWgbNEkqO".to_owned();
        let answer = login.answer(server).unwrap();
        assert!(
            answer.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=")
        );
        let salted = salted(
            &Secret::new("pencil".to_owned()),
            &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(),
            4096,
        );
        let all = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = hmac(&hmac(&salted, b"Server Key"), all.as_bytes());
        assert_eq!(
            STANDARD.encode(signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        assert!(!login.holds("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn a_server_that_answers_with_another_nonce_gets_nothing() {
        let mut login = Login::new(Secret::new("pencil".to_owned()), "mine");
        assert_eq!(
            login.answer("r=theirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            None
        );
        assert!(!login.holds("v="));
    }

    #[test]
    fn a_verifier_says_nothing_of_the_password() {
        let verifier = verifier(&Secret::new("pencil".to_owned()), b"salt of 16 bytes");
        assert!(verifier.starts_with("SCRAM-SHA-256$4096:c2FsdCBvZiAxNiBieXRlcw==$"));
        assert!(!verifier.contains("pencil"));
    }
}
