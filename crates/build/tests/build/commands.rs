//! Builds by a command of one's own, and what all builds share: artifacts, caches, ends.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use landfall_app::model::{Build, Run};
use landfall_build::{BuildError, Progress};
use landfall_redact::Secret;

use crate::bed::{Bed, shell};

#[test]
fn a_command_builds_with_its_environment_and_the_same_is_not_built_twice() {
    let mut bed = Bed::new();
    bed.put("main", "x");
    bed.environment
        .insert("API_URL".to_owned(), "http://api".to_owned());
    let how = shell("printf '%s %s' \"$API_URL\" \"${HOME:+home}\" > made\necho done");
    let artifact = bed.build(&how, None).unwrap();
    assert!(
        fs::read_to_string(artifact.folder.join("made"))
            .unwrap()
            .starts_with("http://api")
    );
    assert_eq!((artifact.builder.as_str(), bed.commands()), ("run", 1));
    assert!(
        bed.said
            .lock()
            .unwrap()
            .contains(&Progress::Line("done".to_owned()))
    );
    assert!(artifact.folder.starts_with(bed.path("artifacts")) && artifact.size > 0);

    let again = bed.build(&how, None).unwrap();
    assert_eq!(
        (again.folder.clone(), bed.commands()),
        (artifact.folder.clone(), 1)
    );
    assert!(again.said.ends_with(", cached"), "{}", again.said);
    assert_eq!(bed.build(&how, None).unwrap().said, again.said);
    bed.put("main", "y");
    assert_ne!(bed.build(&how, None).unwrap().folder, artifact.folder);
    bed.environment
        .insert("API_URL".to_owned(), "http://other".to_owned());
    assert_eq!(
        (
            bed.build(&how, None).unwrap().builder.as_str(),
            bed.commands()
        ),
        ("run", 3)
    );
}

#[test]
fn an_app_with_nothing_but_its_file_has_an_empty_build() {
    let bed = Bed::new();
    bed.put("landfall.toml", "app = \"bare\"");
    let artifact = bed.build(&Build::default(), None).unwrap();
    assert_eq!(fs::read_dir(&artifact.folder).unwrap().count(), 0);
    let elsewhere = Build {
        context: Some("elsewhere".to_owned()),
        ..Build::default()
    };
    assert_eq!(
        bed.build(&elsewhere, None).unwrap_err().name(),
        "no-such-root"
    );
}

