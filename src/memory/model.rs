//! One memory, what callers may ask to do with it, and what comes of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits::{
    CONTENT_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, MEMORY_TYPE_CHARS_MAX, METADATA_BYTES_MAX,
    METADATA_DEPTH_MAX, METADATA_KEY_COUNT_MAX,
};
use super::{ContentHash, Filter, Namespace, Tag, Written};
use crate::{Code, Error, Result};

/// A live memory as a caller sees it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The text as it was given.
    pub content: String,
    /// The id within the namespace.
    pub content_hash: ContentHash,
    /// Sorted, without repeats.
    pub tags: Vec<Tag>,
    /// Free text that says what kind of memory this is.
    pub memory_type: Option<String>,
    /// A JSON object.
    pub metadata: Map<String, Value>,
    /// When the memory was made.
    pub created_at: f64,
    /// When it was last changed.
    pub updated_at: f64,
    /// Its namespace.
    pub namespace: Namespace,
    /// The node that made it.
    pub origin: String,
    /// Opaque; differs whenever any replicated part differs. Also the ETag.
    pub version: String,
}

/// A write that must happen at most once: the original answer is given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Chosen by the caller.
    pub key: String,
    /// Hash of the request, so that a key cannot be used for two of them.
    pub request_hash: [u8; 32],
}

impl Idempotency {
    /// Checks the key and hashes the request it belongs to.
    ///
    /// # Errors
    /// `InvalidInput` when the key is empty, too long or not printable ASCII.
    pub fn new(key: &str, request: &[u8]) -> Result<Self> {
        use sha2::Digest;
        let printable = key.bytes().all(|b| (0x20..0x7f).contains(&b));
        if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX || !printable {
            return Err(Error::invalid(format!(
                "an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable characters"
            ))
            .reason("invalid_idempotency_key"));
        }
        let request_hash = sha2::Sha256::digest(request).into();
        Ok(Idempotency { key: key.to_owned(), request_hash })
    }
}

/// A memory to be stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewMemory {
    /// The text.
    pub content: String,
    /// Normalised tags.
    pub tags: Vec<Tag>,
    /// Free text.
    pub memory_type: Option<String>,
    /// A JSON object.
    pub metadata: Map<String, Value>,
    /// Where it goes.
    pub namespace: Namespace,
    /// When it was made, if that was before now. Unix seconds.
    pub created_at: Option<f64>,
    /// When it was last changed, if that was before now. Unix seconds.
    pub updated_at: Option<f64>,
    /// Store it even though the same text was deleted before.
    pub restore_deleted: bool,
}

impl NewMemory {
    /// Holds every bound on the parts of a memory.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge`, naming the part.
    pub fn validate(&self) -> Result<()> {
        validate_content(&self.content)?;
        validate_memory_type(self.memory_type.as_deref())?;
        validate_metadata(&self.metadata)?;
        [self.created_at, self.updated_at].into_iter().flatten().try_for_each(validate_time)
    }
}

/// A change of some parts of a memory; `None` leaves a part alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    /// A new text: the old memory is deleted and the new one names it in `metadata.supersedes`.
    pub content: Option<String>,
    /// The whole new set of tags.
    pub tags: Option<Vec<Tag>>,
    /// The new type; `Some(None)` removes it.
    pub memory_type: Option<Option<String>>,
    /// Merged key by key; null removes a key.
    pub metadata: Option<Map<String, Value>>,
    /// Keep `updated_at` as it is.
    pub preserve_timestamps: bool,
}

impl Patch {
    /// Holds every bound on the parts that are given.
    ///
    /// # Errors
    /// `InvalidInput` when nothing is given or a part is wrong, `TooLarge` for one too large.
    pub fn validate(&self) -> Result<()> {
        let empty = self.content.is_none()
            && self.tags.is_none()
            && self.memory_type.is_none()
            && self.metadata.is_none();
        if empty {
            return Err(Error::invalid(
                "nothing to update: give at least one of content, tags, memory_type, metadata",
            )
            .reason("nothing_to_update"));
        }
        if let Some(content) = &self.content {
            validate_content(content)?;
        }
        validate_memory_type(self.memory_type.as_ref().and_then(|kind| kind.as_deref()))?;
        self.metadata.as_ref().map_or(Ok(()), validate_metadata)
    }
}

/// What came of storing one memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remembered {
    /// It is durable.
    Stored(Box<Memory>),
    /// The same text is there already.
    Duplicate(ContentHash),
    /// A text of nearly the same meaning was stored a short while ago (opt-in).
    SemanticDuplicate {
        /// The one that is there.
        content_hash: ContentHash,
        /// 0 to 1, as in search.
        similarity: f64,
    },
}

