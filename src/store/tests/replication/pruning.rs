//! Payloads go when everyone has them, or when they are too many.

use super::*;

fn oseqs(file: &File) -> Vec<(String, u64)> {
    kept(file).iter().map(|op| (op.dot.origin.node.to_string(), op.dot.oseq)).collect()
}

fn writer_of(node: &str, count: usize) -> File {
    let mut file = File::new(node);
    for number in 0..count {
        file.create(&format!("{node} {number}"));
    }
    file
}

#[test]
fn what_everyone_has_goes_but_own_writes_wait_for_the_stream() {
    let (mut a, b) = (writer_of("a", 4), writer_of("b", 3));
    follow(&mut a, &b);
    let everywhere = vector(&[("a", 1, 3), ("b", 1, 2), ("c", 1, 9)]);
    assert_eq!(a.write(|writer| writer.prune_ops(&everywhere, 100)).unwrap(), 2);
    a.write(|writer| writer.mark_published(&origin("a", 1), 1, 2, Some(5))).unwrap();
    a.write(|writer| writer.mark_published(&origin("a", 1), 4, 4, Some(6))).unwrap();
    assert_eq!(a.write(|writer| writer.prune_ops(&everywhere, 1)).unwrap(), 1, "one at a time");
    assert_eq!(a.write(|writer| writer.prune_ops(&everywhere, 1)).unwrap(), 1);
    assert_eq!(a.write(|writer| writer.prune_ops(&everywhere, 1)).unwrap(), 0);
    let left = [("a", 3), ("a", 4), ("b", 3)].map(|(node, oseq)| (node.to_owned(), oseq));
    assert_eq!(oseqs(&a), left);
    let start = a.reader().replica_start(9.0).unwrap();
    assert_eq!(start.unpublished, Vector::from_iter([dot("a", 1, 3)]));
    assert_eq!(start.vector, vector(&[("a", 1, 4), ("b", 1, 3)]), "dots stay");
    a.check_sound();
}

#[test]
fn the_oldest_go_first_when_they_are_too_many() {
    let (mut a, mut b) = (writer_of("a", 3), writer_of("b", 3));
    b.now_ms += 1_000_000;
    follow(&mut b, &a);
    a.now_ms += 2_000_000;
    follow(&mut a, &b);
    let (count, bytes) = a.reader().op_bytes().unwrap();
    assert_eq!(count, 6);
    assert_eq!(a.write(|writer| writer.prune_beyond(bytes, 0.0)).unwrap(), 0);
    assert_eq!(a.write(|writer| writer.prune_beyond(bytes - 1, 0.0)).unwrap(), 3);
    assert!(oseqs(&a).iter().all(|(node, _)| node == "b"));
    let now = a.now_ms as f64 / 1000.0;
    assert_eq!(a.write(|writer| writer.prune_beyond(u64::MAX, now - 10_000.0)).unwrap(), 0);
    assert_eq!(a.write(|writer| writer.prune_beyond(u64::MAX, now + 10.0)).unwrap(), 3);
    assert_eq!(a.reader().op_bytes().unwrap(), (0, 0));
    a.check_sound();
}

#[test]
fn a_node_on_its_own_keeps_no_payloads() {
    let mut file = File::new("a");
    file.state.keeps_ops = false;
    file.create("one");
    assert_eq!(file.reader().op_bytes().unwrap(), (0, 0));
    let mut b = writer_of("b", 1);
    follow(&mut file, &b);
    assert!(kept(&file).is_empty());
    b.create("more");
    file.check_sound();
}

#[test]
fn messages_of_the_stream_are_found_by_what_they_hold() {
    let mut a = writer_of("a", 2);
    a.write(|writer| writer.mark_published(&origin("a", 1), 1, 1, Some(41))).unwrap();
    a.write(|writer| writer.mark_published(&origin("a", 1), 2, 2, Some(42))).unwrap();
    update(&mut a, "a 0", "fact");
    a.write(|writer| writer.mark_published(&origin("a", 1), 3, 3, Some(43))).unwrap();
    let id = RecordId::new("default", ContentHash::of("a 0").as_bytes());
    let found = a.reader().messages_of(&NodeName::new("a").unwrap(), &id).unwrap();
    assert_eq!(found, [(origin("a", 1), 41), (origin("a", 1), 43)]);
    update(&mut a, "a 0", "never sent");
    a.write(|writer| writer.mark_published(&origin("a", 1), 4, 4, None)).unwrap();
    a.write(|writer| writer.purge(&target("a 0"))).unwrap();
    let found = a.reader().messages_of(&NodeName::new("a").unwrap(), &id).unwrap();
    assert_eq!(found.len(), 2, "an erasure must still find them");
    assert!(a.reader().messages_of(&NodeName::new("b").unwrap(), &id).unwrap().is_empty());
    let later = a.now_ms as f64 / 1000.0 + 1.0;
    assert_eq!(a.write(|writer| writer.forget_messages(later)).unwrap(), 3);
}
