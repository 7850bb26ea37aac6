//! Memories as clients see them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::memory::{Hit, Memory, ScoreParts};

/// A stored memory.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct MemoryView {
    /// The text.
    pub(super) content: String,
    /// SHA-256 of the text; the id within the namespace.
    pub(super) content_hash: String,
    /// Lower case, sorted.
    pub(super) tags: Vec<String>,
    /// What kind of memory this is.
    pub(super) memory_type: Option<String>,
    /// Any further facts.
    pub(super) metadata: Map<String, Value>,
    /// Unix seconds.
    pub(super) created_at: f64,
    /// The same in UTC.
    pub(super) created_at_iso: String,
    /// Unix seconds.
    pub(super) updated_at: f64,
    /// The same in UTC.
    pub(super) updated_at_iso: String,
    /// Where the memory lives.
    pub(super) namespace: String,
    /// The node that stored it.
    pub(super) origin: String,
    /// Differs after every change.
    pub(super) version: String,
}

impl From<Memory> for MemoryView {
    fn from(memory: Memory) -> Self {
        MemoryView {
            content_hash: memory.content_hash.to_string(),
            tags: memory.tags.iter().map(ToString::to_string).collect(),
            created_at_iso: iso(memory.created_at),
            updated_at_iso: iso(memory.updated_at),
            namespace: memory.namespace.to_string(),
            content: memory.content,
            memory_type: memory.memory_type,
            metadata: memory.metadata,
            created_at: memory.created_at,
            updated_at: memory.updated_at,
            origin: memory.origin,
            version: memory.version,
        }
    }
}

/// A memory that was found, and why.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct HitView {
    /// What was found.
    pub(super) memory: MemoryView,
    /// 0 to 1; null where nothing was compared by meaning.
    pub(super) similarity_score: Option<f64>,
    /// Why it was found.
    pub(super) relevance_reason: String,
    /// What its place is made of; given with include_debug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) score: Option<Map<String, Value>>,
}

impl HitView {
    pub(super) fn new(hit: Hit, with_score: bool) -> Self {
        HitView {
            memory: hit.memory.into(),
            similarity_score: hit.similarity,
            relevance_reason: hit.reason,
            score: with_score.then(|| score_parts(hit.score)),
        }
    }
}

fn score_parts(score: ScoreParts) -> Map<String, Value> {
    match serde_json::to_value(score) {
        Ok(Value::Object(parts)) => parts,
        _ => unreachable!("score parts are an object of numbers"),
    }
}

/// UTC with microseconds, such as `2026-11-22T15:26:24.179767Z`.
pub(super) fn iso(seconds: f64) -> String {
    // A time outside of what can be printed was refused when the memory was stored.
    let time = Timestamp::from_microsecond((seconds * 1e6).round() as i64).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_utc_with_microseconds() {
        assert_eq!(iso(1_795_361_184.179_767), "2026-11-22T15:26:24.179767Z");
        assert_eq!(iso(0.0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(iso(-1.5), "1969-12-31T23:59:58.500000Z");
    }
}
