//! Holes: dots that exist somewhere and have not come. They are asked for, one request per origin.

use std::collections::{BTreeMap, BTreeSet};

use super::{AlarmKind, AskId, Asked, PeerKey, Replicator, TransferReason};
use crate::interval::IntervalSet;
use crate::origin::{Dot, Origin};
use crate::vector::Vector;
use crate::wire::{Range, Reply, Request};

/// How long a dot may be missing before it is asked for, in milliseconds.
const PATIENCE_MS: u64 = 2_000;
/// The same while the stream still brings what was missed.
const PATIENCE_BEHIND_MS: u64 = 30_000;
/// Pause after all peers said that they do not hold it, in milliseconds.
const PAUSE_MS: u64 = 5_000;
/// How long dots that no live node holds are waited for before they are written off, in
/// milliseconds.
const WRITE_OFF_MS: u64 = 30_000;
/// How often missing dots are looked for, in milliseconds.
const LOOK_MS: u64 = 200;

#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// Dots that are known to exist.
    exists: Vector,
    written_off: Vector,
    wants: BTreeMap<Origin, Want>,
    asks: BTreeMap<AskId, (Origin, PeerKey)>,
    look_due: u64,
}

/// What is missing of one origin.
#[derive(Debug)]
struct Want {
    missing: IntervalSet,
    /// When its first number began to be missing.
    since: u64,
    is_asked: bool,
    /// The last answer brought some: go on at once.
    is_flowing: bool,
    tried: BTreeSet<PeerKey>,
    not_before: u64,
    /// When it turned out that nobody alive holds it, if so.
    nowhere: Option<u64>,
    was_read_again: bool,
}

impl Ranges {
    pub(super) fn learn(&mut self, others: &Vector) {
        self.exists.join(others);
    }

    pub(super) fn found(&mut self, applied: &Vector) {
        self.written_off = self.written_off.subtract(applied);
    }

    pub(super) fn is_written_off(&self, dot: &Dot) -> bool {
        self.written_off.contains(dot)
    }

    pub(super) fn written_off(&self) -> &Vector {
        &self.written_off
    }

    /// Dots that exist, as far as is known here.
    pub(super) fn exists(&self) -> &Vector {
        &self.exists
    }

    fn look(&mut self, missing: &Vector, now: u64) {
        self.wants.retain(|origin, want| want.is_asked || missing.get(origin).is_some());
        for (origin, set) in missing.iter() {
            let want = self.wants.entry(origin.clone()).or_insert_with(|| Want {
                missing: set.clone(),
                since: now,
                is_asked: false,
                is_flowing: false,
                tried: BTreeSet::new(),
                not_before: 0,
                nowhere: None,
                was_read_again: false,
            });
            if want.missing.first() != set.first() {
                want.since = now;
                want.tried.clear();
                want.nowhere = None;
                want.was_read_again = false;
            }
            want.missing = set.clone();
        }
    }
}

impl Replicator {
    /// What exists and is neither here nor on its way.
    pub(super) fn missing(&self) -> Vector {
        let mut here = self.vector.clone();
        here.join(&self.held);
        here.join(&self.voided);
        here.join(self.inbox.dots());
        self.ranges.exists.subtract(&here)
    }

    pub(super) fn tick_ranges(&mut self) {
        if self.now < self.ranges.look_due {
            return;
        }
        self.ranges.look_due = self.now + LOOK_MS;
        if self.vector.covers(&self.ranges.exists) {
            self.ranges.wants.retain(|_, want| want.is_asked);
            return;
        }
        let missing = self.missing();
        self.ranges.look(&missing, self.now);
        if !self.is_connected || self.transfer.is_running() {
            return;
        }
        let origins: Vec<Origin> = self.ranges.wants.keys().cloned().collect();
        for origin in origins {
            self.chase(&origin);
        }
        if self.ranges.written_off.is_empty() {
            return;
        }
        let detail = format!(
            "{} writes exist that no live node holds: {}",
            self.ranges.written_off.count(),
            first_names(&self.ranges.written_off),
        );
        self.raise(AlarmKind::MissingWrites, "cluster", detail);
    }

