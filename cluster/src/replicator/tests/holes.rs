//! What is missing: asked of who has it, mended, written off.

use super::*;

/// Whether the first write of a was given up.
fn is_written_off(node: &Node) -> bool {
    node.replicator.is_any_written_off(&vector(&[("a", 1, 1)]))
}

#[test]
fn what_stays_missing_is_asked_of_its_author_first() {
    let mut node = Node::connected(Start::default());
    let both = [beat("a", vector(&[("a", 1, 3)])), beat("b", vector(&[("a", 1, 3)]))];
    let asked = ranges(&node.wait_among(&both, 6_000));
    let [(ask, of, whose, which)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((of.as_str(), whose.as_str(), which.as_slice()), ("a", "a", &[(1, 3)][..]));
    let effects = node.feed(replied(*ask, given("a", &[1, 3])));
    assert_eq!(applies(&effects), [(vector(&[("a", 1, 1), ("a", 3, 3)]), None)]);
    let asked = ranges(&effects);
    assert_eq!(asked.len(), 1, "what was left out of the answer is asked for at once");
    assert_eq!(asked[0].3, [(2, 2)]);
}

#[test]
fn what_comes_by_the_stream_in_time_is_not_asked_for() {
    let mut node = Node::connected(Start::default());
    let a = [beat("a", vector(&[("a", 1, 1)]))];
    assert!(ranges(&node.wait_among(&a, 1_500)).is_empty());
    node.read(1, 1, batch("a", 1, 1));
    assert!(ranges(&node.wait_among(&a, 20_000)).is_empty());
}

#[test]
fn each_peer_is_asked_for_what_it_has() {
    let mut node = Node::connected(Start::default());
    let peers = [beat("b", vector(&[("a", 7, 9)])), beat("c", vector(&[("a", 3, 3)]))];
    let mut context = tagged("c", 1);
    context.context = vector(&[("a", 1, 9)]);
    let told = Batch { ops: vec![context.encode().unwrap().into()], ..batch("c", 1, 1) };
    let effects = node.read(1, 1, told);
    node.applies(&effects);
    let asked = ranges(&node.wait_among(&peers, 6_000));
    assert_eq!((asked[0].1.as_str(), &asked[0].3[..]), ("b", &[(7, 9)][..]));
    let asked = ranges(&node.feed(replied(asked[0].0, given("a", &[7, 8, 9]))));
    assert_eq!((asked[0].1.as_str(), &asked[0].3[..]), ("c", &[(3, 3)][..]));
}

#[test]
fn a_peer_that_gives_nothing_is_followed_by_the_next() {
    let mut node = Node::connected(Start::default());
    let both = [beat("a", vector(&[("a", 1, 1)])), beat("b", vector(&[("a", 1, 1)]))];
    let asked = ranges(&node.wait_among(&both, 6_000));
    assert_eq!(asked[0].1, "a");
    let asked = ranges(&node.feed(replied(asked[0].0, given("a", &[]))));
    assert_eq!(asked[0].1, "b");
    node.feed(Input::Replied { ask: asked[0].0, reply: None });
    assert!(ranges(&node.wait_among(&both, 2_000)).is_empty(), "a pause when all have failed");
    assert_eq!(ranges(&node.wait_among(&both, 6_000)).len(), 1);
}

#[test]
fn what_nobody_alive_has_is_written_off_after_a_last_look() {
    let mut node = Node::connected(Start::default());
    node.hear(beat("a", vector(&[("a", 1, 1)])));
    let b = [beat("b", Vector::default())];
    let effects = node.wait_among(&b, 30_000);
    let asked = ranges(&effects);
    node.feed(Input::Replied { ask: asked[0].0, reply: None });
    assert!(!is_written_off(&node));
    let effects = node.wait_among(&b, 25_000);
    assert_eq!(reads(&effects), [(2, 1)], "the stream is read once more");
    assert!(!is_written_off(&node));
    node.wait_among(&b, 30_000);
    assert!(is_written_off(&node));
    assert_eq!(node.alarms(), [AlarmKind::MissingWrites]);
    let asked = ranges(&node.wait_among(&[beat("c", vector(&[("a", 1, 1)]))], 4_000));
    assert_eq!(asked[0].1, "c", "somebody turned up who has it");
    let effects = node.feed(replied(asked[0].0, given("a", &[1])));
    node.applies(&effects);
    assert!(!is_written_off(&node));
}

#[test]
fn what_was_given_up_is_missing_no_more() {
    let mut node = Node::connected(Start::default());
    node.feed(Input::Decided { forgotten: vec![], voided: vector(&[("a", 1, 1)]) });
    let a = [beat("a", vector(&[("a", 1, 1)]))];
    assert!(ranges(&node.wait_among(&a, 20_000)).is_empty());
    assert!(is_written_off(&node));
}

#[test]
fn a_damaged_op_is_mended_by_one_that_applied_it() {
    let mut node = Node::connected(Start::default());
    let damaged = Batch { ops: vec![vec![1, 2, 3].into()], ..batch("a", 1, 1) };
    let effects = node.read(1, 1, damaged.clone());
    let [Effect::Apply { number, ops: batch, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(batch[0].op.is_err());
    let held = Applied { held: vector(&[("a", 1, 1)]), ..Applied::default() };
    node.done(*number, held);
    let effects = node.read(1, 2, damaged);
    assert!(ops(&effects).is_empty(), "once is enough");
    node.applies(&effects);
    let holder = Heartbeat { held: vector(&[("a", 1, 1)]), ..beat("b", Vector::default()) };
    let effects = node.wait_among(&[holder], 10_000);
    assert!(ranges(&effects).is_empty(), "it knows no better");
    node.applies(&effects);
    assert_eq!(node.alarms(), [AlarmKind::Quarantine]);
    let asked = ranges(&node.wait_among(&[beat("a", vector(&[("a", 1, 1)]))], 6_000));
    assert_eq!((asked.len(), asked[0].1.as_str()), (1, "a"));
    let effects = node.feed(replied(asked[0].0, given("a", &[1])));
    node.applies(&effects);
    assert_eq!(node.replicator.vector(), &vector(&[("a", 1, 1)]));
    node.wait(1_000);
    assert!(node.alarms().is_empty());
}

#[test]
fn an_op_that_stays_unreadable_is_asked_for_a_few_times_only() {
    let mut node = Node::connected(Start { held: vector(&[("a", 1, 1)]), ..Start::default() });
    let a = [beat("a", vector(&[("a", 1, 1)]))];
    let mut count = 0;
    for _ in 0..200 {
        for (ask, ..) in ranges(&node.wait_among(&a, 4_000)) {
            count += 1;
            let unreadable = Held { oseq: 1, payload: vec![9].into() };
            let reply = Reply::Range { ops: vec![unreadable], pruned: vec![], not_held: vec![] };
            assert!(applies(&node.feed(replied(ask, reply))).is_empty());
        }
    }
    assert_eq!(count, 5);
}

#[test]
fn an_answer_beyond_all_numbers_is_passed_over() {
    let mut node = Node::connected(Start::default());
    let a = [beat("a", vector(&[("a", 1, 1)]))];
    let asked = ranges(&node.wait_among(&a, 6_000));
    let held = Held { oseq: 0, payload: payload("a", 1).into() };
    let wild = vec![(0, 3), (5, 4), (1, u64::MAX)];
    let reply = Reply::Range { ops: vec![held], pruned: vec![], not_held: wild };
    assert!(applies(&node.feed(replied(asked[0].0, reply))).is_empty());
}
