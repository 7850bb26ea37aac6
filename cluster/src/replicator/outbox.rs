//! Own ops on their way into the stream.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{AlarmKind, Effect, Replicator};
use crate::origin::{Dot, Origin};
use crate::vector::Vector;

/// Runs that may be under way.
const IN_FLIGHT_COUNT_MAX: usize = 256;
/// Most ops of one run.
const RUN_COUNT_MAX: u64 = 64;
/// Longest wait before a failed run is sent again, in milliseconds.
const BACK_OFF_MS_MAX: u64 = 10_000;
/// First wait, in milliseconds.
const BACK_OFF_MS: u64 = 100;
/// Refusals after which an op is parked.
const REFUSED_COUNT_MAX: u32 = 3;
/// How long a parked op waits for another try, in milliseconds.
const PARKED_MS: u64 = 60_000;
/// How long a run that nobody waits for and that fills no message waits for company after the last,
/// in milliseconds: a message costs as much as the commit of a write, one more op in it little.
const PACE_MS: u64 = 5;
/// How long published runs wait to be marked, in milliseconds.
const MARK_MS: u64 = 1_000;
/// Published runs that make the mark due at once.
const MARK_COUNT: usize = 500;
/// Own ops whose hash is remembered, to tell an echo from a twin.
const ECHO_COUNT_MAX: usize = 4_096;

#[derive(Debug)]
pub(super) struct Outbox {
    /// Not in the stream, as far as is known.
    pending: Vector,
    /// Being sent.
    in_flight: Vector,
    /// The runs under way: the last number of each, by its first. One is told of in as many
    /// pieces as it took messages.
    runs: BTreeMap<(Origin, u64), u64>,
    /// Refused too often: the rest goes on without them for a while.
    parked: Vector,
    parked_until: u64,
    refused: BTreeMap<(Origin, u64), u32>,
    failures: u32,
    not_before: u64,
    /// Until then only a full run goes out, or one that somebody waits for.
    rest_until: u64,
    is_awaited: bool,
    published: Vec<(Origin, u64, u64, Option<u64>)>,
    mark_due: u64,
    echoes: HashMap<Dot, u64>,
    echo_order: VecDeque<Dot>,
}

impl Outbox {
    pub(super) fn new(unpublished: Vector) -> Outbox {
        Outbox {
            pending: unpublished,
            in_flight: Vector::default(),
            runs: BTreeMap::new(),
            parked: Vector::default(),
            parked_until: 0,
            refused: BTreeMap::new(),
            failures: 0,
            not_before: 0,
            rest_until: 0,
            is_awaited: false,
            published: Vec::new(),
            mark_due: 0,
            echoes: HashMap::new(),
            echo_order: VecDeque::new(),
        }
    }

    pub(super) fn add(&mut self, origin: &Origin, (lo, hi): (u64, u64), is_awaited: bool) {
        self.pending.insert_range(origin, lo, hi);
        self.is_awaited |= is_awaited;
    }

    /// The next run, unless it should wait for company.
    fn next_run(&self, now: u64) -> Option<(Origin, (u64, u64))> {
        let (origin, set) = self.pending.iter().next()?;
        let (lo, hi) = set.iter().next()?;
        let hi = hi.min(lo + RUN_COUNT_MAX - 1);
        let may_rest = !self.is_awaited && hi - lo + 1 < RUN_COUNT_MAX;
        (!may_rest || now >= self.rest_until).then(|| (origin.clone(), (lo, hi)))
    }

    /// Until when something waits for company.
    pub(super) fn rests_until(&self) -> Option<u64> {
        (!self.pending.is_empty()).then_some(self.rest_until)
    }

    /// Sends everything that the store keeps once more: the stream lost it.
    pub(super) fn refill(&mut self, kept: &Vector) {
        self.unsend();
        self.pending.join(kept);
    }

    /// What was under way when the connection broke, or refused before, is sent again.
    pub(super) fn unsend(&mut self) {
        self.pending.join(&std::mem::take(&mut self.in_flight));
        self.runs.clear();
        self.rest_until = 0;
        self.unpark();
    }

    fn unpark(&mut self) {
        if !self.parked.is_empty() {
            self.pending.join(&std::mem::take(&mut self.parked));
            self.refused.clear();
        }
    }

    pub(super) fn is_pending(&self, dot: &Dot) -> bool {
        [&self.pending, &self.in_flight, &self.parked].iter().any(|vector| vector.contains(dot))
    }

    /// A vector but for own ops that still have to be sent.
    pub(super) fn without_unsent(&self, vector: Vector) -> Vector {
        vector.subtract(&self.pending).subtract(&self.in_flight).subtract(&self.parked)
    }

    pub(super) fn count(&self) -> u64 {
        self.pending.count() + self.in_flight.count() + self.parked.count()
    }

    /// Whether an op under an own dot is not the one that was published here.
    pub(super) fn is_twin(&self, dot: &Dot, hash: u64) -> bool {
        self.echoes.get(dot).is_some_and(|known| *known != hash)
    }

