//! Comparing states while writes go on.
//!
//! Under load two nodes seldom have equal vectors, so their roots say nothing. Once a minute one
//! group of records is compared with one peer instead, both drawn at random, the group among those
//! that differ. Records that differ there are looked at again a little later: one whose every
//! write had been applied on both sides before it was read must be the same on both.
//!
//! What is known to be applied is known from before the question, so the answers hold at least
//! that: a difference is then none of time.

use std::collections::{BTreeMap, BTreeSet};

use super::transfer::BUCKETS_PER_GROUP;
use super::{AlarmKind, AskId, Asked, PeerKey, Replicator, TransferReason};
use crate::digest::GROUP_COUNT;
use crate::record::{Record, RecordId};
use crate::vector::Vector;
use crate::wire::{Reply, Request, Root};

/// Time between two comparisons, in milliseconds.
const INTERVAL_MS: u64 = 60_000;
/// Time between the two looks at a record, in milliseconds: some heartbeats.
const AGAIN_MS: u64 = 6_000;
/// The same when a divergence was found, in milliseconds.
const SOON_MS: u64 = 20_000;
/// Most records that one comparison looks at again.
const SUSPECT_COUNT_MAX: usize = 64;

/// The comparison under way, and when the next one begins.
#[derive(Debug)]
pub(super) struct Audit {
    random: u64,
    due: u64,
    look: Option<Look>,
    done_count: u64,
}

/// One comparison with one peer.
#[derive(Debug)]
struct Look {
    peer: PeerKey,
    step: Step,
    /// What every record holds that is read from now on, on both sides.
    applied: Vector,
    asks: BTreeMap<AskId, Asked>,
    own: Option<Reply>,
    theirs: Option<Reply>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Groups,
    Buckets(u16),
    Hashes(u16),
    /// Suspects wait for their second look.
    Wait {
        ids: Vec<RecordId>,
        until: u64,
    },
    Records(Vec<RecordId>),
}

impl Step {
    fn request(&self) -> Option<Request> {
        match self {
            Step::Groups => Some(Request::Groups),
            Step::Buckets(group) => Some(Request::Buckets { group: *group }),
            Step::Hashes(bucket) => Some(Request::Hashes { bucket: *bucket, after: None }),
            Step::Wait { .. } => None,
            Step::Records(ids) => Some(Request::Records { ids: ids.clone() }),
        }
    }
}

impl Audit {
    pub(super) fn new(run: u64, now: u64) -> Audit {
        let mut audit = Audit { random: run, due: 0, look: None, done_count: 0 };
        // Nodes that start together need not ask together.
        audit.due = now + audit.below(INTERVAL_MS);
        audit
    }

    /// Comparisons that came to an end since the start.
    pub(super) fn done_count(&self) -> u64 {
        self.done_count
    }

    /// A number under `end`, which is not 0: SplitMix64, so that a run can be played again.
    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let index = self.below(from.len().max(1) as u64) as usize;
        from.get(index).cloned()
    }

    /// What follows from a pair of answers; `None` when the comparison is over.
    fn next_step(&mut self, step: &Step, own: &Reply, theirs: &Reply, now: u64) -> Option<Step> {
        match (step, own, theirs) {
            (Step::Groups, Reply::Groups { groups: own }, Reply::Groups { groups: theirs })
                if own.len() == GROUP_COUNT && theirs.len() == GROUP_COUNT =>
            {
                self.pick(&differing(own, theirs)).map(Step::Buckets)
            }
            (
                Step::Buckets(group),
                Reply::Buckets { buckets: own },
                Reply::Buckets { buckets: theirs },
            ) if own.len() == BUCKETS_PER_GROUP && theirs.len() == BUCKETS_PER_GROUP => {
                let first = group * BUCKETS_PER_GROUP as u16;
                self.pick(&differing(own, theirs)).map(|bucket| Step::Hashes(first + bucket))
            }
            (
                Step::Hashes(_),
                Reply::Hashes { hashes: own, more },
                Reply::Hashes { hashes: theirs, more: theirs_more },
            ) => {
                let ends = [(own, *more), (theirs, *theirs_more)];
                let ids = suspects(own, theirs, common_end(ends));
                (!ids.is_empty()).then_some(Step::Wait { ids, until: now + AGAIN_MS })
            }
            _ => None,
        }
    }
}

/// Where two lists of equal length differ.
fn differing<T: PartialEq>(own: &[T], theirs: &[T]) -> Vec<u16> {
    (0_u16..)
        .zip(own.iter().zip(theirs))
        .filter(|(_, (own, theirs))| own != theirs)
        .map(|(number, _)| number)
        .collect()
}

/// Up to which id two pages tell of every record; `None` for all.
fn common_end(pages: [(&Vec<(RecordId, Root)>, bool); 2]) -> Option<RecordId> {
    let cut = pages.into_iter().filter(|(_, more)| *more);
    cut.map(|(page, _)| page.last().map_or(RecordId([0; 16]), |(id, _)| *id)).min()
}

