//! Holes: dots that exist somewhere and have not come. They are asked for, one request per origin.
//!
//! A dot is asked for once it was missing for a while, of a live node that says it has it. A dot
//! that no live node has is written off after a last look through the stream: shown, alarmed, and
//! still asked for as soon as somebody turns up who has it.

use std::collections::BTreeMap;

use super::{AlarmKind, AskId, Asked, PeerKey, Replicator, TransferReason};
use crate::interval::IntervalSet;
use crate::origin::{Dot, Origin};
use crate::vector::Vector;
use crate::wire::{RANGE_COUNT_MAX, Range, Reply, Request};

/// How long a dot is missing at least before it is asked for, in milliseconds.
const PATIENCE_MS: u64 = 2_000;
/// The same while the stream still brings what was missed.
const PATIENCE_BEHIND_MS: u64 = 30_000;
/// Pause after all holders refused, in milliseconds.
const PAUSE_MS: u64 = 5_000;
/// How long dots that no live node has are waited for, before the last look through the stream
/// and once more after it, in milliseconds.
const WRITE_OFF_MS: u64 = 30_000;
/// How often missing dots are looked for, in milliseconds.
const LOOK_MS: u64 = 200;
/// How often a write that lies in quarantine is asked of a node that could apply it, in
/// milliseconds: it may have been damaged on its way here.
const MEND_MS: u64 = 60_000;
/// How often that is tried for one write.
const MEND_COUNT_MAX: u32 = 5;

#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// Dots that are known to exist.
    exists: Vector,
    written_off: Vector,
    /// What was missing at the last turn; what still is at the next one was waited for enough.
    before: Vector,
    turned_at: u64,
    /// Since when something of an origin is missing.
    missed_since: BTreeMap<Origin, u64>,
    /// What is asked for.
    due: Vector,
    lost: Lost,
    wants: BTreeMap<Origin, Want>,
    asks: BTreeMap<AskId, (Origin, PeerKey, IntervalSet)>,
    /// How often a quarantined write was asked for, and when it may be again.
    mends: BTreeMap<Dot, (u32, u64)>,
    look_due: u64,
}

/// Dots that no live node has, since when, and whether the stream was read again for them.
#[derive(Debug, Default)]
struct Lost {
    dots: Vector,
    since: u64,
    was_read_again: bool,
}

/// How it goes with what is missing of one origin.
#[derive(Debug, Default)]
struct Want {
    is_asked: bool,
    /// What peers did not give although they should have it.
    refused: BTreeMap<PeerKey, IntervalSet>,
    not_before: u64,
}

impl Ranges {
    pub(super) fn learn(&mut self, others: &Vector) {
        self.exists.join(others);
    }

    /// For how long ops of an origin are missed, in milliseconds; 0 when none are.
    pub(super) fn missed_ms(&self, origin: &Origin, now: u64) -> u64 {
        self.missed_since.get(origin).map_or(0, |since| now.saturating_sub(*since))
    }

    pub(super) fn found(&mut self, applied: &Vector) {
        self.written_off = self.written_off.subtract(applied);
    }

    pub(super) fn written_off(&self) -> &Vector {
        &self.written_off
    }

    /// Dots that exist, as far as is known here.
    pub(super) fn exists(&self) -> &Vector {
        &self.exists
    }

    /// What is missing for a while becomes due, what came is due no more.
    fn look(&mut self, missing: Vector, now: u64, patience: u64) {
        self.due = self.due.intersect(&missing);
        self.missed_since.retain(|origin, _| missing.get(origin).is_some());
        for (origin, _) in missing.iter() {
            self.missed_since.entry(origin.clone()).or_insert(now);
        }
        if now >= self.turned_at.saturating_add(patience) {
            self.due.join(&self.before.intersect(&missing));
            self.before = missing;
            self.turned_at = now;
        }
        let due = &self.due;
        self.wants.retain(|origin, want| want.is_asked || due.get(origin).is_some());
    }

    /// Ops that the answers under way may bring.
    fn expected_count(&self) -> usize {
        self.asks.len() * RANGE_COUNT_MAX as usize
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
        self.tell_quarantine();
        let is_whole = self.vector.covers(&self.ranges.exists);
        let mut missing = if is_whole { Vector::default() } else { self.missing() };
        missing.join(&self.mendable());
        let patience = if self.stream.is_behind() { PATIENCE_BEHIND_MS } else { PATIENCE_MS };
        self.ranges.look(missing, self.now, patience);
        if !self.is_connected || self.transfer.is_running() {
            return;
        }
        let due = self.ranges.due.clone();
        let mut nowhere = Vector::default();
        for (origin, set) in due.iter() {
            nowhere.replace(origin, self.chase(origin, set));
        }
        self.write_off(&nowhere.subtract(&self.held));
        self.tell_written_off();
    }

    /// Writes in quarantine that a live node has applied, if it is time to ask for them.
    fn mendable(&mut self) -> Vector {
        let now = self.now;
        let held = &self.held;
        self.ranges.mends.retain(|dot, _| held.contains(dot));
        let mut mendable = Vector::default();
        if held.is_empty() {
            return mendable;
        }
        for (_, peer) in self.peers.live(now) {
            mendable.join(&peer.vector.intersect(held));
        }
        for (dot, (count, not_before)) in &self.ranges.mends {
            if *count >= MEND_COUNT_MAX || now < *not_before {
                mendable = mendable.subtract(&Vector::from_iter([dot.clone()]));
            }
        }
        mendable
    }

