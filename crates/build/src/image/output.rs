//! What a build prints, understood: BuildKit's plain progress, and that of the builder before it.

use std::collections::{BTreeMap, VecDeque};

/// So many of a step's last lines are kept.
const LAST: usize = 20;

/// What was understood so far.
#[derive(Debug, Default)]
pub struct Output {
    /// BuildKit's vertices by their number; steps of the old builder by theirs.
    steps: BTreeMap<u32, Step>,
    /// The step that runs, of the old builder.
    current: Option<u32>,
    /// Lines that belong to no step.
    tail: VecDeque<String>,
    /// The line that BuildKit points at.
    line: Option<usize>,
}

#[derive(Debug, Default)]
struct Step {
    /// `[builder 2/3] RUN make`
    name: String,
    cached: bool,
    error: Option<String>,
    last: VecDeque<String>,
}

/// Why a build ended badly, as far as its output says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The instruction: `RUN npm ci`; none where it didn't come so far.
    pub instruction: Option<String>,
    /// What BuildKit was at, whatever it is: `[internal] load metadata for docker.io/library/x:1`.
    pub doing: Option<String>,
    /// The code that a command ended with.
    pub code: Option<i32>,
    /// The builder's own words.
    pub said: String,
    /// The line in the Dockerfile, where the builder says it.
    pub line: Option<usize>,
    /// The step's last lines.
    pub last: Vec<String>,
}

impl Trouble {
    /// The base image that the build was at.
    pub fn base_image(&self) -> Option<&str> {
        if let Some(instruction) = &self.instruction {
            let mut words = instruction.strip_prefix("FROM ")?.split_whitespace();
            return words.find(|word| !word.starts_with("--"));
        }
        let doing = self.doing.as_deref()?;
        doing.strip_prefix("[internal] load metadata for ")
    }
}

impl Output {
    /// Takes a line in; what it tells about how far the build is.
    pub fn line(&mut self, line: &str) -> Option<String> {
        if let Some((number, rest)) = numbered(line) {
            return self.vertex(number, rest);
        }
        if let Some((number, name)) = old_step(line) {
            self.current = Some(number);
            let news = format!("step {name}");
            self.steps.entry(number).or_default().name = format!("[{name}").replacen(' ', "] ", 1);
            return Some(news.replacen(" : ", " ", 1));
        }
        if let Some(step) = self.current.and_then(|number| self.steps.get_mut(&number)) {
            let arrow = line.trim_start().strip_prefix("---> ");
            match arrow {
                Some("Using cache") => step.cached = true,
                Some(_) => {}
                None if line.starts_with("Removing intermediate container")
                    || line.starts_with("Successfully ") => {}
                None => {
                    if line.contains("returned a non-zero code: ") {
                        step.error = Some(line.to_owned());
                    } else {
                        keep(&mut step.last, line);
                    }
                }
            }
        }
        if let Some((_, number)) = line.rsplit_once(':')
            && !line.contains(' ')
            && let Ok(number) = number.parse()
        {
            self.line = Some(number);
        }
        let is_rule = line.bytes().all(|byte| byte == b'-');
        if !is_rule && !line.starts_with(" > ") {
            keep(&mut self.tail, line);
        }
        None
    }

