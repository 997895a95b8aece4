//! The secrets file, its recipients and the keys, as a desk uses them.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path, thread};

use landfall_secrets::{
    DotEnv, Error, HostIdentity, Key, KeySource, Needed, Origin, Secret, SecretsFile, Source,
    Sources, resolve,
};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn source(folder: &Path) -> KeySource {
    KeySource {
        file: folder.join("config/key"),
        value: None,
    }
}

fn need(names: &[&str]) -> Vec<Needed> {
    names
        .iter()
        .map(|name| Needed {
            name: name.trim_end_matches('?').to_owned(),
            optional: name.ends_with('?'),
        })
        .collect()
}

#[test]
fn a_value_goes_in_and_comes_out_and_a_teammate_joins_and_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.secrets.toml");
    let (ann, new) = source(folder.path()).load_or_generate().unwrap();
    assert!(new);
    let bob = Key::generate();

    let error = SecretsFile::change(&path, |file| file.set("local", "TOKEN", &secret("hunter2")))
        .unwrap_err();
    assert_eq!(error.name(), "no-recipients");
    assert!(!path.exists(), "a change that fails writes nothing");

    SecretsFile::change(&path, |file| {
        file.add_recipient("ann", &ann.public(), None)?;
        file.set("local", "TOKEN", &secret("hunter2\nline two"))?;
        file.set("production", "TOKEN", &secret("hunter3"))
    })
    .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter"));

    let file = SecretsFile::load(&path).unwrap();
    assert_eq!(file.environments(), ["local", "production"]);
    assert_eq!(file.names("local"), ["TOKEN"]);
    assert_eq!(
        file.decrypt("local", &ann).unwrap()["TOKEN"].expose(),
        "hunter2\nline two"
    );
    let error = file.decrypt("local", &bob).unwrap_err();
    assert_eq!(error.name(), "not-a-recipient");
    assert!(error.mend().contains(&bob.public()), "{}", error.mend());

    let error = SecretsFile::change(&path, |file| file.add_recipient("bob", &bob.public(), None))
        .unwrap_err();
    assert_eq!(error.name(), "no-key");
    let count = SecretsFile::change(&path, |file| {
        file.add_recipient("bob", &bob.public(), Some(&ann))
    })
    .unwrap();
    assert_eq!(count, 2);
    assert_eq!(
        SecretsFile::load(&path)
            .unwrap()
            .decrypt("production", &bob)
            .unwrap()["TOKEN"]
            .expose(),
        "hunter3"
    );

    let rotate =
        SecretsFile::change(&path, |file| file.remove_recipient("bob", Some(&ann))).unwrap();
    assert_eq!(rotate.len(), 2, "both values must be replaced");
    assert!(
        SecretsFile::load(&path)
            .unwrap()
            .decrypt("production", &bob)
            .is_err()
    );
    let error =
        SecretsFile::change(&path, |file| file.remove_recipient("ann", Some(&ann))).unwrap_err();
    assert_eq!(error.name(), "last-recipient");
    let error = SecretsFile::change(&path, |file| file.unset("local", "TOKE")).unwrap_err();
    assert!(error.to_string().contains("TOKEN"), "{error}");
    SecretsFile::change(&path, |file| file.unset("local", "TOKEN")).unwrap();
    assert!(SecretsFile::load(&path).unwrap().names("local").is_empty());
}

#[test]
fn importing_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.secrets.toml");
    let key = Key::generate();
    let values = BTreeMap::from([
        ("A".to_owned(), secret("one")),
        ("B".to_owned(), secret("")),
    ]);
    let import = || {
        SecretsFile::change(&path, |file| {
            if !file.is_recipient(&key) {
                file.add_recipient("me", &key.public(), Some(&key))?;
            }
            file.import("local", &values, Some(&key))
        })
        .unwrap()
    };
    let first = import();
    assert_eq!(
        (first.written.as_slice(), first.empty.as_slice()),
        (&["A".to_owned()][..], &["B".to_owned()][..])
    );
    let text = fs::read(&path).unwrap();
    assert_eq!(import().unchanged, ["A"]);
    assert_eq!(fs::read(&path).unwrap(), text);
}