    /// Asks for what is due of an origin; gives the part that no live node has.
    fn chase(&mut self, origin: &Origin, due: &IntervalSet) -> IntervalSet {
        let now = self.now;
        let want = self.ranges.wants.entry(origin.clone()).or_default();
        let mut nowhere = due.clone();
        let mut chosen: Option<(bool, u64, &PeerKey, IntervalSet)> = None;
        for (key, peer) in self.peers.live(now) {
            let mut here = peer.vector.get(origin).cloned().unwrap_or_default();
            if let Some(held) = peer.beat.held.get(origin) {
                here.join(held);
            }
            let here = here.intersect(due);
            nowhere = nowhere.subtract(&here);
            let left = match want.refused.get(key) {
                Some(refused) => here.subtract(refused),
                None => here,
            };
            // The author first: it is the one that surely kept it.
            let rank = (key.node == origin.node, left.count());
            if !left.is_empty() && chosen.as_ref().is_none_or(|(a, n, ..)| rank > (*a, *n)) {
                chosen = Some((rank.0, rank.1, key, left));
            }
        }
        if want.is_asked || now < want.not_before {
            return nowhere;
        }
        match chosen {
            Some((_, _, key, left)) => {
                let (key, left) = (key.clone(), left.take(RANGE_COUNT_MAX));
                self.ask_range(origin, key, left);
            }
            None if nowhere != *due => {
                want.refused.clear();
                want.not_before = now + PAUSE_MS;
            }
            None => {}
        }
        nowhere
    }

    fn ask_range(&mut self, origin: &Origin, key: PeerKey, wanted: IntervalSet) {
        if !self.has_room_for_range(self.ranges.expected_count()) {
            return;
        }
        for dot in dots(origin, &self.held_of(origin).intersect(&wanted)) {
            let mend = self.ranges.mends.entry(dot).or_default();
            *mend = (mend.0 + 1, self.now + MEND_MS);
        }
        if let Some(want) = self.ranges.wants.get_mut(origin) {
            want.is_asked = true;
        }
        let request = Request::Range(Range::new(origin, &wanted));
        let ask = self.ask(Asked::Peer(key.clone()), request);
        self.ranges.asks.insert(ask, (origin.clone(), key, wanted));
    }

    fn held_of(&self, origin: &Origin) -> IntervalSet {
        self.held.get(origin).cloned().unwrap_or_default()
    }

    /// Dots that no live node has: after some time for somebody to come back, and a last look
    /// through the stream, they are written off.
    fn write_off(&mut self, nowhere: &Vector) {
        let now = self.now;
        let lost = &mut self.ranges.lost;
        lost.dots = lost.dots.intersect(nowhere);
        if lost.dots.is_empty() {
            let dots = nowhere.subtract(&self.ranges.written_off);
            *lost = Lost { dots, since: now, was_read_again: false };
            return;
        }
        if now < lost.since + WRITE_OFF_MS || self.stream.is_behind() {
            return;
        }
        if lost.was_read_again {
            let dots = std::mem::take(&mut lost.dots);
            self.ranges.written_off.join(&dots);
        } else {
            lost.was_read_again = true;
            lost.since = now;
            self.read_again();
        }
    }

    fn tell_written_off(&mut self) {
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

    fn tell_quarantine(&mut self) {
        if self.held.is_empty() {
            self.alarms.clear(AlarmKind::Quarantine);
            return;
        }
        let detail =
            format!("{} writes lie in quarantine: {}", self.held.count(), first_names(&self.held));
        self.raise(AlarmKind::Quarantine, "store", detail);
    }

    pub(super) fn range_is_asked(&self, ask: AskId) -> bool {
        self.ranges.asks.contains_key(&ask)
    }

    /// The answer to a range.
    pub(super) fn range_replied(&mut self, ask: AskId, reply: Option<Reply>) {
        let Some((origin, key, wanted)) = self.ranges.asks.remove(&ask) else { return };
        let now = self.now;
        let want = self.ranges.wants.entry(origin.clone()).or_default();
        want.is_asked = false;
        let Some(Reply::Range { ops, pruned, not_held }) = reply else {
            // Another holder, or the same one a little later.
            want.refused.insert(key, wanted);
            want.not_before = now + LOOK_MS;
            return;
        };
        let mut refused = IntervalSet::default();
        for (lo, hi) in pruned.iter().chain(&not_held) {
            if *lo >= 1 && lo <= hi && *hi <= crate::OSEQ_MAX {
                refused.insert_range(*lo, *hi);
            }
        }
        // An answer that leads nowhere is not asked for again at once.
        let refused = if ops.is_empty() { wanted } else { refused.intersect(&wanted) };
        want.refused.entry(key.clone()).or_default().join(&refused);
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

fn dots(origin: &Origin, set: &IntervalSet) -> Vec<Dot> {
    let dot = |oseq| Dot { origin: origin.clone(), oseq };
    set.iter().flat_map(|(lo, hi)| lo..=hi).map(dot).collect()
}

/// A few dots of a vector, for people.
fn first_names(vector: &Vector) -> String {
    let names = vector.iter().take(3).map(|(origin, set)| {
        let mut ends = set.iter().map(|(lo, hi)| format!("{lo}-{hi}"));
        format!("{origin}:{}", ends.next().unwrap_or_default())
    });
    names.collect::<Vec<_>>().join(", ")
}
