//! Changing, forgetting and restoring.

use std::collections::BTreeMap;

use memnode_cluster::{Embedding, OpKind, UpdateValues};
use serde_json::Value;

use super::once::{Once, at_most_once};
use super::position::{found, with_birth, written};
use super::remember::create_values;
use super::{
    MODEL_CHANGE_TRY_COUNT, Service, check_version, deleted_before, memory_not_found,
    model_keeps_changing,
};
use crate::auth::{Access, Principal};
use crate::memory::{
    Changed, ContentHash, FORGET_COUNT_MAX, ForgetWhere, Forgotten, Idempotency, Memory, Namespace,
    NewMemory, Patch, Position, Written,
};
use crate::store::{Known, Reader, StoreError, Target, Writer};
use crate::{Code, Error, Result};

/// The metadata key of a new text that names the one it took the place of.
const SUPERSEDES: &str = "supersedes";

impl Service {
    /// Changes parts of a memory. `if_match`: the version that must still be current.
    ///
    /// # Errors
    /// `NotFound`, `PreconditionFailed`; `Conflict` when the new text is there or was deleted;
    /// those of [`Patch::validate`].
    pub async fn update(
        &self,
        who: &Principal,
        namespace: &Namespace,
        hash: ContentHash,
        patch: Patch,
        if_match: Option<String>,
        once: Option<Idempotency>,
    ) -> Result<Written<Changed>> {
        who.require(Access::Write, namespace)?;
        patch.validate()?;
        let once = Once::new(who, once);
        if let Some(answer) = self.answered(&once).await? {
            return Ok(answer);
        }
        let target = Target { namespace: namespace.clone(), content_hash: hash };
        for _ in 0..MODEL_CHANGE_TRY_COUNT {
            let embedding = match &patch.content {
                Some(content) => Some(self.embed_one(content).await?),
                None => None,
            };
            let (target, patch, once) = (target.clone(), patch.clone(), once.clone());
            let if_match = if_match.clone();
            let changed = self
                .parts
                .store
                .write(move |writer| {
                    at_most_once(writer, &once, |writer| {
                        let present = live(writer, &target)?;
                        check_version(&present, if_match.as_deref())?;
                        let changed = change(writer, &target, &present, &patch, embedding)?;
                        let hash = changed.memory.content_hash;
                        let changed = written(writer, changed);
                        with_birth(writer, &target.namespace, &hash, changed)
                    })
                })
                .await;
            match changed {
                Err(StoreError::ModelChanged) => {}
                other => return Ok(other?),
            }
        }
        Err(model_keeps_changing())
    }

    /// Deletes a memory.
    ///
    /// # Errors
    /// `NotFound`, `PreconditionFailed`, `Forbidden`.
    pub async fn forget(
        &self,
        who: &Principal,
        namespace: &Namespace,
        hash: ContentHash,
        if_match: Option<String>,
        once: Option<Idempotency>,
    ) -> Result<Written<()>> {
        who.require(Access::Write, namespace)?;
        let once = Once::new(who, once);
        let target = Target { namespace: namespace.clone(), content_hash: hash };
        let forgotten = self
            .parts
            .store
            .write(move |writer| {
                at_most_once(writer, &once, |writer| {
                    check_version(&live(writer, &target)?, if_match.as_deref())?;
                    writer.delete(&target)?;
                    Ok(written(writer, ()))
                })
            })
            .await;
        Ok(forgotten?)
    }

    /// Deletes all that a filter leaves, in one transaction.
    ///
    /// # Errors
    /// `InvalidInput` for a filter without a condition; `TooLarge` when it leaves more than
    /// [`FORGET_COUNT_MAX`].
    pub async fn forget_where(
        &self,
        who: &Principal,
        request: ForgetWhere,
        once: Option<Idempotency>,
    ) -> Result<Written<Forgotten>> {
        let ForgetWhere { mut filter, dry_run } = request;
        filter.namespaces = who.readable(&filter.namespaces)?;
        match &filter.namespaces {
            crate::memory::NamespaceSet::All => who.require_everywhere(Access::Write)?,
            crate::memory::NamespaceSet::Only(names) => {
                names.iter().try_for_each(|name| who.require(Access::Write, name))?;
            }
        }
        if !filter.has_conditions() {
            return Err(Error::invalid(
                "name what to delete: a hash, tags, a type or a time range",
            )
            .reason("nothing_named"));
        }
        if dry_run {
            let value = self.read(move |reader| forgettable(reader, &filter)).await?;
            return Ok(Written { value, position: Position::default() });
        }
        let once = Once::new(who, once);
        let forgotten = self
            .parts
            .store
            .write(move |writer| {
                at_most_once(writer, &once, |writer| {
                    let (forgotten, targets) = targets(writer, &filter)?;
                    targets.iter().try_for_each(|target| writer.delete(target))?;
                    Ok(written(writer, forgotten).spanning())
                })
            })
            .await;
        Ok(forgotten?)
    }