#[test]
fn a_merge_that_leaves_a_value_unreadable_is_mended_by_adding_again() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        folder.path().join("ours.toml"),
        folder.path().join("theirs.toml"),
    );
    let (ann, bob) = (Key::generate(), Key::generate());
    SecretsFile::change(&ours, |file| file.add_recipient("ann", &ann.public(), None)).unwrap();
    fs::copy(&ours, &theirs).unwrap();
    SecretsFile::change(&ours, |file| {
        file.add_recipient("bob", &bob.public(), Some(&ann))
    })
    .unwrap();
    SecretsFile::change(&theirs, |file| {
        file.set("local", "TOKEN", &secret("hunter2"))
    })
    .unwrap();
    let value = fs::read_to_string(&theirs).unwrap();
    let value = &value[value.find("[environment").unwrap()..];
    fs::write(
        &ours,
        format!("{}\n{value}", fs::read_to_string(&ours).unwrap()),
    )
    .unwrap();
    assert_eq!(
        SecretsFile::load(&ours)
            .unwrap()
            .decrypt("local", &bob)
            .unwrap_err()
            .name(),
        "not-a-recipient"
    );
    SecretsFile::change(&ours, |file| {
        file.add_recipient("bob", &bob.public(), Some(&ann))
    })
    .unwrap();
    assert_eq!(
        SecretsFile::load(&ours)
            .unwrap()
            .decrypt("local", &bob)
            .unwrap()["TOKEN"],
        secret("hunter2")
    );
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.secrets.toml");
    let key = Key::generate();
    SecretsFile::change(&path, |file| file.add_recipient("me", &key.public(), None)).unwrap();
    thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                SecretsFile::change(path, |file| {
                    file.set("local", &format!("A{number}"), &secret("x"))
                })
                .unwrap()
            });
        }
    });
    assert_eq!(SecretsFile::load(&path).unwrap().names("local").len(), 8);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_key_is_private_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    assert_eq!(source.load().unwrap_err().name(), "no-key");
    let key = source.generate().unwrap();
    assert_eq!(
        fs::metadata(&source.file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(source.generate().unwrap_err().name(), "key-exists");
    assert_eq!(source.load().unwrap().public(), key.public());
    let text = fs::read_to_string(&source.file).unwrap();
    assert!(!format!("{key:?}").contains("SECRET"));
    let given = KeySource {
        file: "/nonexistent".into(),
        value: Some(Secret::new(text)),
    };
    assert_eq!(given.load().unwrap().public(), key.public());

    fs::set_permissions(&source.file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(source.load().unwrap_err().name(), "readable-key");
    fs::set_permissions(&source.file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&source.file, "rubbish").unwrap();
    assert_eq!(source.load().unwrap_err().name(), "bad-key");
    let private = SecretsFile::load(&folder.path().join("x"))
        .unwrap()
        .add_recipient("me", "AGE-SECRET-KEY-1ABC", None)
        .unwrap_err();
    assert!(!private.to_string().contains("1ABC"));
}

#[test]
fn local_takes_the_file_before_the_dotenv_and_names_all_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let keys = source(folder.path());
    let key = keys.generate().unwrap();
    let mut file = SecretsFile::load(&folder.path().join("landfall.secrets.toml")).unwrap();
    file.add_recipient("me", &key.public(), None).unwrap();
    for environment in ["local", "production"] {
        file.set(environment, "A", &secret("from file")).unwrap();
    }
    let dotenv = DotEnv::parse(b"A=weaker\nB=from dotenv\nC=\n", Path::new(".env")).unwrap();
    let sources = Sources {
        environment: "local",
        source: &Source::File,
        file: &file,
        key: &keys,
        dotenv: Some(&dotenv),
    };

    let found = resolve(&need(&["A", "B", "D?"]), &sources).unwrap();
    assert_eq!(found.values["A"].expose(), "from file");
    assert_eq!(found.origins["B"], Origin::DotEnv);
    assert!(!found.values.contains_key("D"));
    assert!(
        found.notes[0].starts_with("A has another value in .env"),
        "{:?}",
        found.notes
    );

    let error = resolve(&need(&["Z", "C", "A", "Y"]), &sources).unwrap_err();
    assert_eq!(error.to_string(), "secrets have no value in local: C, Y, Z");
    let error = resolve(
        &need(&["B"]),
        &Sources {
            environment: "production",
            ..sources
        },
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "a secret has no value in production: B");
    assert_eq!(error.mend(), "landfall secrets set B -e production");

    // Someone without a key: what `.env` gives is enough for local, and for nothing else.
    let none = KeySource {
        file: folder.path().join("none"),
        value: None,
    };
    let found = resolve(
        &need(&["A"]),
        &Sources {
            key: &none,
            ..sources
        },
    )
    .unwrap();
    assert_eq!(found.values["A"].expose(), "weaker");
    let error = resolve(
        &need(&["A"]),
        &Sources {
            key: &none,
            environment: "production",
            ..sources
        },
    )
    .unwrap_err();
    assert_eq!(error.name(), "no-key");
    resolve(
        &need(&["B"]),
        &Sources {
            key: &none,
            ..sources
        },
    )
    .expect("no key is needed for what .env gives");
}

#[test]
fn values_come_from_the_environment_or_a_command_without_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let file = SecretsFile::load(&folder.path().join("landfall.secrets.toml")).unwrap();
    let keys = source(folder.path());
    let environment = Source::Environment(BTreeMap::from([("A".to_owned(), secret("one"))]));
    let sources = Sources {
        environment: "ci",
        source: &environment,
        file: &file,
        key: &keys,
        dotenv: None,
    };
    assert_eq!(
        resolve(&need(&["A"]), &sources).unwrap().values["A"].expose(),
        "one"
    );
    assert_eq!(
        resolve(&need(&["A", "B"]), &sources).unwrap_err().name(),
        "missing-secret"
    );

    let command = |words: &[&str]| Source::Command {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        folder: folder.path().to_owned(),
    };
    let echo = command(&["echo", "op://shop/{environment}/{name};$(id)"]);
    let found = resolve(
        &need(&["A"]),
        &Sources {
            source: &echo,
            ..sources
        },
    )
    .unwrap();
    assert_eq!(found.values["A"].expose(), "op://shop/ci/A;$(id)");
    let fails = command(&["sh", "-c", "echo locked >&2; exit 3"]);
    let error = resolve(
        &need(&["A"]),
        &Sources {
            source: &fails,
            ..sources
        },
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("locked") && error.to_string().contains('3'),
        "{error}"
    );
    assert!(
        resolve(
            &need(&["A?"]),
            &Sources {
                source: &fails,
                ..sources
            }
        )
        .unwrap()
        .values
        .is_empty()
    );
    let absent = command(&["landfall-no-such-program"]);
    assert_eq!(
        resolve(
            &need(&["A"]),
            &Sources {
                source: &absent,
                ..sources
            }
        )
        .unwrap_err()
        .name(),
        "secrets-command-failed"
    );
}

#[test]
fn a_host_keeps_values_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity");
    let host = HostIdentity::load_or_create(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let again = HostIdentity::load_or_create(&path).unwrap();
    let value = secret("hunter2");
    assert_eq!(again.open(&host.seal(&value)).unwrap(), value);
    assert_eq!(again.mac("A", &value), host.mac("A", &value));
    assert_ne!(host.mac("A", &value), host.mac("B", &value));
    assert_ne!(host.mac("AB", &secret("C")), host.mac("A", &secret("BC")));

    let other = HostIdentity::load_or_create(&folder.path().join("other")).unwrap();
    assert_ne!(other.mac("A", &value), host.mac("A", &value));
    assert!(matches!(other.open(&host.seal(&value)), Err(Error::Sealed)));
    let mut changed = host.seal(&value);
    *changed.last_mut().unwrap() ^= 1;
    assert!(host.open(&changed).is_err());
}
