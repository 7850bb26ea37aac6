//! The memory object of the wire, as every answer shows it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::memory::{Memory, Tag};

/// A memory; every key is always present.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Memory)]
pub struct MemoryBody {
    /// The text as it was given.
    #[schema(example = "The printer in room 2 wants A5 paper")]
    content: String,
    /// The id within the namespace: SHA-256 of the text, trimmed and in lower case.
    #[schema(
        pattern = "^[0-9a-f]{64}$",
        example = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    )]
    content_hash: String,
    /// Sorted, in lower case, without repeats.
    #[schema(max_items = 100, example = json!(["office", "printer"]))]
    tags: Vec<String>,
    /// Free text that says what kind of memory this is.
    #[schema(required, example = "note")]
    memory_type: Option<String>,
    /// Whatever the writer added.
    #[schema(value_type = Object, example = json!({"source": "manual"}))]
    metadata: Map<String, Value>,
    /// When it was made, in seconds since 1970.
    #[schema(example = 1795361184.179767)]
    created_at: f64,
    /// The same in RFC 3339.
    #[schema(format = DateTime, example = "2026-11-22T15:26:24.179767Z")]
    created_at_iso: String,
    /// When it was last changed, in seconds since 1970.
    #[schema(example = 1795361184.179767)]
    updated_at: f64,
    /// The same in RFC 3339.
    #[schema(format = DateTime, example = "2026-11-22T15:26:24.179767Z")]
    updated_at_iso: String,
    /// Its namespace.
    #[schema(example = "default")]
    namespace: String,
    /// The older name of `namespace`.
    #[schema(deprecated, example = "default")]
    store: String,
    /// The node that made it.
    #[schema(example = "node-1")]
    origin: String,
    /// Opaque; differs whenever the memory differs. Also its entity tag.
    #[schema(example = "6b1f9c")]
    version: String,
}

impl From<Memory> for MemoryBody {
    fn from(memory: Memory) -> Self {
        MemoryBody {
            content: memory.content,
            content_hash: memory.content_hash.to_string(),
            tags: memory.tags.iter().map(Tag::to_string).collect(),
            memory_type: memory.memory_type,
            metadata: memory.metadata,
            created_at: memory.created_at,
            created_at_iso: rfc3339(memory.created_at),
            updated_at: memory.updated_at,
            updated_at_iso: rfc3339(memory.updated_at),
            namespace: memory.namespace.to_string(),
            store: memory.namespace.to_string(),
            origin: memory.origin,
            version: memory.version,
        }
    }
}

/// Unix seconds as UTC with microseconds, which is as fine as the numbers are. What the calendar
/// cannot show becomes its nearest end.
pub fn rfc3339(seconds: f64) -> String {
    let nearest_end = if seconds < 0.0 { Timestamp::MIN } else { Timestamp::MAX };
    let microseconds = (seconds * 1e6).round() as i64;
    let time = Timestamp::from_microsecond(microseconds).unwrap_or(nearest_end);
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{ContentHash, Namespace};

    #[test]
    fn times_have_microseconds() {
        assert_eq!(rfc3339(1_795_361_184.179_767), "2026-11-22T15:26:24.179767Z");
        assert_eq!(rfc3339(0.0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(-62_135_596_800.0), "0001-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(f64::MAX), "9999-12-30T22:00:00.999999Z");
    }

    #[test]
    fn every_key_is_always_present() {
        let memory = Memory {
            content: "x".to_owned(),
            content_hash: ContentHash::of("x"),
            tags: Vec::new(),
            memory_type: None,
            metadata: Map::new(),
            created_at: 1.0,
            updated_at: 2.5,
            namespace: Namespace::default(),
            origin: "node-1".to_owned(),
            version: "v".to_owned(),
        };
        let body = serde_json::to_value(MemoryBody::from(memory)).unwrap();
        let expected = serde_json::json!({
            "content": "x", "content_hash": ContentHash::of("x"), "tags": [], "memory_type": null,
            "metadata": {}, "created_at": 1.0, "created_at_iso": "1970-01-01T00:00:01.000000Z",
            "updated_at": 2.5, "updated_at_iso": "1970-01-01T00:00:02.500000Z",
            "namespace": "default", "store": "default", "origin": "node-1", "version": "v",
        });
        assert_eq!(body, expected);
    }
}
