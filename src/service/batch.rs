//! Storing many memories, each at most once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use memnode_cluster::Embedding;
use serde::{Deserialize, Serialize};

use super::once::{Once, at_most_once};
use super::remember::{create_values, store_one};
use super::{MODEL_CHANGE_TRY_COUNT, Service, model_keeps_changing};
use crate::auth::{Access, Principal};
use crate::memory::{
    ContentHash, Idempotency, ImportItem, ImportOutcome, Memory, NewMemory, Position, Remembered,
    Written,
};
use crate::store::{StoreError, Writer};
use crate::{Code, Error, Result};

/// Memories that share a transaction: large enough to amortise its fsync, small enough that other
/// writers wait only tens of milliseconds.
const CHUNK_COUNT: usize = 128;

/// Names of refusals that survive being kept; any other becomes `not_stored`.
const KEPT_REASONS: [&str; 2] = ["deleted_before", "too_many_parts"];

/// A checked item on its way into the file.
struct Pending {
    place: usize,
    memory: NewMemory,
    hash: ContentHash,
}

/// The items of a chunk after the checks that need no file.
struct Checked {
    /// Those that are wrong have theirs already.
    outcomes: Vec<ImportOutcome>,
    pending: Vec<Pending>,
    /// Repeats within the chunk, each with the place of the item that it repeats.
    repeats: Vec<(usize, usize)>,
}

/// The outcome of one item, in a form that can be kept under an idempotency key.
type Answer = std::result::Result<Written<Remembered>, Refusal>;

/// Why an item was not stored.
#[derive(Clone, Serialize, Deserialize)]
struct Refusal {
    reason: String,
    detail: String,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal { reason: error.reason.to_owned(), detail: error.detail }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kept = KEPT_REASONS.into_iter().find(|reason| *reason == refusal.reason);
        Error::new(Code::Conflict, refusal.detail).reason(kept.unwrap_or("not_stored"))
    }
}

impl Service {
    /// Stores many; one outcome an item, in order, and the writes of those that are new. A bad item
    /// does not stop the others.
    ///
    /// # Errors
    /// Only those that stop everything: `Forbidden`, and those of the model and the file.
    pub async fn remember_batch(
        &self,
        who: &Principal,
        items: Vec<ImportItem>,
        once: Option<Idempotency>,
    ) -> Result<Written<Vec<ImportOutcome>>> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut position = Position::default();
        let mut items = items.into_iter().peekable();
        let mut chunk_number = 0_u32;
        while items.peek().is_some() {
            let chunk: Vec<ImportItem> = items.by_ref().take(CHUNK_COUNT).collect();
            let once = once.clone().map(|once| chunk_key(once, chunk_number));
            let stored = self.remember_chunk(who, chunk, Once::new(who, once)).await?;
            outcomes.extend(stored.value);
            position.join(&stored.position);
            chunk_number += 1;
        }
        Ok(Written { value: outcomes, position: position.span() })
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
        let mut checked = check(who, items);
        let (mut answers, new) = self.look(std::mem::take(&mut checked.pending)).await?;
        answers.extend(new.iter().map(|pending| (pending.place, Ok(preview(pending)))));
        Ok(checked.settle(answers))
    }

    async fn remember_chunk(
        &self,
        who: &Principal,
        items: Vec<ImportItem>,
        once: Option<Once>,
    ) -> Result<Written<Vec<ImportOutcome>>> {
        let mut checked = check(who, items);
        if let Some(answers) = self.answered(&once).await? {
            return Ok(answers.map(|answers| checked.settle(answers)));
        }
        let (known, new) = self.look(std::mem::take(&mut checked.pending)).await?;
        if new.is_empty() && once.is_none() {
            return Ok(Written { value: checked.settle(known), position: Position::default() });
        }
        let new = Arc::new(new);
        for _ in 0..MODEL_CHANGE_TRY_COUNT {
            let embeddings = self.embed_all(&new).await?;
            let (known, new, once) = (known.clone(), Arc::clone(&new), once.clone());
            let stored = self
                .parts
                .store
                .write(move |writer| {
                    at_most_once(writer, &once, |writer| {
                        let mut answers = known;
                        answers.extend(store_many(writer, &new, embeddings)?);
                        Ok(Written { position: of_stored(&answers), value: answers })
                    })
                })
                .await;
            match stored {
                Err(StoreError::ModelChanged) => {}
                other => return Ok(other?.map(|answers| checked.settle(answers))),
            }
        }
        Err(model_keeps_changing())
    }

    /// The answers to the items whose text is there or was deleted, and the other items.
    async fn look(&self, pending: Vec<Pending>) -> Result<(Vec<(usize, Answer)>, Vec<Pending>)> {
        let memories: Vec<&NewMemory> = pending.iter().map(|item| &item.memory).collect();
        let found = self.known(&memories).await?;
        let (mut answers, mut new) = (Vec::new(), Vec::new());
        for (item, known) in pending.into_iter().zip(found) {
            match known {
                Some(answer) => answers.push((item.place, answer.map_err(Refusal::from))),
                None => new.push(item),
            }
        }
        Ok((answers, new))
    }

    async fn embed_all(&self, items: &[Pending]) -> Result<Vec<Embedding>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let texts = items.iter().map(|item| item.memory.content.clone()).collect();
        let embedded = self.embed(texts).await?;
        let model = &embedded.model.name;
        let of_model = |vector| Embedding { model: model.clone(), vector };
        Ok(embedded.vectors.into_iter().map(of_model).collect())
    }
}

