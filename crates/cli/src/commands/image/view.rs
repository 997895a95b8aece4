//! Advice as people read it: what matters first, with bytes and seconds.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use landfall_app::model::Severity;
use landfall_doctor::{Finding, Place};
use similar::TextDiff;

use super::workshop::Measured;
use crate::{
    output::Output,
    report::clean,
    view::{plain, table::Table},
};

/// Where something is, as people find it.
pub fn place(place: &Place, file: &str) -> String {
    match place {
        Place::Line(line) => format!("{file}:{line}"),
        Place::Layer(layer) => format!("layer {layer}"),
        Place::File(path) => path.clone(),
        Place::Image => "the image".to_owned(),
    }
}

/// What it costs, in a few words; empty where nothing was measured.
fn effect(finding: &Finding) -> String {
    let mut parts = Vec::new();
    parts.extend(finding.effect.bytes.map(plain::bytes));
    parts.extend(
        finding
            .effect
            .seconds
            .map(|seconds| format!("{seconds:.1}s")),
    );
    parts.extend(finding.effect.seen.clone());
    parts.join(", ")
}

/// The findings, two or three lines each.
pub fn findings(output: &Output, findings: &[Finding], file: &str) -> String {
    let bold = output.style(Style::new().bold());
    let dim = output.style(Style::new().dimmed());
    let mut text = String::new();
    for finding in findings {
        let colour = output.style(match finding.severity {
            Severity::Critical | Severity::High => AnsiColor::Red.on_default().bold(),
            Severity::Medium => AnsiColor::Yellow.on_default(),
            Severity::Low => Style::new(),
        });
        let severity = plain::word(&finding.severity);
        let at = place(&finding.place, file);
        let _ = writeln!(
            text,
            "{colour}{severity:<8}{colour:#}  {bold}{}{bold:#}  {dim}{at}{dim:#}",
            finding.name
        );
        let _ = writeln!(text, "          {}", clean(&finding.said));
        let effect = effect(finding);
        if !effect.is_empty() {
            let _ = writeln!(text, "          measured: {}", clean(&effect));
        }
        let done = if finding.mended { "mended: " } else { "mend: " };
        let _ = writeln!(text, "          {done}{}", clean(&finding.mend));
    }
    text
}

/// Both images side by side.
pub fn comparison(stands: &Measured, mended: Option<&Measured>, scanned: &str) -> String {
    let mut table = Table::new(0);
    let mut head = vec!["".to_owned(), "AS IT STANDS".to_owned()];
    head.extend(mended.map(|_| "MENDED".to_owned()));
    table.row(head);
    let mut row = |name: &str, of: &dyn Fn(&Measured) -> String| {
        let mut cells = vec![name.to_owned(), of(stands)];
        cells.extend(mended.map(of));
        table.row(cells);
    };
    row("size", &|one| plain::bytes(one.bytes));
    row("compressed", &|one| {
        one.compressed
            .map_or("not measured".to_owned(), plain::bytes)
    });
    row("layers", &|one| one.layers.to_string());
    // Of an image alone, how it was built isn't known.
    if stands.build > 0.0 {
        row("context", &|one| {
            format!(
                "{}, {}",
                plain::bytes(one.sent),
                plain::counted(one.sent_files, "file")
            )
        });
        row("build, nothing cached", &|one| format!("{:.1}s", one.build));
    }
    if let Some(change) = &stands.change {
        row(
            &format!("a line more in {}", change.file),
            &|one| match &one.change {
                Some(change) => format!(
                    "{:.1}s, {}, {}",
                    change.seconds,
                    plain::counted(change.layers, "layer"),
                    plain::bytes(change.bytes)
                ),
                None => "not tried".to_owned(),
            },
        );
    }
    row("user", &|one| one.user.clone());
    row("started", &|one| clean(&one.ran.said()));
    row("TERM", &|one| one.ran.term_said());
    table.row(["known vulnerabilities", scanned]);
    table.render()
}

/// The changes of a file, secrets in it masked.
pub fn diff(name: &str, before: Option<&str>, after: &str) -> String {
    let mut secrets = landfall_doctor::secret_values(after);
    secrets.extend(landfall_doctor::secret_values(before.unwrap_or_default()));
    let masked = |text: &str| {
        secrets
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    };
    let name = name.trim_start_matches('/');
    let (old, new) = (masked(before.unwrap_or_default()), masked(after));
    let header = match before {
        Some(_) => format!("a/{name}"),
        None => "/dev/null".to_owned(),
    };
    let diff = TextDiff::from_lines(&old, &new);
    diff.unified_diff()
        .header(&header, &format!("b/{name}"))
        .to_string()
}

/// What the mended one is better by: `; 377 MiB become 189 MiB, a changed line 7.4s becomes 0.1s`.
pub fn gained(stands: &Measured, mended: &Measured) -> String {
    let mut text = format!(
        "; {} become {}",
        plain::bytes(stands.bytes),
        plain::bytes(mended.bytes)
    );
    if let (Some(before), Some(after)) = (&stands.change, &mended.change) {
        let _ = write!(
            text,
            ", a changed line {:.1}s becomes {:.1}s",
            before.seconds, after.seconds
        );
    }
    text
}
