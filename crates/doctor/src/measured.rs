//! What of an image is waste, as its layers show: bytes that were counted, files that were seen.

use landfall_app::model::Severity;

use crate::{
    finding::{Effect, Finding, Place},
    layers::{Layer, Looked},
    recipe::{Action, Recipe, Step},
};

/// What wastes less isn't worth a line.
const LEAST: u64 = 1_000_000;

/// Adds what was measured to findings that were seen already, and those that only layers show. With a
/// Dockerfile the layers are found by its steps, else by the history.
pub fn measured(findings: &mut Vec<Finding>, looked: &Looked, recipe: &Recipe, dockerfile: bool) {
    let places = places(looked, recipe, dockerfile);
    let own = places
        .iter()
        .position(Option::is_some)
        .unwrap_or(looked.layers.len());
    for (at, layer) in looked.layers.iter().enumerate().skip(own) {
        let place = places[at].clone().unwrap_or(Place::Layer(at + 1));
        for (name, bytes) in [
            ("package-lists-left", layer.lists),
            ("package-cache-left", layer.caches),
            ("build-tools-left", layer.build_tools),
        ] {
            let known = findings
                .iter_mut()
                .find(|finding| finding.name == name && finding.place == place);
            match known {
                Some(finding) => {
                    finding.effect = Effect::bytes(bytes);
                    finding.severity = finding.severity.max(weight(bytes));
                    if bytes == 0 {
                        // It was seen not to be so: the base image cleans up by itself, say.
                        finding.effect = Effect::seen("nothing of it is in the layer");
                        finding.severity = Severity::Low;
                    }
                }
                None if bytes > LEAST && name != "build-tools-left" => findings.push(finding(
                    name,
                    weight(bytes),
                    place.clone(),
                    if name == "package-lists-left" {
                        "package lists are in this layer"
                    } else {
                        "downloads of a package manager are in this layer"
                    }
                    .to_owned(),
                    bytes,
                    "remove them in the RUN that makes them",
                )),
                None => {}
            }
        }
        layer_findings(findings, layer, &place);
    }
    health_program(findings, looked);
    findings.retain(|finding| {
        finding.effect.seen.as_deref() != Some("nothing of it is in the layer") || finding.mended
    });
}

fn layer_findings(findings: &mut Vec<Finding>, layer: &Layer, place: &Place) {
    if layer.deleted > LEAST {
        let said = format!(
            "deletes {}, which the layers below keep",
            some(&layer.deleted_examples)
        );
        findings.push(finding(
            "files-deleted-later",
            weight(layer.deleted),
            place.clone(),
            said,
            layer.deleted,
            "delete them in the RUN that makes them",
        ));
    }
    if layer.doubled > LEAST {
        let known = findings
            .iter_mut()
            .find(|finding| finding.name == "files-doubled" && finding.place == *place);
        match known {
            Some(finding) => {
                finding.effect = Effect::bytes(layer.doubled);
                finding.severity = finding.severity.max(weight(layer.doubled));
            }
            None => {
                let said = format!(
                    "writes {} again, which a layer below has at the same size",
                    some(&layer.doubled_examples)
                );
                findings.push(finding(
                    "files-doubled",
                    weight(layer.doubled),
                    place.clone(),
                    said,
                    layer.doubled,
                    "COPY --chown, COPY --chmod, or change them in the RUN that makes them",
                ));
            }
        }
    } else if layer.doubled > 0
        && let Some(finding) = findings
            .iter_mut()
            .find(|finding| finding.name == "files-doubled" && finding.place == *place)
    {
        finding.effect = Effect::bytes(layer.doubled);
    }
    for (path, what) in &layer.secrets {
        // A file whose copying was seen in the Dockerfile is said there.
        let same = |finding: &Finding| match &finding.place {
            Place::File(file) => finding.name == "secret-copied" && path.ends_with(file.as_str()),
            _ => false,
        };
        match findings.iter_mut().find(|finding| same(finding)) {
            Some(finding) => finding.effect = Effect::seen(format!("/{path} is in the image")),
            None => {
                let mut found = finding(
                    "secret-in-layer",
                    Severity::Critical,
                    place.clone(),
                    format!("/{path} is {what}"),
                    0,
                    "don't let it into the build, and change it if the image was published",
                );
                found.effect = Effect::seen("found in the layer");
                findings.push(found);
            }
        }
    }
    if !layer.set_user.is_empty() {
        let said = format!(
            "{} run as root for whoever starts them",
            some(&layer.set_user)
        );
        findings.push(finding(
            "set-user-id-programs",
            Severity::Low,
            place.clone(),
            said,
            0,
            "chmod u-s, or don't install them",
        ));
    }
    if !layer.writable.is_empty() {
        let said = format!("everybody may write {}", some(&layer.writable));
        findings.push(finding(
            "world-writable",
            Severity::Medium,
            place.clone(),
            said,
            0,
            "chmod o-w; COPY --chmod",
        ));
    }
}

