//! Storing one memory, at most once.

use std::collections::BTreeMap;

use memnode_cluster::{CreateValues, Embedding, OpKind};

use super::once::{Once, at_most_once};
use super::position::{found, last_written};
use super::{MODEL_CHANGE_TRY_COUNT, Service, deleted_before, model_keeps_changing};
use crate::auth::{Access, Principal};
use crate::memory::{ContentHash, Filter, Idempotency, Namespace, NewMemory, Remembered, Written};
use crate::store::{Known, StoreError, Writer};
use crate::{Error, Result};

impl Service {
    /// Stores a memory; the answer is durable.
    ///
    /// # Errors
    /// Those of [`NewMemory::validate`]; `Conflict` for a text that was deleted before;
    /// `Forbidden`; those of the model and the file.
    pub async fn remember(
        &self,
        who: &Principal,
        new: NewMemory,
        once: Option<Idempotency>,
    ) -> Result<Written<Remembered>> {
        who.require(Access::Write, &new.namespace)?;
        new.validate()?;
        let once = Once::new(who, once);
        if let Some(answer) = self.answered(&once).await? {
            return Ok(answer);
        }
        if let Some(known) = self.known(&[&new]).await?.pop().flatten() {
            // The same request may have stored it between the two looks.
            return match known {
                Ok(repeat) => self.keep(once, repeat).await,
                Err(error) => self.answered(&once).await?.ok_or(error),
            };
        }
        for _ in 0..MODEL_CHANGE_TRY_COUNT {
            let embedding = self.embed_one(&new.content).await?;
            if let Some(repeat) = self.near_repeat(&new, &embedding).await? {
                return self.keep(once, repeat).await;
            }
            let (new, once) = (new.clone(), once.clone());
            let written = self
                .parts
                .store
                .write(move |writer| {
                    at_most_once(writer, &once, |writer| store_one(writer, &new, embedding))
                })
                .await;
            match written {
                Err(StoreError::ModelChanged) => {}
                other => return Ok(other?),
            }
        }
        Err(model_keeps_changing())
    }

    /// Keeps an answer that took no write under its key, if there is one.
    async fn keep(
        &self,
        once: Option<Once>,
        answer: Written<Remembered>,
    ) -> Result<Written<Remembered>> {
        if once.is_none() {
            return Ok(answer);
        }
        let kept =
            self.parts.store.write(move |writer| at_most_once(writer, &once, |_| Ok(answer)));
        Ok(kept.await?)
    }

    /// What the file already knows of each text: a repeat, a deleted one, or nothing.
    pub(super) async fn known(
        &self,
        memories: &[&NewMemory],
    ) -> Result<Vec<Option<Result<Written<Remembered>>>>> {
        let asked: Vec<(Namespace, ContentHash, bool)> = memories
            .iter()
            .map(|new| (new.namespace.clone(), ContentHash::of(&new.content), new.restore_deleted))
            .collect();
        let known = self
            .read(move |reader| {
                let look = |(namespace, hash, restore): &(Namespace, ContentHash, bool)| {
                    Ok(match reader.find(namespace, hash)? {
                        Known::Live(_) => {
                            let duplicate = Remembered::Duplicate(*hash);
                            Some(Ok(found(reader, namespace, hash, duplicate)?))
                        }
                        Known::Deleted if !restore => Some(Err(deleted_before(namespace, hash))),
                        Known::Deleted | Known::Never => None,
                    })
                };
                asked.iter().map(look).collect::<Result<Vec<_>, StoreError>>()
            })
            .await?;
        Ok(known)
    }

    pub(super) async fn embed_one(&self, text: &str) -> Result<Embedding> {
        let _pass = self.gate.enter(self.parts.embedder.parallelism()).await?;
        let mut embedded = self.embed(vec![text.to_owned()]).await?;
        let vector = embedded.vectors.pop().ok_or_else(|| {
            Error::internal("the model gave no vector", "one text, no vector".to_owned())
        })?;
        Ok(Embedding { model: embedded.model.name.clone(), vector })
    }

    /// A recent memory of nearly the same meaning, when such repeats are to be refused.
    async fn near_repeat(
        &self,
        new: &NewMemory,
        embedding: &Embedding,
    ) -> Result<Option<Written<Remembered>>> {
        let dedup = &self.parts.dedup;
        if !dedup.enabled {
            return Ok(None);
        }
        let mut filter = Filter { namespaces: new.namespace.clone().into(), ..Filter::default() };
        let window = f64::from(dedup.time_window_hours) * 3600.0;
        filter.created.after = Some(crate::clock::now_seconds() - window);
        let threshold = dedup.threshold;
        let (embedding, namespace) = (embedding.clone(), new.namespace.clone());
        let nearest = self
            .read_near(false, move |reader, nearest| {
                if reader.model()? != embedding.model {
                    return Ok(None);
                }
                let near = nearest.neighbours(reader, &filter, &embedding.vector, 1)?;
                let Some(neighbour) = near.first() else { return Ok(None) };
                let similarity = 1.0 - f64::from(neighbour.distance);
                let located = reader.by_rows(&[neighbour.row])?.pop();
                let Some(located) = located.filter(|_| similarity >= threshold) else {
                    return Ok(None);
                };
                let content_hash = located.memory.content_hash;
                let repeat = Remembered::SemanticDuplicate { content_hash, similarity };
                Ok(Some(found(reader, &namespace, &content_hash, repeat)?))
            })
            .await?;
        Ok(nearest)
    }
}

/// Stores one memory unless its text came in meanwhile.
pub(super) fn store_one(
    writer: &mut Writer<'_>,
    new: &NewMemory,
    embedding: Embedding,
) -> Result<Written<Remembered>, StoreError> {
    let hash = ContentHash::of(&new.content);
    match writer.find(&new.namespace, &hash)? {
        Known::Live(_) => {
            return found(writer, &new.namespace, &hash, Remembered::Duplicate(hash));
        }
        Known::Deleted if !new.restore_deleted => {
            return Err(deleted_before(&new.namespace, &hash).into());
        }
        Known::Deleted | Known::Never => {}
    }
    let values = create_values(new, writer.now());
    let located = writer.create(&new.namespace, &values, OpKind::Create, embedding)?;
    Ok(last_written(writer, Remembered::Stored(Box::new(located.memory))))
}

/// The replicated values of a new memory. `now`: Unix seconds.
pub(super) fn create_values(new: &NewMemory, now: f64) -> CreateValues {
    let created_at = new.created_at.unwrap_or(now);
    CreateValues {
        created_at,
        updated_at: new.updated_at.unwrap_or(created_at),
        content: new.content.clone(),
        tags: new.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        memory_type: new.memory_type.clone().filter(|memory_type| !memory_type.is_empty()),
        metadata: new
            .metadata
            .iter()
            .map(|(key, value)| (key.clone(), value.to_string()))
            .collect::<BTreeMap<_, _>>(),
    }
}
