//! Reads every file of a folder, each as if it stood alone, and counts: `corpus FORMAT FOLDER [--list]`.
//! Nothing of the files is shown but their remarks' keys; `--list` names each file and its outcome.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use landfall_import::{Format, Input, RemarkKind, import};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(format), Some(folder)) = (
        arguments
            .first()
            .and_then(|name| Format::ALL.into_iter().find(|format| format.name() == name)),
        arguments.get(1).map(PathBuf::from),
    ) else {
        eprintln!("corpus FORMAT FOLDER [--list]");
        return ExitCode::from(2);
    };
    let list = arguments.iter().any(|argument| argument == "--list");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    let mut counts = Counts::default();
    for path in &paths {
        let Ok(bytes) = fs::read(path) else { continue };
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let outcome = counts.add(format, bytes);
        if list {
            println!("{outcome:<10} {name}");
        }
    }
    counts.print(paths.len());
    ExitCode::SUCCESS
}

#[derive(Default)]
struct Counts {
    clean: usize,
    with_remarks: usize,
    refused: usize,
    refusals: BTreeMap<String, usize>,
    remarks: BTreeMap<(RemarkKind, String), usize>,
    keys: BTreeMap<(RemarkKind, String), usize>,
}

impl Counts {
    fn add(&mut self, format: Format, bytes: Vec<u8>) -> String {
        let file = format.files()[0].to_owned();
        let source = BTreeMap::from([
            (file.clone(), bytes),
            ("Dockerfile".to_owned(), b"FROM scratch\n".to_vec()),
        ]);
        let files = [file];
        let input = Input {
            files: &files,
            source: &source,
            variables: &BTreeMap::new(),
            profiles: &[],
            name: "app",
        };
        match import(format, &input) {
            Ok(imported) => {
                let (_, diagnostics) =
                    landfall_app::read(imported.text.as_bytes(), "landfall.toml");
                assert!(
                    !diagnostics.has_errors(),
                    "{diagnostics}\n{}",
                    imported.text
                );
                let mut seen = std::collections::BTreeSet::new();
                for remark in &imported.remarks {
                    let key = (remark.kind, generic(&remark.key));
                    *self.keys.entry(key.clone()).or_default() += 1;
                    // Of each file a key counts once.
                    if seen.insert(key.clone()) {
                        *self.remarks.entry(key).or_default() += 1;
                    }
                }
                match imported.clean() {
                    true => {
                        self.clean += 1;
                        "clean".to_owned()
                    }
                    false => {
                        self.with_remarks += 1;
                        "read".to_owned()
                    }
                }
            }
            Err(refusal) => {
                self.refused += 1;
                let message: String = refusal.message.chars().take(70).collect();
                *self
                    .refusals
                    .entry(format!("{}: {message}", refusal.name))
                    .or_default() += 1;
                format!("refused ({}: {message})", refusal.line)
            }
        }
    }

    fn print(&self, all: usize) {
        let share =
            |count: usize| format!("{count} ({:.0}%)", 100.0 * count as f64 / all.max(1) as f64);
        println!(
            "{all} files: {} clean, {} read with remarks, {} refused",
            share(self.clean),
            share(self.with_remarks),
            share(self.refused)
        );
        let mut refusals: Vec<_> = self.refusals.iter().collect();
        refusals.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (why, count) in refusals {
            println!("  refused {count:>4}  {why}");
        }
        for kind in [
            RemarkKind::Lost,
            RemarkKind::Changed,
            RemarkKind::PlainSecret,
            RemarkKind::Note,
        ] {
            let mut keys: Vec<_> = self
                .remarks
                .iter()
                .filter(|((of, _), _)| *of == kind)
                .collect();
            keys.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for ((_, key), count) in keys.into_iter().take(25) {
                println!("  {kind:?} in {count:>4} files  {key}");
            }
        }
    }
}

/// A key without the names that people gave.
fn generic(key: &str) -> String {
    let key = match key.split_once(']') {
        Some((section, rest)) => {
            let kind = section
                .split_once(':')
                .map_or(section, |(kind, _)| kind)
                .trim_start_matches('[');
            format!(
                "[{kind}]{}",
                rest.split_whitespace()
                    .next()
                    .map_or(String::new(), |key| format!(" {key}"))
            )
        }
        None => key.to_owned(),
    };
    let parts: Vec<&str> = key.split('.').collect();
    let named = [
        "services",
        "accessories",
        "checks",
        "env",
        "processes",
        "formation",
        "servers",
        "volumes",
        "networks",
        "service",
        "backing",
    ];
    let kept: Vec<&str> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            if index > 0 && named.contains(&parts[index - 1]) {
                "*"
            } else {
                part
            }
        })
        .collect();
    kept.join(".")
}
