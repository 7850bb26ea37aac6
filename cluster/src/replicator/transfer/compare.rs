//! What one transfer asks, and how the answers of both sides are compared.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::{AskId, Asked, PeerKey};
use super::TransferReason;
use crate::digest::{BUCKET_COUNT, GROUP_COUNT};
use crate::origin::Origin;
use crate::record::RecordId;
use crate::vector::Vector;
use crate::wire::{Request, Root};

/// How many buckets a group has.
pub(in super::super) const BUCKETS_PER_GROUP: usize = BUCKET_COUNT / GROUP_COUNT;
/// Ids of one request for records.
const ID_COUNT_MAX: usize = 200;

/// One transfer under way.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) peer: PeerKey,
    pub(super) reason: TransferReason,
    pub(super) ours: Vector,
    /// The vector that was read before the first record.
    pub(super) theirs: Vector,
    /// The vector after the last.
    pub(super) after: Option<Vector>,
    pub(super) todo: VecDeque<Step>,
    pub(super) asks: BTreeMap<AskId, (Step, Asked, u32)>,
    /// One side of a comparison, until the other is in.
    pub(super) halves: BTreeMap<Step, Half>,
    pub(super) merging: BTreeSet<u64>,
    /// The snapshot that comes first.
    pub(super) snapshot: Option<u64>,
    pub(super) adopting: Option<u64>,
    pub(super) record_count: u64,
}

/// What a transfer still has to ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The peer's vector, before or after the records.
    Vector {
        is_after: bool,
        from: Option<Origin>,
    },
    Groups,
    Buckets(u16),
    Hashes(u16),
    Records(Vec<RecordId>),
    BucketRecords {
        first: u16,
        last: u16,
        after: Option<RecordId>,
    },
}

/// Answers of both sides to one question; hashes gather page by page.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) own: Option<Answer>,
    pub(super) peer: Option<Answer>,
    pub(super) own_hashes: BTreeMap<RecordId, Root>,
    pub(super) peer_hashes: BTreeMap<RecordId, Root>,
}

/// What one side answered.
#[derive(Debug)]
pub(super) enum Answer {
    Groups(Vec<Root>),
    Buckets(Vec<(Root, u64)>),
    Hashes,
}

impl Transfer {
    pub(super) fn new(peer: PeerKey, reason: TransferReason, ours: Vector) -> Transfer {
        Transfer {
            peer,
            reason,
            ours,
            theirs: Vector::default(),
            after: None,
            todo: VecDeque::from([Step::Vector { is_after: false, from: None }]),
            asks: BTreeMap::new(),
            halves: BTreeMap::new(),
            merging: BTreeSet::new(),
            snapshot: None,
            adopting: None,
            record_count: 0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.todo.is_empty() && self.asks.is_empty() && self.merging.is_empty()
    }

    /// The next requests of a step: both sides are asked what is compared.
    pub(super) fn requests(&self, step: &Step) -> Vec<(Asked, Request)> {
        let peer = || Asked::Peer(self.peer.clone());
        let both = |request: Request| vec![(peer(), request.clone()), (Asked::Own, request)];
        match step {
            Step::Vector { from, .. } => vec![(peer(), Request::Vector { after: from.clone() })],
            Step::Groups => both(Request::Groups),
            Step::Buckets(group) => both(Request::Buckets { group: *group }),
            Step::Hashes(bucket) => both(Request::Hashes { bucket: *bucket, after: None }),
            Step::Records(ids) => vec![(peer(), Request::Records { ids: ids.clone() })],
            Step::BucketRecords { first, last, after } => {
                let request = Request::BucketRecords { first: *first, last: *last, after: *after };
                vec![(peer(), request)]
            }
        }
    }

    /// Compares when both sides of a question are in.
    fn compare(&mut self, step: &Step) {
        let is_whole =
            self.halves.get(step).is_some_and(|half| half.own.is_some() && half.peer.is_some());
        if !is_whole {
            return;
        }
        let Some(half) = self.halves.remove(step) else { return };
        match (half.own, half.peer) {
            (Some(Answer::Groups(own)), Some(Answer::Groups(peer))) => {
                let differing = (0_u16..).zip(own.iter().zip(&peer)).filter(|(_, (o, p))| o != p);
                self.todo.extend(differing.map(|(group, _)| Step::Buckets(group)));
            }
            (Some(Answer::Buckets(own)), Some(Answer::Buckets(peer))) => {
                if let Step::Buckets(group) = step {
                    self.compare_buckets(*group, &own, &peer);
                }
            }
            _ => {
                let (own, peer) = (half.own_hashes, half.peer_hashes);
                let differing = peer.iter().filter(|(id, hash)| own.get(id) != Some(hash));
                let ids: Vec<RecordId> = differing.map(|(id, _)| *id).collect();
                self.todo.extend(ids.chunks(ID_COUNT_MAX).map(|ids| Step::Records(ids.to_vec())));
            }
        }
    }

    /// Neighbouring buckets that are empty here come as a whole, others record by record.
    fn compare_buckets(&mut self, group: u16, own: &[(Root, u64)], peer: &[(Root, u64)]) {
        let first_bucket = group * BUCKETS_PER_GROUP as u16;
        let mut empty: Option<(u16, u16)> = None;
        for (bucket, (ours, theirs)) in (first_bucket..).zip(own.iter().zip(peer)) {
            if ours == theirs || theirs.1 == 0 {
                continue;
            }
            if ours.1 > 0 {
                self.todo.push_back(Step::Hashes(bucket));
                continue;
            }
            // What lies between two such buckets is empty on both sides or equal: harmless.
            empty = Some(empty.map_or((bucket, bucket), |(first, _)| (first, bucket)));
        }
        if let Some((first, last)) = empty {
            self.todo.push_back(Step::BucketRecords { first, last, after: None });
        }
    }

    pub(super) fn answer(&mut self, step: &Step, is_own: bool, answer: Answer) {
        let half = self.halves.entry(step.clone()).or_default();
        if is_own {
            half.own = Some(answer);
        } else {
            half.peer = Some(answer);
        }
        self.compare(step);
    }
}
