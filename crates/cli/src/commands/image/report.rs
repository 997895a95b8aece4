//! What came of one subject: shown, and written where that was asked for.

use std::fs;

use landfall_app::model::Severity;
use landfall_build::Scanned;
use landfall_doctor::{Effect, Finding, Mended, Place, Project};
use serde_json::json;

use super::{folder, subject::Recipe, view, workshop::Measured};
use crate::{
    app_file::shown,
    arguments::ImageAdvise,
    context::Context,
    report::{Error, Result},
    view::plain,
};

/// What came of one subject.
pub struct Report {
    pub name: String,
    pub findings: Vec<Finding>,
    pub stands: Option<Measured>,
    pub mended: Option<Measured>,
    pub scanned: String,
    /// Changed files: name, before, after.
    pub changes: Vec<(String, Option<String>, String)>,
    pub remarks: Vec<String>,
    pub fixed: bool,
}

impl Report {
    /// What is still so afterwards.
    pub fn left(&self, fixed: bool) -> Vec<Finding> {
        let found = self.findings.iter();
        found
            .filter(|finding| !(fixed && finding.mended))
            .cloned()
            .collect()
    }

    /// Prints it.
    pub fn show(&self, context: &Context, arguments: &ImageAdvise) {
        let output = &context.output;
        if output.json() {
            let changes: Vec<_> = self
                .changes
                .iter()
                .map(|(name, before, after)| json!({ "file": name, "diff": view::diff(name, before.as_deref(), after) }))
                .collect();
            output.data(
                "image-advice",
                &json!({
                    "subject": self.name, "findings": self.findings, "as-it-stands": self.stands, "mended": self.mended,
                    "vulnerabilities": self.scanned, "changes": changes, "remarks": self.remarks, "fixed": self.fixed,
                }),
            );
            return;
        }
        let mendable = self
            .findings
            .iter()
            .filter(|finding| finding.mended)
            .count();
        let counted = match (self.findings.len(), mendable) {
            (0, _) => "nothing to say against it".to_owned(),
            (count, 0) => plain::counted(count, "finding"),
            (count, _) => format!(
                "{}, {mendable} of them mended below",
                plain::counted(count, "finding")
            ),
        };
        let gained = match (&self.stands, &self.mended) {
            (Some(stands), Some(mended)) => view::gained(stands, mended),
            _ => String::new(),
        };
        output.print(&format!("{}: {counted}{gained}", self.name));
        output.print("\n");
        if !self.findings.is_empty() {
            output.print(&view::findings(output, &self.findings, &self.name));
            output.print("");
        }
        if let Some(stands) = &self.stands {
            output.print(&view::comparison(
                stands,
                self.mended.as_ref(),
                &self.scanned,
            ));
            output.print("");
        } else {
            output.print(&format!("known vulnerabilities: {}\n", self.scanned));
        }
        for (name, before, after) in &self.changes {
            output.print(&view::diff(name, before.as_deref(), after));
        }
        for remark in &self.remarks {
            output.say(format!("note: {remark}"));
        }
        if self.fixed {
            let names: Vec<&str> = self
                .changes
                .iter()
                .map(|(name, ..)| name.as_str())
                .collect();
            output.say(format!("Wrote {}.", names.join(" and ")));
        } else if !self.changes.is_empty() && !arguments.no_build {
            output.say("landfall image advise --fix writes it.");
        }
    }

    /// What was not tried is not mended.
    pub fn take_back(&mut self) {
        for finding in &mut self.findings {
            finding.mended = false;
        }
    }

    /// Takes in what a scanner found.
    pub fn scan(&mut self, scanned: Scanned) {
        let (Scanned::Found(said) | Scanned::Not(said)) = &scanned;
        self.scanned.clone_from(said);
        let worst = [
            ("critical", Severity::Critical),
            ("high", Severity::High),
            ("medium", Severity::Medium),
            ("low", Severity::Low),
        ];
        let worst = worst.into_iter().find(|(word, _)| said.contains(word));
        if let (Scanned::Found(said), Some((_, severity))) = (&scanned, worst) {
            self.findings.push(Finding {
                name: "vulnerable-packages",
                severity,
                place: Place::Image,
                said: "packages in it have known vulnerabilities".to_owned(),
                effect: Effect::seen(said.clone()),
                mend: "newer base images and packages; scan = \"high\" in landfall.toml stops deployments".to_owned(),
                mended: false,
            });
        }
    }

    /// The changed files.
    pub fn take(&mut self, recipe: &Recipe, text: &str, project: &Project, mended: &Mended) {
        if mended.dockerfile != text {
            self.changes.push((
                recipe.name(),
                Some(text.to_owned()),
                mended.dockerfile.clone(),
            ));
        }
        if let Some(ignore) = &mended.ignore {
            let name = shown(&recipe.ignore_path());
            self.changes
                .push((name, project.ignore.clone(), ignore.clone()));
        }
    }

    /// Writes the mended files, where nobody changed them meanwhile.
    pub fn write(&mut self, recipe: &Recipe, mended: &Mended, text: &str) -> Result {
        if self.changes.is_empty() {
            return Ok(());
        }
        // Somebody may have gone on writing while it was built.
        if recipe.text()? != text {
            return Err(Error::new(
                "source-changing",
                format!(
                    "{} was changed meanwhile; nothing was written",
                    recipe.name()
                ),
            )
            .mend("landfall image advise --fix again"));
        }
        let write = |path: &std::path::Path, text: &str| {
            // Through a link, so that it stays one; and as whole as a rename makes it.
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            folder::write(&path, text.as_bytes())
                .map_err(|error| Error::file(&path, "can't write", &error))
        };
        if mended.dockerfile != text {
            write(&recipe.path, &mended.dockerfile)?;
        }
        if let Some(ignore) = &mended.ignore {
            write(&recipe.ignore_path(), ignore)?;
        }
        self.fixed = true;
        Ok(())
    }
}
