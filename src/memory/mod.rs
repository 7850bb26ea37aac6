//! What a memory is and the pure rules of one node; no IO, no async, no transport.

mod ack;
mod audit;
mod change;
mod event_id;
mod filter;
mod hash;
mod limits;
mod model;
mod namespace;
mod page_end;
mod position;
pub mod projection;
pub mod rank;
pub mod relevance;
mod search;
mod tag;
pub mod time_phrase;

pub use ack::{ACK_PEER_COUNT_MAX, AckLevel};
pub use audit::{AUDIT_NAMESPACE_COUNT_MAX, AuditEntry, AuditFilter};
pub use change::{Change, ChangeKind, PREVIEW_CHARS, preview};
pub use event_id::{EVENT_ID_CHARS_MAX, EVENT_VECTOR_BYTES_MAX, EVENT_VECTOR_SECONDS, EventId};
pub use filter::{Filter, ListQuery, Page, PageAt, TagMatch};
pub use hash::ContentHash;
pub use limits::*;
pub use model::{
    Changed, DuplicateGroup, FieldHistory, ForgetWhere, Forgotten, History, HistoryEntry,
    Idempotency, ImportItem, ImportOutcome, Losing, Memory, NewMemory, Patch, Remembered, Stats,
    TagCount, TypeCount, validate_content, validate_memory_type, validate_metadata_value,
    validate_time,
};
pub use namespace::{Namespace, NamespaceSet};
pub use page_end::PageEnd;
pub use position::{POSITION_PART_COUNT_MAX, Position, Written};
pub use search::{Hit, ScoreParts, SearchAnswer, SearchMode, SearchQuery};
pub use tag::{Tag, normalise_tags};
