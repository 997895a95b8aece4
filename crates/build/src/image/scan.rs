//! Scanning an image for known vulnerabilities, with the scanner and the database that are there.
//! Nothing is fetched for it.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::PathBuf,
};

use landfall_app::model::Scan;
use landfall_release::ImageArtifact;

use super::{
    ImageRequest,
    desk::Desk,
    error::ImageError,
    findings::{self, Findings},
};
use crate::{error::BuildError, progress::Progress, tool::find};

/// So many findings are named in a failure.
const WORST: usize = 8;

/// What came of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// It was scanned: what was found, and by what.
    Found(String),
    /// It wasn't: why.
    Not(String),
}

/// Scans an image, and refuses what `gate` doesn't allow.
pub fn scan_image(
    request: &ImageRequest<'_>,
    image: &ImageArtifact,
    gate: Option<Scan>,
    progress: &dyn Fn(Progress),
) -> Result<Scanned, BuildError> {
    let report = match scanner(request) {
        Some((name, program)) => scan(request, name, program, image, progress)?,
        None => Err("neither trivy nor grype is installed".to_owned()),
    };
    let (by, found) = match (report, gate) {
        (Ok(report), _) => report,
        (Err(why), Some(Scan { required: true, .. })) => {
            return Err(ImageError::NotScanned {
                service: request.service.to_owned(),
                why,
            }
            .into());
        }
        (Err(why), _) => return Ok(Scanned::Not(format!("not scanned: {why}"))),
    };
    if let Some(gate) = gate {
        let bad = found.at_least(gate.severity);
        if !bad.is_empty() {
            return Err(ImageError::Vulnerable {
                service: request.service.to_owned(),
                count: bad.count(),
                least: findings::word(gate.severity),
                worst: bad.worst(WORST),
            }
            .into());
        }
    }
    Ok(Scanned::Found(format!("{} by {by}", found.count())))
}

fn scanner(request: &ImageRequest<'_>) -> Option<(&'static str, PathBuf)> {
    ["trivy", "grype"]
        .into_iter()
        .find_map(|name| Some((name, find(request.variables, name)?)))
}

/// What was found and by what, or why nothing was scanned.
type Report = Result<(&'static str, Findings), String>;

fn scan(
    request: &ImageRequest<'_>,
    name: &'static str,
    program: PathBuf,
    image: &ImageArtifact,
    progress: &dyn Fn(Progress),
) -> Result<Report, BuildError> {
    progress(Progress::Said(format!("scanning by {name}")));
    // What scanners say while it goes well is of no interest.
    let quiet = |_: Progress| {};
    let desk = Desk::new(request, &quiet)?;
    // By its name: some scanners take nothing else. What a registry has under it is never asked for.
    let reference = &image.reference;
    let docker = format!("docker:{reference}");
    let arguments: &[&str] = match name {
        "trivy" => &[
            "image",
            "--quiet",
            "--skip-db-update",
            "--skip-java-db-update",
            "--offline-scan",
            "--scanners",
            "vuln",
            "--format",
            "json",
            reference,
        ],
        _ => &["-q", &docker, "-o", "json"],
    };
    let words: Vec<&OsStr> = [program.as_os_str()]
        .into_iter()
        .chain(arguments.iter().map(OsStr::new))
        .collect();
    let engine = OsString::from(request.engine.to_string());
    let variables = [
        ("DOCKER_HOST", engine.as_os_str()),
        ("GRYPE_DB_AUTO_UPDATE", OsStr::new("false")),
        ("GRYPE_CHECK_FOR_APP_UPDATE", OsStr::new("false")),
    ];
    let report = desk.folder().join("report.json");
    let failed = match desk
        .tools
        .run_into(desk.folder(), &words, &variables, &report)
    {
        Ok(_) => None,
        Err(BuildError::Failed { last, exit, .. }) => Some(match last.is_empty() {
            true => exit,
            false => last.join(" "),
        }),
        Err(error) => return Err(error),
    };
    let text = fs::read(&report).unwrap_or_default();
    let found = match name {
        "trivy" => findings::trivy(&text),
        _ => findings::grype(&text),
    };
    Ok(match (failed, found) {
        (Some(said), _) if is_about_the_database(&said) => {
            Err(format!("{name} has no database on this machine"))
        }
        (Some(said), _) => Err(format!("{name} fails: {}", said.trim())),
        (None, None) => Err(format!("{name} finds nothing in it that it knows")),
        (None, Some(found)) => Ok((name, found)),
    })
}

/// Whether a scanner's last words are that it has no database.
fn is_about_the_database(said: &str) -> bool {
    let said = said.to_lowercase();
    ["first run", "database", "db error", "vulnerability db"]
        .iter()
        .any(|word| said.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanners_without_a_database_are_known() {
        for said in [
            "FATAL\tFatal error\trun error: init error: DB error: --skip-db-update cannot be specified on the first run",
            "failed to load vulnerability db: database does not exist",
        ] {
            assert!(is_about_the_database(said), "{said}");
        }
        assert!(!is_about_the_database("no such image: shop:1"));
    }
}
