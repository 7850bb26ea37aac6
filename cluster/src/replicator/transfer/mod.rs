//! State transfer: what cannot come op by op comes as state and is joined, part by part.
//!
//! A transfer reads a peer's vector first and its records after that, so every record holds all
//! that the vector names, and perhaps more. Once every record that differs is joined and on disk,
//! the vector is adopted. What the records hold beyond it still arrives as ops; until it has, the
//! own digest root says more than the own vector and is kept back (`is_covered_by`).
//!
//! Both sides are asked the same questions (groups, buckets, state hashes), which are compared
//! here; only records that differ travel.

mod compare;

use super::{AlarmKind, Applied, AskId, Asked, Effect, PeerKey, Replicator};
use crate::digest::GROUP_COUNT;
use crate::vector::Vector;
use crate::wire::{Reply, Request, TransferRecord};

pub(super) use compare::BUCKETS_PER_GROUP;
use compare::{Answer, Step, Transfer};

/// Steps that are under way at once.
const STEP_COUNT_MAX: usize = 6;
/// Batches that the store has not confirmed.
const MERGE_COUNT_MAX: usize = 4;
/// How often an unanswered step is asked again.
const TRY_COUNT_MAX: u32 = 5;
/// Pause after a transfer that failed, or that did not help, in milliseconds.
const PAUSE_MS: u64 = 5_000;
/// Records from which on a new node takes a snapshot first.
const SNAPSHOT_RECORD_COUNT: u64 = 5_000;
/// How long records may hold more than the vector tells, in milliseconds.
const BEYOND_MS: u64 = 60_000;
/// How long a new node waits to hear of a peer, in milliseconds.
const JOIN_PATIENCE_MS: u64 = 6_000;

/// Why state is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferReason {
    /// The node is new.
    Joining,
    /// The ops are kept nowhere any more.
    Pruned,
    /// Equal vectors, unequal digests.
    Divergence,
}

/// How far a new node is.
#[derive(Debug)]
pub(super) enum Join {
    /// It is not new.
    Done,
    /// It has not heard of anybody; since when it listens, if it does.
    Alone(Option<u64>),
    /// The first transfer is wanted or under way.
    UnderWay,
}

impl Join {
    pub(super) fn new(is_fresh: bool) -> Join {
        if is_fresh { Join::Alone(None) } else { Join::Done }
    }

