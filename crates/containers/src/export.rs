//! An image as a stream: what `docker save` writes.

use crate::{Engine, EngineError, Object};
use futures_util::StreamExt as _;
use std::{ops::ControlFlow, time::Duration};

/// How long the Engine may be silent: before 25 it gathers all layers before it sends any.
const SILENCE: Duration = Duration::from_secs(600);

impl Engine {
    /// Hands out an image's archive piece by piece, until it ends or `take` has enough.
    pub async fn export_image(
        &self,
        reference: &str,
        mut take: impl FnMut(&[u8]) -> ControlFlow<()> + Send,
    ) -> Result<(), EngineError> {
        let doing = format!("reading the image {reference}");
        let about = Some((Object::Image, reference));
        let docker = self.docker().clone().with_timeout(SILENCE);
        let mut stream = std::pin::pin!(docker.export_image(reference));
        loop {
            let piece = tokio::time::timeout(SILENCE, stream.next()).await;
            match piece {
                Ok(Some(Ok(piece))) => {
                    if take(&piece).is_break() {
                        return Ok(());
                    }
                }
                Ok(Some(Err(error))) => return Err(self.failed(&doing, about, error)),
                Ok(None) => return Ok(()),
                Err(_) => {
                    return Err(EngineError::Silent {
                        doing,
                        after: SILENCE,
                    });
                }
            }
        }
    }
}
