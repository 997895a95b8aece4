//! What a specification must be, before anything of it is started.

use std::collections::BTreeSet;

use landfall_supervise::specification::{Specification, VERSION};

use super::signals;

/// What is wrong with a specification, if anything is.
pub fn validate(specification: &Specification) -> Result<(), String> {
    if specification.version != VERSION {
        return Err(format!(
            "version {} of the specification, this supervisor knows {VERSION}",
            specification.version
        ));
    }
    if specification.instance.is_empty() || specification.instance.contains(['/', '\0', '\n']) {
        return Err(format!(
            "{:?} can't be an instance's name",
            specification.instance
        ));
    }
    if signals::by_name(&specification.stop.signal).is_none() {
        return Err(format!("no signal {:?}", specification.stop.signal));
    }
    let mut known = BTreeSet::new();
    for process in &specification.processes {
        let name = &process.name;
        if name.is_empty()
            || name.contains(|character: char| character.is_whitespace() || character.is_control())
        {
            return Err(format!("{name:?} can't be a process's name"));
        }
        if !known.insert(name.as_str()) {
            return Err(format!("two processes of the name {name:?}"));
        }
        if process.command.is_empty() {
            return Err(format!("process {name:?} has no command"));
        }
    }
    for process in &specification.processes {
        for after in &process.after {
            if !known.contains(after.as_str()) {
                return Err(format!(
                    "process {:?} comes after {after:?}, which there isn't",
                    process.name
                ));
            }
        }
    }
    // Whoever comes after no one is settled, then whoever comes after settled ones alone.
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    while settled.len() < known.len() {
        let before = settled.len();
        for process in &specification.processes {
            if process
                .after
                .iter()
                .all(|after| settled.contains(after.as_str()))
            {
                settled.insert(&process.name);
            }
        }
        if settled.len() == before {
            let circle: Vec<&str> = known.difference(&settled).copied().collect();
            return Err(format!(
                "processes wait for each other in a circle: {}",
                circle.join(", ")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specification(processes: &str) -> Specification {
        let text = format!(
            r#"{{"version": 1, "instance": "one", "directory": "/", "processes": {processes}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |processes: &str| validate(&specification(processes)).unwrap_err();
        assert!(wrong(r#"[{"name": "a", "command": []}]"#).contains("no command"));
        assert!(wrong(r#"[{"name": "a b", "command": ["x"]}]"#).contains("a b"));
        assert!(
            wrong(r#"[{"name": "a", "command": ["x"]}, {"name": "a", "command": ["x"]}]"#)
                .contains("two")
        );
        assert!(wrong(r#"[{"name": "a", "command": ["x"], "after": ["b"]}]"#).contains("\"b\""));
        let circle = r#"[{"name": "a", "command": ["x"], "after": ["b"]}, {"name": "b", "command": ["x"], "after": ["a"]},
            {"name": "c", "command": ["x"]}]"#;
        assert!(wrong(circle).ends_with("circle: a, b"));
        assert_eq!(
            validate(&specification(r#"[{"name": "a", "command": ["x"]}]"#)),
            Ok(())
        );
        let mut signal = specification("[]");
        signal.stop.signal = "SIGNONE".to_owned();
        assert!(validate(&signal).unwrap_err().contains("SIGNONE"));
    }
}
