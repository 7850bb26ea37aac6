//! The steps of a plan, carried out.

use std::collections::BTreeMap;

use memnode_cluster::replicator::{AlarmKind, Input};
use memnode_cluster::wire::{self, Batch};
use memnode_cluster::{
    Clock, ClusterId, CreateValues, Dot, LocalClock, Op, OpKind, Origin, Part, Parts, Record,
    UnknownFields, UpdateValues, Vector, Version, value,
};

use super::super::super::{StoreError, Writer};
use super::super::{meaning, target};
use super::CLUSTER;
use super::defect::Defect;
use super::plan::{Step, TEXTS, Write};
use super::wire::{NEXT_MAJOR, NEXT_MINOR};
use super::world::{Event, World};
use crate::memory::Namespace;

const HOUR_MS: i64 = 3_600_000;
/// Payloads that are older are dropped, whoever lacks them: 30 days.
const AGE_SECONDS_MAX: f64 = 30.0 * 24.0 * 3600.0;

impl World {
    pub(super) fn step(&mut self, number: usize) {
        let step = self.plan.steps[number].1.clone();
        let count = self.nodes.len();
        match step {
            Step::Write { node, text, write } => self.write(node % count, TEXTS[text], &write),
            Step::Crash { node, down_ms } => self.restart(node % count, down_ms),
            Step::Upgrade { node } => {
                self.nodes[node % count].major = 2;
                self.restart(node % count, 500);
            }
            Step::Join => self.add_node(),
            Step::Backup { node } => {
                let place = &mut self.nodes[node % count];
                place.backup = Some(place.disk.copy());
            }
            Step::Restore { node, down_ms } => self.restore(node % count, down_ms),
            Step::Clone { node } => {
                let place = &self.nodes[node % count];
                let (name, disk, major) = (place.name.clone(), place.disk.copy(), place.major);
                self.add(name, disk, major);
                if self.nodes.len() > count {
                    self.expect(node % count, AlarmKind::TwoNodesOneName);
                }
            }
            Step::Forget { node, down_ms } => {
                self.forgotten.insert(self.nodes[node % count].name.clone());
                self.restart(node % count, down_ms);
                (0..count).for_each(|other| self.decide(other));
            }
            Step::Unlink { node, for_ms } => {
                self.nodes[node % count].unlinked_until = self.now + for_ms;
                self.links_change(for_ms);
            }
            Step::ServerDown { for_ms } => {
                self.server_down_until = self.now + for_ms;
                self.links_change(for_ms);
            }
            Step::Lossy { percent, for_ms } => self.lossy = (percent, self.now + for_ms),
            Step::Pause { node, for_ms } => {
                self.nodes[node % count].paused_until = self.now + for_ms;
            }
            Step::FullDisk { node, for_ms } => {
                self.nodes[node % count].full_until = self.now + for_ms;
            }
            Step::Refuse { node, for_ms } => {
                self.nodes[node % count].refused_until = self.now + for_ms;
            }
            Step::SetClock { node, hours } => {
                self.nodes[node % count].skew_ms = hours * HOUR_MS;
            }
            Step::Truncate { count } => self.log.truncate(count),
            Step::LoseMessage => self.log.lose_one(&mut self.random),
            Step::MakeAnew => {
                self.log.make_anew();
                self.expect_of_readers(AlarmKind::StreamReplaced);
            }
            Step::SetBack { count } => self.set_back(count),
            Step::Silence { node } => {
                let reader = self.process(node % count).and_then(|process| process.reader.as_mut());
                if let Some(reader) = reader {
                    reader.is_silent = true;
                }
            }
            Step::Months { node, days, down_ms } => {
                self.restart(node % count, down_ms);
                self.let_days_pass(days);
            }
            Step::Void { node } => self.void(node % count),
            Step::Cap { node, bytes } => self.cap(node % count, bytes),
            Step::Alter { node, text } => {
                self.is_altered = true;
                let wall = self.wall(node % count);
                self.nodes[node % count].disk.drop_tag(wall, TEXTS[text]);
            }
            Step::Damage { node } => self.nodes[node % count].is_damaging = true,
            Step::Poison { kind } => self.poison(kind),
        }
    }

