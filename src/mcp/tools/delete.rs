//! `memory_delete`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, Outcome};
use crate::mcp::arguments::{TagMode, Tags};
use crate::mcp::call::{Call, Conditions};
use crate::mcp::sure::{AckArguments, Acknowledged, told};
use crate::mcp::text;
use crate::memory::{ContentHash, ForgetWhere, NamespaceSet, Position, Written};
use crate::{Error, Result};

/// Hashes that the text of a dry run names.
const HASH_COUNT_SHOWN: usize = 5;

const DESCRIPTION: &str = "\
Delete one memory by its hash, or all that match tags and time together. Without any condition \
nothing is deleted. Use dry_run first when more than one memory may match. A deleted memory does \
not come back when its text is stored again, unless restore_deleted is given.";

/// Arguments of `memory_delete`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The one memory to delete; not together with other conditions.
    content_hash: Option<String>,
    /// Delete memories with these tags.
    tags: Option<Tags>,
    /// Whether `any` tag is enough (default) or `all` are needed.
    tag_match: Option<TagMode>,
    /// Only of this type.
    memory_type: Option<String>,
    /// Only what was made in this time, in words such as `last week`.
    time_expr: Option<String>,
    /// Only what was made at this date or time, or later.
    after: Option<String>,
    /// Only what was made before this date or time.
    before: Option<String>,
    /// Only say what would be deleted.
    dry_run: Option<bool>,
    /// Where to delete; one, or several with commas between.
    namespace: Option<String>,
    #[serde(flatten)]
    sure: AckArguments,
}

/// What was deleted.
#[derive(Serialize, JsonSchema)]
struct Output {
    /// Whether the call did what was asked.
    success: bool,
    /// For people.
    message: String,
    /// How many memories were deleted, or would be.
    deleted_count: usize,
    /// Which, newest first.
    deleted_hashes: Vec<String>,
    /// Nothing was changed.
    dry_run: bool,
    /// Where the writes stand; any node can wait for them. Null when nothing was deleted.
    position: Option<String>,
    /// How sure they are; given with ack.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Acknowledged>,
}

pub(super) fn definition() -> Definition {
    Definition::writing::<Input, Output>("Delete memories", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let dry_run = input.dry_run.unwrap_or_default();
    let filter = call.filter(Conditions {
        namespace: input.namespace.as_deref(),
        tags: input.tags.as_ref(),
        tag_match: input.tag_match,
        memory_type: input.memory_type.as_deref(),
        time_expr: input.time_expr.as_deref(),
        after: input.after.as_deref(),
        before: input.before.as_deref(),
    })?;
    if filter.namespaces == NamespaceSet::All {
        return Err(Error::invalid("name the namespaces to delete from, `*` is not enough")
            .reason("namespace_missing"));
    }
    let expected = call.expect(&input.sure)?;
    let deleted = match input.content_hash.as_deref() {
        Some(_) if filter.has_conditions() => {
            return Err(Error::invalid(
                "content_hash names one memory; leave the other conditions out",
            )
            .reason("too_many_conditions"));
        }
        Some(hash) => one(call, input.namespace.as_deref(), hash.parse()?, dry_run).await?,
        // A list of tags of which nothing is left must not widen what is deleted.
        None if input.tags.is_some() && filter.tags.is_empty() => {
            return Err(
                Error::invalid("tags are given, but all of them are empty").reason("invalid_tag")
            );
        }
        None if !filter.has_conditions() => {
            return Err(Error::invalid(
                "at least one condition is required: content_hash, tags, memory_type, time_expr, \
                 after or before",
            )
            .reason("nothing_asked"));
        }
        None => {
            let request = ForgetWhere { filter, dry_run };
            let once = if dry_run { None } else { call.once()? };
            let forgotten = call.service.forget_where(&call.who, request, once).await?;
            forgotten.map(|forgotten| forgotten.content_hashes)
        }
    };
    let acknowledged = expected.acknowledged(&deleted.position).await;
    outcome(&deleted, input.content_hash.is_some(), dry_run, acknowledged)
}

async fn one(
    call: &Call<'_>,
    namespace: Option<&str>,
    hash: ContentHash,
    dry_run: bool,
) -> Result<Written<Vec<ContentHash>>> {
    let namespace = call.namespace(namespace)?;
    if dry_run {
        let memory = call.service.get(&call.who, &namespace, hash).await?;
        return Ok(Written { value: vec![memory.content_hash], position: Position::default() });
    }
    let forgotten = call.service.forget(&call.who, &namespace, hash, None, call.once()?).await?;
    Ok(forgotten.map(|()| vec![hash]))
}

fn outcome(
    deleted: &Written<Vec<ContentHash>>,
    is_one: bool,
    dry_run: bool,
    acknowledged: Option<Acknowledged>,
) -> Result<Outcome> {
    let hashes: Vec<String> = deleted.value.iter().map(ToString::to_string).collect();
    let count = text::memories(hashes.len());
    let message = match (&hashes[..], is_one, dry_run) {
        (_, _, true) => format!("Would delete {count}"),
        ([hash], true, false) => format!("Memory deleted successfully: {hash}"),
        (_, _, false) => format!("Deleted {count}"),
    };
    let mut text = message.clone();
    if dry_run && !hashes.is_empty() {
        let shown = &hashes[..hashes.len().min(HASH_COUNT_SHOWN)];
        text.push_str(&format!("\nHashes: {}", shown.join(", ")));
        if hashes.len() > shown.len() {
            text.push_str(&format!(" ... and {} more", hashes.len() - shown.len()));
        }
    }
    let deleted_count = hashes.len();
    let position = deleted.position.to_text();
    text += &told(acknowledged.as_ref(), position.as_deref());
    let output = Output {
        success: true,
        message,
        deleted_count,
        deleted_hashes: hashes,
        dry_run,
        position,
        acknowledged,
    };
    Outcome::new(text, &output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: usize, is_one: bool, dry_run: bool, starts: &str, ends: &str) {
        let hashes = (0..count).map(|number| ContentHash::of(&number.to_string())).collect();
        let deleted = Written { value: hashes, position: Position::default() };
        let text = outcome(&deleted, is_one, dry_run, None).expect("an outcome").text;
        assert!(text.starts_with(starts) && text.ends_with(ends), "{text}");
    }

    #[test]
    fn deletions_are_worded_as_clients_know_them() {
        let hash = ContentHash::of("0").to_string();
        check(1, true, false, "Memory deleted successfully: ", &hash);
        check(1, false, false, "Deleted 1 memory", "Deleted 1 memory");
        check(0, false, false, "Deleted 0 memories", "Deleted 0 memories");
        check(1, true, true, "Would delete 1 memory\nHashes: ", &hash);
        check(0, false, true, "Would delete 0 memories", "Would delete 0 memories");
        check(7, false, true, "Would delete 7 memories\nHashes: ", " ... and 2 more");
    }
}
