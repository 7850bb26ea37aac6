//! What a replicator wants done, done: on the file, on the stream, to the others.

use memnode_cluster::replicator::{
    AlarmKind, Applied, Asked, Effect, Incoming, Input, PeerKey, payload_hash,
};
use memnode_cluster::wire::{self, Ack, Batch, Heartbeat, Reply, Request, Root, Stretch};
use memnode_cluster::{Origin, Vector};

use super::CLUSTER;
use super::defect::Defect;
use super::world::{Event, Question, StreamReader, World};
use crate::replica::answer;
use crate::store::holds_decisions;

/// What a message holds, where it is, and what its ops are known by.
type Sent = (u64, u64, Option<u64>, Vec<u64>);

/// How long an answer is waited for.
const REQUEST_TIMEOUT_MS: u64 = 5_000;
/// Payloads dropped in one transaction.
const PRUNE_COUNT: u64 = 50;

impl World {
    pub(super) fn carry_out(&mut self, node: usize, run: u64, effect: Effect) {
        let wall = self.wall(node);
        match effect {
            Effect::Publish { origin, lo, hi } => self.publish(node, run, &origin, lo, hi),
            Effect::Apply { number, ops, position } => {
                let decides = ops.iter().flat_map(|op| &op.op);
                let decides = decides.into_iter().any(|op| holds_decisions(&op.namespace));
                let outcome = self.apply(node, ops.to_vec(), position);
                if decides {
                    self.decide(node);
                }
                if outcome.is_none() {
                    self.expect(node, AlarmKind::ApplyFailing);
                }
                self.done(run, number, outcome);
            }
            Effect::Merge { number, records, ours, theirs } => {
                let outcome = self.if_not_full(node, |world| {
                    let disk = &mut world.nodes[node].disk;
                    let mut outcome = disk.merge(wall, &records, &ours, &theirs);
                    if world.defect == Some(Defect::AdoptedEarly) {
                        outcome.applied = world.nodes[node].disk.adopt(wall, &theirs).applied;
                    }
                    outcome
                });
                self.done(run, number, outcome);
                self.decide(node);
            }
            Effect::TakeSnapshot { number, peer } => {
                let taken = self.take_snapshot(node, &peer);
                self.done(run, number, taken);
                self.decide(node);
                self.check_disk(node);
            }
            Effect::Adopt { number, vector } => {
                let outcome = self.if_not_full(node, |world| world.adopt(node, &vector));
                self.done(run, number, outcome);
                self.check_disk(node);
            }
            Effect::MarkPublished(runs) => {
                let work = |writer: &mut super::super::Writer<'_>| {
                    runs.iter().try_for_each(|(origin, lo, hi, seq)| {
                        writer.mark_published(origin, *lo, *hi, *seq)
                    })
                };
                self.nodes[node].disk.write(wall, work).unwrap();
            }
            Effect::Read { reader, from } => self.read(node, reader, from),
            Effect::Beat { with_root } => self.beat(node, run, with_root && !self.is_altered),
            Effect::Ack(applied) => self.ack(node, run, applied),
            Effect::Ask { ask, to, request } => match to {
                Asked::Own => {
                    let reply = answer(&self.nodes[node].disk.reader(), &request).unwrap();
                    let reply = Some(Box::new(reply));
                    let delay = self.any_delay();
                    self.after(delay, Event::Input(run, Input::Replied { ask, reply }));
                }
                Asked::Peer(to) => self.ask(node, Question { to, from_run: run, ask, request }),
            },
            Effect::NewEpoch => {
                let epoch = self.random.next();
                let disk = &mut self.nodes[node].disk;
                disk.write(wall, |writer| {
                    writer.new_epoch(epoch);
                    Ok(())
                })
                .unwrap();
                self.load_outbox(node, run);
            }
            Effect::Prune(everywhere) => {
                let disk = &mut self.nodes[node].disk;
                let mut prune = || {
                    disk.write(wall, |writer| writer.prune_ops(&everywhere, PRUNE_COUNT)).unwrap()
                };
                while prune() == PRUNE_COUNT {}
            }
            Effect::Remember(member) => self.nodes[node].disk.remember(wall, &member),
            Effect::LoadOutbox => self.load_outbox(node, run),
            Effect::Alarm(alarm) => {
                self.history.alarms.insert(alarm.kind);
                // The oracle says that records are right: then none may be told to be wrong. Roots
                // may be, by a node that was killed in the middle of a transfer.
                if alarm.detail.starts_with("record ") && !self.is_altered && self.defect.is_none()
                {
                    let name = self.nodes[node].name.clone();
                    self.fail(format!("{name} raised a false alarm: {}", alarm.detail));
                }
            }
        }
    }

    fn load_outbox(&mut self, node: usize, run: u64) {
        let kept = self.nodes[node].disk.own_ops();
        let delay = self.any_delay();
        self.after(delay, Event::Input(run, Input::Outbox(kept)));
    }

    fn done(&mut self, run: u64, number: u64, outcome: Option<Applied>) {
        let outcome = outcome.map(Box::new);
        let delay = self.any_delay();
        self.after(delay, Event::Input(run, Input::Applied { number, outcome }));
    }

    fn if_not_full(
        &mut self,
        node: usize,
        work: impl FnOnce(&mut World) -> Applied,
    ) -> Option<Applied> {
        if self.now < self.nodes[node].full_until {
            return None;
        }
        let outcome = work(self);
        let name = self.nodes[node].name.clone();
        self.history.applied(&name, &outcome.applied);
        Some(outcome)
    }

    fn apply(
        &mut self,
        node: usize,
        mut ops: Vec<Incoming>,
        mut position: Option<memnode_cluster::replicator::Position>,
    ) -> Option<Applied> {
        let (wall, major) = (self.wall(node), self.nodes[node].major);
        for incoming in ops.iter_mut().filter(|incoming| incoming.op.is_err()) {
            incoming.op = super::wire::decode(&incoming.payload, major).map(Box::new);
        }
        if self.defect == Some(Defect::CursorSkipped)
            && let Some(position) = &mut position
        {
            position.seq = self.log.info().last_seq;
        }
        self.if_not_full(node, |world| {
            let lost = ops.iter().map(|op| op.dot.clone()).find(|dot| dot.oseq % 5 == 4);
            let outcome = world.nodes[node].disk.apply(wall, ops, position);
            if let (Some(Defect::DotNotRecorded), Some(dot)) = (world.defect, lost) {
                world.nodes[node].disk.forget_dot(&dot);
            }
            outcome
        })
    }

    /// A snapshot of a peer, if it can be had: the server keeps it for the two of them.
    fn take_snapshot(&mut self, node: usize, peer: &PeerKey) -> Option<Applied> {
        let from = self.node_of(peer.run)?;
        let is_newer = self.nodes[from].major > self.nodes[node].major;
        if !self.is_connected(node) || !self.is_connected(from) || self.is_lost() || is_newer {
            return None;
        }
        let snapshot = self.nodes[from].disk.snapshot();
        let wall = self.wall(node);
        self.if_not_full(node, |world| {
            let place = &mut world.nodes[node];
            if place.disk.is_fresh() {
                place.disk.install(wall, &snapshot)
            } else {
                Applied::default()
            }
        })
    }

    fn adopt(&mut self, node: usize, vector: &Vector) -> Applied {
        let wall = self.wall(node);
        let disk = &mut self.nodes[node].disk;
        let mut outcome = disk.adopt(wall, vector);
        if self.defect == Some(Defect::HeldAdopted) {
            let held = disk.reader().held().unwrap();
            disk.empty_quarantine();
            outcome.applied.join(&disk.adopt(wall, &held).applied);
        }
        outcome
    }

    /// Own ops into the stream: some of the messages, or their confirmations, may get lost.
    fn publish(&mut self, node: usize, run: u64, origin: &Origin, lo: u64, hi: u64) {
        let payloads = self.nodes[node].disk.payloads(origin, lo, hi);
        let bytes_max = 500 * self.random.between(1, 8) as usize;
        for stretch in wire::cut(lo, hi, payloads, bytes_max) {
            let told = match stretch {
                Stretch::Ops { lo, payloads } => self.publish_one(node, run, origin, lo, payloads),
                Stretch::Missing { lo, hi } => Ok((lo, hi, None, Vec::new())),
            };
            let (origin, delay) = (origin.clone(), self.any_delay());
            let input = match told {
                Ok((lo, hi, seq, hashes)) => Input::Published { origin, lo, hi, seq, hashes },
                Err((lo, refused)) => Input::PublishFailed { origin, lo, hi, refused },
            };
            let is_over = matches!(input, Input::PublishFailed { .. });
            self.after(delay, Event::Input(run, input));
            if is_over {
                return;
            }
        }
    }

    /// One message: what it holds, where it is, and what it is known by; or what was not sent.
    fn publish_one(
        &mut self,
        node: usize,
        run: u64,
        origin: &Origin,
        lo: u64,
        payloads: Vec<Vec<u8>>,
    ) -> Result<Sent, (u64, Option<String>)> {
        if self.now < self.nodes[node].refused_until {
            return Err((lo, Some("no room".to_owned())));
        }
        if !self.is_connected(node) || self.is_lost() {
            return Err((lo, None));
        }
        let hashes = payloads.iter().map(|payload| payload_hash(payload)).collect();
        let batch = Batch {
            cluster: CLUSTER,
            run,
            origin: origin.clone(),
            lo,
            ops: payloads.into_iter().map(Into::into).collect(),
            wants_ack: self.random.chance(50),
        };
        let hi = batch.hi().expect("a message holds an op");
        let seq = self.append(wire::to_bytes(&batch));
        if self.is_lost() { Err((lo, None)) } else { Ok((lo, hi, Some(seq), hashes)) }
    }

    /// Appends a message and wakes everybody's reader.
    pub(super) fn append(&mut self, message: Vec<u8>) -> u64 {
        let seq = self.log.append(message);
        for node in 0..self.nodes.len() {
            let reader = self.process(node).and_then(|process| process.reader.as_ref());
            if let Some(number) = reader.map(|reader| reader.number) {
                self.wake(node, number);
            }
        }
        seq
    }

    pub(super) fn is_lost(&mut self) -> bool {
        let (percent, until) = self.lossy;
        self.now < until && self.random.chance(percent)
    }

    fn read(&mut self, node: usize, number: u64, from: u64) {
        let created = self.log.created();
        let Some(process) = self.process(node).filter(|process| process.is_connected) else {
            return;
        };
        if process.reader.as_ref().is_some_and(|reader| reader.number > number) {
            return;
        }
        let reader = StreamReader { number, next: from, created, is_silent: false };
        process.reader = Some(reader);
        self.wake(node, number);
    }

    pub(super) fn wake(&mut self, node: usize, reader: u64) {
        let next = match self.process(node) {
            Some(process) => process.reader.as_ref().map(|reader| reader.next),
            None => return,
        };
        if next.is_some_and(|next| self.log.next(next).is_some()) {
            let run = self.nodes[node].process.as_ref().map_or(0, |process| process.run);
            let delay = self.random.below(40);
            self.after(delay, Event::Pump(run, reader));
        }
    }

    /// Brings the next message of the stream, sometimes twice, sometimes late, sometimes never.
    pub(super) fn pump(&mut self, node: usize, run: u64, number: u64) {
        let created = self.log.created();
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let has_room = process.replicator.has_room();
        let Some(reader) = process.reader.as_mut().filter(|reader| reader.number == number) else {
            return;
        };
        if !has_room || reader.is_silent || reader.created != created {
            return;
        }
        let Some((seq, message)) = self.log.next(reader.next) else { return };
        let mut message = message.clone();
        reader.next = seq + 1;
        let (is_skipped, is_late, is_twice) = match self.random.below(200) {
            0 if !self.is_healed => (true, false, false),
            1..4 if !self.is_healed => (false, true, false),
            4..8 => (false, false, true),
            _ => (false, false, false),
        };
        if is_skipped || is_late {
            self.nodes[node].disk.missed.insert((created, seq));
        }
        if !is_skipped {
            message = self.damage(node, message);
            for _ in 0..=u64::from(is_twice) {
                let batch = wire::from_bytes(&message);
                let batch = batch.map(Box::new).map_err(|error| error.to_string());
                let input = Input::Message { reader: number, seq, batch };
                let delay = if is_late { self.random.below(500) } else { 0 };
                self.after(delay, Event::Input(run, input));
            }
        }
        self.wake(node, number);
    }

    /// Flips a bit of an op, if that is due.
    fn damage(&mut self, node: usize, message: Vec<u8>) -> Vec<u8> {
        let Ok(mut batch) = wire::from_bytes::<Batch>(&message) else { return message };
        let is_own = batch.origin.node == self.nodes[node].name;
        if !self.nodes[node].is_damaging || is_own || batch.ops.is_empty() {
            return message;
        }
        let op = self.random.index(batch.ops.len());
        let mut payload = batch.ops[op].to_vec();
        // The simulated program of the next major version reads them in the driver alone.
        if super::wire::decode(&payload, 1).is_err() {
            return message;
        }
        self.nodes[node].is_damaging = false;
        let byte = self.random.index(payload.len());
        payload[byte] ^= 1 << self.random.below(8);
        // Bits of a text or of a number would make another op, not a broken one.
        if super::wire::decode(&payload, 2).is_ok() {
            payload.truncate(byte);
        }
        batch.ops[op] = payload.into();
        wire::to_bytes(&batch)
    }

    fn beat(&mut self, node: usize, run: u64, with_root: bool) {
        let wall = self.wall(node);
        let place = &self.nodes[node];
        let state = place.disk.beat(wall);
        let vector_hash = state.vector.hash();
        let recent = self.told(state.recent);
        let place = &self.nodes[node];
        let beat = Heartbeat {
            cluster: CLUSTER,
            node: place.name.clone(),
            run,
            recent,
            vector_hash,
            root: with_root.then_some(Root(state.root)),
            held: state.held,
            clock_ms: wall,
            change_head: state.change_head,
            software: "simulated".to_owned(),
            embedder: "none".to_owned(),
            disk_percent: None,
            record_count: state.record_count * if self.plan.has_snapshots { 5_000 } else { 1 },
            outbox_count: 0,
        };
        self.tell_all(node, &Input::Beat(Box::new(beat)));
        if with_root {
            let own = Input::OwnBeat { vector_hash, root: state.root };
            self.after(0, Event::Input(run, own));
        }
    }

    fn ack(&mut self, node: usize, run: u64, applied: Vector) {
        let applied = self.told(applied);
        let node_name = self.nodes[node].name.clone();
        let ack = Ack { cluster: CLUSTER, node: node_name, run, applied };
        self.tell_all(node, &Input::Acked(ack));
    }

    fn told(&self, vector: Vector) -> Vector {
        if self.defect != Some(Defect::AckedByHead) {
            return vector;
        }
        let mut heads = Vector::default();
        for (origin, set) in vector.iter() {
            heads.insert_range(origin, 1, set.head());
        }
        heads
    }

    /// Sends a message beside the stream to everybody else; it may get lost, late or doubled.
    fn tell_all(&mut self, from: usize, input: &Input) {
        if !self.is_connected(from) {
            return;
        }
        for node in (0..self.nodes.len()).filter(|node| *node != from) {
            let run = self.nodes[node].process.as_ref().map(|process| process.run);
            let Some(run) = run.filter(|_| self.is_connected(node)) else { continue };
            let copies = if self.random.chance(2) { 2 } else { 1 };
            for _ in 0..copies {
                if !self.is_lost() {
                    let delay = self.any_delay();
                    self.after(delay, Event::Input(run, input.clone()));
                }
            }
        }
    }

    fn ask(&mut self, node: usize, question: Question) {
        let nothing = Input::Replied { ask: question.ask, reply: None };
        self.after(REQUEST_TIMEOUT_MS, Event::Input(question.from_run, nothing));
        if self.is_connected(node) && !self.is_lost() {
            let delay = self.any_delay();
            self.after(delay, Event::Asked(question));
        }
    }

    /// The asked node answers, if the request and the answer get through.
    pub(super) fn answer(&mut self, node: usize, question: Question) {
        let Some(from) = self.node_of(question.from_run) else { return };
        if !self.is_connected(node) || !self.is_connected(from) || self.is_lost() {
            return;
        }
        let is_state = !matches!(question.request, Request::Range(_) | Request::Vector { .. });
        let reply = if is_state && self.nodes[node].major > self.nodes[from].major {
            Reply::Refused { reason: "it is of an older version".to_owned() }
        } else {
            let reply = answer(&self.nodes[node].disk.reader(), &question.request).unwrap();
            self.without_tombstones(reply)
        };
        let reply = Input::Replied { ask: question.ask, reply: Some(Box::new(reply)) };
        let delay = self.any_delay();
        self.after(delay, Event::Input(question.from_run, reply));
    }

    fn without_tombstones(&self, reply: Reply) -> Reply {
        match reply {
            Reply::Records { mut records, more }
                if self.defect == Some(Defect::TombstoneDropped) =>
            {
                records.retain(|found| found.record.is_live());
                let more = more && !records.is_empty();
                Reply::Records { records, more }
            }
            other => other,
        }
    }
}