    fn links_change(&mut self, for_ms: u64) {
        self.update_links();
        self.after(for_ms, Event::Links);
    }

    fn restart(&mut self, node: usize, down_ms: u64) {
        self.kill(node);
        self.after(down_ms, Event::Start(node));
    }

    /// Whatever lies in the quarantine of a node is given up on all.
    fn void(&mut self, node: usize) {
        let place = &self.nodes[node];
        let is_able = self.now >= place.full_until.max(place.paused_until);
        if place.process.is_none() || !is_able {
            return;
        }
        for (dot, _) in self.nodes[node].disk.quarantine() {
            self.by_writer(node, |writer| writer.void(&dot));
        }
        self.decide(node);
    }

    /// Payloads beyond a cap go, whoever lacks them; those of poison as well.
    fn cap(&mut self, node: usize, bytes: u64) {
        let wall = self.wall(node);
        let old = wall as f64 / 1000.0 - AGE_SECONDS_MAX;
        let disk = &mut self.nodes[node].disk;
        let before = disk.kept_ops();
        let dropped = disk.write(wall, |writer| writer.prune_beyond(bytes, old)).unwrap();
        let gone = before.subtract(&disk.kept_ops());
        self.history.capped.join(&gone);
        if let Some(process) = self.process(node).filter(|_| dropped > 0) {
            process.replicator.prune_early(dropped);
        }
    }

    /// An old copy of the file takes the place of the present one.
    fn restore(&mut self, node: usize, down_ms: u64) {
        let Some(backup) = self.nodes[node].backup.take() else { return };
        let gone = self.nodes[node].disk.vector().subtract(&backup.vector());
        self.history.excused.join(&gone);
        self.restart(node, down_ms);
        self.nodes[node].backup = Some(backup.copy());
        self.nodes[node].disk = backup;
    }

    /// Numbers are used again; whoever read them before cannot tell.
    fn set_back(&mut self, count: u64) {
        let (created, last_seq) = (self.log.created(), self.log.info().last_seq);
        self.log.set_back(count);
        self.was_set_back = true;
        let again = self.log.info().last_seq + 1..=last_seq;
        for place in &mut self.nodes {
            let disks = place.backup.iter_mut().chain([&mut place.disk]);
            disks.for_each(|disk| {
                disk.missed.extend(again.clone().map(|seq| (created.clone(), seq)));
            });
        }
    }

    fn poison(&mut self, kind: u64) {
        let (cluster, lo) = match kind {
            0 => {
                self.append(vec![0xff; 20]);
                return self.expect_of_readers(AlarmKind::Undecodable);
            }
            1 => (CLUSTER, self.random.between(1, 5)),
            _ => (ClusterId([9; 16]), 1),
        };
        let origin = Origin { node: "ghost".parse().expect("a name"), epoch: 7 };
        if cluster == CLUSTER {
            self.history.garbage.insert(&Dot { origin: origin.clone(), oseq: lo });
        }
        let ops = vec![vec![0xa0, 0x01].into()];
        let batch = Batch { cluster, run: 1, origin, lo, ops, wants_ack: false };
        self.append(wire::to_bytes(&batch));
        if cluster != CLUSTER {
            self.expect_of_readers(AlarmKind::OtherCluster);
        }
    }

    /// Whoever reads the stream now must notice.
    fn expect_of_readers(&mut self, kind: AlarmKind) {
        for node in 0..self.nodes.len() {
            let is_reading = self.process(node).is_some_and(|process| process.reader.is_some());
            if is_reading && !self.was_set_back {
                self.expect(node, kind);
            }
        }
    }

