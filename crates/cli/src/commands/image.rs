//! `landfall image advise`: what makes an image large, slow or unsafe, measured.

use std::{collections::BTreeSet, sync::atomic::AtomicBool, time::Instant};

use landfall_app::{Name, model::Severity};
use landfall_build::{BuildError, Progress};
use landfall_doctor::{
    BadDockerfile, Effect, Finding, Mended, Place, Project, advise, advise_history, measured, mend,
    recipe_of, sort,
};

use crate::{
    arguments::{Image as Command, ImageAdvise},
    context::Context,
    exit::Exit,
    prepare::build::watched,
    report::{Error, Result},
    view::{plain, steps::Steps},
};

use self::{
    layers::Sizes,
    report::Report,
    subject::{Recipe, Subject},
    workshop::{Measured, Variant, Workshop},
};

mod folder;
mod layers;
mod report;
mod subject;
mod trial;
mod view;
mod workshop;

/// Mends that change what the app may do; taken back, in this order, where the mended image doesn't run.
const TAKEN_BACK: [&[&str]; 3] = [
    &[],
    &["runs-as-root"],
    &[
        "runs-as-root",
        "context-not-ignored",
        "secret-copied",
        "development-dependencies",
        "install-not-locked",
    ],
];

pub fn run(context: &Context, command: &Command) -> Result {
    let Command::Advise(arguments) = command;
    let subjects = subject::find(context, arguments)?;
    let mut left = Vec::new();
    for subject in &subjects {
        let report = match subject {
            Subject::Dockerfile(recipe) => dockerfile(context, arguments, recipe)?,
            Subject::Image(reference) => image(context, arguments, reference)?,
        };
        report.show(context, arguments);
        left.extend(report.left(arguments.fix));
    }
    let Some(least) = arguments.fail_on.map(Severity::from) else {
        return Ok(());
    };
    let bad: Vec<&Finding> = left
        .iter()
        .filter(|finding| finding.severity >= least)
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let names: BTreeSet<&str> = bad.iter().map(|finding| finding.name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    Err(Error::new(
        "advice-unheeded",
        format!("{} of severity {} or worse", plain::counted(bad.len(), "finding"), plain::word(&least)),
    )
    .with("they are", names.join(", "))
    .mend("landfall image advise --fix mends what is safe to mend; landfall explain NAME says more of each"))
}

/// A phase of the work, shown as a step and ended by Ctrl-C.
fn step<T: Send>(
    context: &Context,
    steps: &mut Steps<'_>,
    said: &str,
    work: impl FnOnce(&AtomicBool, &dyn Fn(Progress)) -> std::result::Result<T, BuildError> + Send,
) -> Result<T> {
    let name: Name = "image".parse().expect("it is a name");
    let began = Instant::now();
    steps.begin("measure", said);
    let done = watched(context, &name, steps, work);
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match &done {
        Ok(_) => steps.done("measure", said, took),
        Err(_) => steps.failed("measure", said, took),
    }
    done
}

fn dockerfile(context: &Context, arguments: &ImageAdvise, recipe: &Recipe) -> Result<Report> {
    let text = recipe.text()?;
    let bad = |error: BadDockerfile| bad_dockerfile(&recipe.name(), &error);
    let mut project = folder::look(recipe)?;
    let mut report = Report {
        name: recipe.name(),
        findings: advise(&text, &project).map_err(bad)?,
        stands: None,
        mended: None,
        scanned: "not scanned: nothing was built".to_owned(),
        changes: Vec::new(),
        remarks: Vec::new(),
        fixed: false,
    };
    if arguments.no_build {
        let mended = mend(&text, &project, &BTreeSet::new()).map_err(bad)?;
        report.take(recipe, &text, &project, &mended);
        return Ok(report);
    }
    let workshop = Workshop::new(context)?;
    let read = landfall_doctor::Recipe::read(&text).map_err(bad)?;
    let bases: BTreeSet<String> = read
        .stages
        .iter()
        .map(|stage| stage.base.clone())
        .filter(|base| base != "scratch")
        .collect();
    project.bases = workshop.bases(&bases)?;
    let plans = plans(&text, &project).map_err(bad)?;
    let ignores: Vec<Option<&str>> = [project.ignore.as_deref()]
        .into_iter()
        .chain(plans.iter().map(|(_, mended)| mended.ignore.as_deref()))
        .collect();
    let change = folder::source(&project, &starts(&read), &ignores).map(str::to_owned);
    workshop.copy(recipe)?;
    let mut steps = Steps::new(&context.output);
    let mut sizes = Sizes::new();
    let variant = |name: &'static str| Variant {
        name,
        dockerfile: &text,
        ignore: None,
        change: change.as_deref(),
    };
    let stands = step(context, &mut steps, "as it stands", |cancelled, tell| {
        workshop.measure(
            recipe,
            &project,
            variant("stands"),
            &mut sizes,
            cancelled,
            tell,
        )
    });
    let stands = match stands {
        Ok(stands) => stands,
        Err(error) => {
            // What the file shows is worth knowing all the same.
            if error
                .failure
                .as_ref()
                .is_some_and(|failure| failure.name != "cancelled")
            {
                report.take_back();
                report.show(context, arguments);
            }
            return Err(error);
        }
    };
    let mut findings = advise(&text, &project).map_err(bad)?;
    let mut taken = Mended {
        dockerfile: text.clone(),
        ignore: None,
        rules: BTreeSet::new(),
    };
    // Where the one that stands doesn't run, nothing says whether the mended one would.
    let untried = match stands.ran.well() {
        true => 0,
        false => plans.len().saturating_sub(1),
    };
    for (without, mended) in plans.into_iter().skip(untried) {
        if mended.dockerfile == text && mended.ignore.is_none() {
            break;
        }
        let wanted = Variant {
            name: "mended",
            dockerfile: &mended.dockerfile,
            ignore: mended.ignore.as_deref(),
            change: change.as_deref(),
        };
        let said = if without.is_empty() {
            "mended".to_owned()
        } else {
            format!("mended, without {}", without.join(", "))
        };
        let tried = step(context, &mut steps, &said, |cancelled, tell| {
            workshop.measure(recipe, &project, wanted, &mut sizes, cancelled, tell)
        });
        let why = match tried {
            Ok(tried) if tried.ran.well() || !stands.ran.well() => {
                report.mended = Some(tried);
                taken = mended;
                break;
            }
            Ok(tried) => tried.ran.said(),
            Err(error)
                if error
                    .failure
                    .as_ref()
                    .is_none_or(|failure| failure.name == "cancelled") =>
            {
                return Err(error);
            }
            Err(error) => error
                .failure
                .map_or_else(String::new, |failure| failure.message),
        };
        let what = if without.is_empty() {
            "as a whole"
        } else {
            "without these"
        };
        report.remarks.push(format!(
            "mended {what} it doesn't work ({why}), so that less was mended"
        ));
    }
    if !stands.ran.well() {
        report.remarks.push(format!(
            "as it stands it {}: whether a mended one runs can't be compared, so that only what doesn't change how it runs is mended",
            stands.ran.said()
        ));
    }
    // What one place of a rule has mended, another may not.
    for finding in &mut findings {
        finding.mended &= taken.rules.contains(finding.name);
    }
    let known = findings.clone();
    measured(&mut findings, &stands.looked, &read, true);
    for finding in &mut findings {
        let same = |other: &Finding| other.name == finding.name && other.place == finding.place;
        finding.mended |= taken.rules.contains(finding.name) && !known.iter().any(same);
    }
    compared(&mut findings, &stands, report.mended.as_ref());
    report.findings = findings;
    let (image, reference) = (
        stands.image.clone(),
        stands.image.tags.first().cloned().unwrap_or_default(),
    );
    let scanned = step(
        context,
        &mut steps,
        "known vulnerabilities",
        |cancelled, tell| workshop.scan(&image, &reference, cancelled, tell),
    )?;
    report.scan(scanned);
    report.take(recipe, &text, &project, &taken);
    report.stands = Some(stands);
    sort(&mut report.findings);
    if arguments.fix {
        report.write(recipe, &taken, &text)?;
    }
    Ok(report)
}