    /// Brings a deleted memory back from what this node kept of it. A live one is left as it is.
    ///
    /// # Errors
    /// `NotFound` for one that was never here; `Conflict` when nothing was kept of it.
    pub async fn restore(
        &self,
        who: &Principal,
        namespace: &Namespace,
        hash: ContentHash,
        once: Option<Idempotency>,
    ) -> Result<Written<Memory>> {
        who.require(Access::Write, namespace)?;
        let once = Once::new(who, once);
        if let Some(answer) = self.answered(&once).await? {
            return Ok(answer);
        }
        let target = Target { namespace: namespace.clone(), content_hash: hash };
        for _ in 0..MODEL_CHANGE_TRY_COUNT {
            let asked = target.clone();
            let kept = match self.read(move |reader| kept(reader, &asked)).await? {
                Kept::Live(memory) => return Ok(*memory),
                Kept::Snapshot(memory) => memory,
            };
            let embedding = self.embed_one(&kept.content).await?;
            let (target, once) = (target.clone(), once.clone());
            let restored = self
                .parts
                .store
                .write(move |writer| {
                    at_most_once(writer, &once, |writer| restore(writer, &target, embedding))
                })
                .await;
            match restored {
                Err(StoreError::ModelChanged) => {}
                other => return Ok(other?),
            }
        }
        Err(model_keeps_changing())
    }
}

fn live(reader: &Reader<'_>, target: &Target) -> Result<Memory, StoreError> {
    match reader.find(&target.namespace, &target.content_hash)? {
        Known::Live(located) => Ok(located.memory),
        Known::Deleted | Known::Never => Err(memory_not_found().into()),
    }
}

fn change(
    writer: &mut Writer<'_>,
    target: &Target,
    present: &Memory,
    patch: &Patch,
    embedding: Option<Embedding>,
) -> Result<Changed, StoreError> {
    let fields = fields(patch);
    let memory = match (&patch.content, embedding) {
        (Some(content), Some(embedding)) if *content != present.content => {
            replace(writer, target, present, patch, content, embedding)?
        }
        _ => writer.update(target, &update_values(present, patch, writer.now())?)?.memory,
    };
    Ok(Changed { fields, memory })
}

/// A new text: the old memory is deleted and the new one names it. A text that differs from the
/// old one in case or outer space alone has the same identity and takes its place.
fn replace(
    writer: &mut Writer<'_>,
    target: &Target,
    present: &Memory,
    patch: &Patch,
    content: &str,
    embedding: Embedding,
) -> Result<Memory, StoreError> {
    let mut new = merged(present, patch);
    new.content = content.to_owned();
    let hash = ContentHash::of(content);
    if hash == target.content_hash {
        new.created_at = Some(present.created_at);
        new.updated_at = (!patch.preserve_timestamps).then(|| writer.now());
    } else {
        match writer.find(&target.namespace, &hash)? {
            Known::Live(_) => {
                return Err(Error::new(
                    Code::Conflict,
                    format!("the new text is stored already (hash {hash})"),
                )
                .reason("duplicate_content")
                .into());
            }
            Known::Deleted => return Err(deleted_before(&target.namespace, &hash).into()),
            Known::Never => {}
        }
        let old = Value::String(target.content_hash.to_string());
        new.metadata.insert(SUPERSEDES.to_owned(), old);
    }
    new.validate()?;
    let values = create_values(&new, writer.now());
    let created = writer.create(&target.namespace, &values, OpKind::Create, embedding)?;
    if hash != target.content_hash {
        writer.delete(target)?;
        return Ok(created.memory);
    }
    // A creation over a live memory only adds: what the patch takes away goes with an update.
    if patch.tags.is_none() && patch.metadata.is_none() {
        return Ok(created.memory);
    }
    Ok(writer.update(target, &update_values(present, patch, writer.now())?)?.memory)
}

