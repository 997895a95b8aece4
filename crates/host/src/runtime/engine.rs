//! The Docker Engine as this host uses it: connected to when something first needs it.

use std::{sync::PoisonError, time::Instant};

use landfall_containers::{Engine, EngineAddress, EngineError};
use landfall_release::Failure;
use tokio::sync::Mutex;

use crate::host::Host;

/// The Engine, once it was needed. Every call of one makes its own connection, so that an Engine
/// that went away and came back is the same one.
#[derive(Default)]
pub struct Engines {
    held: Mutex<Held>,
    /// Why nothing could be started when that was tried last.
    away: std::sync::Mutex<Option<String>>,
}

impl Engines {
    /// Why nothing can be started, where the Engine is away.
    pub fn away(&self) -> Option<String> {
        self.noted().clone()
    }

    /// Notes how it went to start something; whether that is news.
    pub fn note(&self, failure: Option<&Failure>) -> bool {
        let away = failure.filter(|failure| is_away(failure));
        let away = away.map(|failure| failure.message.clone());
        let mut noted = self.noted();
        let news = *noted != away;
        *noted = away;
        news
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        // A text is whole at any time.
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Held {
    engine: Option<Engine>,
    /// What those are told who waited for an attempt that failed.
    failed: Option<(Instant, Failure)>,
}

/// Whether a failure means that the Engine isn't there at the moment.
pub fn is_away(failure: &Failure) -> bool {
    matches!(failure.name.as_str(), "no-engine" | "engine-lost")
}

impl Host {
    /// Where the Engine is.
    pub fn engine_address(&self) -> Result<EngineAddress, EngineError> {
        let settings = &self.settings;
        EngineAddress::from_environment(
            settings.engine.as_deref(),
            settings.runtime_folder.as_deref(),
            rustix::process::geteuid().is_root(),
        )
    }

    /// The Engine of this machine. It was there when it was first asked for; whether it still is
    /// shows with the next call.
    pub async fn engine(&self) -> Result<Engine, Failure> {
        let asked = Instant::now();
        let mut held = self.engines.held.lock().await;
        if let Some(engine) = &held.engine {
            return Ok(engine.clone());
        }
        if let Some((at, failure)) = &held.failed
            && *at > asked
        {
            return Err(failure.clone());
        }
        let connected = match self.engine_address() {
            Ok(address) => Engine::connect(&address).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(engine) => {
                held.engine = Some(engine.clone());
                held.failed = None;
                Ok(engine)
            }
            Err(error) => {
                let failure = Failure::from(error);
                held.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }
}
