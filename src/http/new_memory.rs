//! What callers send to be stored: one memory, a batch of them, lines of an import.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::schemas::NamespaceName;
use super::extract::{
    Asked, NamespaceParameters, Sender, Tags, one, parse_any, parse_json, parse_value,
};
use super::line::LineCutter;
use super::problem::{Input, Problem};
use crate::memory::{NewMemory, Tag, normalise_tags};

/// A memory to store. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct StoreRequest {
    /// The text; at most 96 KiB, not only white space.
    #[schema(min_length = 1, example = "The printer wants A5 paper")]
    content: String,
    /// Labels to find it by.
    #[serde(default)]
    #[schema(required = false)]
    tags: Tags,
    /// Free text that says what kind of memory this is.
    #[schema(max_length = 100, example = "note")]
    memory_type: Option<String>,
    /// Whatever else belongs to it; at most 16 KiB of JSON, 200 keys and 32 levels.
    #[schema(value_type = Option<Object>, example = json!({"source": "manual"}))]
    metadata: Option<Map<String, Value>>,
    /// The machine it comes from: becomes the tag `source:<host>` and `metadata.hostname`.
    #[schema(max_length = 93)]
    client_hostname: Option<String>,
    /// The conversation it comes from: becomes `metadata.conversation_id`.
    conversation_id: Option<String>,
    /// The namespace; `default` when it is named nowhere.
    #[schema(value_type = Option<NamespaceName>)]
    namespace: Option<String>,
    /// The older name of `namespace`.
    #[schema(value_type = Option<NamespaceName>)]
    store: Option<String>,
    /// Store it even though the same text was deleted before.
    #[serde(default)]
    #[schema(required = false)]
    restore_deleted: bool,
}

impl StoreRequest {
    /// What to store, with what the query and the headers add.
    ///
    /// # Errors
    /// Statuses 400 and 422.
    pub fn into_memory(
        self,
        query: &NamespaceParameters,
        sender: &Sender,
    ) -> Result<NewMemory, Problem> {
        let body = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let namespace = one(&[query.asked(), body])?;
        let named = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let host = named(self.client_hostname).or_else(|| sender.host.clone());
        let agent_tag = sender.agent.as_ref().map(|id| format!("agent:{id}"));
        let host_tag = host.as_ref().map(|host| format!("source:{host}"));
        let added = [agent_tag, host_tag];
        let texts = self.tags.0.iter().map(Tag::as_str).chain(added.iter().flatten().map(|t| &**t));
        let mut metadata = self.metadata.unwrap_or_default();
        metadata.extend(host.map(|host| ("hostname".to_owned(), host.into())));
        metadata.extend(self.conversation_id.map(|id| ("conversation_id".to_owned(), id.into())));
        Ok(NewMemory {
            content: self.content,
            tags: normalise_tags(texts)?,
            memory_type: self.memory_type,
            metadata,
            namespace,
            created_at: None,
            updated_at: None,
            restore_deleted: self.restore_deleted,
        })
    }
}

/// A memory to store, or what is wrong with it, and where it stands in the body.
pub type BatchItem = (u64, Result<StoreRequest, Problem>);

/// The memories of a batch, each read by itself. The two forms are told apart by how they start:
/// no line of a memory starts like an array.
///
/// # Errors
/// Status 422 for an array that is no JSON.
pub fn batch_items(bytes: &[u8]) -> Result<Vec<BatchItem>, Problem> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return Ok(line_items(bytes));
    }
    let values: Vec<Value> = parse_any(bytes)?;
    Ok((1..).zip(values.iter().map(parse_value)).collect())
}

fn line_items(bytes: &[u8]) -> Vec<BatchItem> {
    let mut cutter = LineCutter::default();
    let mut lines = VecDeque::new();
    cutter.push(bytes, &mut lines);
    lines.extend(cutter.finish());
    let read = |text: Vec<u8>| parse_json(&text);
    lines.into_iter().map(|line| (line.number, line.into_text().and_then(read))).collect()
}