/// The key of a chunk: the caller's own for the first, so that it cannot be used for something
/// else; for the others one that no caller can send, since a line break is not printable.
fn chunk_key(once: Idempotency, number: u32) -> Idempotency {
    if number == 0 {
        return once;
    }
    Idempotency { key: format!("{}\n{number}", once.key), ..once }
}

/// Checks each item and finds the repeats within the list.
fn check(who: &Principal, items: Vec<ImportItem>) -> Checked {
    let mut first = HashMap::new();
    let mut checked =
        Checked { outcomes: Vec::with_capacity(items.len()), pending: vec![], repeats: vec![] };
    for (place, ImportItem { position, memory }) in items.into_iter().enumerate() {
        let hash = ContentHash::of(&memory.content);
        let valid = memory.validate().and_then(|()| who.require(Access::Write, &memory.namespace));
        let is_valid = valid.is_ok();
        let result = valid.map(|()| unwritten(Remembered::Duplicate(hash)));
        checked.outcomes.push(ImportOutcome { position, result });
        if !is_valid {
            continue;
        }
        match first.entry((memory.namespace.clone(), hash)) {
            // One that may bring a deleted text back does what the first may not.
            Entry::Occupied(entry) if may_as_much(entry.get(), &memory) => {
                let (place_of_first, _): &(usize, bool) = entry.get();
                checked.repeats.push((place, *place_of_first));
                continue;
            }
            entry => drop(entry.insert_entry((place, memory.restore_deleted))),
        }
        checked.pending.push(Pending { place, memory, hash });
    }
    checked
}

fn may_as_much((_, restore_deleted): &(usize, bool), memory: &NewMemory) -> bool {
    *restore_deleted || !memory.restore_deleted
}

impl Checked {
    /// Gives each item its answer; a repeat has that of the item it repeats.
    fn settle(self, answers: Vec<(usize, Answer)>) -> Vec<ImportOutcome> {
        let mut outcomes = self.outcomes;
        for (place, answer) in answers {
            if let Some(outcome) = outcomes.get_mut(place) {
                outcome.result = answer.map_err(Error::from);
            }
        }
        for (place, first) in self.repeats {
            let copy =
                |error: &Error| Error::new(error.code, error.detail.clone()).reason(error.reason);
            let of_first = outcomes[first].result.as_ref().map(|first| first.position.clone());
            match (of_first.map_err(copy), &mut outcomes[place].result) {
                (Ok(position), Ok(repeat)) => repeat.position = position,
                (Err(error), repeat) => *repeat = Err(error),
                (Ok(_), Err(_)) => {}
            }
        }
        outcomes
    }
}