    pub(super) fn connected(&mut self, now: u64) {
        if let Join::Alone(since) = self {
            since.get_or_insert(now);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Transfers {
    wanted: Option<(PeerKey, TransferReason)>,
    not_before: u64,
    running: Option<Transfer>,
    beyond: Beyond,
    done_count: u64,
    /// The last that was finished: why, and its records.
    done: Option<(TransferReason, u64)>,
}

/// What records may hold that the vector does not tell of.
#[derive(Debug, Default)]
struct Beyond {
    dots: Vector,
    /// Whether there may be more: the transfer ended early, perhaps with its process.
    is_unsure: bool,
    /// After that time it counts no more: perhaps nobody else has these dots, and then only the
    /// digests can tell others that something is here.
    until: u64,
}

impl Transfers {
    /// A transfer may have ended with the process that carried it out.
    pub(super) fn new(is_unsure: bool, now: u64) -> Transfers {
        let beyond = Beyond { dots: Vector::default(), is_unsure, until: now + BEYOND_MS };
        Transfers { beyond, ..Transfers::default() }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn is_waiting_for(&self, number: u64) -> bool {
        self.running.as_ref().is_some_and(|transfer| {
            transfer.merging.contains(&number)
                || transfer.adopting == Some(number)
                || transfer.snapshot == Some(number)
        })
    }

    /// Whether the vector tells of all that records hold, or must be taken to.
    pub(super) fn is_covered_by(&self, vector: &Vector, now: u64) -> bool {
        let Beyond { dots, is_unsure, until } = &self.beyond;
        now >= *until || (!is_unsure && vector.covers(dots))
    }

    pub(super) fn done_count(&self) -> u64 {
        self.done_count
    }

    pub(super) fn done(&self) -> Option<(TransferReason, u64)> {
        self.done
    }

    pub(super) fn describe(&self) -> Option<(PeerKey, TransferReason, u64)> {
        let running = self.running.as_ref()?;
        Some((running.peer.clone(), running.reason, running.record_count))
    }
}

impl Replicator {
    pub(super) fn want_transfer(&mut self, peer: PeerKey, reason: TransferReason) {
        if self.transfer.running.is_none() && self.transfer.wanted.is_none() {
            self.transfer.wanted = Some((peer, reason));
        }
    }

    /// A new node takes the state of the first peer that has one.
    pub(super) fn consider_joining(&mut self, key: &PeerKey) {
        if !matches!(self.joining, Join::Alone(_)) {
            return;
        }
        let Some(peer) = self.peers.get(key) else { return };
        if peer.beat.record_count > 0 {
            self.joining = Join::UnderWay;
            self.want_transfer(key.clone(), TransferReason::Joining);
        }
    }

    /// Whether a new node has its first state, or is alone.
    pub fn has_joined(&self) -> bool {
        match self.joining {
            Join::Done => true,
            Join::Alone(since) => since.is_none_or(|since| self.now >= since + JOIN_PATIENCE_MS),
            Join::UnderWay => false,
        }
    }

    pub(super) fn tick_transfer(&mut self) {
        if let Join::Alone(Some(since)) = self.joining
            && self.now >= since + JOIN_PATIENCE_MS
        {
            self.joining = Join::Done;
        }
        if self.transfer.running.is_none() {
            self.start_transfer();
        }
        self.go_on();
    }

    fn start_transfer(&mut self) {
        if !self.is_connected {
            self.transfer.wanted = None;
            self.join_later();
        }
        if self.now < self.transfer.not_before {
            return;
        }
        let Some((peer, reason)) = self.transfer.wanted.take() else { return };
        if self.peers.live(self.now).any(|(key, _)| *key == peer) {
            self.begin(peer, reason);
        } else {
            self.join_later();
        }
    }

    /// The peer whose state was to come is gone: a new node listens for the next one, and no
    /// longer than at first.
    fn join_later(&mut self) {
        if matches!(self.joining, Join::UnderWay) {
            self.joining = Join::Alone(Some(self.now));
        }
    }

    fn begin(&mut self, peer: PeerKey, reason: TransferReason) {
        let mut transfer = Transfer::new(peer.clone(), reason, self.vector.clone());
        let record_count = self.peers.get(&peer).map_or(0, |peer| peer.beat.record_count);
        // A snapshot is one file, which an empty node takes in as it is.
        if reason == TransferReason::Joining
            && self.vector.is_empty()
            && record_count >= SNAPSHOT_RECORD_COUNT
        {
            let number = self.number();
            transfer.snapshot = Some(number);
            self.effects.push_back(Effect::TakeSnapshot { number, peer });
        }
        self.transfer.running = Some(transfer);
    }

    /// A snapshot is in, or could not be had: the rest comes record by record.
    fn snapshot_taken(&mut self, outcome: Option<Applied>) {
        if let Some(transfer) = &mut self.transfer.running {
            transfer.snapshot = None;
            // What the peer had when it was heard last is what it put into one file.
            let told = self.peers.get(&transfer.peer).map_or(0, |peer| peer.beat.record_count);
            transfer.record_count += if outcome.is_some() { told } else { 0 };
        }
        self.take_outcome(outcome.unwrap_or_default());
        self.go_on();
    }

    /// Asks what can be asked; finishes when nothing is left.
    fn go_on(&mut self) {
        let Some(transfer) = &mut self.transfer.running else { return };
        if transfer.snapshot.is_some() {
            return;
        }
        let mut requests = Vec::new();
        while transfer.asks.len() + requests.len() < STEP_COUNT_MAX
            && transfer.merging.len() < MERGE_COUNT_MAX
            && let Some(step) = transfer.todo.pop_front()
        {
            for (to, request) in transfer.requests(&step) {
                requests.push((step.clone(), to, request, 0));
            }
        }
        if requests.is_empty() && transfer.is_idle() && transfer.adopting.is_none() {
            if transfer.after.is_none() {
                transfer.after = Some(Vector::default());
                transfer.todo.push_back(Step::Vector { is_after: true, from: None });
                return self.go_on();
            }
            let vector = transfer.theirs.clone();
            let number = self.number();
            if let Some(transfer) = &mut self.transfer.running {
                transfer.adopting = Some(number);
            }
            self.effects.push_back(Effect::Adopt { number, vector });
            return;
        }
        for (step, to, request, tries) in requests {
            self.ask_step(step, to, request, tries);
        }
    }

    fn ask_step(&mut self, step: Step, to: Asked, request: Request, tries: u32) {
        let ask = self.ask(to.clone(), request);
        if let Some(transfer) = &mut self.transfer.running {
            transfer.asks.insert(ask, (step, to, tries));
        }
    }

    /// An answer to something that the running transfer asked.
    pub(super) fn transfer_replied(&mut self, ask: AskId, reply: Option<Reply>) {
        let Some(transfer) = &mut self.transfer.running else { return };
        let Some((step, to, tries)) = transfer.asks.remove(&ask) else { return };
        match reply {
            None | Some(Reply::Refused { .. }) if tries + 1 >= TRY_COUNT_MAX => {
                return self.give_up("the peer does not answer");
            }
            None | Some(Reply::Refused { .. }) => {
                // Pages of hashes that came before are asked again: they cost little.
                let request = transfer.requests(&step).into_iter().find(|(who, _)| *who == to);
                if let Some((to, request)) = request {
                    self.ask_step(step, to, request, tries + 1);
                }
                return;
            }
            Some(reply) => self.step_replied(step, to, reply),
        }
        self.go_on();
    }

    fn step_replied(&mut self, step: Step, to: Asked, reply: Reply) {
        let Some(transfer) = &mut self.transfer.running else { return };
        let is_own = to == Asked::Own;
        match (&step, reply) {
            (Step::Vector { is_after, .. }, Reply::Vector { page, more }) => {
                let from = page.last_origin().cloned().filter(|_| more);
                let vector = match &mut transfer.after {
                    Some(after) if *is_after => after,
                    _ => &mut transfer.theirs,
                };
                vector.join(&page);
                if from.is_some() {
                    transfer.todo.push_front(Step::Vector { is_after: *is_after, from });
                } else if !is_after {
                    transfer.todo.push_back(Step::Groups);
                }
            }
            (Step::Groups, Reply::Groups { groups }) if groups.len() == GROUP_COUNT => {
                transfer.answer(&step, is_own, Answer::Groups(groups));
            }
            (Step::Buckets(_), Reply::Buckets { buckets })
                if buckets.len() == BUCKETS_PER_GROUP =>
            {
                transfer.answer(&step, is_own, Answer::Buckets(buckets));
            }
            (Step::Hashes(bucket), Reply::Hashes { hashes, more }) => {
                let last = hashes.last().map(|(id, _)| *id).filter(|_| more);
                let half = transfer.halves.entry(step.clone()).or_default();
                let side = if is_own { &mut half.own_hashes } else { &mut half.peer_hashes };
                side.extend(hashes);
                if last.is_some() {
                    let request = Request::Hashes { bucket: *bucket, after: last };
                    return self.ask_step(step, to, request, 0);
                }
                transfer.answer(&step, is_own, Answer::Hashes);
            }
            (Step::Records(ids), Reply::Records { records, more }) => {
                let last = records.last().map(TransferRecord::id);
                if last.is_none() && more {
                    return self.give_up("the peer gave an empty page");
                }
                if let Some(last) = last.filter(|_| more) {
                    let rest = ids.iter().copied().filter(|id| *id > last).collect();
                    transfer.todo.push_back(Step::Records(rest));
                }
                self.merge(records);
            }
            (Step::BucketRecords { first, last, .. }, Reply::Records { records, more }) => {
                let end = records.last().map(TransferRecord::id);
                if end.is_none() && more {
                    return self.give_up("the peer gave an empty page");
                }
                if let Some(end) = end.filter(|_| more) {
                    let next = Step::BucketRecords { first: *first, last: *last, after: Some(end) };
                    transfer.todo.push_front(next);
                }
                self.merge(records);
            }
            _ => self.give_up("the peer gave an answer of another shape"),
        }
    }

    fn merge(&mut self, records: Vec<TransferRecord>) {
        if records.is_empty() {
            return;
        }
        let number = self.number();
        let Some(transfer) = &mut self.transfer.running else { return };
        transfer.merging.insert(number);
        transfer.record_count += records.len() as u64;
        let (ours, theirs) = (transfer.ours.clone(), transfer.theirs.clone());
        self.effects.push_back(Effect::Merge { number, records, ours, theirs });
    }

    /// The store is done with records, or with the adoption.
    pub(super) fn transfer_applied(&mut self, number: u64, outcome: Option<Applied>) {
        if self.transfer.running.as_ref().is_some_and(|t| t.snapshot == Some(number)) {
            return self.snapshot_taken(outcome);
        }
        let Some(outcome) = outcome else {
            return self.give_up("the store does not take the records");
        };
        if let Some(reason) = outcome.refused.first() {
            let detail = format!("a record of a state transfer was refused: {reason}");
            self.raise(AlarmKind::TransferRefused, "transfer", detail);
            return self.give_up("records were refused");
        }
        let Some(transfer) = &mut self.transfer.running else { return };
        if transfer.adopting == Some(number) {
            let transfer = self.transfer.running.take();
            self.transfer.done = transfer.as_ref().map(|it| (it.reason, it.record_count));
            let mut dots = std::mem::take(&mut self.transfer.beyond.dots);
            dots.join(&transfer.and_then(|t| t.after).unwrap_or_default());
            self.transfer.beyond = Beyond { dots, is_unsure: false, until: self.now + BEYOND_MS };
            self.alarms.clear(AlarmKind::TransferFailing);
            self.transfer.done_count += 1;
            self.transfer.not_before = self.now + PAUSE_MS;
            if matches!(self.joining, Join::UnderWay) {
                self.joining = Join::Done;
            }
            self.beat_soon();
        } else {
            transfer.merging.remove(&number);
        }
        self.take_outcome(outcome);
        self.go_on();
    }

    /// Ends the running transfer without adopting anything: what was joined stays joined.
    fn give_up(&mut self, why: &str) {
        let Some(transfer) = self.transfer.running.take() else { return };
        if transfer.record_count > 0 {
            // Some of the peer's records are in, as they were at some moment.
            self.transfer.beyond.is_unsure = true;
            self.transfer.beyond.until = self.now + BEYOND_MS;
        }
        self.transfer.not_before = self.now + PAUSE_MS;
        self.join_later();
        let node = transfer.peer.node.as_str();
        let detail = format!("the state of {node} could not be taken over: {why}");
        self.raise(AlarmKind::TransferFailing, node, detail);
    }

    /// The answer to a request, for whichever road asked.
    pub(super) fn replied(&mut self, ask: AskId, reply: Option<Reply>) {
        if self.vector_replied(ask, reply.as_ref()) {
            return;
        }
        if self.range_is_asked(ask) {
            self.range_replied(ask, reply);
            return;
        }
        if self.audit_is_asked(ask) {
            self.audit_replied(ask, reply);
            return;
        }
        self.transfer_replied(ask, reply);
    }
}
