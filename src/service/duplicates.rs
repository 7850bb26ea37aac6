//! Memories that say nearly the same.

use super::Service;
use super::nearest::Snapshotted;
use super::once::{Once, at_most_once};
use super::position::written;
use crate::auth::{Access, Principal};
use crate::index::{Vectors, dot};
use crate::memory::{
    DuplicateGroup, FORGET_COUNT_MAX, Filter, Idempotency, Memory, NamespaceSet, Position, Written,
};
use crate::store::{Known, StoreError, Target, Writer};
use crate::{Code, Error, Result};

/// Most memories that are compared, newest first: every pair is looked at.
const COMPARED_COUNT_MAX: usize = 5_000;
/// Characters that a group shows of the text that stays.
const TEXT_CHARS: usize = 200;

impl Service {
    /// Groups of memories of one namespace whose cosine similarity is at least `threshold`, each
    /// newest first. The newest 5,000 memories of the namespaces are compared.
    ///
    /// # Errors
    /// `InvalidInput` for a threshold outside 0 to 1; `Forbidden`; those of the file.
    pub async fn near_duplicates(
        &self,
        who: &Principal,
        namespaces: &NamespaceSet,
        threshold: f64,
    ) -> Result<Vec<Vec<Memory>>> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::invalid("threshold must be from 0 to 1").reason("out_of_range"));
        }
        let filter = Filter { namespaces: who.readable(namespaces)?, ..Filter::default() };
        let (memories, vectors) = self
            .read(move |reader| {
                let mut memories = Vec::new();
                let mut vectors = Vec::new();
                for located in reader.list(&filter, None, 0, COMPARED_COUNT_MAX)? {
                    if let Some(vector) = Snapshotted(reader).vector(located.row)? {
                        memories.push(located.memory);
                        vectors.push(vector);
                    }
                }
                Ok::<_, StoreError>((memories, vectors))
            })
            .await?;
        let grouped = tokio::task::spawn_blocking(move || {
            let alike = |a: usize, b: usize| {
                memories[a].namespace == memories[b].namespace
                    && dot(&vectors[a], &vectors[b]) >= threshold as f32
            };
            let groups = groups(memories.len(), alike);
            let take = |group: Vec<usize>| group.into_iter().map(|n| memories[n].clone()).collect();
            groups.into_iter().map(take).collect()
        });
        grouped.await.map_err(|error| Error::internal("comparing failed", error))
    }

    /// Deletes all but the newest of each group of near-duplicates, in one transaction, or only
    /// says what would go.
    ///
    /// # Errors
    /// Those of [`Service::near_duplicates`]; `TooLarge` when more than [`FORGET_COUNT_MAX`] would
    /// go.
    pub async fn clean_up(
        &self,
        who: &Principal,
        namespaces: &NamespaceSet,
        threshold: f64,
        dry_run: bool,
        once: Option<Idempotency>,
    ) -> Result<Written<Vec<DuplicateGroup>>> {
        let once = Once::new(who, once);
        if let Some(answer) = self.answered(&once).await? {
            return Ok(answer);
        }
        let found = self.near_duplicates(who, namespaces, threshold).await?;
        if dry_run {
            let value = found.iter().filter_map(|group| named(group)).collect();
            return Ok(Written { value, position: Position::default() });
        }
        let surplus = || found.iter().flat_map(|group| group.iter().skip(1));
        surplus().try_for_each(|memory| who.require(Access::Write, &memory.namespace))?;
        let count = surplus().count();
        if count > FORGET_COUNT_MAX {
            let detail = format!(
                "{count} memories would be deleted; at most {FORGET_COUNT_MAX} are in one call: \
                 raise the threshold"
            );
            return Err(Error::new(Code::TooLarge, detail));
        }
        let cleaned = self
            .parts
            .store
            .write(move |writer| {
                at_most_once(writer, &once, |writer| {
                    let deleted = delete_surplus(writer, &found)?;
                    Ok(written(writer, deleted))
                })
            })
            .await;
        Ok(cleaned?.spanning())
    }
}

/// Deletes what is still there of each group whose first is still there: a caller who changed one
/// meanwhile knew better.
fn delete_surplus(
    writer: &mut Writer<'_>,
    groups: &[Vec<Memory>],
) -> std::result::Result<Vec<DuplicateGroup>, StoreError> {
    let mut deleted = Vec::with_capacity(groups.len());
    for group in groups {
        let mut live = Vec::with_capacity(group.len());
        for memory in group {
            if let Known::Live(_) = writer.find(&memory.namespace, &memory.content_hash)? {
                live.push(memory.clone());
            }
        }
        if live.first() != group.first() {
            continue;
        }
        for memory in live.iter().skip(1) {
            writer.delete(&Target {
                namespace: memory.namespace.clone(),
                content_hash: memory.content_hash,
            })?;
        }
        deleted.extend(named(&live));
    }
    Ok(deleted)
}

/// A group of two or more by its hashes.
fn named(group: &[Memory]) -> Option<DuplicateGroup> {
    let (keep, others) = group.split_first().filter(|(_, others)| !others.is_empty())?;
    Some(DuplicateGroup {
        keep: keep.content_hash,
        text: keep.content.chars().take(TEXT_CHARS).collect(),
        delete: others.iter().map(|memory| memory.content_hash).collect(),
    })
}

/// Places that belong together, directly or through others; groups of two and more.
fn groups(count: usize, alike: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..count).collect();
    for a in 0..count {
        for b in a + 1..count {
            if alike(a, b) {
                let (a, b) = (root(&mut parent, a), root(&mut parent, b));
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    let mut groups = vec![Vec::new(); count];
    for place in 0..count {
        groups[root(&mut parent, place)].push(place);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// The first of a place's group, with the way there shortened.
fn root(parent: &mut [usize], mut place: usize) -> usize {
    while parent[place] != place {
        parent[place] = parent[parent[place]];
        place = parent[place];
    }
    place
}

#[cfg(test)]
mod tests {
    use super::{dot, groups};

    #[test]
    fn likeness_is_passed_on() {
        let at = |degrees: f32| vec![degrees.to_radians().cos(), degrees.to_radians().sin()];
        let vectors = [at(0.0), at(90.0), at(10.0), at(20.0), at(180.0)];
        let at_least = |threshold: f32| {
            let vectors = &vectors;
            groups(vectors.len(), move |a, b| dot(&vectors[a], &vectors[b]) >= threshold)
        };
        assert_eq!(at_least(12.0_f32.to_radians().cos()), [vec![0, 2, 3]]);
        assert!(at_least(0.9999).is_empty());
    }
}
