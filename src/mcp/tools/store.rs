//! `memory_store`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Definition, Outcome};
use crate::mcp::arguments::Tags;
use crate::mcp::call::Call;
use crate::mcp::sure::{AckArguments, Acknowledged, told};
use crate::mcp::view::MemoryView;
use crate::memory::{NewMemory, Remembered, Tag, Written, normalise_tags};
use crate::{Error, Result};

const DESCRIPTION: &str = "\
Store one fact, decision, preference or note, to be found again in later sessions. Write it so \
that it can be understood without the conversation, one thing per memory. Storing the same text \
twice is harmless. Put tags and the kind of memory into metadata: \
{\"content\": \"The user prefers dark mode\", \"metadata\": {\"tags\": [\"preference\", \"ui\"], \
\"type\": \"preference\"}}";

/// Arguments of `memory_store`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The text to remember, at most 96 KiB.
    content: String,
    /// `tags` (a list, or a string with commas), `type`, and any further facts as JSON.
    metadata: Option<Map<String, Value>>,
    /// More tags, beside those in metadata.
    tags: Option<Tags>,
    /// What kind of memory this is, such as `decision`; metadata.type says the same.
    memory_type: Option<String>,
    /// The conversation this comes from; kept in metadata.
    conversation_id: Option<String>,
    /// Who stores this; becomes the tag `agent:<id>`.
    agent_id: Option<String>,
    /// The machine this comes from; becomes the tag `source:<name>`.
    client_hostname: Option<String>,
    /// Store the text even though it was deleted before.
    restore_deleted: Option<bool>,
    /// Where to store it; the client's default when left out.
    namespace: Option<String>,
    #[serde(flatten)]
    sure: AckArguments,
}

/// What came of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// False when the text was there already.
    pub(super) success: bool,
    /// For people.
    pub(super) message: String,
    /// The id of the memory with this text, or of the one with nearly the same meaning.
    pub(super) content_hash: String,
    /// As it was stored; null when it was not.
    pub(super) memory: Option<MemoryView>,
    /// Where the write stands; any node can wait for it.
    pub(super) position: Option<String>,
    /// How sure it is; given with ack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) acknowledged: Option<Acknowledged>,
}

pub(super) fn definition() -> Definition {
    Definition::writing::<Input, Output>("Store a memory", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let namespace = call.namespace(input.namespace.as_deref())?;
    let mut metadata = input.metadata.unwrap_or_default();
    let lifted = lift(&mut metadata)?;
    let own = |prefix: &str, text: Option<String>| text.map(|text| format!("{prefix}:{text}"));
    let own = [own("agent", input.agent_id), own("source", input.client_hostname)];
    let own = own.iter().flatten().map(String::as_str);
    let given = lifted.tags.iter().chain(input.tags.iter().flat_map(|tags| &tags.0));
    let tags = normalise_tags(given.map(Tag::as_str).chain(own))?;
    if let Some(id) = input.conversation_id {
        metadata.insert("conversation_id".to_owned(), Value::String(id));
    }
    let new = NewMemory {
        content: input.content,
        tags,
        memory_type: input.memory_type.or(lifted.memory_type),
        metadata,
        namespace,
        restore_deleted: input.restore_deleted.unwrap_or_default(),
        ..NewMemory::default()
    };
    let output = remember(call, new, &input.sure).await?;
    let mut text = match &output.memory {
        Some(memory) => format!("{} (hash: {})", output.message, memory.content_hash),
        None => format!("{}\n   Hash: {}", output.message, output.content_hash),
    };
    text += &told(output.acknowledged.as_ref(), output.position.as_deref());
    Outcome::new(text, &output)
}

/// Stores it, and waits until it is as sure as was asked.
pub(super) async fn remember(
    call: &Call<'_>,
    new: NewMemory,
    sure: &AckArguments,
) -> Result<Output> {
    let expected = call.expect(sure)?;
    let remembered = call.service.remember(&call.who, new, call.once()?).await?;
    let acknowledged = expected.acknowledged(&remembered.position).await;
    Ok(Output { acknowledged, ..output(remembered) })
}

/// A text that is there already is an answer, not a failure: what was to be remembered is
/// remembered. `success` says which of the two it is, as over HTTP.
fn output(written: Written<Remembered>) -> Output {
    let Written { value: remembered, position } = written;
    let (message, content_hash) = match &remembered {
        Remembered::Stored(memory) => {
            ("Memory stored successfully".to_owned(), memory.content_hash)
        }
        Remembered::Duplicate(hash) => {
            ("Duplicate content detected (exact match)".to_owned(), *hash)
        }
        Remembered::SemanticDuplicate { content_hash, similarity } => (
            format!("Duplicate content detected (semantic match, similarity {similarity:.3})"),
            *content_hash,
        ),
    };
    let content_hash = content_hash.to_string();
    let memory = match remembered {
        Remembered::Stored(memory) => Some(MemoryView::from(*memory)),
        Remembered::Duplicate(_) | Remembered::SemanticDuplicate { .. } => None,
    };
    let position = position.to_text();
    let success = memory.is_some();
    Output { success, message, content_hash, memory, position, acknowledged: None }
}

/// What clients put into metadata although it has a place of its own.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Lifted {
    pub(super) tags: Vec<Tag>,
    pub(super) memory_type: Option<String>,
}

