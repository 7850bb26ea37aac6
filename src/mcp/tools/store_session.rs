//! `memory_store_session`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::store::{lift, remember};
use super::{Definition, Outcome};
use crate::mcp::arguments::Tags;
use crate::mcp::call::Call;
use crate::mcp::sure::{AckArguments, Acknowledged, told};
use crate::memory::{ContentHash, NewMemory, Tag, normalise_tags};
use crate::{Error, Result};

/// Length of an id that is made up: 128 bits in hex.
const SESSION_ID_CHARS: usize = 32;

const DESCRIPTION: &str = "\
Store a whole conversation as one memory, when its course matters more than single facts. Use \
memory_store for a fact on its own. The memory is of type `session` and carries the tag \
`session:<id>`.";

/// Arguments of `memory_store_session`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// What was said, in order.
    #[schemars(length(min = 1))]
    turns: Vec<Turn>,
    /// Names the session; made up when left out.
    session_id: Option<String>,
    /// More tags.
    tags: Option<Tags>,
    /// Any further facts as JSON.
    metadata: Option<Map<String, Value>>,
    /// Where to store it; the client's default when left out.
    namespace: Option<String>,
    #[serde(flatten)]
    sure: AckArguments,
}

/// One turn of a conversation.
#[derive(Deserialize, JsonSchema)]
struct Turn {
    /// Who spoke, such as `user` or `assistant`.
    role: String,
    /// What was said.
    content: String,
}

/// What came of it.
#[derive(Serialize, JsonSchema)]
struct Output {
    /// False when the very same conversation was there already.
    success: bool,
    /// For people.
    message: String,
    /// The id of the memory.
    content_hash: String,
    /// The id of the session, part of the tag `session:<id>`.
    session_id: String,
    /// Turns that were not empty.
    turn_count: usize,
    /// Where the write stands; any node can wait for it.
    position: Option<String>,
    /// How sure it is; given with ack.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Acknowledged>,
}

pub(super) fn definition() -> Definition {
    Definition::writing::<Input, Output>("Store a conversation", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let (content, turn_count) = lines(&input.turns);
    if turn_count == 0 {
        return Err(Error::invalid("all turns are empty").reason("empty_content"));
    }
    // The key, if there is one, makes the same id when the call is sent again.
    let session_id = input.session_id.unwrap_or_else(|| match &call.key {
        Some(key) => ContentHash::of(&key.text).to_string()[..SESSION_ID_CHARS].to_owned(),
        None => format!("{:032x}", rand::random::<u128>()),
    });
    let mut metadata = input.metadata.unwrap_or_default();
    let lifted = lift(&mut metadata)?;
    let session_tag = format!("session:{session_id}");
    let given = lifted.tags.iter().chain(input.tags.iter().flat_map(|tags| &tags.0));
    let new = NewMemory {
        content,
        tags: normalise_tags(given.map(Tag::as_str).chain([session_tag.as_str()]))?,
        memory_type: Some("session".to_owned()),
        metadata,
        namespace: call.namespace(input.namespace.as_deref())?,
        ..NewMemory::default()
    };
    let stored = remember(call, new, &input.sure).await?;
    let message =
        if stored.success { "Session stored successfully".to_owned() } else { stored.message };
    let mut text = format!(
        "{message} (session_id: {session_id}, hash: {}, turns: {turn_count})",
        stored.content_hash
    );
    text += &told(stored.acknowledged.as_ref(), stored.position.as_deref());
    let output = Output {
        success: stored.success,
        message,
        content_hash: stored.content_hash,
        session_id,
        turn_count,
        position: stored.position,
        acknowledged: stored.acknowledged,
    };
    Outcome::new(text, &output)
}

/// `[role] content` lines of the turns that say something, and how many these are.
fn lines(turns: &[Turn]) -> (String, usize) {
    let said = turns.iter().filter(|turn| !turn.content.trim().is_empty());
    let lines: Vec<String> =
        said.map(|turn| format!("[{}] {}", turn.role.trim(), turn.content.trim())).collect();
    (lines.join("\n"), lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_one_line_a_turn_without_the_empty_ones() {
        let turn = |role: &str, content: &str| Turn { role: role.into(), content: content.into() };
        let turns = [turn("user", " Hi "), turn("assistant", "  "), turn("assistant", "Hello")];
        assert_eq!(lines(&turns), ("[user] Hi\n[assistant] Hello".to_owned(), 2));
        assert_eq!(lines(&[]), (String::new(), 0));
    }
}