    fn chase(&mut self, origin: &Origin) {
        let (now, is_behind) = (self.now, self.stream.is_behind());
        let patience = if is_behind { PATIENCE_BEHIND_MS } else { PATIENCE_MS };
        let has_room = self.has_room_for_range();
        let Some(want) = self.ranges.wants.get_mut(origin) else { return };
        let Some(first) = want.missing.first() else { return };
        let is_due = want.is_flowing || now >= want.since + patience;
        if want.is_asked || !is_due || now < want.not_before || !has_room {
            return;
        }
        let dot = Dot { origin: origin.clone(), oseq: first };
        let holders: Vec<&PeerKey> = self
            .peers
            .live(now)
            .filter(|(_, peer)| peer.vector.contains(&dot) || peer.beat.held.contains(&dot))
            .map(|(key, _)| key)
            .collect();
        let untried = holders.iter().filter(|key| !want.tried.contains(**key));
        // The author first: it is the one that surely kept it.
        let chosen = untried.min_by_key(|key| key.node != origin.node).map(|key| (*key).clone());
        match chosen {
            Some(key) => {
                want.is_asked = true;
                want.nowhere = None;
                let request = Request::Range(Range::new(origin, &want.missing));
                let ask = self.ask(Asked::Peer(key.clone()), request);
                self.ranges.asks.insert(ask, (origin.clone(), key));
            }
            None if !holders.is_empty() => {
                want.tried.clear();
                want.not_before = now + PAUSE_MS;
            }
            None => self.nowhere(origin, is_behind),
        }
    }

    /// Nobody alive holds what is missing: after a last look through the stream, and some time
    /// for somebody to come back, it is written off.
    fn nowhere(&mut self, origin: &Origin, is_behind: bool) {
        let now = self.now;
        let Some(want) = self.ranges.wants.get_mut(origin) else { return };
        want.is_flowing = false;
        let since = *want.nowhere.get_or_insert(now);
        if now < since + WRITE_OFF_MS || is_behind {
            return;
        }
        if !want.was_read_again {
            want.was_read_again = true;
            want.nowhere = Some(now);
            self.read_from(1);
            return;
        }
        let missing = want.missing.clone();
        for (lo, hi) in missing.iter() {
            self.ranges.written_off.insert_range(origin, lo, hi);
        }
        want.not_before = now + 24 * 3600 * 1000;
    }

    pub(super) fn range_is_asked(&self, ask: AskId) -> bool {
        self.ranges.asks.contains_key(&ask)
    }

    /// The answer to a range.
    pub(super) fn range_replied(&mut self, ask: AskId, reply: Option<Reply>) {
        let Some((origin, key)) = self.ranges.asks.remove(&ask) else { return };
        let now = self.now;
        let want = self.ranges.wants.get_mut(&origin);
        let Some(Reply::Range { ops, pruned, not_held }) = reply else {
            if let Some(want) = want {
                want.is_asked = false;
                want.is_flowing = false;
                want.tried.insert(key);
                want.not_before = now + LOOK_MS;
            }
            return;
        };
        if let Some(want) = want {
            want.is_asked = false;
            want.is_flowing = !ops.is_empty();
            if ops.is_empty() || !not_held.is_empty() {
                want.tried.insert(key.clone());
            }
        }
        self.ranges.look_due = now;
        for held in ops {
            if crate::origin::check_oseq(held.oseq).is_ok() {
                let dot = Dot { origin: origin.clone(), oseq: held.oseq };
                self.enqueue(dot, held.payload.into());
            }
        }
        if !pruned.is_empty() {
            self.want_transfer(key, TransferReason::Pruned);
        }
    }
}

/// A few dots of a vector, for people.
fn first_names(vector: &Vector) -> String {
    let names = vector.iter().take(3).map(|(origin, set)| {
        let mut ends = set.iter().map(|(lo, hi)| format!("{lo}-{hi}"));
        format!("{origin}:{}", ends.next().unwrap_or_default())
    });
    names.collect::<Vec<_>>().join(", ")
}
