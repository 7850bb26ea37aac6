//! State transfer: joining, what is pruned everywhere, states that differ.

use super::*;
use crate::digest::{BUCKET_COUNT, GROUP_COUNT};
use crate::testing::record;

fn fresh() -> Node {
    Node::connected(Start { is_fresh: true, ..Start::default() })
}

fn transfer_record() -> TransferRecord {
    TransferRecord {
        namespace: "default".to_owned(),
        content_hash: [3; 32],
        record: record([&tagged("a", 1)]),
        embedding: None,
    }
}

/// Both sides' answer to the question for groups or buckets; the first differs.
fn answer(to: &Asked, request: &Request) -> Reply {
    let differing = Root(if *to == Asked::Own { [0; 16] } else { [1; 16] });
    match request {
        Request::Vector { .. } => Reply::Vector { page: vector(&[("a", 1, 1)]), more: false },
        Request::Groups => {
            let mut groups = vec![Root([0; 16]); GROUP_COUNT];
            groups[0] = differing;
            Reply::Groups { groups }
        }
        Request::Buckets { .. } => {
            let mut buckets = vec![(Root([0; 16]), 0); BUCKET_COUNT / GROUP_COUNT];
            buckets[0] = (differing, u64::from(*to != Asked::Own));
            Reply::Buckets { buckets }
        }
        Request::BucketRecords { .. } => {
            Reply::Records { records: vec![transfer_record()], more: false }
        }
        other => panic!("nobody asks for {other:?} here"),
    }
}

/// Answers everything as [`answer`] does and gives the effects on the store, in order.
fn play(node: &mut Node, effects: Vec<Effect>) -> Vec<Effect> {
    let (mut waiting, mut on_store) = (VecDeque::from(effects), Vec::new());
    while let Some(effect) = waiting.pop_front() {
        match &effect {
            Effect::Ask { ask, to, request } => {
                waiting.extend(node.feed(replied(*ask, answer(to, request))));
            }
            Effect::Merge { number, .. } => {
                let number = *number;
                on_store.push(effect);
                waiting.extend(node.done(number, Applied::default()));
            }
            Effect::Adopt { .. } => on_store.push(effect),
            _ => {}
        }
    }
    on_store
}

#[test]
fn a_new_node_joins_the_first_peer_that_holds_anything() {
    let mut node = fresh();
    assert!(!node.replicator.has_joined());
    let empty = Heartbeat { record_count: 0, ..beat("b", Vector::default()) };
    assert!(asks(&node.hear(empty)).is_empty());
    let effects = node.hear(beat("a", vector(&[("a", 1, 1)])));
    let on_store = play(&mut node, effects);
    let [Effect::Merge { records, .. }, Effect::Adopt { number, vector: adopted }] = &on_store[..]
    else {
        panic!("{on_store:?}");
    };
    assert_eq!(records, &[transfer_record()]);
    assert_eq!(adopted, &vector(&[("a", 1, 1)]), "once every record is on disk");
    assert!(!node.replicator.has_joined());
    node.done(*number, Applied { applied: adopted.clone(), ..Applied::default() });
    assert!(node.replicator.has_joined());
    let status = node.replicator.status();
    assert_eq!(status.transfer_count, 1);
    assert_eq!(status.transferred, Some((TransferReason::Joining, 1)));
}

#[test]
fn a_new_node_that_is_alone_is_ready_after_a_while_and_without_a_server_at_once() {
    let mut node = fresh();
    node.wait(5_000);
    assert!(!node.replicator.has_joined());
    node.wait(2_000);
    assert!(node.replicator.has_joined());
    assert!(Node::new(Start { is_fresh: true, ..Start::default() }).replicator.has_joined());
    let mut node = fresh();
    node.hear(beat("a", vector(&[("a", 1, 1)])));
    node.feed(Input::Disconnected);
    node.wait(60_000);
    assert!(!node.replicator.has_joined(), "its questions will be answered with nothing");
    for ask in 0..20 {
        node.feed(Input::Replied { ask: AskId(ask), reply: None });
    }
    node.wait(10_000);
    assert!(node.replicator.has_joined());
}

