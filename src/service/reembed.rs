//! Moving the file to another embedding model while searches go on.

use std::sync::Arc;
use std::time::Instant;

use super::Service;
use crate::auth::{Access, Principal};
use crate::embed::{Embedder, EmbedderChoice};
use crate::store::{StoreError, Unembedded};
use crate::{Code, Error, Result};

/// Texts that are embedded and kept in one step.
const STEP_COUNT: usize = 64;

/// Where a move to another model stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reembed {
    /// The model the file has now.
    pub from: String,
    /// The model it moves to.
    pub to: String,
    /// Texts that have a vector of the new model.
    pub done: u64,
    /// Live texts.
    pub total: u64,
    /// `running`, `interrupted` (start it again to resume), `done` or `failed: <why>`.
    pub state: String,
}

/// The move that this process made or makes.
#[derive(Clone, Debug)]
pub(super) struct Job {
    from: String,
    to: String,
    outcome: Option<std::result::Result<(), String>>,
    total: u64,
}

impl Service {
    /// Starts to re-embed the file with another model, or resumes it. At most one move runs.
    ///
    /// # Errors
    /// `Conflict` while one runs; `InvalidInput` when the file has that model already; those of
    /// the model.
    pub async fn reembed_start(&self, who: &Principal, choice: EmbedderChoice) -> Result<Reembed> {
        who.require_everywhere(Access::Admin)?;
        let loading = tokio::task::spawn_blocking(move || choice.load());
        let embedder =
            loading.await.map_err(|error| Error::internal("loading failed", error))??;
        let model = embedder.model().clone();
        let (from, dimension, total) = self
            .read(|reader| Ok((reader.model()?, reader.dimension()?, reader.live_count()?)))
            .await?;
        if from == model.name && dimension == model.dimension {
            return Err(Error::invalid(format!("the file holds vectors of {from} already"))
                .reason("same_model"));
        }
        {
            let mut job = self.reembed.lock();
            if job.as_ref().is_some_and(|job| job.outcome.is_none()) {
                return Err(Error::new(Code::Conflict, "a re-embedding is running already")
                    .reason("reembed_running"));
            }
            *job = Some(Job { from, to: model.name.clone(), outcome: None, total });
        }
        let name = model.name.clone();
        let begun = self
            .parts
            .store
            .write(move |writer| writer.reembed_begin(&name, model.dimension))
            .await;
        if let Err(error) = begun {
            *self.reembed.lock() = None;
            return Err(error.into());
        }
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            let outcome = service.reembed_run(embedder).await;
            if let Err(error) = &outcome {
                tracing::error!(%error, "re-embedding stopped");
            }
            if let Some(job) = service.reembed.lock().as_mut() {
                job.outcome = Some(outcome.map_err(|error| error.to_string()));
            }
        });
        let started = self.reembed_status(who).await?;
        started.ok_or_else(|| Error::internal("re-embedding", "was not begun".to_owned()))
    }

    /// Where the present or last move stands; `None` when there was none.
    ///
    /// # Errors
    /// `Forbidden`, those of the file.
    pub async fn reembed_status(&self, who: &Principal) -> Result<Option<Reembed>> {
        who.require_everywhere(Access::Admin)?;
        let progress = self.read(|reader| reader.reembed_progress()).await?;
        let job = self.reembed.lock().clone();
        let state = match job.as_ref().map(|job| &job.outcome) {
            None => "interrupted".to_owned(),
            Some(None) => "running".to_owned(),
            Some(Some(Ok(()))) => "done".to_owned(),
            Some(Some(Err(why))) => format!("failed: {why}"),
        };
        Ok(match (progress, job) {
            (Some(at), _) => {
                Some(Reembed { from: at.from, to: at.to, done: at.done, total: at.total, state })
            }
            (None, Some(job)) => Some(Reembed {
                from: job.from,
                to: job.to,
                done: job.total,
                total: job.total,
                state,
            }),
            (None, None) => None,
        })
    }

    /// Embeds what has no new vector yet, step by step, until nothing is missing. Texts that come
    /// in meanwhile are found by another pass.
    async fn reembed_run(&self, embedder: Arc<dyn Embedder>) -> Result<()> {
        loop {
            let mut after = 0;
            loop {
                if self.parts.shutdown.is_cancelled() {
                    return Err(Error::new(Code::Unavailable, "the node stopped"));
                }
                let step = self.read(move |reader| reader.unembedded(after, STEP_COUNT)).await?;
                let Some(last) = step.last() else { break };
                after = last.row;
                self.reembed_step(&embedder, step).await?;
            }
            let finished = self.parts.store.write(|writer| writer.reembed_finish()).await?;
            if finished {
                self.parts.embedder.replace(embedder);
                tracing::info!("the file moved to another embedding model");
                return Ok(());
            }
        }
    }

    async fn reembed_step(
        &self,
        embedder: &Arc<dyn Embedder>,
        step: Vec<Unembedded>,
    ) -> Result<()> {
        let started = Instant::now();
        let embedder = Arc::clone(embedder);
        let embedding = tokio::task::spawn_blocking(move || {
            let texts: Vec<&str> = step.iter().map(|text| text.content.as_str()).collect();
            let vectors = embedder.embed(&texts)?;
            Ok::<_, Error>(step.into_iter().zip(vectors).collect::<Vec<_>>())
        });
        let done =
            embedding.await.map_err(|error| Error::internal("embedding failed", error))??;
        tracing::debug!(count = done.len(), elapsed = ?started.elapsed(), "re-embedded texts");
        self.parts
            .store
            .write(move |writer| writer.reembed_keep(&done))
            .await
            .map_err(|error: StoreError| error.into())
    }
}
