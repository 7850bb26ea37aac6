//! What must hold: while faults last, and after they ended.

use std::collections::BTreeMap;

use memnode_cluster::replicator::AlarmKind;
use memnode_cluster::{BUCKET_COUNT, Bucket, Record, RecordId, Stamp, Vector, bucket_of};

use super::world::{Event, Node, World};

/// How long nodes may take to become equal once all faults ended.
const CONVERGE_MS: u64 = 120_000;
/// How long they may take to drop what everyone has.
const PRUNE_MS: u64 = 200_000;
/// How long a node may take to raise an alarm.
const ALARM_MS: u64 = 25_000;
/// How often it is looked whether they are equal.
const LOOK_MS: u64 = 2_000;

impl World {
    /// Notes that a node must raise an alarm within some time, should nothing else befall it.
    pub(super) fn expect(&mut self, node: usize, kind: AlarmKind) {
        if let Some(run) = self.nodes[node].process.as_ref().map(|process| process.run) {
            self.after(ALARM_MS, Event::Expect(run, kind));
        }
    }

    pub(super) fn check_alarm(&mut self, node: usize, kind: AlarmKind) {
        let place = &self.nodes[node];
        let faults =
            [place.paused_until, place.unlinked_until, self.server_down_until, self.lossy.1];
        let is_steady = faults.iter().all(|until| *until + ALARM_MS < self.now);
        let reader = place.process.as_ref().and_then(|process| process.reader.as_ref());
        let is_reading = reader.is_some_and(|reader| !reader.is_silent);
        if is_steady && is_reading && !self.history.alarms.contains(&kind) {
            let name = &place.name;
            self.fail(format!("{name} raised no alarm {}", kind.as_str()));
        }
    }

    /// What a node says of others it may have heard from them.
    pub(super) fn check_claims(&mut self, node: usize) {
        let place = &self.nodes[node];
        let Some(process) = &place.process else { return };
        let dots = self.history.ops.keys().rev().filter(|dot| dot.origin.node == place.name);
        let mut wrong = None;
        for dot in dots.take(3) {
            let claimed = process.replicator.replica_count(dot);
            let others = self.history.applied_ever.iter().filter(|(name, _)| **name != place.name);
            let true_count = others.filter(|(_, vector)| vector.contains(dot)).count();
            if claimed > true_count {
                wrong = Some(format!(
                    "{} says that {claimed} others have {dot}; {true_count} ever had",
                    place.name
                ));
            }
            let is_erased = self.history.is_erased(dot) || self.history.capped.contains(dot);
            // Those of other runs are their authors' business.
            let is_of_run = dot.origin.epoch == place.disk.epoch();
            let is_exempt = is_erased || !is_of_run || self.log.ever.contains(dot);
            if process.replicator.is_logged(dot) && !is_exempt {
                wrong = Some(format!("{} says that {dot} is in the stream", place.name));
            }
        }
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
    }

    /// What is in the vector is in the records, and what the cursor passed is in the vector.
    pub(super) fn check_disk(&mut self, node: usize) {
        if self.is_altered {
            return;
        }
        let place = &self.nodes[node];
        let vector = place.disk.vector();
        if let Some(process) = &place.process
            && !vector.covers(process.replicator.vector())
        {
            let more = process.replicator.vector().subtract(&vector);
            return self.fail(format!("{} believes to have {more:?}", place.name));
        }
        let mut records: BTreeMap<RecordId, Record> = BTreeMap::new();
        for (dot, op) in &self.history.ops {
            if !vector.contains(dot) {
                continue;
            }
            let record = records.entry(op.id()).or_insert_with_key(|id| place.disk.record(id));
            if record.apply(op).is_changed() {
                return self.fail(format!("{} has {dot} and does not know it", place.name));
            }
        }
        self.check_cursor(node, vector);
    }

    fn check_cursor(&mut self, node: usize, mut known: Vector) {
        let place = &self.nodes[node];
        let Some(cursor) = place.disk.cursor() else { return };
        if cursor.created != self.log.created() {
            return;
        }
        known.join(&place.disk.reader().held().unwrap());
        let passed = self.log.dots_through(cursor.seq, &place.disk.missed);
        // An erasure sweeps the quarantine too.
        let erased = self.history.ops.keys().filter(|dot| self.history.is_erased(dot));
        known.join(&erased.cloned().collect());
        let missing = passed.subtract(&known);
        if !missing.is_empty() {
            self.fail(format!(
                "{} read the stream up to {} without {missing:?}",
                place.name, cursor.seq
            ));
        }
    }

    /// Lets the healed world run until all nodes are equal, then holds them against what was
    /// written. Gives the time that it took.
    pub(super) fn check_healed(&mut self) -> u64 {
        let start = self.now;
        while self.failure.is_none() {
            self.run_until(self.now + LOOK_MS);
            match self.difference() {
                None => break,
                Some(difference) if self.now > start + CONVERGE_MS => self.fail(difference),
                Some(_) => {}
            }
        }
        let taken = self.now - start;
        if self.failure.is_none() {
            self.check_state();
        }
        self.check_pruned();
        taken
    }