    fn vertex(&mut self, number: u32, rest: &str) -> Option<String> {
        let step = match self.steps.get_mut(&number) {
            Some(step) => step,
            None => {
                let step = self.steps.entry(number).or_default();
                step.name = rest.to_owned();
                return news(&step.name);
            }
        };
        if rest == step.name || rest == "..." || rest.starts_with("DONE") || rest == "CANCELED" {
            return None;
        }
        if rest == "CACHED" {
            step.cached = true;
            return None;
        }
        if let Some(error) = rest.strip_prefix("ERROR") {
            step.error = Some(error.trim_start_matches(':').trim().to_owned());
            return None;
        }
        let (time, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let is_output = time.parse::<f64>().is_ok();
        if is_output && !text.trim().is_empty() {
            keep(&mut step.last, text);
            return news(&step.name).map(|said| format!("{said}: {}", text.trim()));
        }
        None
    }

    /// Steps that make layers: how many there are, and how many of them were there already.
    pub fn layers(&self) -> (usize, usize) {
        // All others only say something about the image; BuildKit doesn't print those.
        let makes = |instruction: &str| {
            let keyword = instruction.split_whitespace().next().unwrap_or_default();
            let keyword = keyword.to_ascii_uppercase();
            ["RUN", "COPY", "ADD", "WORKDIR"].contains(&keyword.as_str())
        };
        let layers: Vec<_> = self
            .steps
            .values()
            .filter(|step| instruction(&step.name).is_some_and(makes))
            .collect();
        let cached = layers.iter().filter(|step| step.cached).count();
        (layers.len(), cached)
    }

    /// Why it failed.
    pub fn trouble(&self) -> Trouble {
        let failed = self.steps.values().find(|step| step.error.is_some());
        // The old builder names no step where it is the step itself that can't be done.
        let failed = failed.or_else(|| self.current.and_then(|number| self.steps.get(&number)));
        let said = match failed.and_then(|step| step.error.clone()) {
            Some(error) => error,
            None => self.tail.back().cloned().unwrap_or_default(),
        };
        let code = ["exit code: ", "returned a non-zero code: "]
            .iter()
            .find_map(|before| said.rsplit_once(before)?.1.trim().parse().ok());
        let last: Vec<String> = match failed.filter(|step| !step.last.is_empty()) {
            Some(step) => step.last.iter().cloned().collect(),
            None if code.is_some() => Vec::new(),
            None => self.tail.iter().cloned().collect(),
        };
        Trouble {
            instruction: failed
                .and_then(|step| instruction(&step.name))
                .map(str::to_owned),
            doing: failed.map(|step| step.name.clone()),
            code,
            line: self.line.or_else(|| parse_error_line(&self.tail)),
            said,
            last,
        }
    }
}

fn keep(lines: &mut VecDeque<String>, line: &str) {
    if lines.len() == LAST {
        lines.pop_front();
    }
    lines.push_back(line.to_owned());
}

/// `#12 [2/3] RUN make`
fn numbered(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// `Step 2/3 : RUN make` of the old builder: its number, and the rest from there.
fn old_step(line: &str) -> Option<(u32, &str)> {
    let rest = line.strip_prefix("Step ")?;
    let (place, _) = rest.split_once(" : ")?;
    let (number, of) = place.split_once('/')?;
    of.parse::<u32>().ok()?;
    Some((number.parse().ok()?, rest))
}

/// The instruction of `[builder 2/3] RUN make`; none of what BuildKit does besides.
fn instruction(name: &str) -> Option<&str> {
    let (place, instruction) = name.strip_prefix('[')?.split_once("] ")?;
    let numbers = place.rsplit(' ').next()?;
    let (number, of) = numbers.split_once('/')?;
    number.parse::<u32>().ok().and(of.parse::<u32>().ok())?;
    Some(instruction.trim_start_matches(": "))
}

/// What is told of a step when it begins.
fn news(name: &str) -> Option<String> {
    match instruction(name) {
        Some(instruction) => {
            let (place, _) = name.strip_prefix('[')?.split_once("] ")?;
            Some(format!("step {place} {instruction}"))
        }
        None if name.starts_with("[internal] load metadata for ") => {
            Some(format!("looking for {}", name.rsplit(' ').next()?))
        }
        None if name.starts_with("exporting") => Some("writing the image".to_owned()),
        None => None,
    }
}

/// The line in `dockerfile parse error line 2: unknown instruction: RUNN`.
fn parse_error_line(tail: &VecDeque<String>) -> Option<usize> {
    tail.iter().find_map(|line| {
        let lower = line.to_ascii_lowercase();
        let (_, rest) = lower.split_once("dockerfile parse error ")?;
        let (_, rest) = rest.split_once("line ")?;
        rest.split(|letter: char| !letter.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Output, Vec<String>) {
        let mut output = Output::default();
        let news = text
            .lines()
            .filter(|line| !line.is_empty())
            .filter_map(|line| output.line(line))
            .collect();
        (output, news)
    }

    const BUILDKIT: &str = "\
#1 [internal] load build definition from Dockerfile
#1 sha256:a5c787ee7d63ca19dffe22c64726c4ee3ba1e339d7ed1a98509fb80d059a8802
#1 transferring dockerfile: 159B done
#1 DONE 0.0s

#3 [internal] load metadata for docker.io/library/busybox:test
#3 DONE 0.0s

#4 [base 1/2] FROM docker.io/library/busybox:test
#4 DONE 0.0s

#5 [base 2/2] RUN echo one
#5 sha256:f40cb0ac2f50bc56ba2ee3f97fb0120677f2e71bb52f497d701851080c60342f
#5 CACHED

#8 [stage-1 1/2] RUN echo hi &&     cat /a.txt
#8 0.302 hi
#8 ...

#8 [stage-1 1/2] RUN echo hi &&     cat /a.txt
#8 0.303 #8 a
#8 DONE 0.3s
";

    #[test]
    fn progress_is_read() {
        let (output, news) = read(BUILDKIT);
        assert_eq!(output.layers(), (2, 1));
        assert_eq!(
            news,
            [
                "looking for docker.io/library/busybox:test",
                "step base 1/2 FROM docker.io/library/busybox:test",
                "step base 2/2 RUN echo one",
                "step stage-1 1/2 RUN echo hi &&     cat /a.txt",
                "step stage-1 1/2 RUN echo hi &&     cat /a.txt: hi",
                "step stage-1 1/2 RUN echo hi &&     cat /a.txt: #8 a",
            ]
        );
    }

    #[test]
    fn the_step_that_fails_is_named() {
        let old = format!(
            "{BUILDKIT}\n#9 [stage-1 2/2] RUN echo oops; exit 3\n#9 0.149 oops\n\
             #9 ERROR: executor failed running [/bin/sh -c echo oops; exit 3]: exit code: 3\n------\n \
             > [stage-1 2/2] RUN echo oops; exit 3:\n------\n\
             executor failed running [/bin/sh -c echo oops; exit 3]: exit code: 3\n"
        );
        let trouble = read(&old).0.trouble();
        assert_eq!(
            trouble.instruction.as_deref(),
            Some("RUN echo oops; exit 3")
        );
        assert_eq!(trouble.code, Some(3));
        assert_eq!(trouble.last, ["oops"]);
        assert_eq!(trouble.line, None);
        let new = "#9 [2/2] RUN false\n#9 ERROR: process \"/bin/sh -c false\" did not complete successfully: exit code: 1\n\
                   ------\n > [2/2] RUN false:\n------\nDockerfile:7\n--------------------\n   7 | >>> RUN false\n\
                   --------------------\nERROR: failed to solve: process \"/bin/sh -c false\" did not complete successfully: exit code: 1\n";
        let trouble = read(new).0.trouble();
        assert_eq!((trouble.line, trouble.code), (Some(7), Some(1)));
        assert!(trouble.last.is_empty(), "{trouble:?}");
    }

    #[test]
    fn a_base_image_that_is_not_there() {
        let text = "#3 [internal] load metadata for docker.io/library/nosuch:x\n\
                    #3 ERROR: docker.io/library/nosuch:x: not found\n------\n > [internal] load metadata:\n------\n\
                    failed to solve: docker.io/library/nosuch:x: not found\n";
        let trouble = read(text).0.trouble();
        assert_eq!(trouble.instruction, None);
        assert_eq!(
            trouble.doing.as_deref(),
            Some("[internal] load metadata for docker.io/library/nosuch:x")
        );
        assert_eq!(trouble.said, "docker.io/library/nosuch:x: not found");
        assert_eq!(trouble.base_image(), Some("docker.io/library/nosuch:x"));
    }

    #[test]
    fn a_line_that_is_no_instruction() {
        let text = "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.0s\n\
                    failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: RUNN\n";
        let trouble = read(text).0.trouble();
        assert_eq!(trouble.line, Some(2));
        assert!(trouble.last[0].contains("unknown instruction"));
    }

    #[test]
    fn the_builder_from_before() {
        let text = "Sending build context to Docker daemon  3.072kB\nStep 1/4 : FROM busybox:test\n ---> aee4a3885770\n\
                    Step 2/4 : RUN echo one\n ---> Using cache\n ---> f6755719a2e8\nStep 3/4 : COPY a /a\n ---> 12\n\
                    Step 4/4 : RUN echo oops; exit 3\n ---> Running in fef2b60c7a9c\noops\n\
                    The command '/bin/sh -c echo oops; exit 3' returned a non-zero code: 3\n";
        let (output, news) = read(text);
        assert_eq!(output.layers(), (3, 1));
        assert_eq!(news[1], "step 2/4 RUN echo one");
        let trouble = output.trouble();
        assert_eq!(
            trouble.instruction.as_deref(),
            Some("RUN echo oops; exit 3")
        );
        assert_eq!(trouble.code, Some(3));
        assert_eq!(trouble.last, ["oops"]);
    }
}