    /// A client writes, if the node runs and the memory's state allows it.
    fn write(&mut self, node: usize, text: &'static str, write: &Write) {
        let place = &self.nodes[node];
        let is_able = self.now >= place.full_until.max(place.paused_until);
        if place.process.is_none() || !is_able {
            return;
        }
        let record = place.disk.record(&id_of(text));
        let is_next = place.major == NEXT_MAJOR.major;
        let wall = self.wall(node);
        match write {
            Write::Create { tags, kind } if !record.is_live() => {
                let values = create_values(text, tags, kind, wall);
                if self.defect == Some(Defect::FormerLifeKept) {
                    let mut op = op_by_hand(text, OpKind::Create, Version::CURRENT);
                    op.embedding = Some(meaning(text));
                    self.by_hand(
                        node,
                        op,
                        |record| newest(record, wall),
                        |record, clock| {
                            let mut parts = memnode_cluster::create(record, clock, &values);
                            parts.remove(&Part::Reset);
                            parts
                        },
                    );
                } else {
                    self.by_writer(node, |writer| {
                        let space = Namespace::default();
                        writer.create(&space, &values, OpKind::Create, meaning(text)).map(drop)
                    });
                }
                self.note_new_life(node, text, &record);
            }
            Write::Update { tags, kind, key } if record.is_live() => {
                let values = update_values(tags, *kind, *key, wall);
                if self.defect == Some(Defect::ClockNotRaised) {
                    let op = op_by_hand(text, OpKind::Update, Version::CURRENT);
                    let clock = |_: &Record| Clock::from_millis(wall);
                    self.by_hand(node, op, clock, |record, _| {
                        memnode_cluster::update(record, &values)
                    });
                } else {
                    self.by_writer(node, |writer| writer.update(&target(text), &values).map(drop));
                }
            }
            Write::Delete if record.is_live() => {
                self.by_writer(node, |writer| writer.delete(&target(text)));
            }
            Write::Purge if !record.is_empty() => {
                self.by_writer(node, |writer| writer.purge(&target(text)).map(drop));
            }
            Write::NextMinor => {
                let op = op_by_hand(text, OpKind::Update, NEXT_MINOR);
                self.by_hand(node, op, |record| newest(record, wall), |_, _| newer_parts("a"));
            }
            Write::NextMajor if is_next => {
                let op = op_by_hand("of the next version", OpKind::Update, NEXT_MAJOR);
                self.by_hand(node, op, |record| newest(record, wall), |_, _| newer_parts("b"));
            }
            _ => {}
        }
    }