    /// Why the nodes are not equal and at rest, if they are not.
    fn difference(&self) -> Option<String> {
        let first = self.nodes.first()?.disk.beat(0);
        for place in &self.nodes {
            let Some(process) = &place.process else {
                return Some(format!("{} does not run", place.name));
            };
            let beat = place.disk.beat(0);
            let held = beat.held.subtract(&self.history.garbage);
            let differing = if beat.vector != first.vector {
                let more = beat.vector.subtract(&first.vector);
                let less = first.vector.subtract(&beat.vector);
                format!("has {more:?} more and {less:?} less than the first")
            } else if *process.replicator.vector() != beat.vector {
                let real = beat.vector.subtract(process.replicator.vector());
                format!("does not know that it has {real:?}")
            } else if beat.root != first.root {
                "has another state".to_owned()
            } else if !held.is_empty() {
                format!("holds {held:?}")
            } else {
                continue;
            };
            let status = process.replicator.status();
            return Some(format!(
                "{} {differing}; missing {:?}, outbox {}, inbox {}, transfer {:?}, alarms {:?}",
                place.name,
                status.missing,
                status.outbox_count,
                status.inbox_count,
                status.transfer,
                status.alarms
            ));
        }
        None
    }

    fn check_state(&mut self) {
        for node in 0..self.nodes.len() {
            self.check_disk(node);
            let problems = self.nodes[node].disk.reader().verify().unwrap();
            if let Some(problem) = problems.first() {
                let name = self.nodes[node].name.clone();
                self.fail(format!("{name}: {problem}"));
            }
        }
        let Some(place) = self.nodes.first() else { return };
        let vector = place.disk.vector();
        let required = self.history.acknowledged.subtract(&self.history.excused);
        let lost = required.subtract(&vector);
        if !lost.is_empty() {
            return self.fail(format!("acknowledged writes are lost: {lost:?}"));
        }
        let made = Vector::from_iter(self.history.ops.keys().cloned());
        let invented = vector.subtract(&made);
        if !invented.is_empty() {
            return self.fail(format!("nobody ever wrote {invented:?}"));
        }
        self.check_join(&vector);
        self.check_new_lives();
    }

    /// The state is the join of the ops in the vector; a transfer from a node that is gone since
    /// may have brought more than its vector.
    fn check_join(&mut self, vector: &Vector) {
        let mut expected: BTreeMap<RecordId, Record> = BTreeMap::new();
        let mut greatest: BTreeMap<RecordId, Record> = BTreeMap::new();
        for (dot, op) in &self.history.ops {
            if vector.contains(dot) {
                expected.entry(op.id()).or_default().apply(op);
            }
            if vector.contains(dot) || self.history.excused.contains(dot) {
                greatest.entry(op.id()).or_default().apply(op);
            }
        }
        let disk = &self.nodes[0].disk;
        let root = disk.beat(0).root;
        let mut buckets = vec![Bucket::default(); BUCKET_COUNT];
        for (id, record) in expected.iter().filter(|(_, record)| !record.is_empty()) {
            buckets[usize::from(bucket_of(id))].insert(&record.state_hash(id));
        }
        if memnode_cluster::root(&buckets) == root {
            return;
        }
        for (id, most) in &mut greatest {
            let mut found = disk.record(id);
            let least = expected.remove(id).unwrap_or_default();
            let wrong = if most.merge(&found).is_changed() {
                "more"
            } else if found.merge(&least).is_changed() {
                "less"
            } else {
                continue;
            };
            return self.fail(format!("record {id} holds {wrong} than was written to it"));
        }
    }

    fn check_new_lives(&mut self) {
        let disk = &self.nodes[0].disk;
        let is_older = |(id, life): &&(RecordId, Stamp)| {
            let record = disk.record(id);
            record.parts().any(|(part, register)| {
                let is_mark = ["reset", "erased"].contains(&part.name().as_ref());
                // A later era took that life too.
                let is_of_it = register.stamp.era == life.era;
                !is_mark && is_of_it && register.stamp.clock < life.clock
            })
        };
        let older = self.history.new_lives.iter().find(is_older);
        if let Some(what) = older.map(|(id, _)| format!("a former life shows in record {id}")) {
            self.fail(what);
        }
    }

    /// Everyone has everything: nobody needs to keep any of it for others.
    fn check_pruned(&mut self) {
        let end = self.now + PRUNE_MS;
        while self.failure.is_none() {
            let is_keeping = |place: &&Node| !place.disk.kept_ops().is_empty();
            let Some(place) = self.nodes.iter().find(is_keeping) else { break };
            if self.now > end {
                let (name, kept) = (&place.name, place.disk.kept_ops());
                let status = place.process.as_ref().map(|process| process.replicator.status());
                let why = status.map(|s| (s.everywhere, s.outbox_count, s.alarms));
                return self.fail(format!("{name} still keeps {kept:?}: {why:?}"));
            }
            self.run_until(self.now + 5 * LOOK_MS);
        }
    }
}
