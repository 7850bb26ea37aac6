//! Vectors for texts that came without one: their author uses another model.

use std::time::Duration;

use super::Service;
use crate::Result;
use crate::store::{StoreError, Unembedded};

/// Texts that are embedded in one step.
const STEP_COUNT: usize = 32;
/// How often new ones are looked for when there were none.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Pause after a step that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

impl Service {
    /// Embeds what peers wrote under another model, for as long as the node runs. Until then such
    /// memories are found by words, tags and time.
    pub fn embed_pending(&self) {
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            let shutdown = service.parts.shutdown.clone();
            loop {
                let pause = match service.pending_step().await {
                    Ok(0) => LOOK_INTERVAL,
                    Ok(_) => Duration::ZERO,
                    Err(error) => {
                        tracing::debug!(%error, "texts of other models wait for their vectors");
                        RETRY_INTERVAL
                    }
                };
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }

    /// Embeds a few texts; gives how many.
    async fn pending_step(&self) -> Result<usize> {
        let texts = self.read(|reader| reader.unembedded_live(STEP_COUNT)).await?;
        if texts.is_empty() {
            return Ok(0);
        }
        let contents = texts.iter().map(|text| text.content.clone()).collect();
        let embedded = self.embed(contents).await?;
        let (count, model) = (texts.len(), embedded.model.name.clone());
        let done: Vec<(Unembedded, Vec<f32>)> = texts.into_iter().zip(embedded.vectors).collect();
        let keep = move |writer: &mut crate::store::Writer<'_>| {
            if writer.model()? != model {
                return Err(StoreError::ModelChanged);
            }
            for (text, vector) in &done {
                writer.put_vector(text.row, &text.content, vector)?;
            }
            Ok(())
        };
        self.parts.store.write(keep).await?;
        Ok(count)
    }
}
