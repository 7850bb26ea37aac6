//! `memory_update`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Definition, Outcome};
use crate::mcp::arguments::Tags;
use crate::mcp::call::Call;
use crate::mcp::sure::{AckArguments, Acknowledged, told};
use crate::mcp::view::MemoryView;
use crate::memory::{Patch, Written};
use crate::{Error, Result};

/// Parts of a memory that no update can set.
const FIXED_PARTS: [&str; 8] = [
    "content_hash",
    "created_at",
    "created_at_iso",
    "updated_at",
    "updated_at_iso",
    "namespace",
    "origin",
    "version",
];

const DESCRIPTION: &str = "\
Change tags, type or metadata of one memory. Tags are replaced as a whole, metadata is merged key \
by key, and null removes a key. With `content` the text is replaced: the memory then has a new \
hash, and its metadata.supersedes names the old one. \
{\"content_hash\": \"…\", \"updates\": {\"tags\": [\"done\"], \"priority\": 1}}";

/// Arguments of `memory_update`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// Which memory.
    content_hash: String,
    /// Any of `tags`, `memory_type`, `metadata` and `content`; every other key goes into
    /// metadata.
    updates: Map<String, Value>,
    /// Keep the time of the last change as it is. The time of creation is always kept.
    preserve_timestamps: Option<bool>,
    /// Where the memory lives; the client's default when left out.
    namespace: Option<String>,
    #[serde(flatten)]
    sure: AckArguments,
}

/// The memory after the change.
#[derive(Serialize, JsonSchema)]
struct Output {
    /// Whether the call did what was asked.
    success: bool,
    /// For people.
    message: String,
    /// Another one than before when the text was replaced.
    content_hash: String,
    /// As it is now.
    memory: MemoryView,
    /// Where the write stands; any node can wait for it.
    position: Option<String>,
    /// How sure it is; given with ack.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Acknowledged>,
}

pub(super) fn definition() -> Definition {
    Definition::writing::<Input, Output>("Update a memory", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let namespace = call.namespace(input.namespace.as_deref())?;
    let hash = input.content_hash.parse()?;
    let patch = patch(input.updates, input.preserve_timestamps.unwrap_or_default())?;
    let expected = call.expect(&input.sure)?;
    let Written { value: changed, position } =
        call.service.update(&call.who, &namespace, hash, patch, None, call.once()?).await?;
    let message = format!("Updated fields: {}", changed.fields.join(", "));
    let memory = MemoryView::from(changed.memory);
    let content_hash = memory.content_hash.clone();
    let mut text = format!("Successfully updated memory metadata. {message}");
    if content_hash != input.content_hash.to_lowercase() {
        text.push_str(&format!(". New hash: {content_hash}"));
    }
    let acknowledged = expected.acknowledged(&position).await;
    let position = position.to_text();
    text += &told(acknowledged.as_ref(), position.as_deref());
    let success = true;
    let output = Output { success, message, content_hash, memory, position, acknowledged };
    Outcome::new(text, &output)
}

fn patch(mut updates: Map<String, Value>, preserve_timestamps: bool) -> Result<Patch> {
    if let Some(part) = FIXED_PARTS.into_iter().find(|part| updates.contains_key(*part)) {
        return Err(wrong(format!("updates.{part} cannot be changed")));
    }
    let tags = match updates.remove("tags") {
        None => None,
        Some(Value::Null) => Some(Vec::new()),
        Some(tags) => Some(part::<Tags>("tags", tags)?.0),
    };
    let memory_type = match updates.remove("memory_type").or_else(|| updates.remove("type")) {
        None => None,
        Some(Value::Null) => Some(None),
        Some(text) => Some(Some(part("memory_type", text)?)),
    };
    let content = updates.remove("content").map(|text| part("content", text)).transpose()?;
    let nested = updates.remove("metadata");
    let mut metadata: Map<String, Value> = match nested {
        None | Some(Value::Null) => Map::new(),
        Some(object) => part("metadata", object)?,
    };
    metadata.extend(updates);
    let metadata = Some(metadata).filter(|metadata| !metadata.is_empty());
    Ok(Patch { content, tags, memory_type, metadata, preserve_timestamps })
}

fn part<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| wrong(format!("updates.{name}: {error}")))
}

fn wrong(detail: String) -> Error {
    Error::invalid(detail).reason("invalid_arguments")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::normalise_tags;

    fn read(updates: Value) -> Result<Patch> {
        let Value::Object(updates) = updates else { panic!("updates are an object") };
        patch(updates, false)
    }

    #[test]
    fn updates_become_a_patch() {
        let found = read(json!({
            "tags": "b,a", "memory_type": null, "metadata": {"x": 1, "y": null}, "z": [2],
        }));
        let expected = Patch {
            content: None,
            tags: Some(normalise_tags(["a", "b"]).expect("valid")),
            memory_type: Some(None),
            metadata: json!({"x": 1, "y": null, "z": [2]}).as_object().cloned(),
            preserve_timestamps: false,
        };
        assert_eq!(found.expect("valid"), expected);
        let found = read(json!({"content": "new", "type": "note"})).expect("valid");
        assert_eq!(found.content.as_deref(), Some("new"));
        assert_eq!(found.memory_type, Some(Some("note".to_owned())));
        assert_eq!(read(json!({})).expect("valid"), Patch::default());
        assert_eq!(read(json!({"tags": null})).expect("valid").tags, Some(Vec::new()));
    }

    #[test]
    fn wrong_updates_are_refused_by_name() {
        for (updates, name) in [
            (json!({"created_at": 5}), "updates.created_at"),
            (json!({"tags": 5}), "updates.tags"),
            (json!({"content": 5}), "updates.content"),
            (json!({"metadata": "x"}), "updates.metadata"),
            (json!({"memory_type": []}), "updates.memory_type"),
        ] {
            let error = read(updates).expect_err(name);
            assert!(error.detail.starts_with(name), "{error}");
        }
    }
}
