//! What scanners print, understood: findings by severity, and whether anything was scanned at all.

use std::collections::BTreeMap;

use landfall_app::model::Severity;
use serde_json::Value;

/// A vulnerability that a scanner found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is; none where the scanner can't say.
    severity: Option<Severity>,
    /// `CVE-2024-1234`
    id: String,
    /// The package, with its version.
    package: String,
    /// The version that mends it; empty where there is none yet.
    fixed: String,
}

/// What a scan found, from the worst on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

/// From the worst on.
const SEVERITIES: [(Severity, &str); 4] = [
    (Severity::Critical, "critical"),
    (Severity::High, "high"),
    (Severity::Medium, "medium"),
    (Severity::Low, "low"),
];

/// A severity as people write it.
pub fn word(severity: Severity) -> &'static str {
    let found = SEVERITIES.iter().find(|(other, _)| *other == severity);
    found.map_or("", |(_, word)| word)
}

/// Reads what `trivy --format json` prints; none where it saw nothing that it could scan.
pub fn trivy(text: &[u8]) -> Option<Findings> {
    let report: Value = serde_json::from_slice(text).ok()?;
    // A result for each thing that it knows: the system's packages, each language's. Without one it
    // looked at nothing.
    let results = report["Results"].as_array();
    let results = results.filter(|results| !results.is_empty())?;
    let found = results
        .iter()
        .flat_map(|result| result["Vulnerabilities"].as_array().into_iter().flatten());
    Some(Findings::new(found.map(|one| Finding {
        severity: severity(&one["Severity"]),
        id: said(&one["VulnerabilityID"]),
        package: format!(
            "{} {}",
            said(&one["PkgName"]),
            said(&one["InstalledVersion"])
        ),
        fixed: said(&one["FixedVersion"]),
    })))
}

/// Reads what `grype -o json` prints; none where it saw nothing that it could scan.
pub fn grype(text: &[u8]) -> Option<Findings> {
    let report: Value = serde_json::from_slice(text).ok()?;
    let matches = report["matches"].as_array()?;
    // It doesn't say how many packages it saw; without a distribution and a finding it was likely none.
    if matches.is_empty() && said(&report["distro"]["name"]).is_empty() {
        return None;
    }
    Some(Findings::new(matches.iter().map(|one| {
        let (about, artifact) = (&one["vulnerability"], &one["artifact"]);
        let fixed = about["fix"]["versions"].as_array().into_iter().flatten();
        Finding {
            severity: severity(&about["severity"]),
            id: said(&about["id"]),
            package: format!("{} {}", said(&artifact["name"]), said(&artifact["version"])),
            fixed: fixed.map(said).collect::<Vec<_>>().join(", "),
        }
    })))
}

fn said(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn severity(value: &Value) -> Option<Severity> {
    let named = value.as_str()?.to_lowercase();
    let found = SEVERITIES.iter().find(|(_, word)| *word == named);
    found.map(|(severity, _)| *severity)
}

impl Findings {
    fn new(found: impl Iterator<Item = Finding>) -> Self {
        let mut found: Vec<_> = found.collect();
        // The same one of a package counts once, in however many layers it is.
        found.sort_by(|one, other| {
            (other.severity, &one.id, &one.package).cmp(&(one.severity, &other.id, &other.package))
        });
        found.dedup();
        Self(found)
    }

    /// Those of a severity or worse.
    pub fn at_least(&self, least: Severity) -> Self {
        let found = self.0.iter().filter(|found| found.severity >= Some(least));
        Self(found.cloned().collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `2 critical, 5 high`; `none found`.
    pub fn count(&self) -> String {
        let mut counts: BTreeMap<Option<Severity>, usize> = BTreeMap::new();
        for found in &self.0 {
            *counts.entry(found.severity).or_default() += 1;
        }
        if counts.is_empty() {
            return "none found".to_owned();
        }
        let parts = counts.iter().rev().map(|(severity, count)| {
            format!("{count} {}", severity.map_or("of unknown severity", word))
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    /// The worst, a line each, with the version that mends it.
    pub fn worst(&self, most: usize) -> Vec<String> {
        let line = |found: &Finding| {
            let severity = found.severity.map_or("unknown", word);
            let fixed = match found.fixed.as_str() {
                "" => "not fixed yet".to_owned(),
                version => format!("fixed in {version}"),
            };
            format!("{severity}: {} in {}, {fixed}", found.id, found.package)
        };
        let mut lines: Vec<_> = self.0.iter().take(most).map(line).collect();
        let more = self.0.len().saturating_sub(most);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIVY: &str = r#"{"SchemaVersion":2,"ArtifactName":"shop","Results":[
        {"Target":"shop (debian 12.5)","Class":"os-pkgs","Type":"debian","Vulnerabilities":[
            {"VulnerabilityID":"CVE-2024-1","PkgName":"openssl","InstalledVersion":"3.0.1","FixedVersion":"3.0.2","Severity":"HIGH"},
            {"VulnerabilityID":"CVE-2024-2","PkgName":"zlib1g","InstalledVersion":"1.2","Severity":"CRITICAL"},
            {"VulnerabilityID":"CVE-2024-1","PkgName":"openssl","InstalledVersion":"3.0.1","FixedVersion":"3.0.2","Severity":"HIGH"},
            {"VulnerabilityID":"CVE-2024-3","PkgName":"bash","InstalledVersion":"5","Severity":"UNKNOWN"}]},
        {"Target":"Python","Class":"lang-pkgs","Type":"python-pkg"}]}"#;

    #[test]
    fn trivys_report() {
        let found = trivy(TRIVY.as_bytes()).unwrap();
        assert_eq!(found.count(), "1 critical, 1 high, 1 of unknown severity");
        assert_eq!(found.at_least(Severity::High).count(), "1 critical, 1 high");
        assert_eq!(
            found.worst(2),
            [
                "critical: CVE-2024-2 in zlib1g 1.2, not fixed yet",
                "high: CVE-2024-1 in openssl 3.0.1, fixed in 3.0.2",
                "and 1 more",
            ]
        );
    }

    #[test]
    fn nothing_scanned_is_not_nothing_found() {
        assert_eq!(trivy(br#"{"SchemaVersion":2}"#), None);
        assert_eq!(trivy(br#"{"SchemaVersion":2,"Results":[]}"#), None);
        assert_eq!(trivy(b"FATAL no database"), None);
        let empty = trivy(br#"{"Results":[{"Target":"shop (debian 12.5)","Class":"os-pkgs"}]}"#);
        assert_eq!(empty.unwrap().count(), "none found");
        assert_eq!(grype(br#"{"matches":[],"distro":{"name":""}}"#), None);
        let empty = grype(br#"{"matches":[],"distro":{"name":"debian"}}"#);
        assert_eq!(empty.unwrap().count(), "none found");
    }

    #[test]
    fn grypes_report() {
        let text = br#"{"matches":[{"vulnerability":{"id":"CVE-2024-9","severity":"High","fix":{"versions":["2.0"],"state":"fixed"}},
                       "artifact":{"name":"requests","version":"1.0"}}],"distro":{"name":"debian"}}"#;
        let found = grype(text).unwrap();
        assert_eq!(
            found.worst(5),
            ["high: CVE-2024-9 in requests 1.0, fixed in 2.0"]
        );
        assert!(found.at_least(Severity::Critical).is_empty());
    }
}