/// What came of changing one memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The names of the parts that were given.
    pub fields: Vec<String>,
    /// As it is now; another hash than before when the text was replaced.
    pub memory: Memory,
}

/// Which memories to forget in one go.
#[derive(Clone, Debug, PartialEq)]
pub struct ForgetWhere {
    /// Must name at least one condition beyond the namespaces.
    pub filter: Filter,
    /// Only say what would be forgotten.
    pub dry_run: bool,
}

/// What was forgotten, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Newest first.
    pub content_hashes: Vec<ContentHash>,
    /// Nothing was changed.
    pub dry_run: bool,
}

/// Memories of one namespace that say nearly the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DuplicateGroup {
    /// The newest, which stays.
    pub keep: ContentHash,
    /// The start of its text.
    pub text: String,
    /// The others, newest first.
    pub delete: Vec<ContentHash>,
}

/// One line of an import: a memory with its times, and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportItem {
    /// Line, or other position, in the source; echoed.
    pub position: u64,
    /// What to store.
    pub memory: NewMemory,
}

/// What came of one line of an import.
#[derive(Debug)]
pub struct ImportOutcome {
    /// As given.
    pub position: u64,
    /// Stored, there already, or why not.
    pub result: Result<Written<Remembered>>,
}

/// A tag and how many live memories carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagCount {
    /// The tag.
    pub tag: String,
    /// Live memories.
    pub count: u64,
}

/// A memory type and how many live memories are of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeCount {
    /// The type; `None` for memories without one.
    pub memory_type: Option<String>,
    /// Live memories.
    pub count: u64,
}

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Live memories in the asked namespaces.
    pub total_memories: u64,
    /// Different tags on them.
    pub unique_tags: u64,
    /// Live memories made in the last seven days.
    pub memories_this_week: u64,
    /// Live memories by namespace.
    pub namespaces: Vec<(String, u64)>,
    /// Size of the file and its write-ahead log, in bytes.
    pub database_size_bytes: u64,
    /// Name of the embedding model recorded in the file.
    pub embedding_model: String,
    /// Its dimension.
    pub embedding_dimension: usize,
}

/// Everything that is known of one memory's past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The id.
    pub content_hash: ContentHash,
    /// Its namespace.
    pub namespace: Namespace,
    /// False once it was deleted.
    pub live: bool,
    /// Each part as it is now, with who wrote it and when.
    pub fields: Vec<FieldHistory>,
    /// The writes, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// Values that lost against a concurrent write.
    pub losing: Vec<Losing>,
}

/// One part of a memory as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldHistory {
    /// The part's name, such as `body`, `tag.work` or `meta.source`.
    pub field: String,
    /// The value, as JSON.
    pub value: Value,
    /// Hybrid clock of the write, in milliseconds since 1970.
    pub clock_ms: u64,
    /// The node run that wrote it.
    pub origin: String,
    /// The write's number within that run.
    pub oseq: u64,
}

/// One write to a memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// `stored`, `updated` or `deleted`.
    pub kind: String,
    /// When this node took it in. Unix seconds.
    pub at: f64,
    /// The node run that wrote it.
    pub origin: String,
    /// The write's number within that run.
    pub oseq: u64,
    /// The parts it changed.
    pub changed: Vec<String>,
}

/// A value that lost against a concurrent write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Losing {
    /// The part's name.
    pub field: String,
    /// The value that lost, as JSON.
    pub value: Value,
    /// Hybrid clock of the losing write, in milliseconds since 1970.
    pub clock_ms: u64,
    /// The node run that wrote it.
    pub origin: String,
    /// The winning write.
    pub winner: String,
}

/// Holds the bounds of a text.
///
/// # Errors
/// `InvalidInput` or `TooLarge`.
pub fn validate_content(content: &str) -> Result<()> {
    if content.trim().is_empty() {
        return Err(Error::invalid("content is empty").reason("empty_content"));
    }
    if content.len() > CONTENT_BYTES_MAX {
        return Err(Error::new(
            Code::TooLarge,
            format!(
                "content has {} bytes; a memory holds at most {CONTENT_BYTES_MAX}: \
                 cut it into parts, as `memnode import` does with files",
                content.len()
            ),
        )
        .reason("content_too_large"));
    }
    if content.contains('\0') {
        return Err(Error::invalid("content holds a NUL character").reason("nul_in_content"));
    }
    Ok(())
}

/// Holds the bounds of a memory type.
///
/// # Errors
/// `InvalidInput`.
pub fn validate_memory_type(memory_type: Option<&str>) -> Result<()> {
    let Some(text) = memory_type else { return Ok(()) };
    if text.chars().count() > MEMORY_TYPE_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "memory_type must have at most {MEMORY_TYPE_CHARS_MAX} characters and no control \
             characters"
        ))
        .reason("invalid_memory_type"));
    }
    Ok(())
}