/// Records that are not the same on both sides, or only on one.
fn suspects(
    own: &[(RecordId, Root)],
    theirs: &[(RecordId, Root)],
    end: Option<RecordId>,
) -> Vec<RecordId> {
    let own: BTreeMap<_, _> = own.iter().copied().collect();
    let theirs: BTreeMap<_, _> = theirs.iter().copied().collect();
    let ids: BTreeSet<RecordId> = own.keys().chain(theirs.keys()).copied().collect();
    ids.into_iter()
        .filter(|id| end.is_none_or(|end| *id <= end) && own.get(id) != theirs.get(id))
        .take(SUSPECT_COUNT_MAX)
        .collect()
}

/// The first record that differs although both sides had applied all its writes.
fn divergent(ids: &[RecordId], own: &Reply, theirs: &Reply, applied: &Vector) -> Option<RecordId> {
    let (
        Reply::Records { records: own, more },
        Reply::Records { records: theirs, more: theirs_more },
    ) = (own, theirs)
    else {
        return None;
    };
    // What did not fit on a page says nothing of the records behind it.
    let pages = [(own, *more), (theirs, *theirs_more)];
    let cut = pages.into_iter().filter(|(_, more)| *more);
    let end = cut.map(|(page, _)| page.last().map_or(RecordId([0; 16]), |r| r.id())).min();
    let find = |page: &[crate::wire::TransferRecord], id: &RecordId| {
        let found = page.iter().find(|record| record.id() == *id);
        found.map(|found| found.record.clone()).unwrap_or_default()
    };
    let is_divergent = |id: &&RecordId| {
        let (own, theirs) = (find(own, id), find(theirs, id));
        own != theirs && is_applied(&own, applied) && is_applied(&theirs, applied)
    };
    ids.iter().filter(|id| end.is_none_or(|end| **id <= end)).find(is_divergent).copied()
}

/// Whether every write that a record shows is among these: those of resets, absent tags and
/// removed keys too.
fn is_applied(record: &Record, applied: &Vector) -> bool {
    record.parts().all(|(_, register)| applied.contains(&register.stamp.dot))
}

impl Replicator {
    pub(super) fn tick_audit(&mut self) {
        let now = self.now;
        match &self.audit.look {
            Some(Look { step: Step::Wait { ids, until }, .. }) if now >= *until => {
                let step = Step::Records(ids.clone());
                self.take_step(step);
            }
            Some(_) => {}
            None if now >= self.audit.due => self.start_audit(),
            None => {}
        }
    }

    fn start_audit(&mut self) {
        self.audit.due = self.now + INTERVAL_MS;
        if !self.is_connected || self.transfer.is_running() || !self.has_joined() {
            return;
        }
        let live: Vec<PeerKey> = self.peers.live(self.now).map(|(key, _)| key.clone()).collect();
        let Some(peer) = self.audit.pick(&live) else { return };
        self.audit.look = Some(Look {
            peer,
            step: Step::Groups,
            applied: Vector::default(),
            asks: BTreeMap::new(),
            own: None,
            theirs: None,
        });
        self.take_step(Step::Groups);
    }

    /// Asks both sides what a step needs to know.
    fn take_step(&mut self, step: Step) {
        let request = step.request();
        let Some(mut look) = self.audit.look.take() else { return };
        look.step = step;
        look.applied = match self.peers.get(&look.peer) {
            Some(peer) => peer.vector.intersect(&self.vector),
            None => Vector::default(),
        };
        if let Some(request) = request {
            for to in [Asked::Peer(look.peer.clone()), Asked::Own] {
                let ask = self.ask(to.clone(), request.clone());
                look.asks.insert(ask, to);
            }
        }
        self.audit.look = Some(look);
    }

    pub(super) fn audit_is_asked(&self, ask: AskId) -> bool {
        self.audit.look.as_ref().is_some_and(|look| look.asks.contains_key(&ask))
    }

    /// The answer of one side.
    pub(super) fn audit_replied(&mut self, ask: AskId, reply: Option<Reply>) {
        let Some(look) = &mut self.audit.look else { return };
        match look.asks.remove(&ask) {
            Some(Asked::Own) => look.own = reply,
            Some(Asked::Peer(_)) => look.theirs = reply,
            None => return,
        }
        if !look.asks.is_empty() {
            return;
        }
        let (own, theirs) = (look.own.take(), look.theirs.take());
        let (Some(own), Some(theirs)) = (own, theirs) else {
            // Another time, perhaps with another peer.
            self.audit.look = None;
            self.audit.due = self.now + INTERVAL_MS;
            return;
        };
        self.compare(&own, &theirs);
    }

    /// Both sides have answered.
    fn compare(&mut self, own: &Reply, theirs: &Reply) {
        let Some(look) = &self.audit.look else { return };
        let (step, peer) = (look.step.clone(), look.peer.clone());
        if let Step::Records(ids) = &step
            && let Some(id) = divergent(ids, own, theirs, &look.applied)
        {
            let node = peer.node.as_str();
            let detail = format!(
                "record {id} is not the same on {node}, and both have applied all its writes"
            );
            self.raise(AlarmKind::Divergence, node, detail);
            // Looked at again soon: the alarm stands for as long as it is so.
            self.audit.due = self.audit.due.min(self.now + SOON_MS);
            self.want_transfer(peer, TransferReason::Divergence);
        }
        match self.audit.next_step(&step, own, theirs, self.now) {
            Some(step) => self.take_step(step),
            None => {
                self.audit.look = None;
                self.audit.done_count += 1;
            }
        }
    }
}
