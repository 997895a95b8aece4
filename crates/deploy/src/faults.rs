//! Faults that tests put into rollouts, at the boundaries of each step.

use std::{fs, future::pending, io, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use landfall_release::{DeploymentNumber, Direction, Failure, Step};
use rustix::process::{Signal, getpid, kill_process};

/// Faults to put into rollouts. None by default.
///
/// As text: `switch:kill-before,undo-start:fail,verify@2:stall`. Each names a step, with `undo-` in
/// front where its undo is meant, and after `@` the only deployment that it is for; then one of
/// - `fail`: it fails with `fault-injected` instead of being done;
/// - `stall`: it is never done, and never fails;
/// - `kill-before`, `kill-after`: this program ends by SIGKILL once the start of the step is
///   written down, or before its end is;
/// - `stop-before`, `stop-after`: stands still there, so that a test can kill something else.
///
/// Where a folder is given, a fault that is reached makes a file there, named after itself as it
/// stands in the text, and one that stalls or stops goes on when a test takes that file away.
#[derive(Clone, Default)]
pub struct Faults {
    faults: Vec<Fault>,
    folder: Option<PathBuf>,
    kill: Option<Arc<dyn Fn() + Send + Sync>>,
}

#[derive(Clone)]
struct Fault {
    text: String,
    step: Step,
    direction: Direction,
    deployment: Option<DeploymentNumber>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fail,
    Stall,
    Kill(Point),
    Stop(Point),
}

/// Where in a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Its start is written down, nothing is done yet.
    Before,
    /// It is done, its end isn't written down yet.
    After,
}

/// Why a text doesn't name faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no fault: expected [undo-]STEP[@DEPLOYMENT]:KIND with KIND one of fail, stall, kill-before, kill-after, stop-before, stop-after"
)]
pub struct FaultsError(String);

/// How often a file that holds a fault is looked for.
const LOOK: Duration = Duration::from_millis(5);

impl Faults {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads faults from text, separated by commas.
    pub fn from_text(text: &str) -> Result<Self, FaultsError> {
        let faults = text
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::parse);
        Ok(Self {
            faults: faults.collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }

    /// Reports faults by files in this folder, which must exist.
    #[must_use]
    pub fn in_folder(self, folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Some(folder.into()),
            ..self
        }
    }

    /// Calls `kill` instead of killing this program; the rollout is then given up at once.
    #[must_use]
    pub fn with_kill(self, kill: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            kill: Some(Arc::new(kill)),
            ..self
        }
    }

    /// The failure to put in instead of doing a step.
    pub(crate) fn failure(
        &self,
        number: DeploymentNumber,
        step: Step,
        direction: Direction,
    ) -> Option<Failure> {
        let fault = self.find(number, step, direction, |kind| kind == Kind::Fail)?;
        self.report(fault);
        Some(Failure::new(
            "fault-injected",
            format!("{} was made to fail", fault.text),
        ))
    }

    /// Passes a fault point; whether the rollout was killed there.
    pub(crate) async fn reach(
        &self,
        number: DeploymentNumber,
        step: Step,
        direction: Direction,
        point: Point,
    ) -> bool {
        if let Some(fault) = self.find(number, step, direction, |kind| kind == Kind::Kill(point)) {
            self.report(fault);
            match &self.kill {
                Some(kill) => kill(),
                // Nothing comes after this.
                None => drop(kill_process(getpid(), Signal::KILL)),
            }
            return true;
        }
        let stands =
            |kind| kind == Kind::Stop(point) || (kind == Kind::Stall && point == Point::Before);
        if let Some(fault) = self.find(number, step, direction, stands) {
            self.report(fault);
            self.released(fault).await;
        }
        false
    }

    fn find(
        &self,
        number: DeploymentNumber,
        step: Step,
        direction: Direction,
        kind: impl Fn(Kind) -> bool,
    ) -> Option<&Fault> {
        self.faults.iter().find(|fault| {
            fault.step == step
                && fault.direction == direction
                && fault.deployment.is_none_or(|only| only == number)
                && kind(fault.kind)
        })
    }

    fn report(&self, fault: &Fault) {
        if let Some(folder) = &self.folder {
            let path = folder.join(&fault.text);
            fs::write(&path, "").expect("a test gives a folder that can be written");
        }
    }

    /// Waits until a test takes the fault's file away.
    async fn released(&self, fault: &Fault) {
        let Some(folder) = &self.folder else {
            return pending().await;
        };
        let path = folder.join(&fault.text);
        while !matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
        {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl FromStr for Fault {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, FaultsError> {
        let wrong = || FaultsError(text.to_owned());
        let (place, kind) = text.split_once(':').ok_or_else(wrong)?;
        let (place, deployment) = match place.split_once('@') {
            Some((place, number)) => (
                place,
                Some(DeploymentNumber(number.parse().map_err(|_| wrong())?)),
            ),
            None => (place, None),
        };
        let (word, direction) = match place.strip_prefix("undo-") {
            Some(word) => (word, Direction::Undo),
            None => (place, Direction::Forward),
        };
        let step = Step::ALL
            .into_iter()
            .find(|step| step.word() == word)
            .ok_or_else(wrong)?;
        let kind = match kind {
            "fail" => Kind::Fail,
            "stall" => Kind::Stall,
            "kill-before" => Kind::Kill(Point::Before),
            "kill-after" => Kind::Kill(Point::After),
            "stop-before" => Kind::Stop(Point::Before),
            "stop-after" => Kind::Stop(Point::After),
            _ => return Err(wrong()),
        };
        Ok(Self {
            text: text.to_owned(),
            step,
            direction,
            deployment,
            kind,
        })
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.faults.iter().map(|fault| &fault.text))
            .finish()
    }
}