#[test]
fn pruned_ops_come_as_state() {
    let mut node = Node::connected(Start::default());
    let a = [beat("a", vector(&[("a", 1, 1)]))];
    let asked = ranges(&node.wait_among(&a, 6_000));
    let pruned = Reply::Range { ops: vec![], pruned: vec![(1, 1)], not_held: vec![] };
    let effects = node.feed(replied(asked[0].0, pruned));
    let on_store = play(&mut node, effects);
    assert!(matches!(on_store[..], [Effect::Merge { .. }, Effect::Adopt { .. }]));
}

#[test]
fn equal_vectors_and_unequal_roots_lead_to_a_transfer() {
    let applied = vector(&[("a", 1, 1)]);
    let mut node = Node::connected(Start { vector: applied.clone(), ..Start::default() });
    node.hear(Heartbeat { root: Some(Root([1; 16])), ..beat("a", applied.clone()) });
    let own = |root| Input::OwnBeat { vector_hash: applied.hash(), root };
    assert!(asks(&node.feed(own([1; 16]))).is_empty());
    assert!(!asks(&node.feed(own([2; 16]))).is_empty());
    assert_eq!(node.alarms(), [AlarmKind::Divergence]);
}

#[test]
fn a_refused_record_ends_a_transfer_and_its_vector_is_not_adopted() {
    let mut node = fresh();
    let mut waiting = VecDeque::from(node.hear(beat("a", vector(&[("a", 1, 1)]))));
    while let Some(effect) = waiting.pop_front() {
        match effect {
            Effect::Ask { ask, to, request } => {
                waiting.extend(node.feed(replied(ask, answer(&to, &request))));
            }
            Effect::Merge { number, .. } => {
                let refused = vec!["too long".to_owned()];
                waiting.extend(node.done(number, Applied { refused, ..Applied::default() }));
            }
            Effect::Adopt { .. } => panic!("nothing is to be adopted"),
            _ => {}
        }
    }
    assert_eq!(node.alarms(), [AlarmKind::TransferRefused, AlarmKind::TransferFailing]);
    assert!(!node.replicator.has_joined());
    let told = |node: &mut Node| node.feed(Input::Connected);
    assert!(told(&mut node).contains(&Effect::Beat { with_root: false }));
    node.wait(70_000);
    assert!(told(&mut node).contains(&Effect::Beat { with_root: true }), "it tells again");
}

#[test]
fn a_node_that_may_have_ended_in_the_middle_of_a_transfer_keeps_its_root_for_a_while() {
    let start = Start { has_joined_lately: true, ..Start::default() };
    let mut node = Node::connected(start);
    let told = |node: &mut Node| node.feed(Input::Connected);
    assert!(told(&mut node).contains(&Effect::Beat { with_root: false }));
    node.wait(60_000);
    assert!(told(&mut node).contains(&Effect::Beat { with_root: true }));
}

#[test]
fn a_page_that_promises_more_and_holds_nothing_ends_a_transfer() {
    let mut node = fresh();
    let mut waiting = VecDeque::from(node.hear(beat("a", vector(&[("a", 1, 1)]))));
    while let Some(effect) = waiting.pop_front() {
        if let Effect::Ask { ask, to, request } = effect {
            let reply = match &request {
                Request::BucketRecords { .. } => Reply::Records { records: vec![], more: true },
                _ => answer(&to, &request),
            };
            waiting.extend(node.feed(replied(ask, reply)));
        }
    }
    assert_eq!(node.alarms(), [AlarmKind::TransferFailing]);
}

#[test]
fn an_unanswered_question_is_asked_five_times() {
    let mut node = fresh();
    let mut waiting = VecDeque::from(node.hear(beat("a", vector(&[("a", 1, 1)]))));
    let mut count = 0;
    while let Some(effect) = waiting.pop_front() {
        if let Effect::Ask { ask, .. } = effect {
            count += 1;
            waiting.extend(node.feed(Input::Replied { ask, reply: None }));
        }
    }
    assert_eq!(count, 5);
    assert_eq!(node.alarms(), [AlarmKind::TransferFailing]);
}
