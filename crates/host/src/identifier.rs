//! The id of an instance: it says what it is an instance of, so that its log segments and its
//! orphans can be told apart without asking the ledger.

use std::fmt;

/// `app.environment.service.release.replica.deployment[-n]`; no part of it contains a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceId {
    /// The app.
    pub app: String,
    /// The environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// The release's number.
    pub release: u64,
    /// The replica's number, from 1.
    pub replica: u32,
    /// The deployment that started it, and for one that replaces a lost one, how many came before.
    pub incarnation: String,
}

impl InstanceId {
    /// Reads an id; `None` where it isn't one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut part = || parts.next();
        let id = Self {
            app: part()?.to_owned(),
            environment: part()?.to_owned(),
            service: part()?.to_owned(),
            release: part()?.parse().ok()?,
            replica: part()?.parse().ok()?,
            incarnation: part()?.to_owned(),
        };
        part().is_none().then_some(id)
    }

    /// The id of the one that takes its place when it is lost.
    #[must_use]
    pub fn replacement(&self) -> Self {
        let (deployment, count) = self
            .incarnation
            .split_once('-')
            .unwrap_or((&self.incarnation, "0"));
        let count = count.parse::<u32>().unwrap_or(0) + 1;
        Self {
            incarnation: format!("{deployment}-{count}"),
            ..self.clone()
        }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            app,
            environment,
            service,
            release,
            replica,
            incarnation,
        } = self;
        write!(
            f,
            "{app}.{environment}.{service}.{release}.{replica}.{incarnation}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_it_is_an_instance_of() {
        let id = InstanceId::parse("shop.local.web.12.2.31").unwrap();
        assert_eq!(
            (id.service.as_str(), id.release, id.replica),
            ("web", 12, 2)
        );
        assert_eq!(id.to_string(), "shop.local.web.12.2.31");
        assert_eq!(id.replacement().to_string(), "shop.local.web.12.2.31-1");
        assert_eq!(
            id.replacement().replacement().to_string(),
            "shop.local.web.12.2.31-2"
        );
        assert_eq!(InstanceId::parse("shop.local.web"), None);
        assert_eq!(InstanceId::parse("shop.local.web.12.2.31.7"), None);
    }
}