fn validate_metadata(metadata: &Map<String, Value>) -> Result<()> {
    if metadata.len() > METADATA_KEY_COUNT_MAX {
        return Err(Error::invalid(format!(
            "metadata has {} keys; at most {METADATA_KEY_COUNT_MAX} are allowed",
            metadata.len()
        ))
        .reason("invalid_metadata"));
    }
    metadata.iter().try_for_each(|(key, value)| validate_metadata_value(key, value))?;
    let bytes = serde_json::to_vec(metadata)
        .map_err(|error| Error::internal("metadata cannot be serialised", error))?
        .len();
    if bytes > METADATA_BYTES_MAX {
        return Err(Error::new(
            Code::TooLarge,
            format!("metadata has {bytes} bytes; at most {METADATA_BYTES_MAX} are allowed"),
        )
        .reason("metadata_too_large"));
    }
    Ok(())
}

/// Holds the bounds of one metadata key and its value.
///
/// # Errors
/// `InvalidInput`.
pub fn validate_metadata_value(key: &str, value: &Value) -> Result<()> {
    if key.is_empty() || key.chars().any(char::is_control) {
        return Err(Error::invalid("a metadata key is empty or holds a control character")
            .reason("invalid_metadata"));
    }
    if depth_exceeds(value, METADATA_DEPTH_MAX) {
        return Err(Error::invalid(format!(
            "metadata is nested deeper than {METADATA_DEPTH_MAX} levels"
        ))
        .reason("invalid_metadata"));
    }
    Ok(())
}

/// Whether a value nests deeper than `levels`.
fn depth_exceeds(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|v| depth_exceeds(v, levels - 1)),
        Value::Object(map) => levels == 0 || map.values().any(|v| depth_exceeds(v, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Holds a time to the years 1 to 9999, the range that every printed form of a time can show.
///
/// # Errors
/// `InvalidInput`.
pub fn validate_time(seconds: f64) -> Result<()> {
    if !seconds.is_finite() || !(-62_135_596_800.0..253_402_207_200.0).contains(&seconds) {
        return Err(Error::invalid("a time is outside the years 1 to 9999").reason("invalid_time"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(memory: NewMemory, reason: Option<&str>) {
        let found = memory.validate().err().map(|error| error.reason);
        assert_eq!(found, reason);
    }

    fn with_content(content: &str) -> NewMemory {
        NewMemory { content: content.to_owned(), ..NewMemory::default() }
    }

    #[test]
    fn bounds_of_a_new_memory_are_held() {
        check(with_content("x"), None);
        check(with_content(" \n\t"), Some("empty_content"));
        check(with_content("a\0b"), Some("nul_in_content"));
        check(with_content(&"x".repeat(CONTENT_BYTES_MAX + 1)), Some("content_too_large"));
        let long_type = Some("t".repeat(101));
        check(
            NewMemory { memory_type: long_type, ..with_content("x") },
            Some("invalid_memory_type"),
        );
        for time in [f64::NAN, f64::INFINITY, 1e18, -1e18] {
            check(NewMemory { created_at: Some(time), ..with_content("x") }, Some("invalid_time"));
        }
    }

    #[test]
    fn metadata_is_bounded_in_size_keys_and_depth() {
        let with = |metadata| NewMemory { metadata, ..with_content("x") };
        let mut deep = Value::Null;
        for _ in 0..40 {
            deep = Value::Array(vec![deep]);
        }
        check(with(Map::from_iter([("k".to_owned(), deep)])), Some("invalid_metadata"));
        check(with(Map::from_iter([(String::new(), Value::Null)])), Some("invalid_metadata"));
        let large = Value::String("x".repeat(METADATA_BYTES_MAX));
        check(with(Map::from_iter([("k".to_owned(), large)])), Some("metadata_too_large"));
        let many = (0..201).map(|n| (n.to_string(), Value::Null));
        check(with(Map::from_iter(many)), Some("invalid_metadata"));
    }

    #[test]
    fn an_empty_patch_is_refused() {
        assert_eq!(Patch::default().validate().err().map(|e| e.reason), Some("nothing_to_update"));
    }

    #[test]
    fn an_idempotency_key_is_bounded_and_printable() {
        assert!(Idempotency::new("a-1", b"x").is_ok());
        for key in ["", "a\nb", "é", &"k".repeat(256)] {
            assert!(Idempotency::new(key, b"x").is_err(), "{key:?}");
        }
    }
}
