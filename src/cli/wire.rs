//! The parts of answers that are shown to people; `--json` passes answers on as they came.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
pub(super) struct Memory {
    pub(super) content: String,
    pub(super) content_hash: String,
    pub(super) tags: Vec<String>,
    pub(super) memory_type: Option<String>,
    pub(super) metadata: Map<String, Value>,
    pub(super) created_at: f64,
    pub(super) updated_at: f64,
    pub(super) namespace: String,
    pub(super) origin: String,
}

/// `GET /api/memories`.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) memories: Vec<Memory>,
    pub(super) total: u64,
    pub(super) page: u32,
    pub(super) has_more: bool,
    pub(super) next_cursor: Option<String>,
}

/// Every search.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) results: Vec<Hit>,
    pub(super) search_type: String,
    pub(super) processing_time_ms: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Hit {
    pub(super) memory: Memory,
    pub(super) similarity_score: Option<f64>,
    #[serde(default)]
    pub(super) score: Option<Map<String, Value>>,
}

/// `POST /api/memories`, `PUT` and `DELETE /api/memories/{hash}`.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub(super) success: bool,
    pub(super) message: String,
    pub(super) content_hash: Option<String>,
}

/// `GET /api/tags`.
#[derive(Debug, Deserialize)]
pub(super) struct Tags {
    pub(super) tags: Vec<TagCount>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TagCount {
    pub(super) tag: String,
    pub(super) count: u64,
}

/// `GET /api/memories/{hash}/history`.
#[derive(Debug, Deserialize)]
pub(super) struct History {
    pub(super) live: bool,
    pub(super) fields: Vec<Field>,
    pub(super) entries: Vec<Entry>,
    pub(super) losing: Vec<Losing>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Field {
    pub(super) field: String,
    pub(super) value: Value,
    pub(super) clock_ms: u64,
    pub(super) origin: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) kind: String,
    pub(super) at: f64,
    pub(super) origin: String,
    pub(super) changed: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Losing {
    pub(super) field: String,
    pub(super) value: Value,
    pub(super) clock_ms: u64,
    pub(super) origin: String,
}

/// A delete by conditions.
#[derive(Debug, Deserialize)]
pub(super) struct Forgotten {
    pub(super) content_hashes: Vec<String>,
}

/// One line of the answer to `POST /api/import`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ImportLine {
    Result(Imported),
    /// The last one.
    Summary {
        done: bool,
        #[serde(default)]
        code: Option<String>,
        #[serde(default)]
        detail: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct Imported {
    pub(super) status: ImportStatus,
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) detail: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum ImportStatus {
    Stored,
    WouldStore,
    Duplicate,
    SemanticDuplicate,
    Failed,
}

/// `POST /api/verify`.
#[derive(Debug, Deserialize)]
pub(super) struct Verified {
    pub(super) problems: Vec<String>,
}

/// `GET /api/index`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct IndexStatus {
    pub(super) status: String,
    pub(super) percent: f64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) kernel: String,
}

/// `POST /api/index/check`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct IndexChecked {
    pub(super) rows: u64,
    pub(super) vectors: u64,
    pub(super) expected: u64,
    pub(super) found: u64,
}

impl IndexChecked {
    /// Share of what there was to find.
    pub(super) fn recall(&self) -> f64 {
        if self.expected == 0 { 1.0 } else { self.found as f64 / self.expected as f64 }
    }
}

/// `GET` and `POST /api/reembed`.
#[derive(Debug, Deserialize)]
pub(super) struct ReembedAnswer {
    pub(super) reembed: Option<Reembed>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reembed {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) state: String,
}
