//! Storing: one memory or many, each at most once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use memnode_cluster::{CreateValues, Embedding, OpKind};

use super::once::{Once, at_most_once};
use super::recall::Snapshot;
use super::{MODEL_CHANGE_TRY_COUNT, Service, deleted_before, model_keeps_changing};
use crate::auth::{Access, Principal};
use crate::index::{self, Candidates};
use crate::memory::{
    ContentHash, Filter, Idempotency, ImportItem, ImportOutcome, Namespace, NewMemory, Remembered,
};
use crate::store::{Known, StoreError, Writer};
use crate::{Code, Error, Result};

/// Memories that share a transaction: large enough to amortise its fsync, small enough that other
/// writers wait only tens of milliseconds.
const CHUNK_COUNT: usize = 128;

/// A checked item on its way into the file.
struct Pending {
    place: usize,
    memory: NewMemory,
    hash: ContentHash,
}

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
    ) -> Result<Remembered> {
        who.require(Access::Write, &new.namespace)?;
        new.validate()?;
        let once = Once::new(who, once);
        if let Some(answer) = self.answered(&once).await? {
            return Ok(answer);
        }
        if let Some(known) = self.known(&[&new]).await?.pop().flatten() {
            // The same request may have stored it between the two looks.
            return self.answered(&once).await?.map_or(known, Ok);
        }
        for _ in 0..MODEL_CHANGE_TRY_COUNT {
            let embedding = self.embed_one(&new.content).await?;
            if let Some(repeat) = self.near_repeat(&new, &embedding).await? {
                return Ok(repeat);
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

    /// Stores many; one outcome an item, in order. A bad item does not stop the others.
    ///
    /// # Errors
    /// Only those that stop everything: `Forbidden`, and those of the model and the file.
    pub async fn remember_batch(
        &self,
        who: &Principal,
        items: Vec<ImportItem>,
        once: Option<Idempotency>,
    ) -> Result<Vec<ImportOutcome>> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut items = items.into_iter().peekable();
        let mut chunk_number = 0_u32;
        while items.peek().is_some() {
            let chunk: Vec<ImportItem> = items.by_ref().take(CHUNK_COUNT).collect();
            let once = once
                .clone()
                .map(|once| Idempotency { key: format!("{}#{chunk_number}", once.key), ..once });
            outcomes.extend(self.remember_chunk(who, chunk, Once::new(who, once)).await?);
            chunk_number += 1;
        }
        Ok(outcomes)
    }

    /// The same checks as [`Service::remember_batch`], nothing stored.
    ///
    /// # Errors
    /// `Forbidden`, and those of the file.
    pub async fn remember_batch_dry_run(
        &self,
        who: &Principal,
        items: Vec<ImportItem>,
    ) -> Result<Vec<ImportOutcome>> {
        let (mut outcomes, pending) = check(who, items);
        self.settle_known(&mut outcomes, pending).await?.into_iter().for_each(|pending| {
            outcomes[pending.place].result = Ok(Remembered::Stored(Box::new(preview(&pending))));
        });
        Ok(outcomes)
    }

    async fn remember_chunk(
        &self,
        who: &Principal,
        items: Vec<ImportItem>,
        once: Option<Once>,
    ) -> Result<Vec<ImportOutcome>> {
        let (mut outcomes, pending) = check(who, items);
        if let Some(answers) = self.answered::<Vec<(usize, Answer)>>(&once).await? {
            settle(&mut outcomes, answers);
            return Ok(outcomes);
        }
        let pending = Arc::new(self.settle_known(&mut outcomes, pending).await?);
        // The same request may have stored them between the two looks.
        if let Some(answers) = self.answered::<Vec<(usize, Answer)>>(&once).await? {
            settle(&mut outcomes, answers);
            return Ok(outcomes);
        }
        if pending.is_empty() {
            return Ok(outcomes);
        }
        for _ in 0..MODEL_CHANGE_TRY_COUNT {
            let texts = pending.iter().map(|item| item.memory.content.clone()).collect();
            let embedded = self.embed(texts).await?;
            let (work, once) = (Arc::clone(&pending), once.clone());
            let written = self
                .parts
                .store
                .write(move |writer| {
                    at_most_once(writer, &once, |writer| {
                        let model = embedded.model.name.as_str();
                        store_many(writer, &work, model, embedded.vectors)
                    })
                })
                .await;
            match written {
                Err(StoreError::ModelChanged) => {}
                other => {
                    settle(&mut outcomes, other?);
                    return Ok(outcomes);
                }
            }
        }
        Err(model_keeps_changing())
    }

    /// Gives outcomes to the items whose text is there or was deleted, and the rest back.
    async fn settle_known(
        &self,
        outcomes: &mut [ImportOutcome],
        pending: Vec<Pending>,
    ) -> Result<Vec<Pending>> {
        let memories: Vec<&NewMemory> = pending.iter().map(|item| &item.memory).collect();
        let known = self.known(&memories).await?;
        let mut rest = Vec::with_capacity(pending.len());
        for (item, known) in pending.into_iter().zip(known) {
            match known {
                Some(result) => outcomes[item.place].result = result,
                None => rest.push(item),
            }
        }
        Ok(rest)
    }

    /// What the file already knows of each text: a repeat, a deleted one, or nothing.
    async fn known(&self, memories: &[&NewMemory]) -> Result<Vec<Option<Result<Remembered>>>> {
        let asked: Vec<(Namespace, ContentHash, bool)> = memories
            .iter()
            .map(|new| (new.namespace.clone(), ContentHash::of(&new.content), new.restore_deleted))
            .collect();
        let found = self
            .read(move |reader| {
                let look = |(namespace, hash, restore): &(Namespace, ContentHash, bool)| {
                    Ok(match reader.find(namespace, hash)? {
                        Known::Live(_) => Some(Ok(Remembered::Duplicate(*hash))),
                        Known::Deleted if !restore => Some(Err(deleted_before(namespace, hash))),
                        Known::Deleted | Known::Never => None,
                    })
                };
                asked.iter().map(look).collect::<Result<Vec<_>, StoreError>>()
            })
            .await?;
        Ok(found)
    }

    pub(super) async fn embed_one(&self, text: &str) -> Result<Embedding> {
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
    ) -> Result<Option<Remembered>> {
        let dedup = &self.parts.dedup;
        if !dedup.enabled {
            return Ok(None);
        }
        let mut filter = Filter { namespaces: new.namespace.clone().into(), ..Filter::default() };
        let window = f64::from(dedup.time_window_hours) * 3600.0;
        filter.created.after = Some(crate::clock::now_seconds() - window);
        let threshold = dedup.threshold;
        let embedding = embedding.clone();
        let nearest = self
            .read(move |reader| {
                if reader.model()? != embedding.model {
                    return Ok(None);
                }
                let rows = reader.rows(&filter)?;
                let candidates = Candidates::Rows(&rows);
                let found = index::search(&Snapshot(reader), &embedding.vector, candidates, 1)?;
                let Some(neighbour) = found.first() else { return Ok(None) };
                let located = reader.by_rows(&[neighbour.row])?.pop();
                Ok(located.map(|located| (located.memory.content_hash, neighbour.distance)))
            })
            .await?;
        Ok(nearest.map(|(hash, distance)| (hash, 1.0 - f64::from(distance))).and_then(
            |(content_hash, similarity)| {
                (similarity >= threshold)
                    .then_some(Remembered::SemanticDuplicate { content_hash, similarity })
            },
        ))
    }
}

/// The part of an outcome that is kept under an idempotency key.
type Answer = std::result::Result<Remembered, String>;

/// Checks each item; wrong ones and repeats within the list get their outcome here.
fn check(who: &Principal, items: Vec<ImportItem>) -> (Vec<ImportOutcome>, Vec<Pending>) {
    let mut seen = HashSet::new();
    let mut outcomes = Vec::with_capacity(items.len());
    let mut pending = Vec::with_capacity(items.len());
    for (place, ImportItem { position, memory }) in items.into_iter().enumerate() {
        let hash = ContentHash::of(&memory.content);
        let checked = memory
            .validate()
            .and_then(|()| who.require(Access::Write, &memory.namespace))
            .map(|()| Remembered::Duplicate(hash));
        let new = checked.is_ok() && seen.insert((memory.namespace.clone(), hash));
        outcomes.push(ImportOutcome { position, result: checked });
        if new {
            pending.push(Pending { place, memory, hash });
        }
    }
    (outcomes, pending)
}

fn settle(outcomes: &mut [ImportOutcome], answers: Vec<(usize, Answer)>) {
    for (place, answer) in answers {
        if let Some(outcome) = outcomes.get_mut(place) {
            outcome.result =
                answer.map_err(|detail| Error::new(Code::Conflict, detail).reason("not_stored"));
        }
    }
}

/// Stores each item in a savepoint of its own, so that one that fails leaves nothing.
fn store_many(
    writer: &mut Writer<'_>,
    items: &[Pending],
    model: &str,
    vectors: Vec<Vec<f32>>,
) -> Result<Vec<(usize, Answer)>, StoreError> {
    let mut answers = Vec::with_capacity(items.len());
    for (item, vector) in items.iter().zip(vectors) {
        let embedding = Embedding { model: model.to_owned(), vector };
        let stored = writer.atomically(|writer| store_one(writer, &item.memory, embedding));
        let answer = match stored {
            Ok(remembered) => Ok(remembered),
            Err(StoreError::Refused(error)) => Err(error.detail),
            Err(error) => return Err(error),
        };
        answers.push((item.place, answer));
    }
    Ok(answers)
}

/// Stores one memory unless its text came in meanwhile.
fn store_one(
    writer: &mut Writer<'_>,
    new: &NewMemory,
    embedding: Embedding,
) -> Result<Remembered, StoreError> {
    let hash = ContentHash::of(&new.content);
    match writer.find(&new.namespace, &hash)? {
        Known::Live(_) => return Ok(Remembered::Duplicate(hash)),
        Known::Deleted if !new.restore_deleted => {
            return Err(deleted_before(&new.namespace, &hash).into());
        }
        Known::Deleted | Known::Never => {}
    }
    let values = create_values(new, writer.now());
    let located = writer.create(&new.namespace, &values, OpKind::Create, embedding)?;
    Ok(Remembered::Stored(Box::new(located.memory)))
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

/// What would be stored, as far as that is known without storing it.
fn preview(pending: &Pending) -> crate::memory::Memory {
    let now = crate::clock::now_seconds();
    let values = create_values(&pending.memory, now);
    crate::memory::Memory {
        content: values.content,
        content_hash: pending.hash,
        tags: pending.memory.tags.clone(),
        memory_type: values.memory_type,
        metadata: pending.memory.metadata.clone(),
        created_at: values.created_at,
        updated_at: values.updated_at,
        namespace: pending.memory.namespace.clone(),
        origin: String::new(),
        version: String::new(),
    }
}
