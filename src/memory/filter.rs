//! Conditions on memories and pages of them.

use serde_json::{Map, Value};

use super::time_phrase::TimeRange;
use super::{Memory, NamespaceSet, Tag};

/// Whether one of the tags is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TagMatch {
    /// At least one.
    #[default]
    Any,
    /// Every one.
    All,
}

/// Which memories are meant. Every condition that is given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Where to look.
    pub namespaces: NamespaceSet,
    /// No condition when empty.
    pub tags: Vec<Tag>,
    /// How the tags combine.
    pub tag_match: TagMatch,
    /// Exactly this type.
    pub memory_type: Option<String>,
    /// Made within.
    pub created: TimeRange,
    /// Metadata keys that must have exactly these values; no condition when empty.
    pub metadata: Map<String, Value>,
}

impl Filter {
    /// Whether any condition beyond the namespaces is given.
    pub fn has_conditions(&self) -> bool {
        !self.tags.is_empty()
            || self.memory_type.is_some()
            || self.created != TimeRange::default()
            || !self.metadata.is_empty()
    }
}

/// Where a page starts.
#[derive(Clone, Debug, PartialEq)]
pub enum PageAt {
    /// After this many memories.
    Offset(u64),
    /// After the memory that ended the page before; opaque to callers.
    Cursor(String),
}

/// One page of the memories that a filter leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    /// Which; the order is newest first.
    pub filter: Filter,
    /// From where.
    pub at: PageAt,
    /// How many, 1 to [`super::RESULT_COUNT_MAX`].
    pub limit: usize,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Newest first.
    pub memories: Vec<Memory>,
    /// How many the filter leaves in all.
    pub total: u64,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
}
