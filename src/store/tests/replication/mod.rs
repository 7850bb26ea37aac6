//! What replication asks of the store.

mod batches;
mod erasing;
mod joining;
mod pruning;
mod reserved;
mod serving;
mod snapshots;
mod vectors;

use memnode_cluster::replicator::{Incoming, Position};
use memnode_cluster::wire::TransferRecord;
use memnode_cluster::{Dot, NodeName, Op, Origin, RecordId, UpdateValues, Vector};

use super::*;
use crate::memory::Memory;
use crate::store::{BatchOutcome, MergeOutcome};

/// An op as it comes from a stream.
fn incoming(payload: &[u8]) -> Incoming {
    let op = Op::decode(payload).unwrap();
    Incoming { dot: op.dot.clone(), payload: payload.to_owned(), op: Ok(Box::new(op)) }
}

/// All ops that a file keeps.
fn kept(file: &File) -> Vec<Incoming> {
    let mut statement =
        file.connection.prepare("SELECT payload FROM op ORDER BY origin_id, oseq").unwrap();
    let found = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    found.map(|payload| incoming(&payload.unwrap())).collect()
}

fn apply(file: &mut File, batch: &[Incoming]) -> BatchOutcome {
    file.write(|writer| writer.apply_batch(batch, None)).unwrap()
}

/// Gives a file all that another keeps.
fn follow(file: &mut File, other: &File) -> BatchOutcome {
    apply(file, &kept(other))
}

fn dot(node: &str, epoch: u64, oseq: u64) -> Dot {
    Dot { origin: origin(node, epoch), oseq }
}

fn origin(node: &str, epoch: u64) -> Origin {
    Origin { node: NodeName::new(node).unwrap(), epoch }
}

fn vector(ranges: &[(&str, u64, u64)]) -> Vector {
    let mut vector = Vector::default();
    for (node, lo, hi) in ranges {
        vector.insert_range(&origin(node, 1), *lo, *hi);
    }
    vector
}

fn visible(file: &File) -> Vec<Memory> {
    let found = file.reader().list(&everything(), None, 0, 10_000).unwrap();
    let mut found: Vec<Memory> = found.into_iter().map(|located| located.memory).collect();
    found.sort_by(|a, b| (&a.namespace, a.content_hash).cmp(&(&b.namespace, b.content_hash)));
    found
}

fn check_equal(a: &File, b: &File) {
    let (left, right) = (a.reader().digest().unwrap(), b.reader().digest().unwrap());
    assert_eq!(left.vector, right.vector);
    assert_eq!(left.root(), right.root());
    assert_eq!(visible(a), visible(b));
    a.check_sound();
    b.check_sound();
}

fn update(file: &mut File, text: &str, kind: &str) {
    let values =
        UpdateValues { memory_type: Some(Some(kind.to_owned())), ..UpdateValues::default() };
    file.write(|writer| writer.update(&target(text), &values)).unwrap();
}

fn delete(file: &mut File, text: &str) {
    file.write(|writer| writer.delete(&target(text))).unwrap();
}

/// Every record of a file, as pages of a transfer bring them.
fn all_records(file: &File) -> Vec<TransferRecord> {
    let (mut records, mut after) = (Vec::new(), None::<RecordId>);
    loop {
        let (page, more) = file.reader().transfer_bucket_records(0, u16::MAX >> 4, after).unwrap();
        after = page.last().map(TransferRecord::id);
        records.extend(page);
        if !more {
            return records;
        }
    }
}

/// One side of a transfer: joins all records of another file, then adopts its vector.
fn join(file: &mut File, records: &[TransferRecord], theirs: &Vector) -> MergeOutcome {
    let ours = file.reader().vector().unwrap();
    let outcome = file.write(|writer| writer.merge_records(records, &ours, theirs)).unwrap();
    if outcome.refused.is_empty() {
        file.write(|writer| writer.adopt(theirs)).unwrap();
    }
    outcome
}