/// A memory to import: what an export writes. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ImportLine {
    /// The text; at most 96 KiB, not only white space.
    #[schema(min_length = 1)]
    content: String,
    /// Labels to find it by.
    #[serde(default)]
    #[schema(required = false)]
    tags: Tags,
    /// Free text that says what kind of memory this is.
    #[schema(max_length = 100)]
    memory_type: Option<String>,
    /// Whatever else belongs to it; at most 16 KiB of JSON, 200 keys and 32 levels.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// When it was made, in seconds since 1970; now when absent.
    created_at: Option<f64>,
    /// The same in RFC 3339; counts only where the number is absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at_iso: Option<jiff::Timestamp>,
    /// When it was last changed, in seconds since 1970; when it was made, if absent.
    updated_at: Option<f64>,
    /// The same in RFC 3339; counts only where the number is absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at_iso: Option<jiff::Timestamp>,
    /// The namespace; `default` when it is named nowhere.
    #[schema(value_type = Option<NamespaceName>)]
    namespace: Option<String>,
    /// The older name of `namespace`.
    #[schema(value_type = Option<NamespaceName>)]
    store: Option<String>,
}

impl ImportLine {
    /// What to store; `default` names the namespace of lines that name none.
    ///
    /// # Errors
    /// Statuses 400 and 422.
    pub fn into_memory(
        self,
        default: &NamespaceParameters,
        restore_deleted: bool,
    ) -> Result<NewMemory, Problem> {
        let line = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let is_named = self.namespace.is_some() || self.store.is_some();
        let namespace = one(&[if is_named { line } else { default.asked() }])?;
        let seconds = |time: jiff::Timestamp| time.as_microsecond() as f64 / 1e6;
        Ok(NewMemory {
            content: self.content,
            tags: self.tags.0,
            memory_type: self.memory_type,
            metadata: self.metadata.unwrap_or_default(),
            namespace,
            created_at: self.created_at.or(self.created_at_iso.map(seconds)),
            updated_at: self.updated_at.or(self.updated_at_iso.map(seconds)),
            restore_deleted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(body: Value) -> StoreRequest {
        serde_json::from_value(body).expect("a valid body")
    }

    fn convert(body: Value, sender: &Sender) -> NewMemory {
        request(body).into_memory(&NamespaceParameters::default(), sender).expect("valid")
    }

    #[test]
    fn headers_become_tags_and_the_body_goes_first() {
        let sender = Sender { agent: Some("Bot".to_owned()), host: Some("laptop".to_owned()) };
        let memory = convert(json!({"content": "x", "tags": "b, a"}), &sender);
        let tags: Vec<&str> = memory.tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, ["a", "agent:bot", "b", "source:laptop"]);
        assert_eq!(memory.metadata["hostname"], "laptop");
        let body = json!({"content": "x", "client_hostname": "desk", "conversation_id": "c-1",
            "metadata": {"hostname": "other", "k": 1}});
        let memory = convert(body, &sender);
        assert_eq!(
            memory.metadata,
            *json!({"hostname": "desk", "k": 1, "conversation_id": "c-1"}).as_object().unwrap()
        );
    }

    #[test]
    fn nulls_are_absences() {
        let body = json!({"content": "x", "tags": null, "memory_type": null, "metadata": null,
            "client_hostname": null, "conversation_id": null, "namespace": null, "store": null});
        let plain = convert(json!({"content": "x"}), &Sender::default());
        assert_eq!(convert(body, &Sender::default()), plain);
    }

    #[test]
    fn a_header_cannot_push_the_tags_over_their_limit() {
        let tags: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
        let sender = Sender { agent: Some("bot".to_owned()), host: None };
        let memory = request(json!({"content": "x", "tags": tags}))
            .into_memory(&NamespaceParameters::default(), &sender);
        assert_eq!(memory.expect_err("101 tags").code(), "too_many_tags");
    }

    fn check_batch(body: &str, expected: &[(u64, Option<&str>)]) {
        let items = batch_items(body.as_bytes()).expect("readable");
        let found: Vec<_> =
            items.iter().map(|(at, item)| (*at, item.as_ref().err().map(Problem::code))).collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn lines_and_arrays_are_read_item_by_item() {
        check_batch("", &[]);
        check_batch("[]", &[]);
        let good = r#"{"content":"x"}"#;
        check_batch(&format!("{good}\n\n{good}"), &[(1, None), (3, None)]);
        check_batch(&format!(" [{good}, {good}]"), &[(1, None), (2, None)]);
        check_batch(
            &format!("{good}\n{{\"content\":\n7\n{good}"),
            &[(1, None), (2, Some("invalid_json")), (3, Some("invalid_body")), (4, None)],
        );
        check_batch(
            &format!("[{good}, 7, {{\"content\": 1}}]"),
            &[(1, None), (2, Some("invalid_body")), (3, Some("invalid_body"))],
        );
    }

    #[test]
    fn an_array_that_is_no_json_is_refused_whole() {
        assert_eq!(batch_items(b"[{}, ").expect_err("cut off").code(), "invalid_json");
    }
}