#[test]
fn two_builds_of_the_same_at_once_are_one() {
    let bed = Bed::new();
    bed.put("main", "x");
    let how = shell("mkdir made; sleep 0.2");
    let folders: BTreeSet<_> = thread::scope(|scope| {
        let build = || bed.build(&how, None).unwrap().folder;
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(build)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!((folders.len(), bed.commands()), (1, 1));
}

#[test]
fn only_the_output_is_kept() {
    let bed = Bed::new();
    bed.put("main", "x");
    let how = Build {
        output: Some("dist".to_owned()),
        ..shell("mkdir dist; cp main dist/page")
    };
    let artifact = bed.build(&how, None).unwrap();
    assert_eq!(fs::read_dir(&artifact.folder).unwrap().count(), 1);
    assert_eq!(
        fs::read_to_string(artifact.folder.join("page")).unwrap(),
        "x"
    );
    let error = bed
        .build(
            &Build {
                output: Some("none".to_owned()),
                ..how
            },
            None,
        )
        .unwrap_err();
    assert_eq!(error.name(), "no-build-output");
    assert_eq!(
        bed.build(&shell("true"), Some("public"))
            .unwrap_err()
            .name(),
        "no-build-output"
    );
}

#[test]
fn a_failure_carries_the_last_words_masked_and_leaves_nothing() {
    let mut bed = Bed::new();
    bed.put("main", "x");
    bed.secrets
        .insert("TOKEN".to_owned(), Secret::new("hunter2hunter2".to_owned()));
    let how =
        shell("for i in $(seq 100); do echo line $i; done; echo \"token $TOKEN\" >&2; exit 7");
    let error = bed.build(&how, None).unwrap_err();
    let BuildError::Failed { last, exit, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((last.len(), exit.as_str()), (20, "exited with 7"));
    assert!(
        last.contains(&"token ***".to_owned()) && last.contains(&"line 99".to_owned()),
        "{last:?}"
    );
    assert!(!format!("{:?}{:?}", error.failure(), bed.said.lock().unwrap()).contains("hunter2"));
    assert_eq!(error.failure().name, "build-failed");
    let left: Vec<_> = fs::read_dir(bed.path("artifacts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| name == ".locks" || name == ".scratch"),
        "{left:?}"
    );

    let lines = shell("undefined $NOT_SET");
    assert!(
        matches!(
            bed.build(&lines, None).unwrap_err(),
            BuildError::Failed { .. }
        ),
        "sh -eu refuses what is not set"
    );
    let absent = Build {
        run: Some(Run::Exact(vec!["landfall-no-such-program".to_owned()])),
        ..Build::default()
    };
    assert!(
        bed.build(&absent, None)
            .unwrap_err()
            .to_string()
            .contains("can't be started")
    );
}

#[test]
fn stopping_a_build_ends_all_of_it() {
    let bed = Bed::new();
    bed.put("main", "x");
    let pid = bed.path("pid");
    let how = shell(&format!(
        "trap '' TERM; sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait; wait; sleep 1000",
        pid.display()
    ));
    let began = Instant::now();
    thread::scope(|scope| {
        let (cancelled, pid) = (&bed.cancelled, pid.clone());
        scope.spawn(move || {
            while !pid.exists() {
                thread::sleep(Duration::from_millis(5));
            }
            cancelled.store(true, Ordering::Relaxed);
        });
        assert_eq!(bed.build(&how, None).unwrap_err().name(), "cancelled");
    });
    assert!(began.elapsed() < Duration::from_secs(60));
    let pid = fs::read_to_string(pid).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).ok();
    let deadline = Instant::now() + Duration::from_secs(10);
    while state().is_some_and(|state| !state.contains(") Z")) {
        assert!(
            Instant::now() < deadline,
            "what the build started is still there"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_the_build_leaves_in_the_background_does_not_outlive_it() {
    let bed = Bed::new();
    bed.put("main", "x");
    let artifact = bed
        .build(&shell("sleep 1000 & echo $! > pid"), None)
        .unwrap();
    let pid = fs::read_to_string(artifact.folder.join("pid")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|state| !state.contains(") Z"))
    {
        assert!(Instant::now() < deadline, "the process outlives the build");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn caches_go_from_build_to_build_and_releases_stay_as_they_are() {
    let bed = Bed::new();
    bed.put("main", "1");
    let script = "mkdir -p kept; cat main >> kept/all; cp kept/all seen";
    let whole = Build {
        cache: vec!["kept".to_owned()],
        ..shell(script)
    };
    let first = bed.build(&whole, None).unwrap();
    bed.put("main", "2");
    let second = bed.build(&whole, None).unwrap();
    assert_eq!(
        fs::read_to_string(second.folder.join("seen")).unwrap(),
        "12"
    );
    assert_eq!(
        fs::read_to_string(first.folder.join("kept/all")).unwrap(),
        "1"
    );
    bed.put("main", "3");
    let fails = Build {
        cache: vec!["kept".to_owned()],
        ..shell(&format!("{script}; false"))
    };
    bed.build(&fails, None).unwrap_err();
    let part = Build {
        output: Some("out".to_owned()),
        cache: vec!["kept".to_owned()],
        ..shell(&format!("{script}; mkdir out; mv seen out"))
    };
    assert_eq!(
        fs::read_to_string(bed.build(&part, None).unwrap().folder.join("seen")).unwrap(),
        "1233"
    );
    let outside = Build {
        cache: vec!["../x".to_owned()],
        ..shell("true")
    };
    assert_eq!(
        bed.build(&outside, None).unwrap_err().name(),
        "outside-of-app"
    );
}

#[test]
fn an_incomplete_artifact_is_built_again() {
    let bed = Bed::new();
    bed.put("main", "x");
    let artifact = bed.build(&shell("echo whole > made"), None).unwrap();
    fs::remove_file(artifact.folder.with_extension("json")).unwrap();
    fs::write(artifact.folder.join("made"), "half").unwrap();
    let again = bed.build(&shell("echo whole > made"), None).unwrap();
    assert_eq!(again.folder, artifact.folder);
    assert_eq!(
        fs::read_to_string(again.folder.join("made")).unwrap(),
        "whole\n"
    );
}

#[test]
fn static_and_plain_folders_are_copied() {
    let bed = Bed::new();
    bed.put("public/index.html", "x");
    let artifact = bed.build(&Build::default(), Some("public")).unwrap();
    assert_eq!(
        (artifact.builder.as_str(), artifact.said.as_str()),
        ("static", "1 file")
    );
    let plain = bed
        .build(
            &Build {
                dockerfile: Some("Dockerfile".to_owned()),
                ..Build::default()
            },
            None,
        )
        .unwrap();
    assert_eq!(plain.builder, "none");
    assert!(bed.said.lock().unwrap().iter().any(
        |said| matches!(said, Progress::Warning(text) if text.contains("Dockerfile is not used"))
    ));
}
