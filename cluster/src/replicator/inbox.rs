//! Ops on their way into the store: one batch at a time, each op once.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{AlarmKind, Effect, INBOX_BYTES_MAX, INBOX_COUNT_MAX, Incoming, Position, Replicator};
use crate::op::Op;
use crate::origin::Dot;
use crate::vector::Vector;
use crate::wire::RANGE_COUNT_MAX;

/// Most ops of one transaction.
const BATCH_COUNT_MAX: usize = 500;
/// Bytes after which a batch ends.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a batch that was rolled back waits, in milliseconds.
const RETRY_MS: u64 = 1_000;
/// How long a position may wait for ops to be kept with, in milliseconds.
const POSITION_MS: u64 = 5_000;

#[derive(Debug, Default)]
pub(super) struct Inbox {
    queue: VecDeque<Queued>,
    /// Dots that are in the queue or in the batch under way.
    dots: Vector,
    bytes: usize,
    /// The batch that the store is busy with.
    under_way: Option<UnderWay>,
    blocked_until: u64,
    /// Everything up to here is in the queue or known.
    read: Option<Position>,
    /// The last position that the store was given, and when.
    kept: Option<Position>,
    kept_at: u64,
    /// Dots whose author waits for peers.
    acks: Vector,
}

#[derive(Debug)]
struct Queued {
    incoming: Incoming,
    /// The position that is reached once this op is applied.
    position: Option<Position>,
}

#[derive(Debug)]
struct UnderWay {
    number: u64,
    ops: Arc<[Incoming]>,
    position: Option<Position>,
}

impl Inbox {
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < INBOX_COUNT_MAX && self.bytes < INBOX_BYTES_MAX
    }

    pub(super) fn contains(&self, dot: &Dot) -> bool {
        self.dots.contains(dot)
    }

    pub(super) fn dots(&self) -> &Vector {
        &self.dots
    }

    pub(super) fn count(&self) -> usize {
        self.queue.len() + self.under_way.as_ref().map_or(0, |batch| batch.ops.len())
    }

    /// Notes that the author of a dot waits; answered once it is applied.
    pub(super) fn want_ack(&mut self, dot: &Dot) {
        self.acks.insert(dot);
    }

    /// What is applied of the origins whose authors wait, once all they wait for is.
    pub(super) fn take_acks(&mut self, vector: &Vector) -> Vector {
        let mut answer = Vector::default();
        for (origin, wanted) in self.acks.iter() {
            let applied = vector.get(origin).cloned().unwrap_or_default();
            if !wanted.intersect(&applied).is_empty() {
                answer.replace(origin, applied);
            }
        }
        self.acks = self.acks.subtract(vector);
        answer
    }

    fn push(&mut self, incoming: Incoming, position: Option<Position>) {
        self.dots.insert(&incoming.dot);
        self.bytes += incoming.payload.len();
        self.queue.push_back(Queued { incoming, position });
    }

    /// The next batch: what waits, up to the limits, and how far it brings the stream.
    fn take(&mut self) -> (Vec<Incoming>, Option<Position>) {
        let (mut ops, mut bytes, mut position) = (Vec::new(), 0, None);
        while let Some(next) = self.queue.front() {
            let more = next.incoming.payload.len();
            let is_full = ops.len() >= BATCH_COUNT_MAX || bytes + more > BATCH_BYTES_MAX;
            if is_full && !ops.is_empty() {
                break;
            }
            bytes += more;
            if let Some(queued) = self.queue.pop_front() {
                ops.push(queued.incoming);
                position = queued.position.or(position);
            }
        }
        self.bytes -= bytes;
        if self.queue.is_empty() {
            position = self.read.clone();
        }
        (ops, position)
    }
}

impl Replicator {
    /// Takes ops in that are neither applied, nor held, nor on their way.
    ///
    /// One that lies in quarantine may have been damaged on its way: if this one can be read, it
    /// takes its place.
    pub(super) fn enqueue(&mut self, dot: Dot, payload: Vec<u8>) {
        if self.vector.contains(&dot) || self.inbox.contains(&dot) {
            return;
        }
        let op = match Op::decode(&payload) {
            Ok(op) if op.dot != dot => Err(format!("it names itself {}", op.dot)),
            Ok(op) if op.cluster != self.identity.cluster => {
                Err("it is of another cluster".to_owned())
            }
            Ok(op) => {
                self.learn(&op.context);
                Ok(Box::new(op))
            }
            Err(error) => Err(error.to_string()),
        };
        if op.is_err() && self.held.contains(&dot) {
            return;
        }
        self.inbox.push(Incoming { dot, payload, op }, None);
    }

    /// Everything that was read of the stream up to here is known or in the queue.
    pub(super) fn reached(&mut self, position: Position) {
        if let Some(last) = self.inbox.queue.back_mut() {
            last.position = Some(position.clone());
        }
        self.inbox.read = Some(position);
    }

    pub(super) fn forget_position(&mut self) {
        self.inbox.read = None;
        self.inbox.kept = None;
        for queued in &mut self.inbox.queue {
            queued.position = None;
        }
    }

    pub(super) fn tick_inbox(&mut self) {
        if self.inbox.under_way.is_some() || self.now < self.inbox.blocked_until {
            return;
        }
        let has_news = self.inbox.read.is_some() && self.inbox.read != self.inbox.kept;
        let is_old = self.now >= self.inbox.kept_at.saturating_add(POSITION_MS);
        if self.inbox.queue.is_empty() && !(has_news && is_old) {
            return;
        }
        let (ops, position) = self.inbox.take();
        let (number, ops) = (self.number(), Arc::from(ops));
        let batch = UnderWay { number, ops: Arc::clone(&ops), position: position.clone() };
        self.inbox.under_way = Some(batch);
        self.effects.push_back(Effect::Apply { number, ops, position });
    }

    /// The store is done with a batch, or rolled it back: then it is tried again a little later.
    pub(super) fn inbox_applied(&mut self, number: u64, is_done: bool) {
        let is_it = self.inbox.under_way.as_ref().is_some_and(|batch| batch.number == number);
        let Some(batch) = self.inbox.under_way.take_if(|_| is_it) else { return };
        if !is_done {
            self.inbox.blocked_until = self.now + RETRY_MS;
            for incoming in batch.ops.iter().rev() {
                self.inbox.bytes += incoming.payload.len();
                let incoming = incoming.clone();
                self.inbox.queue.push_front(Queued { incoming, position: None });
            }
            let detail = "the store does not take the writes of peers: they wait".to_owned();
            self.raise(AlarmKind::ApplyFailing, "store", detail);
            return;
        }
        self.alarms.clear(AlarmKind::ApplyFailing);
        let done = Vector::from_iter(batch.ops.iter().map(|op| op.dot.clone()));
        self.inbox.dots = self.inbox.dots.subtract(&done);
        if batch.position.is_some() {
            self.inbox.kept = batch.position;
            self.inbox.kept_at = self.now;
        }
    }

    /// Room for the ops of one more answer, beside so many that are expected.
    pub(super) fn has_room_for_range(&self, expected_count: usize) -> bool {
        let count = self.inbox.queue.len() + expected_count;
        count + RANGE_COUNT_MAX as usize <= INBOX_COUNT_MAX && self.inbox.bytes < INBOX_BYTES_MAX
    }
}