/// Stores each item in a savepoint of its own, so that one that fails leaves nothing.
fn store_many(
    writer: &mut Writer<'_>,
    items: &[Pending],
    embeddings: Vec<Embedding>,
) -> Result<Vec<(usize, Answer)>, StoreError> {
    let mut answers = Vec::with_capacity(items.len());
    for (item, embedding) in items.iter().zip(embeddings) {
        let stored = writer.atomically(|writer| store_one(writer, &item.memory, embedding));
        let answer = match stored {
            Ok(remembered) => Ok(remembered),
            Err(StoreError::Refused(error)) => Err(Refusal::from(error)),
            Err(error) => return Err(error),
        };
        answers.push((item.place, answer));
    }
    Ok(answers)
}

/// The writes of the items that are new.
fn of_stored(answers: &[(usize, Answer)]) -> Position {
    let mut position = Position::default();
    for (_, answer) in answers {
        if let Ok(Written { value: Remembered::Stored(_), position: of_one }) = answer {
            position.join(of_one);
        }
    }
    position
}

/// An answer behind which no write stands, or none yet.
fn unwritten(value: Remembered) -> Written<Remembered> {
    Written { value, position: Position::default() }
}

/// What would be stored, as far as that is known without storing it.
fn preview(pending: &Pending) -> Written<Remembered> {
    let values = create_values(&pending.memory, crate::clock::now_seconds());
    let memory = Memory {
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
    };
    unwritten(Remembered::Stored(Box::new(memory)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored_position(outcome: &ImportOutcome) -> String {
        outcome.result.as_ref().map(|written| written.position.to_string()).expect("stored")
    }

    fn item(position: u64, content: &str, restore_deleted: bool) -> ImportItem {
        let memory =
            NewMemory { content: content.to_owned(), restore_deleted, ..NewMemory::default() };
        ImportItem { position, memory }
    }

    #[test]
    fn a_repeat_within_a_list_has_the_fate_of_the_first() {
        let items = vec![
            item(1, "a", false),
            item(2, " A ", false),
            item(3, "", false),
            item(4, "a", true),
            item(5, "a", false),
        ];
        let checked = check(&Principal::local(), items);
        let pending: Vec<usize> = checked.pending.iter().map(|item| item.place).collect();
        assert_eq!((pending, &*checked.repeats), (vec![0, 3], &[(1, 0), (4, 3)][..]));
        let refused = Refusal { reason: "deleted_before".into(), detail: "it was deleted".into() };
        let mut stored = unwritten(Remembered::Duplicate(ContentHash::of("a")));
        stored.position = "a~00000000000000aa:7".parse().expect("a position");
        let outcomes = checked.settle(vec![(0, Err(refused)), (3, Ok(stored))]);
        let reasons: Vec<Option<&str>> =
            outcomes.iter().map(|it| it.result.as_ref().err().map(|error| error.reason)).collect();
        let position = stored_position(&outcomes[4]);
        assert_eq!(position, "a~00000000000000aa:7", "a repeat stands where the first does");
        let deleted = Some("deleted_before");
        assert_eq!(reasons, [deleted, deleted, Some("empty_content"), None, None]);
    }

    #[test]
    fn only_the_first_chunk_has_a_key_that_a_caller_can_send() {
        let once = Idempotency::new("k", b"request").expect("a valid key");
        assert_eq!(chunk_key(once.clone(), 0), once);
        let second = chunk_key(once.clone(), 1);
        assert_eq!(second.request_hash, once.request_hash);
        assert!(Idempotency::new(&second.key, b"request").is_err());
    }
}