/// What is tried, the most first.
fn plans(
    text: &str,
    project: &Project,
) -> std::result::Result<Vec<(&'static [&'static str], Mended)>, BadDockerfile> {
    let mut plans: Vec<(&'static [&'static str], Mended)> = Vec::new();
    for without in TAKEN_BACK {
        let mended = mend(text, project, &without.iter().copied().collect())?;
        if plans.iter().all(|(_, known)| *known != mended) {
            plans.push((without, mended));
        }
    }
    Ok(plans)
}

/// What the last stage starts.
fn starts(recipe: &landfall_doctor::Recipe) -> String {
    let steps = recipe
        .last()
        .map(|stage| stage.steps.as_slice())
        .unwrap_or_default();
    let commands = steps.iter().filter_map(|step| match &step.action {
        landfall_doctor::Action::Start(command) | landfall_doctor::Action::Entry(command) => {
            Some(command.text())
        }
        _ => None,
    });
    commands.collect::<Vec<_>>().join(" ")
}

/// What only the comparison of both shows.
fn compared(findings: &mut Vec<Finding>, stands: &Measured, mended: Option<&Measured>) {
    if let (Some(before), Some(after)) = (
        &stands.change,
        mended.and_then(|mended| mended.change.as_ref()),
    ) {
        let found = findings
            .iter_mut()
            .find(|finding| finding.name == "dependencies-after-sources");
        if let Some(finding) = found.filter(|finding| finding.mended) {
            finding.effect = Effect {
                bytes: Some(before.bytes.saturating_sub(after.bytes)),
                seconds: Some((before.seconds - after.seconds).max(0.0)),
                seen: Some("at each change of the sources".to_owned()),
            };
        }
    }
    if stands.ran.stayed && stands.ran.term.is_none() {
        findings.push(Finding {
            name: "signals-lost",
            severity: Severity::Medium,
            place: Place::Image,
            said: "TERM doesn't end it: each stop waits until it is killed".to_owned(),
            effect: Effect::seen(stands.ran.term_said()),
            mend: match mended.unwrap_or(stands).ran.by_interrupt {
                true => "INT ends it: STOPSIGNAL SIGINT; or handle TERM in the program",
                false => "the exec form, and handle TERM in the program; or an init: docker run --init, landfall's supervisor",
            }
            .to_owned(),
            mended: mended.is_some_and(|mended| mended.ran.term.is_some()),
        });
    }
    for finding in findings
        .iter_mut()
        .filter(|finding| finding.name == "shell-form")
    {
        let effect = |ran: &trial::Ran| format!("TERM: {}", ran.term_said());
        if let Some(mended) = mended.filter(|mended| mended.ran.stayed && stands.ran.stayed) {
            let (before, after) = (effect(&stands.ran), mended.ran.term_said());
            finding.effect = Effect::seen(format!("{before}; mended: {after}"));
        } else if stands.ran.stayed {
            finding.effect = Effect::seen(effect(&stands.ran));
        }
    }
    if let Some(mended) = mended.filter(|mended| mended.ran.stayed) {
        for finding in findings
            .iter_mut()
            .filter(|finding| finding.name == "runs-as-root" && finding.mended)
        {
            finding.effect = Effect::seen(format!("as {} it {}", mended.user, mended.ran.said()));
        }
    }
}

