//! The last events of this node, bounded in number and bytes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::event::Event;
use super::{Cursor, Taken};
use crate::memory::{ChangeKind, ContentHash, Namespace};

/// Most events that are kept.
pub(super) const EVENT_COUNT_MAX: usize = 8 * 1024;
/// Most bytes that they may take.
const BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
    /// The last row of the change log that came before the first event.
    passed_n: u64,
    /// The last row of the change log.
    last_n: u64,
    last_id: String,
    is_closed: bool,
}

impl Ring {
    pub(super) fn new(n: u64, id: String) -> Self {
        Ring {
            events: VecDeque::new(),
            first: 0,
            bytes: 0,
            passed_n: n,
            last_n: n,
            last_id: id,
            is_closed: false,
        }
    }

    pub(super) fn extend(&mut self, events: Vec<Event>) {
        self.scrub(&events);
        for event in events {
            if let Some(change) = event.change() {
                self.last_n = change.n;
                self.last_id = event.id().unwrap_or_default().to_owned();
            }
            self.bytes += event.bytes();
            self.events.push_back(Arc::new(event));
        }
        while self.events.len() > EVENT_COUNT_MAX || self.bytes > BYTES_MAX {
            let Some(old) = self.events.pop_front() else { break };
            self.first += 1;
            self.bytes -= old.bytes();
            self.passed_n = old.change().map_or(self.passed_n, |change| change.n);
        }
    }

    /// Takes the text of memories that are gone now out of earlier events.
    fn scrub(&mut self, news: &[Event]) {
        let gone: HashSet<(&Namespace, &ContentHash)> = news
            .iter()
            .filter_map(Event::change)
            .filter(|change| change.kind == ChangeKind::Deleted)
            .map(|change| (&change.namespace, &change.content_hash))
            .collect();
        if gone.is_empty() {
            return;
        }
        for event in &mut self.events {
            let Some(change) = event.change() else { continue };
            if gone.contains(&(&change.namespace, &change.content_hash))
                && let Some(scrubbed) = event.without_text()
            {
                self.bytes = self.bytes - event.bytes() + scrubbed.bytes();
                *event = Arc::new(scrubbed);
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn end(&self) -> (Cursor, String) {
        let cursor = Cursor { next: self.first + self.events.len() as u64, n: self.last_n };
        (cursor, self.last_id.clone())
    }

    pub(super) fn after(&self, n: u64) -> Option<Cursor> {
        if n < self.passed_n {
            return None;
        }
        let is_later = |event: &Arc<Event>| event.change().is_some_and(|change| change.n > n);
        let skipped = self.events.iter().position(is_later).unwrap_or(self.events.len());
        Some(Cursor { next: self.first + skipped as u64, n })
    }

    pub(super) fn take(&self, cursor: &mut Cursor, count_max: usize) -> Taken {
        if self.is_closed {
            return Taken::Closed;
        }
        let Some(skipped) = cursor.next.checked_sub(self.first) else { return Taken::Behind };
        let rest = self.events.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        let taken: VecDeque<Arc<Event>> = rest.take(count_max).cloned().collect();
        cursor.next += taken.len() as u64;
        let last = taken.iter().rev().find_map(|event| event.change());
        cursor.n = last.map_or(cursor.n, |change| change.n);
        Taken::Events(taken)
    }
}
