//! What looks like a secret: by a name, by a file's name, by its content.

/// Words in a variable's name that say its value is a secret.
const WORDS: [&str; 12] = [
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "TOKEN",
    "APIKEY",
    "API_KEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH_KEY",
    "ENCRYPTION_KEY",
];

/// Whether a variable of this name and value holds a secret. Values that only say where one is don't.
pub fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let value = value.trim();
    let says = WORDS.iter().any(|word| {
        name == *word || name.ends_with(&format!("_{word}")) || name.contains(&format!("{word}_"))
    }) && ![
        "_FILE",
        "_PATH",
        "_URL",
        "_NAME",
        "_ALGORITHM",
        "_TTL",
        "_EXPIRY",
        "_EXPIRE_MINUTES",
        "_LENGTH",
        "_SHA256",
    ]
    .iter()
    .any(|end| name.ends_with(end));
    let is_number = value.parse::<f64>().is_ok() && value.len() < 6;
    let empty = value.is_empty()
        || value.starts_with('$')
        || value.starts_with('/')
        || is_number
        || ["true", "false", "none", "null"].contains(&value.to_ascii_lowercase().as_str());
    (says && !empty) || shape(value.as_bytes()).is_some() || has_password(value)
}

/// Whether a variable's name alone says that it takes a secret.
pub fn named_secret(name: &str) -> bool {
    is_secret(name, "a value")
}

/// `postgres://user:password@host`, where the password isn't filled in from elsewhere.
fn has_password(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else {
        return false;
    };
    let password = user.split_once(':').map_or("", |(_, password)| password);
    !scheme.is_empty() && !password.is_empty() && !password.starts_with('$')
}

/// What a file of this path likely holds, going by its name.
pub fn file(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let below = |folder: &str| {
        path.starts_with(&format!("{folder}/")) || path.contains(&format!("/{folder}/"))
    };
    Some(match name {
        ".env" => "variables with their values",
        ".npmrc" | ".yarnrc.yml" | ".pypirc" | ".netrc" | ".git-credentials" | ".htpasswd"
        | ".pgpass" => "logins",
        "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519" => "a private key",
        "credentials.json" | "service-account.json" | "terraform.tfstate" => "credentials",
        "config.json" if below(".docker") => "logins of registries",
        "credentials" | "config" if below(".aws") => "keys of AWS",
        "config" if below(".kube") => "keys of a cluster",
        _ if name.starts_with(".env.") => match name.trim_start_matches(".env.") {
            "example" | "sample" | "template" | "dist" | "defaults" => return None,
            _ => "variables with their values",
        },
        _ if name.ends_with(".kdbx") || name.ends_with(".p12") || name.ends_with(".pfx") => "keys",
        _ => return None,
    })
}

/// Beginnings of tokens whose makers gave them a shape: beginning, how long it is at least, what it is.
const SHAPES: [(&[u8], usize, &str); 16] = [
    (b"AKIA", 20, "an access key of AWS"),
    (b"ghp_", 36, "a token of GitHub"),
    (b"gho_", 36, "a token of GitHub"),
    (b"ghs_", 36, "a token of GitHub"),
    (b"github_pat_", 60, "a token of GitHub"),
    (b"glpat-", 26, "a token of GitLab"),
    (b"xoxb-", 30, "a token of Slack"),
    (b"xoxp-", 30, "a token of Slack"),
    (b"sk_live_", 24, "a key of Stripe"),
    (b"rk_live_", 24, "a key of Stripe"),
    (b"npm_", 40, "a token of npm"),
    (b"pypi-AgE", 50, "a token of PyPI"),
    (b"dop_v1_", 70, "a token of DigitalOcean"),
    (b"hf_", 37, "a token of Hugging Face"),
    (b"sk-proj-", 40, "a key of OpenAI"),
    (b"sk-ant-", 40, "a key of Anthropic"),
];

/// What a text holds by its content: a private key, or a token of a known shape.
pub fn shape(text: &[u8]) -> Option<&'static str> {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'-' if text[at..].starts_with(b"-----BEGIN ") => {
                let line = &text[at..text.len().min(at + 64)];
                let end = line
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(line.len());
                if line[..end]
                    .windows(15)
                    .any(|part| part == b"PRIVATE KEY----")
                {
                    return Some("a private key");
                }
            }
            b'A' | b'g' | b'x' | b's' | b'r' | b'n' | b'p' | b'd' | b'h' => {
                let begins = at == 0 || !is_token(text[at - 1]);
                let found = SHAPES
                    .iter()
                    .find(|(begin, ..)| begins && text[at..].starts_with(begin));
                if let Some((begin, least, what)) = found {
                    let length = text[at..]
                        .iter()
                        .take_while(|byte| is_token(**byte))
                        .count();
                    let rest = &text[at + begin.len()..at + length.max(begin.len())];
                    // `sk_live_xxxxxxxxxxxxxxxxxxxxxxxx` of a manual is none.
                    let mut seen = [false; 256];
                    rest.iter().for_each(|byte| seen[usize::from(*byte)] = true);
                    if length >= *least && seen.iter().filter(|seen| **seen).count() > 7 {
                        return Some(what);
                    }
                }
            }
            _ => {}
        }
    }
    None
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Where keys and tokens lie that are nobody's: tests and documentation of what is installed.
pub fn is_nobodys(path: &str) -> bool {
    [
        "/test/",
        "/tests/",
        "/testdata/",
        "/doc/",
        "/examples/",
        "site-packages/",
        "dist-packages/",
        "node_modules/",
        "/share/",
    ]
    .iter()
    .any(|part| path.contains(part))
        || path.starts_with("usr/lib/")
        || path.starts_with("usr/local/lib/")
        || path.starts_with("etc/ssl/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_hold_secrets() {
        for (name, value) in [
            ("API_KEY", "abc123def"),
            ("DATABASE_PASSWORD", "hunter2"),
            ("DATABASE_URL", "postgres://shop:hunter2@db/shop"),
            ("AWS_SECRET_ACCESS_KEY", "x/y+z"),
            ("ANYTHING", "ghp_0123456789abcdefghijABCDEFGHIJklmnop"),
        ] {
            assert!(is_secret(name, value), "{name}");
        }
        for (name, value) in [
            ("API_KEY", ""),
            ("API_KEY", "$API_KEY"),
            ("PASSWORD_FILE", "/run/secrets/x"),
            ("TOKEN_EXPIRE_MINUTES", "30"),
            ("DATABASE_URL", "postgres://db/shop"),
            ("KEYBOARD", "de"),
            ("PATH", "/usr/bin"),
            ("GPG_KEY_SHA256", "0123"),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }

    #[test]
    fn files_that_hold_secrets() {
        assert!(file("app/.env").is_some());
        assert!(file("app/.env.production").is_some());
        assert!(file("app/.env.example").is_none());
        assert!(file("root/.aws/credentials").is_some());
        assert!(file("app/config").is_none());
    }

    #[test]
    fn contents_that_are_secrets() {
        assert_eq!(
            shape(b"x\n-----BEGIN RSA PRIVATE KEY-----\nMII"),
            Some("a private key")
        );
        assert_eq!(shape(b"-----BEGIN CERTIFICATE-----"), None);
        assert_eq!(
            shape(b"key = \"AKIAQ3EGTV7BXW2M5PZ9\""),
            Some("an access key of AWS")
        );
        assert_eq!(shape(b"sk_live_xxxxxxxxxxxxxxxxxxxxxxxx"), None);
        assert_eq!(shape(b"ghp_short"), None);
    }
}
