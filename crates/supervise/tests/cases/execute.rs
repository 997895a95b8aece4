//! `exec`: a command gets what a file says, and the file is gone.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use landfall_supervise::specification::Execution;
use tempfile::TempDir;

use crate::support::PROGRAM;

const PATH: &str = "/usr/bin:/bin";

fn execution(environment: &[(&str, &str)]) -> Execution {
    Execution {
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Execution::default()
    }
}

fn command(file: &Path, command: &[&str]) -> Output {
    Command::new(PROGRAM)
        .arg("exec")
        .arg(file)
        .arg("--")
        .args(command)
        .env_clear()
        .envs([("TERM", "vt100"), ("OWN", "x"), ("PATH", "/nowhere")])
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("exec-1.json")
    }

    fn run(&self, execution: &Execution, with: &[&str]) -> Output {
        execution.write(&self.file(), false).unwrap();
        let output = command(&self.file(), with);
        assert!(!self.file().exists());
        output
    }
}

#[test]
fn the_command_gets_the_environment_of_the_file_and_the_file_is_gone() {
    let place = Place::new();
    let file = place.file();
    let mut told = execution(&[("PATH", PATH), ("SECRET", "s3cret")]);
    told.directory = Some("/usr".into());
    let script = format!("test ! -e {} && pwd && env | sort", file.display());
    let output = place.run(&told, &["sh", "-c", &script]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let names: Vec<&str> = text.lines().filter(|line| !line.contains("PWD")).collect();
    assert_eq!(
        names,
        ["/usr", "PATH=/usr/bin:/bin", "SECRET=s3cret", "TERM=vt100"],
        "{}",
        said(&output)
    );
    told.keep_terminal = false;
    let text = String::from_utf8(place.run(&told, &["env"]).stdout).unwrap();
    assert!(!text.contains("TERM"), "{text}");
    let own = execution(&[("PATH", PATH), ("TERM", "own")]);
    let text = String::from_utf8(place.run(&own, &["env"]).stdout).unwrap();
    assert!(text.contains("TERM=own\n"), "{text}");
}

#[test]
fn the_codes_are_the_commands_own_and_those_of_a_shell() {
    let place = Place::new();
    let path = &[("PATH", PATH)];
    let output = place.run(&execution(path), &["sh", "-c", "exit 42"]);
    assert_eq!(output.status.code(), Some(42));
    let fails = |told: &Execution, program: &str, code: i32, words: &str| {
        let output = place.run(told, &[program]);
        assert_eq!(output.status.code(), Some(code), "{program}");
        assert!(said(&output).contains(words), "{}", said(&output));
    };
    fails(&execution(path), "no-such", 127, "not found in PATH (/usr");
    fails(&execution(path), "/nowhere/x", 127, "/nowhere/x: No such");
    fails(&execution(&[]), "no-such", 127, "no PATH");
    fails(&execution(path), "/etc/passwd", 126, "ermission denied");
    let script = place.0.path().join("script");
    fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    fails(
        &execution(path),
        script.to_str().unwrap(),
        127,
        "it is there, but the interpreter",
    );
    let mut lost = execution(path);
    lost.directory = Some("/nowhere".into());
    fails(&lost, "true", 126, "folder /nowhere: No such");
}

#[test]
fn a_file_that_others_may_read_is_refused_where_the_folder_is_ones_own() {
    let place = Place::new();
    let told = execution(&[("PATH", PATH)]);
    told.write(&place.file(), true).unwrap();
    let output = command(&place.file(), &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(said(&output).contains("(0600)"), "{}", said(&output));
    // A shared folder is guarded by the one above; one like /tmp is not.
    for (mode, code) in [(0o1777, 125), (0o777, 0)] {
        fs::set_permissions(place.0.path(), PermissionsExt::from_mode(mode)).unwrap();
        let output = command(&place.file(), &["true"]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
    assert!(!place.file().exists());
}

#[test]
fn nothing_of_a_file_that_is_wrong_is_said() {
    let place = Place::new();
    let output = command(&place.file(), &["true"]);
    assert_eq!(output.status.code(), Some(125));
    fs::write(place.file(), r#"{ "environment": "s3cret" }"#).unwrap();
    fs::set_permissions(place.file(), PermissionsExt::from_mode(0o600)).unwrap();
    let output = command(&place.file(), &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(said(&output).contains("at line 1"), "{}", said(&output));
    assert!(!said(&output).contains("s3cret"));
    assert!(!place.file().exists());
    let told = execution(&[("PASSWORD", "s3cret")]);
    assert!(!format!("{told:?}").contains("s3cret"));
    let usage = Command::new(PROGRAM).args(["exec", "x"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}
