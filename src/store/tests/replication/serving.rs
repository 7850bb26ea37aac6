//! What a node gives away: ranges, payloads, heartbeats, what it starts from.

use memnode_cluster::IntervalSet;
use memnode_cluster::replicator::Member;
use memnode_cluster::wire::{RECORD_PAGE_BYTES_MAX, Reply};

use super::*;
use crate::store::OwnHead;

fn set(ranges: &[(u64, u64)]) -> IntervalSet {
    let mut set = IntervalSet::default();
    ranges.iter().for_each(|(lo, hi)| set.insert_range(*lo, *hi));
    set
}

type Ranges = Vec<(u64, u64)>;

fn ask(file: &File, node: &str, wanted: &[(u64, u64)]) -> (Vec<u64>, Ranges, Ranges) {
    match file.reader().ops(&origin(node, 1), &set(wanted)).unwrap() {
        Reply::Range { ops, pruned, not_held } => {
            (ops.iter().map(|op| op.oseq).collect(), pruned, not_held)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_range_tells_kept_pruned_and_never_seen_apart() {
    let mut a = File::new("a");
    for number in 0..5 {
        a.create(&number.to_string());
    }
    let mut b = File::new("b");
    let mut ops = kept(&a);
    ops[4].op = Err("unreadable".to_owned());
    apply(&mut b, &ops);
    b.write(|writer| writer.prune_ops(&vector(&[("a", 1, 2)]), 10)).unwrap();
    assert_eq!(ask(&b, "a", &[(1, 3), (5, 9)]), (vec![3, 5], vec![(1, 2)], vec![(6, 9)]));
    assert_eq!(ask(&b, "z", &[(1, 3)]), (vec![], vec![], vec![(1, 3)]));
    let Reply::Range { ops: found, .. } = b.reader().ops(&origin("a", 1), &set(&[(3, 3)])).unwrap()
    else {
        panic!()
    };
    assert_eq!(*found[0].payload, ops[2].payload);
}

#[test]
fn a_range_ends_with_the_page() {
    let mut a = File::new("a");
    for number in 0..12 {
        a.create(&format!("{number} {}", "long ".repeat(15_000)));
    }
    let (ops, pruned, not_held) = ask(&a, "a", &[(1, 12)]);
    let bytes: usize = kept(&a)[..ops.len()].iter().map(|op| op.payload.len()).sum();
    assert!(ops.len() < 12 && bytes >= RECORD_PAGE_BYTES_MAX);
    assert!(pruned.is_empty() && not_held.is_empty(), "the rest is for another answer");
}

#[test]
fn payloads_come_in_order() {
    let mut a = File::new("a");
    for number in 0..4 {
        a.create(&number.to_string());
    }
    let found = a.reader().op_payloads(&origin("a", 1), 2, 9).unwrap();
    assert_eq!(found.iter().map(|(oseq, _)| *oseq).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(found[0].1, kept(&a)[1].payload);
    assert!(a.reader().op_payloads(&origin("z", 1), 1, 9).unwrap().is_empty());
}

#[test]
fn a_heartbeat_is_of_one_moment() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("one");
    follow(&mut b, &a);
    b.now_ms += 200_000_000;
    b.create("two");
    let now = b.now_ms as f64 / 1000.0;
    let beat = b.reader().beat(now - 86_400.0).unwrap();
    assert_eq!(beat.vector, vector(&[("a", 1, 1), ("b", 1, 1)]));
    assert_eq!(beat.recent, vector(&[("b", 1, 1)]));
    assert_eq!((beat.record_count, beat.change_head), (2, 2));
    assert_eq!(beat.root, b.reader().digest().unwrap().root());
    assert!(beat.held.is_empty());
    a.create("three");
    a.create("four");
    let batch = vec![kept(&a).remove(2)];
    b.now_ms -= 100_000_000;
    apply(&mut b, &batch);
    b.now_ms += 200_000_000;
    let beat = b.reader().beat(b.now_ms as f64 / 1000.0 - 86_400.0).unwrap();
    assert!(beat.recent.get(&origin("a", 1)).is_some(), "it has a hole");
}

#[test]
fn a_new_file_is_fresh_and_one_that_only_holds_is_not_empty_handed() {
    let mut file = File::new("a");
    let start = file.reader().replica_start(9.0).unwrap();
    assert!(start.is_fresh && start.vector.is_empty() && start.members.is_empty());
    let member =
        Member { node: NodeName::new("b").unwrap(), age_ms: 4_000, vector: vector(&[("b", 1, 4)]) };
    file.write(|writer| writer.remember_member(&member)).unwrap();
    let later = Member { age_ms: 1_000, vector: vector(&[("b", 1, 5)]), ..member };
    file.write(|writer| writer.remember_member(&later)).unwrap();
    let now = file.now_ms as f64 / 1000.0;
    file.create("one");
    let start = file.reader().replica_start(now + 2.0).unwrap();
    assert!(!start.is_fresh);
    assert_eq!(start.members, [Member { age_ms: 3_000, ..later }]);
    assert_eq!(start.unpublished, vector(&[("a", 1, 1)]));
}

#[test]
fn a_new_epoch_holds_for_all_further_writes() {
    let mut file = File::new("a");
    file.create("one");
    file.write(|writer| {
        writer.new_epoch(9);
        create(writer, "two")?;
        create(writer, "three")?;
        assert_eq!(writer.drawn(), [dot("a", 9, 1), dot("a", 9, 2)]);
        Ok(())
    })
    .unwrap();
    assert_eq!(file.reader().vector().unwrap().iter().count(), 2);
    file.check_sound();
}

#[tokio::test]
async fn commits_tell_how_far_own_writes_go() {
    let opened = Opened::new();
    let mut committed = opened.store.committed();
    assert_eq!(*committed.borrow_and_update(), OwnHead::default());
    for head in 1..3 {
        let text = format!("text {head}");
        opened.store.write(move |writer| create(writer, &text).map(drop)).await.unwrap();
        committed.changed().await.unwrap();
        let found = committed.borrow_and_update().clone();
        assert_eq!(found.head, head);
        assert_eq!(found.origin.unwrap().node.as_str(), "node-1");
    }
    let failed = opened.store.write(|writer| {
        create(writer, "undone")?;
        Err::<(), _>(crate::Error::invalid("on purpose").into())
    });
    assert!(failed.await.is_err());
    opened.store.write(|_| Ok(())).await.unwrap();
    assert_eq!(committed.borrow_and_update().head, 2);
}
