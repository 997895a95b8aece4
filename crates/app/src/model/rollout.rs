//! How many run, how they change and how they end.

use serde::{Deserialize, Serialize};

use crate::units::{Share, Time};

/// How many run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replicas {
    /// Always so many.
    Fixed(u32),
    /// Between two numbers, by processor load.
    Scaled {
        /// At least.
        min: u32,
        /// At most.
        max: u32,
        /// The load aimed at.
        cpu: Share,
    },
}

impl Replicas {
    /// How many are started at first.
    pub fn initial(&self) -> u32 {
        match self {
            Self::Fixed(count) => *count,
            Self::Scaled { min, .. } => *min,
        }
    }
}

/// How the replicas of a release start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartOrder {
    /// All at once.
    #[default]
    Together,
    /// One until it is ready, then the others.
    OneFirst,
}

/// How a new release takes the old one's place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Beside the old one, switched at once.
    #[default]
    BlueGreen,
    /// Replica by replica.
    Rolling {
        /// How many more may run meanwhile.
        surge: u32,
        /// How many fewer may run meanwhile.
        unavailable: u32,
    },
    /// Shares of the traffic, step by step.
    Canary {
        /// The shares in order.
        shares: Vec<Share>,
        /// How long each lasts.
        step: Time,
    },
    /// The old one stops first: for what can't run twice.
    Recreate,
}

/// How a process is asked to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stop {
    /// The signal's name: `SIGTERM`.
    pub signal: String,
    /// How long until SIGKILL.
    pub grace: Time,
}

/// The window after the switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Observe {
    /// How long it lasts.
    pub window: Time,
    /// Share of failed requests that rolls back.
    pub errors: Option<Share>,
    /// How many times slower than before rolls back, in tenths: `2x` is 20.
    pub latency_tenths: Option<u32>,
    /// Restarts that roll back.
    pub restarts: Option<u32>,
}

/// When and how processes are started again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Restart {
    /// The first delay; doubled each time.
    pub delay: Time,
    /// The longest delay.
    pub max_delay: Time,
    /// Up so long, and the next delay is the first again (the first restart is then at once).
    pub reset: Time,
    /// What happens when it fails for good.
    pub give_up: GiveUp,
    /// Failures in a row until then; 0: never gives up.
    pub attempts: u32,
}

/// What happens after the last attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GiveUp {
    /// Tries for ever, at the longest delay.
    #[default]
    Never,
    /// Stops the siblings and ends with an error.
    Exit,
    /// Leaves this process stopped and the siblings running.
    Stay,
}