    fn remember(&mut self, dot: Dot, hash: u64) {
        if self.echoes.insert(dot.clone(), hash).is_none() {
            self.echo_order.push_back(dot);
        }
        if self.echo_order.len() > ECHO_COUNT_MAX
            && let Some(oldest) = self.echo_order.pop_front()
        {
            self.echoes.remove(&oldest);
        }
    }

    /// Takes the part of `lo..=hi` that is under way out of it.
    fn land(&mut self, origin: &Origin, lo: u64, hi: u64) -> Vector {
        let part = self.in_flight.intersect(&run(origin, lo, hi));
        self.in_flight = self.in_flight.subtract(&part);
        let overlaps = |(first, last): &(u64, u64)| *first <= hi && *last >= lo;
        let runs = self.runs.range((origin.clone(), 0)..=(origin.clone(), hi));
        let cut: Vec<(u64, u64)> =
            runs.map(|((_, first), last)| (*first, *last)).filter(overlaps).collect();
        for (first, last) in cut {
            self.runs.remove(&(origin.clone(), first));
            if first < lo {
                self.runs.insert((origin.clone(), first), lo - 1);
            }
            if hi < last {
                self.runs.insert((origin.clone(), hi + 1), last);
            }
        }
        part
    }
}

fn run(origin: &Origin, lo: u64, hi: u64) -> Vector {
    let mut run = Vector::default();
    run.insert_range(origin, lo, hi);
    run
}

impl Replicator {
    pub(super) fn tick_outbox(&mut self) {
        if self.now >= self.outbox.parked_until {
            self.outbox.unpark();
        }
        let can_send = self.is_connected && self.stream.is_known();
        let mut is_sent = false;
        while can_send
            && self.now >= self.outbox.not_before
            && self.outbox.runs.len() < IN_FLIGHT_COUNT_MAX
        {
            let Some((origin, (lo, hi))) = self.outbox.next_run(self.now) else { break };
            let run = run(&origin, lo, hi);
            self.outbox.pending = self.outbox.pending.subtract(&run);
            self.outbox.in_flight.join(&run);
            self.outbox.runs.insert((origin.clone(), lo), hi);
            self.effects.push_back(Effect::Publish { origin, lo, hi });
            is_sent = true;
        }
        if is_sent {
            self.outbox.rest_until = self.now + PACE_MS;
            self.outbox.is_awaited &= !self.outbox.pending.is_empty();
        }
        let due = self.now >= self.outbox.mark_due || self.outbox.published.len() >= MARK_COUNT;
        if due && !self.outbox.published.is_empty() {
            self.outbox.mark_due = self.now + MARK_MS;
            let published = std::mem::take(&mut self.outbox.published);
            self.effects.push_back(Effect::MarkPublished(published));
        }
    }

    pub(super) fn published(
        &mut self,
        origin: &Origin,
        (lo, hi): (u64, u64),
        seq: Option<u64>,
        hashes: &[u64],
    ) {
        self.outbox.land(origin, lo, hi);
        // What was to be sent again meanwhile, after a broken connection, is there all the same.
        self.outbox.pending = self.outbox.pending.subtract(&run(origin, lo, hi));
        self.outbox.failures = 0;
        self.outbox.refused.remove(&(origin.clone(), lo));
        if self.outbox.published.is_empty() {
            self.outbox.mark_due = self.now + MARK_MS;
        }
        self.outbox.published.push((origin.clone(), lo, hi, seq));
        for (hash, oseq) in hashes.iter().zip(lo..) {
            self.outbox.remember(Dot { origin: origin.clone(), oseq }, *hash);
        }
    }

    pub(super) fn publish_failed(
        &mut self,
        origin: &Origin,
        lo: u64,
        hi: u64,
        refused: Option<String>,
    ) {
        // Some of it may have been sent again meanwhile, in other runs.
        let run = self.outbox.land(origin, lo, hi);
        if run.is_empty() {
            return;
        }
        self.outbox.failures = (self.outbox.failures + 1).min(16);
        let wait = (BACK_OFF_MS << self.outbox.failures.min(10)).min(BACK_OFF_MS_MAX);
        // Nodes that lost one server do not come back to it at one moment.
        let jitter = (self.identity.run ^ self.now).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100;
        self.outbox.not_before = self.now + wait + wait * jitter / 200;
        let Some(reason) = refused else {
            self.outbox.pending.join(&run);
            return;
        };
        let count = self.outbox.refused.entry((origin.clone(), lo)).or_default();
        *count += 1;
        if *count >= REFUSED_COUNT_MAX {
            self.outbox.parked.join(&run);
            self.outbox.parked_until = self.now + PARKED_MS;
            let detail = format!("the server refuses the writes {origin}:{lo} to {hi}: {reason}");
            self.raise(AlarmKind::PublishRefused, &origin.to_string(), detail);
        } else {
            self.outbox.pending.join(&run);
        }
    }
}
