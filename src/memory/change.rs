//! A committed change of a memory, as the change log tells it.

use memnode_cluster::Dot;

use super::{ContentHash, Namespace, Tag};

/// Characters of a text that a change shows.
pub const PREVIEW_CHARS: usize = 100;

/// What happened to a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is there now and was not before.
    Stored,
    /// Some of its parts changed.
    Updated,
    /// It was there and is not any more.
    Deleted,
}

/// A change of a memory. What it shows of the memory is what is there now, which may be later than
/// the change itself: nothing of a text that is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its place in this file's log.
    pub n: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// The write behind it.
    pub dot: Dot,
    /// When it was committed here, in Unix seconds.
    pub at: f64,
    /// The parts that changed.
    pub changed: Vec<String>,
    /// Where the memory is.
    pub namespace: Namespace,
    /// The id of the memory.
    pub content_hash: ContentHash,
    /// The start of its text; `None` when the text is gone.
    pub preview: Option<String>,
    /// Its tags, of a deleted memory those that it had; `None` when that is not known any more.
    pub tags: Option<Vec<Tag>>,
    /// Its type.
    pub memory_type: Option<String>,
    /// When it was last changed by its author, in Unix seconds.
    pub updated_at: Option<f64>,
}

/// The start of a text, with dots where there is more.
pub fn preview(start: &str) -> String {
    match start.char_indices().nth(PREVIEW_CHARS) {
        Some((end, _)) => format!("{}...", &start[..end]),
        None => start.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_has_a_hundred_characters() {
        assert_eq!(preview("short"), "short");
        assert_eq!(preview(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(preview(&"é".repeat(101)), format!("{}...", "é".repeat(100)));
    }
}