fn health_program(findings: &mut Vec<Finding>, looked: &Looked) {
    let test = looked
        .past
        .config
        .healthcheck
        .as_ref()
        .and_then(|check| check.test.clone());
    let test = test.unwrap_or_default().join(" ");
    let runs = ["curl", "wget"].into_iter().find(|program| {
        test.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == *program)
    });
    match runs {
        Some(program) if !looked.has_program(program) => {
            findings.retain(|finding| finding.name != "health-check-program-missing");
            let mut found = finding(
                "health-check-program-missing",
                Severity::High,
                Place::Image,
                format!("the health check runs {program}, which isn't in the image"),
                0,
                "ask by the program that is there: python, node, wget",
            );
            found.effect = Effect::seen(format!("no {program} in any layer"));
            findings.push(found);
        }
        _ => findings.retain(|finding| finding.name != "health-check-program-missing"),
    }
}

fn finding(
    name: &'static str,
    severity: Severity,
    place: Place,
    said: String,
    bytes: u64,
    mend: &str,
) -> Finding {
    Finding {
        name,
        severity,
        place,
        said,
        effect: Effect::bytes(bytes),
        mend: mend.to_owned(),
        mended: false,
    }
}

/// How much so many bytes matter.
fn weight(bytes: u64) -> Severity {
    match bytes {
        100_000_000.. => Severity::High,
        10_000_000.. => Severity::Medium,
        _ => Severity::Low,
    }
}

fn some(paths: &[String]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(2)
        .map(|path| format!("/{path}"))
        .collect();
    let more = if paths.len() > 2 { " and more" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// For each layer where it comes from; none: from the base.
fn places(looked: &Looked, recipe: &Recipe, dockerfile: bool) -> Vec<Option<Place>> {
    let count = looked.layers.len();
    let mut places = vec![None; count];
    if !dockerfile {
        for (at, place) in places
            .iter_mut()
            .enumerate()
            .skip(looked.past.base_layers())
        {
            *place = Some(Place::Layer(at + 1));
        }
        return places;
    }
    // From the end: the last layer is of the last step that makes one.
    let words: Vec<&'static str> = looked
        .past
        .history
        .iter()
        .filter(|event| !event.empty_layer)
        .map(|event| word(&event.created_by))
        .collect();
    let steps: Vec<&Step> = recipe.lineage();
    let mut left = words.len().min(count);
    for step in steps.iter().rev() {
        let made = match &step.action {
            Action::Run { .. } => "RUN",
            Action::Copy { add: false, .. } => "COPY",
            Action::Copy { add: true, .. } => "ADD",
            Action::Directory(..) => "WORKDIR",
            _ => continue,
        };
        if left > 0 && words[left - 1] == made {
            left -= 1;
            places[left] = Some(Place::Line(step.line));
        } else if made != "WORKDIR" {
            // Not what was expected: better no line than a wrong one.
            break;
        }
    }
    places
}

fn word(created: &str) -> &'static str {
    let text = created.trim_start_matches("/bin/sh -c #(nop) ").trim();
    for word in ["COPY", "ADD", "WORKDIR"] {
        if text.starts_with(word) {
            return word;
        }
    }
    "RUN"
}