    fn by_writer(
        &mut self,
        node: usize,
        work: impl FnOnce(&mut Writer<'_>) -> Result<(), StoreError>,
    ) {
        let wall = self.wall(node);
        let disk = &mut self.nodes[node].disk;
        let drawn = disk.write(wall, |writer| {
            work(writer)?;
            Ok(writer.drawn().to_vec())
        });
        for dot in drawn.unwrap() {
            let payload = self.nodes[node].disk.payloads(&dot.origin, dot.oseq, dot.oseq);
            // An erasure that the file knew of already took the payload.
            let Some((_, payload)) = payload.first() else { continue };
            self.acknowledge(node, Op::decode(payload).unwrap());
        }
    }

    fn by_hand(
        &mut self,
        node: usize,
        op: Op,
        clock: impl FnOnce(&Record) -> Clock,
        parts: impl FnOnce(&Record, Clock) -> Parts,
    ) {
        let wall = self.wall(node);
        let make = |record: &Record, op: &mut Op| {
            op.clock = clock(record);
            op.parts = parts(record, op.clock);
        };
        let op = self.nodes[node].disk.write_by_hand(wall, make, op);
        self.acknowledge(node, op);
    }

    /// The write is on disk: the client knows, and so does the replicator a little later.
    fn acknowledge(&mut self, node: usize, op: Op) {
        let (dot, name) = (op.dot.clone(), self.nodes[node].name.clone());
        let record = self.nodes[node].disk.record(&op.id());
        if op.kind == OpKind::Update {
            let is_own = |part: &Part| record.get(part).is_some_and(|r| r.stamp.dot == op.dot);
            if let Some(part) = op.parts.keys().find(|part| !is_own(part)) {
                self.fail(format!("{name}: {} of {dot} was lost as it was written", part.name()));
            }
        }
        if self.history.ops.insert(dot.clone(), op).is_some() {
            self.fail(format!("the dot {dot} was given twice"));
        }
        let only = Vector::from_iter([dot.clone()]);
        self.history.acknowledged.join(&only);
        self.history.applied(&name, &only);
        let Some(run) = self.nodes[node].process.as_ref().map(|process| process.run) else {
            return;
        };
        let input = Input::Committed { origin: dot.origin, head: dot.oseq, is_awaited: false };
        self.after(0, Event::Input(run, input));
    }

    /// Nothing that was written before a creation over a deleted memory may show in its life.
    fn note_new_life(&mut self, node: usize, text: &str, before: &Record) {
        let record = self.nodes[node].disk.record(&id_of(text));
        if let (Some(_), Some(born)) = (before.get(&Part::Reset), record.born()) {
            self.history.new_lives.push((id_of(text), born.stamp.clone()));
        }
    }

    /// What the present version of a node's program makes of its quarantine, as at every start.
    pub(super) fn take_in_what_the_version_can(&mut self, node: usize) {
        let (wall, major) = (self.wall(node), self.nodes[node].major);
        let disk = &mut self.nodes[node].disk;
        let read = |(dot, payload): (Dot, Vec<u8>)| {
            let op = super::wire::decode(&payload, major).ok().filter(|op| op.dot == dot)?;
            Some(memnode_cluster::replicator::Incoming { dot, payload, op: Ok(Box::new(op)) })
        };
        let ready: Vec<_> = disk.quarantine().into_iter().filter_map(read).collect();
        let outcome = disk.apply(wall, ready, None);
        let name = self.nodes[node].name.clone();
        self.history.applied(&name, &outcome.applied);
    }
}

pub(super) fn id_of(text: &str) -> memnode_cluster::RecordId {
    let target = target(text);
    let namespace = target.namespace.as_str();
    memnode_cluster::RecordId::new(namespace, target.content_hash.as_bytes())
}

fn newest(record: &Record, wall_ms: u64) -> Clock {
    let mut clock = LocalClock::resume(Clock::ZERO, wall_ms);
    clock.draw(wall_ms, record.newest_clock()).unwrap()
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

fn create_values(text: &str, tags: &[&str], kind: &str, wall_ms: u64) -> CreateValues {
    CreateValues {
        created_at: wall_ms as f64 / 1000.0,
        updated_at: wall_ms as f64 / 1000.0,
        content: text.to_owned(),
        tags: owned(tags),
        memory_type: Some(kind.to_owned()),
        metadata: BTreeMap::new(),
    }
}

fn update_values(
    tags: &[&str],
    kind: Option<&str>,
    key: Option<u64>,
    wall_ms: u64,
) -> UpdateValues {
    let metadata = key.map(|key| (key.to_string(), (key > 0).then(|| wall_ms.to_string())));
    UpdateValues {
        updated_at: Some(wall_ms as f64 / 1000.0),
        tags: Some(owned(tags)),
        memory_type: Some(kind.map(str::to_owned)),
        metadata: metadata.into_iter().collect(),
    }
}

fn newer_parts(name: &str) -> Parts {
    Parts::from([(Part::from_name(&format!("newer-{name}")), value::text(name))])
}

/// An op but for its dot, its time and what it writes.
pub(super) fn op_by_hand(text: &str, kind: OpKind, version: Version) -> Op {
    let target = target(text);
    Op {
        version,
        cluster: CLUSTER,
        namespace: target.namespace.as_str().to_owned(),
        content_hash: *target.content_hash.as_bytes(),
        dot: Dot { origin: Origin { node: "x".parse().expect("a name"), epoch: 1 }, oseq: 1 },
        clock: Clock::ZERO,
        era: Clock::ZERO,
        context: Vector::default(),
        kind,
        parts: Parts::new(),
        embedding: None,
        traceparent: None,
        unknown: UnknownFields::default(),
    }
}