fn image(context: &Context, arguments: &ImageAdvise, reference: &str) -> Result<Report> {
    if arguments.fix || arguments.no_build {
        return Err(Error::new(
            "bad-arguments",
            format!("{reference} is an image: there is no Dockerfile to build or to write"),
        ));
    }
    let workshop = Workshop::new(context)?;
    let image = workshop.image(reference)?.ok_or_else(|| {
        Error::new(
            "image-missing",
            format!("the Engine has no image {reference}, and there is no file of that name"),
        )
        .mend(format!("docker pull {reference}, or name a Dockerfile"))
    })?;
    let mut steps = Steps::new(&context.output);
    let mut sizes = Sizes::new();
    let looked = step(context, &mut steps, "its layers", |cancelled, tell| {
        workshop.look(reference, &mut sizes, cancelled, tell)
    })?;
    let ran = step(
        context,
        &mut steps,
        "started and ended",
        |cancelled, tell| workshop.run(&image, "image", None, cancelled, tell),
    )?;
    let recipe = recipe_of(&looked.past);
    let mut findings = advise_history(&recipe, &Project::default());
    measured(&mut findings, &looked, &recipe, false);
    let stands = Measured {
        bytes: looked.bytes(),
        compressed: looked.compressed(),
        layers: image.layers.len(),
        sent: 0,
        sent_files: 0,
        build: 0.0,
        change: None,
        user: if image.config.user.is_empty() {
            "root".to_owned()
        } else {
            image.config.user.clone()
        },
        ran,
        looked,
        image,
    };
    compared(&mut findings, &stands, None);
    let mut report = Report {
        name: reference.to_owned(),
        findings,
        stands: None,
        mended: None,
        scanned: String::new(),
        changes: Vec::new(),
        remarks: Vec::new(),
        fixed: false,
    };
    let scanned = step(
        context,
        &mut steps,
        "known vulnerabilities",
        |cancelled, tell| workshop.scan(&stands.image, reference, cancelled, tell),
    )?;
    report.scan(scanned);
    let base = stands.looked.past.base_layers();
    report.remarks.push(match base {
        0 => {
            "its history doesn't show where its base image ends, so that all layers were looked at"
                .to_owned()
        }
        1 => "the first layer is taken for its base image, since it ends with a CMD".to_owned(),
        base => format!(
            "the first {base} layers are taken for its base image's, since they end with a CMD"
        ),
    });
    report.stands = Some(stands);
    sort(&mut report.findings);
    Ok(report)
}

fn bad_dockerfile(name: &str, error: &BadDockerfile) -> Error {
    let at = match error.line {
        0 => name.to_owned(),
        line => format!("{name}:{line}"),
    };
    Error {
        exit: Exit::Usage,
        ..Error::new("bad-dockerfile", format!("{at}: {}", error.said))
    }
    .mend("docker build says the same of it; https://docs.docker.com/reference/dockerfile")
}
