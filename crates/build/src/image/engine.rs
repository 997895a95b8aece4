//! Looking at what the Engine has, from code that waits.

use landfall_containers::{Engine, EngineAddress, EngineError, Image};
use landfall_release::Failure;
use tokio::runtime::Runtime;

use super::error::ImageError;

/// The Engine's images.
pub struct Images {
    runtime: Runtime,
    engine: Engine,
}

impl Images {
    /// Connects to the Engine, which must be one that can be used.
    pub fn connect(address: &EngineAddress) -> Result<Self, ImageError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                let said = format!("the Docker Engine can't be asked: {error}");
                ImageError::Engine(Box::new(Failure::new("engine-lost", said)))
            })?;
        let engine = runtime.block_on(Engine::connect(address)).map_err(failed)?;
        Ok(Self { runtime, engine })
    }

    /// An image by name, digest or id.
    pub fn image(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        self.runtime
            .block_on(self.engine.image(reference))
            .map_err(failed)
    }
}

fn failed(error: EngineError) -> ImageError {
    ImageError::Engine(Box::new(error.into()))
}
