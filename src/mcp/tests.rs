//! What the tests of this module share.

use serde_json::Map;

use super::view::{MemoryView, iso};
use crate::memory::ContentHash;

/// A memory with this text and these tags.
pub(super) fn memory(content: &str, tags: &[&str]) -> MemoryView {
    let time = 1_795_361_184.179_767;
    MemoryView {
        content: content.to_owned(),
        content_hash: ContentHash::of(content).to_string(),
        tags: tags.iter().map(ToString::to_string).collect(),
        memory_type: None,
        metadata: Map::new(),
        created_at: time,
        created_at_iso: iso(time),
        updated_at: time,
        updated_at_iso: iso(time),
        namespace: "default".to_owned(),
        origin: "node-1".to_owned(),
        version: "1".to_owned(),
    }
}