/// The memory with the patch laid over it, its text aside.
fn merged(present: &Memory, patch: &Patch) -> NewMemory {
    let mut metadata = present.metadata.clone();
    for (key, value) in patch.metadata.iter().flatten() {
        if value.is_null() {
            metadata.remove(key);
        } else {
            metadata.insert(key.clone(), value.clone());
        }
    }
    NewMemory {
        content: present.content.clone(),
        tags: patch.tags.clone().unwrap_or_else(|| present.tags.clone()),
        memory_type: patch.memory_type.clone().unwrap_or_else(|| present.memory_type.clone()),
        metadata,
        namespace: present.namespace.clone(),
        ..NewMemory::default()
    }
}

/// The replicated values of a patch; the whole that it makes is held to the bounds of a memory.
fn update_values(present: &Memory, patch: &Patch, now: f64) -> Result<UpdateValues, StoreError> {
    merged(present, patch).validate()?;
    let json = |value: &Value| (!value.is_null()).then(|| value.to_string());
    let tags = |tags: &Vec<crate::memory::Tag>| {
        tags.iter().map(|tag| tag.as_str().to_owned()).collect::<Vec<_>>()
    };
    Ok(UpdateValues {
        updated_at: (!patch.preserve_timestamps).then_some(now),
        tags: patch.tags.as_ref().map(tags),
        memory_type: patch
            .memory_type
            .clone()
            .map(|memory_type| memory_type.filter(|text| !text.is_empty())),
        metadata: patch
            .metadata
            .iter()
            .flatten()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect::<BTreeMap<_, _>>(),
    })
}

/// The names of the parts that a patch gives, in the order that existing clients print.
fn fields(patch: &Patch) -> Vec<String> {
    let given = [
        ("content", patch.content.is_some()),
        ("tags", patch.tags.is_some()),
        ("memory_type", patch.memory_type.is_some()),
        ("metadata", patch.metadata.is_some()),
    ];
    given.iter().filter(|(_, given)| *given).map(|(name, _)| (*name).to_owned()).collect()
}

fn targets(
    reader: &Reader<'_>,
    filter: &crate::memory::Filter,
) -> Result<(Forgotten, Vec<Target>), StoreError> {
    let found = reader.list(filter, None, 0, FORGET_COUNT_MAX + 1)?;
    if found.len() > FORGET_COUNT_MAX {
        return Err(Error::new(
            Code::TooLarge,
            format!("more than {FORGET_COUNT_MAX} memories match: narrow the condition and repeat"),
        )
        .into());
    }
    let targets: Vec<Target> = found
        .into_iter()
        .map(|located| Target {
            namespace: located.memory.namespace,
            content_hash: located.memory.content_hash,
        })
        .collect();
    let content_hashes = targets.iter().map(|target| target.content_hash).collect();
    Ok((Forgotten { content_hashes, dry_run: false }, targets))
}

fn forgettable(
    reader: &Reader<'_>,
    filter: &crate::memory::Filter,
) -> Result<Forgotten, StoreError> {
    let (forgotten, _) = targets(reader, filter)?;
    Ok(Forgotten { dry_run: true, ..forgotten })
}

/// What a restore starts from.
enum Kept {
    Live(Box<Written<Memory>>),
    Snapshot(Box<Memory>),
}

fn kept(reader: &Reader<'_>, target: &Target) -> Result<Kept, StoreError> {
    match reader.find(&target.namespace, &target.content_hash)? {
        Known::Live(located) => {
            let live = found(reader, &target.namespace, &target.content_hash, located.memory)?;
            return Ok(Kept::Live(Box::new(live)));
        }
        Known::Never => return Err(memory_not_found().into()),
        Known::Deleted => {}
    }
    match reader.deleted_snapshot(target)? {
        Some(memory) => Ok(Kept::Snapshot(Box::new(memory))),
        None => Err(Error::new(
            Code::Conflict,
            "nothing of the deleted memory was kept on this node: \
             store its text again with `restore_deleted: true`",
        )
        .reason("nothing_kept")
        .into()),
    }
}

fn restore(
    writer: &mut Writer<'_>,
    target: &Target,
    embedding: Embedding,
) -> Result<Written<Memory>, StoreError> {
    let memory = match kept(writer, target)? {
        Kept::Live(memory) => return Ok(*memory),
        Kept::Snapshot(memory) => memory,
    };
    let new = NewMemory {
        content: memory.content,
        tags: memory.tags,
        memory_type: memory.memory_type,
        metadata: memory.metadata,
        namespace: memory.namespace,
        created_at: Some(memory.created_at),
        updated_at: Some(writer.now()),
        restore_deleted: true,
    };
    let values = create_values(&new, writer.now());
    let memory = writer.create(&target.namespace, &values, OpKind::Restore, embedding)?.memory;
    Ok(written(writer, memory))
}
