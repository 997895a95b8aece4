//! `.dockerignore`: which files of a context are sent to the builder.

/// The lines of an ignore file, understood.
#[derive(Debug, Clone, Default)]
pub struct Ignore(Vec<(bool, Vec<String>)>);

impl Ignore {
    /// Reads one. <https://docs.docker.com/build/concepts/context/#dockerignore-files>
    pub fn read(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines();
        let patterns = lines.filter_map(|line| {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                return None;
            }
            let (except, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let parts = pattern.split('/').filter(|part| !matches!(*part, "" | "."));
            let parts: Vec<String> = parts.map(str::to_owned).collect();
            (!parts.is_empty()).then_some((except, parts))
        });
        Self(patterns.collect())
    }

    /// Whether a file, relative to the context, is left out. The last line that fits decides; a
    /// folder takes what is in it along.
    pub fn leaves_out(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let mut out = false;
        for (except, pattern) in &self.0 {
            if *except == out && (1..=parts.len()).any(|end| fits(pattern, &parts[..end])) {
                out = !*except;
            }
        }
        out
    }
}

/// Whether a pattern fits a whole path. `**` stands for any number of folders.
fn fits(pattern: &[String], path: &[&str]) -> bool {
    // Row by row, so that several `**` cost no more than their product.
    let mut row = vec![false; path.len() + 1];
    row[0] = true;
    for part in pattern {
        let mut next = vec![false; path.len() + 1];
        if part == "**" {
            let mut reached = false;
            for at in 0..=path.len() {
                reached |= row[at];
                next[at] = reached;
            }
        } else {
            for at in 0..path.len() {
                next[at + 1] = row[at] && like(part.as_bytes(), path[at].as_bytes());
            }
        }
        row = next;
    }
    row[path.len()]
}

/// Whether a name fits: `*` any letters, `?` any one, `[a-z]` one of these.
fn like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let one = one(&pattern[p..], name[n]);
        match (pattern.get(p), one) {
            (Some(b'*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (_, Some(length)) => {
                p += length;
                n += 1;
            }
            _ => match star {
                Some((before, from)) => {
                    star = Some((before, from + 1));
                    (p, n) = (before + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How much of the pattern takes this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'\\' => (pattern.get(1) == Some(&byte)).then_some(2),
        b'[' => {
            let end = pattern.iter().position(|letter| *letter == b']')?;
            let inside = &pattern[1..end];
            let (negated, inside) = match inside.first() {
                Some(b'^') => (true, &inside[1..]),
                _ => (false, inside),
            };
            let mut found = false;
            let mut at = 0;
            while at < inside.len() {
                if inside.get(at + 1) == Some(&b'-') && at + 2 < inside.len() {
                    found |= (inside[at]..=inside[at + 2]).contains(&byte);
                    at += 3;
                } else {
                    found |= inside[at] == byte;
                    at += 1;
                }
            }
            (found != negated).then_some(end + 1)
        }
        letter => (*letter == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_out_as_docker_does() {
        let ignore = Ignore::read(
            "# all\n*.log\n**/node_modules\n/build/\nsecret?.[a-c]\n!keep.log\ndocs\n!docs/README.md\n",
        );
        for path in [
            "a.log",
            "node_modules/x",
            "web/node_modules/y/z",
            "build/x",
            "secret1.b",
            "docs/a",
        ] {
            assert!(ignore.leaves_out(path), "{path}");
        }
        for path in [
            "keep.log",
            "web/a.log",
            "src/build/x",
            "secret12.b",
            "docs/README.md",
            "x",
        ] {
            assert!(!ignore.leaves_out(path), "{path}");
        }
    }

    #[test]
    fn patterns_that_repeat_end_soon() {
        let ignore = Ignore::read(&"**/a*a*a*a*a*b/".repeat(20));
        assert!(!ignore.leaves_out(&"aaaaaaaaaaaaaaaaaaaaaaaaa/".repeat(60)));
    }
}