/// Takes `tags` and `type` out of metadata.
pub(super) fn lift(metadata: &mut Map<String, Value>) -> Result<Lifted> {
    let wrong =
        |error| Error::invalid(format!("metadata.tags: {error}")).reason("invalid_arguments");
    let tags = match metadata.remove("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(tags) => serde_json::from_value::<Tags>(tags).map_err(wrong)?.0,
    };
    let memory_type = match metadata.remove("type") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
        Some(other) => {
            let detail = format!("metadata.type must be a string, not {other}");
            return Err(Error::invalid(detail).reason("invalid_arguments"));
        }
    };
    Ok(Lifted { tags, memory_type })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::{ContentHash, Position};

    fn check(metadata: Value, tags: &[&str], memory_type: Option<&str>, left: Value) {
        let Value::Object(mut metadata) = metadata else { panic!("metadata is an object") };
        let lifted = lift(&mut metadata).expect("valid");
        assert_eq!(lifted.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), tags);
        assert_eq!(lifted.memory_type.as_deref(), memory_type);
        assert_eq!(Value::Object(metadata), left);
    }

    #[test]
    fn tags_and_type_are_lifted_out_of_metadata() {
        check(json!({"tags": ["B", "a"], "type": "note"}), &["a", "b"], Some("note"), json!({}));
        check(json!({"tags": "b, a", "x": 1}), &["a", "b"], None, json!({"x": 1}));
        check(json!({"tags": null, "type": null}), &[], None, json!({}));
        check(json!({"type": ""}), &[], None, json!({}));
    }

    #[test]
    fn tags_and_types_of_the_wrong_kind_are_refused() {
        for metadata in [json!({"tags": 7}), json!({"tags": [1]}), json!({"type": ["a"]})] {
            let Value::Object(mut metadata) = metadata else { panic!("metadata is an object") };
            assert_eq!(lift(&mut metadata).map_err(|e| e.reason), Err("invalid_arguments"));
        }
    }

    #[test]
    fn a_duplicate_is_told_in_the_words_that_clients_know() {
        let hash = ContentHash::of("x");
        let told = |value| output(Written { value, position: Position::default() });
        let duplicate = told(Remembered::Duplicate(hash));
        assert!(!duplicate.success && duplicate.memory.is_none());
        assert_eq!(duplicate.message, "Duplicate content detected (exact match)");
        assert_eq!(duplicate.content_hash, hash.to_string());
        let near = Remembered::SemanticDuplicate { content_hash: hash, similarity: 0.9 };
        assert!(told(near).message.starts_with("Duplicate content detected (semantic match"));
    }
}
