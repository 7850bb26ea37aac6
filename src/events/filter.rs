//! What a subscriber wants to hear of, and may.

use super::{Event, EventKind};
use crate::memory::{Namespace, NamespaceSet, Tag};

/// Most tags of one filter.
pub const TAG_COUNT_MAX: usize = 100;

/// What a subscriber wants to hear of.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Where memories are; never more than the subscriber may read.
    pub namespaces: NamespaceSet,
    /// Changes of memories with one of these tags; of all when empty.
    pub tags: Vec<Tag>,
    /// These kinds; all when empty.
    pub kinds: Vec<EventKind>,
    /// Whether it may hear of the node as a whole: backups and exchanges tell how much others have.
    pub hears_node: bool,
}

impl Filter {
    /// Whether the subscriber is to be told.
    pub fn matches(&self, event: &Event) -> bool {
        let kind = event.kind();
        if kind == EventKind::Comment || kind == EventKind::ConnectionEstablished {
            return true;
        }
        if !self.kinds.is_empty() && !self.kinds.contains(&kind) {
            return false;
        }
        if let Some(change) = event.change() {
            // Who may have had a memory must learn that it is gone, although nobody knows its tags
            // any more.
            let has_tag = change.tags.as_ref().is_none_or(|tags| self.has_one(tags));
            return self.reads(&change.namespace) && has_tag;
        }
        match event.searched() {
            Some(searched) => self.reads_all(searched),
            None => self.hears_node || kind == EventKind::Heartbeat,
        }
    }

    fn has_one(&self, tags: &[Tag]) -> bool {
        self.tags.is_empty() || self.tags.iter().any(|wanted| tags.contains(wanted))
    }

    fn reads(&self, namespace: &Namespace) -> bool {
        match &self.namespaces {
            NamespaceSet::All => true,
            NamespaceSet::Only(names) => names.contains(namespace),
        }
    }

    fn reads_all(&self, searched: &NamespaceSet) -> bool {
        match searched {
            NamespaceSet::All => self.namespaces == NamespaceSet::All,
            NamespaceSet::Only(names) => names.iter().all(|name| self.reads(name)),
        }
    }
}
