//! What is a secret by its name or its looks.

/// Ends of names that carry secrets. Longer ones first isn't needed: any of them is enough.
const ENDS: [&str; 19] = [
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "APIKEY",
    "SECRET_KEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "ENCRYPTION_KEY",
    "SIGNING_KEY",
    "LICENSE_KEY",
    "CREDENTIALS",
    "SECRET_KEY_BASE",
    "AUTH_KEY",
    "AUTHKEY",
];

/// Names that end so and are none.
const NONE: [&str; 4] = ["PWD", "OLDPWD", "BYPASS", "COMPASS"];

/// Whether a variable is called like a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if NONE.contains(&name.as_str()) {
        return false;
    }
    let ends = |end: &str| {
        name.strip_suffix(end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('_') || end.len() > 4)
    };
    ENDS.iter().any(|end| ends(end)) || name.contains("_SECRET_") || name.starts_with("SECRET_")
}

/// Whether a value is one that nobody would keep secret: a switch, a path, a file's name.
pub(super) fn is_harmless(value: &str) -> bool {
    value.is_empty()
        || value.starts_with('/')
        || matches!(
            value.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "0" | "1" | "none" | "null"
        )
}

/// Whether a value looks like a secret, whatever its variable is called: a key of a known kind, or a
/// password in a URL.
pub(super) fn looks_secret(value: &str) -> bool {
    const BEGINNINGS: [&str; 22] = [
        "ghp_",
        "gho_",
        "ghs_",
        "github_pat_",
        "glpat-",
        "sk-",
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "rk_test_",
        "whsec_",
        "SG.",
        "hf_",
        "npm_",
        "pypi-",
        "dop_v1_",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "AIza",
        "-----BEGIN",
        "AGE-SECRET-KEY-",
    ];
    BEGINNINGS
        .iter()
        .any(|beginning| value.starts_with(beginning) && value.len() >= 20)
        || password_in_url(value).is_some()
}

/// The password of a URL: `scheme://user:password@host`.
pub(super) fn password_in_url(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let (login, _) = authority.rsplit_once('@')?;
    let (_, password) = login.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

/// A secret's name out of any word: `db-password` is `DB_PASSWORD`.
pub(super) fn variable_name(word: &str) -> String {
    let mut name: String = word
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_and_others_left() {
        for name in [
            "GH_TOKEN",
            "POSTGRES_PASSWORD",
            "db_password",
            "SECRET_KEY",
            "OPENAI_API_KEY",
            "DB_PASS",
            "JWT_SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "PASSWORD",
            "MYSQL_PWD",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "GH_REPO",
            "PWD",
            "BYPASS",
            "TOKENS",
            "KEY",
            "TOKEN_LIFETIME",
            "PUBLIC_KEY",
            "SORT_KEY",
            "MYSQL_ALLOW_EMPTY_PASSWORDS",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_seen_in_values() {
        assert!(looks_secret("ghp_abcdefghijklmnopqrstuvwxyz"));
        assert!(looks_secret("amqp://a:b@c"));
        for beginning in ["sk_test_", "rk_test_", "whsec_", "AGE-SECRET-KEY-1"] {
            assert!(looks_secret(&format!("{beginning}51Habcdefghijklmnop")));
        }
        for value in [
            "http://a:80/b@c",
            "amqp://a@c",
            "sk-short",
            "plain",
            "redis://:@h",
        ] {
            assert!(!looks_secret(value), "{value}");
        }
    }
}
