//! What is found: each with its place, its reason, what it costs as measured, and its mend.

use landfall_app::model::Severity;
use serde::Serialize;

/// Something that makes an image large, slow or unsafe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Its stable name, which `landfall explain` knows.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What it is, in one line.
    pub said: String,
    /// What it costs, as far as that was measured.
    pub effect: Effect,
    /// What mends it.
    pub mend: String,
    /// Whether the mended Dockerfile has it mended.
    pub mended: bool,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A line of the Dockerfile.
    Line(usize),
    /// A layer of the image, counted from 1 at the base.
    Layer(usize),
    /// A file of the context.
    File(String),
    /// The image as a whole.
    Image,
}

/// What was measured. Nothing here is an estimate.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Effect {
    /// Bytes in the image, or sent to the builder, that needn't be.
    pub bytes: Option<u64>,
    /// Seconds that needn't be.
    pub seconds: Option<f64>,
    /// What was seen, where that is no number.
    pub seen: Option<String>,
}

impl Effect {
    /// So many bytes; none where there are none.
    pub fn bytes(bytes: u64) -> Self {
        Self {
            bytes: (bytes > 0).then_some(bytes),
            ..Self::default()
        }
    }

    /// Something seen.
    pub fn seen(text: impl Into<String>) -> Self {
        Self {
            seen: Some(text.into()),
            ..Self::default()
        }
    }
}

/// A page about a rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    /// Why it matters, and what mends it.
    pub text: &'static str,
}

/// By what matters: the worst first, then by bytes, then by seconds.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|one, other| {
        let seconds = |finding: &Finding| finding.effect.seconds.unwrap_or(0.0);
        (other.severity, other.effect.bytes)
            .cmp(&(one.severity, one.effect.bytes))
            .then(seconds(other).total_cmp(&seconds(one)))
            .then_with(|| one.name.cmp(other.name))
    });
    findings.dedup_by(|later, first| {
        later.name == first.name && later.place == first.place && later.said == first.said
    });
}
