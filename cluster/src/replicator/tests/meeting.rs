//! Others: who counts, who pretends to be this node, what everyone has.

use super::*;

fn prunes(effects: &[Effect]) -> Vec<Vector> {
    let prune = |effect: &Effect| match effect {
        Effect::Prune(vector) => Some(vector.clone()),
        _ => None,
    };
    effects.iter().filter_map(prune).collect()
}

fn member(node: &str, age_ms: u64, applied: Vector) -> Member {
    Member { node: name(node), age_ms, vector: applied }
}

const HOUR_MS: u64 = 3_600_000;

#[test]
fn payloads_go_once_every_member_has_them() {
    let start = Start {
        vector: vector(&[("a", 1, 9)]),
        members: vec![
            member("b", HOUR_MS, vector(&[("a", 1, 5)])),
            member("long gone", 31 * 24 * HOUR_MS, Vector::default()),
        ],
        ..Start::default()
    };
    let mut node = Node::connected(start);
    let c = [beat("c", vector(&[("a", 2, 9)]))];
    let pruned = prunes(&node.wait_among(&c, 100_000));
    assert_eq!(pruned, [vector(&[("a", 2, 5)]), vector(&[("a", 2, 5)])], "and are told twice");
    let forgotten = vec![name("b")];
    node.feed(Input::Decided { forgotten, voided: vector(&[("a", 1, 1)]) });
    let pruned = prunes(&node.wait_among(&c, 40_000));
    assert_eq!(pruned, [vector(&[("a", 1, 9)])], "nobody waits for b, nor for what was given up");
}

#[test]
fn a_forgotten_node_that_is_heard_counts_again() {
    let mut node = Node::connected(Start { vector: vector(&[("a", 1, 1)]), ..Start::default() });
    node.feed(Input::Decided { forgotten: vec![name("b")], voided: Vector::default() });
    let b = [beat("b", Vector::default())];
    assert!(prunes(&node.wait_among(&b, 70_000)).is_empty());
}

#[test]
fn what_lies_in_a_quarantine_is_kept_for_it() {
    let mut node = Node::connected(Start { vector: vector(&[("a", 1, 1)]), ..Start::default() });
    let holder = Heartbeat { held: vector(&[("a", 1, 1)]), ..beat("b", Vector::default()) };
    assert!(prunes(&node.wait_among(&[holder], 70_000)).is_empty());
}

#[test]
fn own_ops_stay_until_the_stream_has_them() {
    let mut node = Node::new(Start::default());
    node.feed(Input::Committed { origin: origin("me", 1), head: 2, is_awaited: false });
    assert!(prunes(&node.wait(70_000)).is_empty());
}

#[test]
fn replicas_are_counted_by_name_and_two_of_a_name_must_agree() {
    let mut node = Node::connected(Start::default());
    node.hear(beat("a", vector(&[("me", 1, 2)])));
    node.hear(beat("b", vector(&[("me", 1, 1)])));
    let of = |node: &Node, oseq| node.replicator.replica_count(&dot("me", oseq));
    assert_eq!((of(&node, 1), of(&node, 2), of(&node, 3)), (2, 1, 0));
    node.hear(Heartbeat { run: 6, ..beat("a", vector(&[("me", 1, 1)])) });
    assert_eq!((of(&node, 1), of(&node, 2)), (2, 0));
    node.feed(Input::Acked(crate::wire::Ack {
        cluster: CLUSTER,
        node: name("b"),
        run: 5,
        applied: vector(&[("me", 2, 2)]),
    }));
    assert_eq!(of(&node, 2), 1);
    node.wait(PEER_LIVE_MS);
    assert_eq!(of(&node, 1), 0, "nobody was heard lately");
}

#[test]
fn a_peer_that_was_set_back_with_its_memory_is_believed() {
    let mut node = Node::connected(Start::default());
    node.hear(Heartbeat { change_head: 9, ..beat("a", vector(&[("me", 1, 5)])) });
    assert_eq!(node.replicator.replica_count(&dot("me", 5)), 1);
    node.hear(Heartbeat { change_head: 4, ..beat("a", vector(&[("me", 1, 3)])) });
    assert_eq!(node.replicator.replica_count(&dot("me", 5)), 0);
}

#[test]
fn a_restart_is_no_twin_and_a_twin_is() {
    let mut node = Node::connected(Start::default());
    let run = |run| Heartbeat { run, ..beat("a", Vector::default()) };
    node.hear(run(1));
    node.wait(500);
    for _ in 0..5 {
        node.hear(run(2));
        node.wait(500);
    }
    assert!(node.alarms().is_empty());
    node.hear(run(1));
    assert_eq!(node.alarms(), [AlarmKind::TwoNodesOneName]);
    let mut node = Node::connected(Start::default());
    let namesake = beat("me", Vector::default());
    node.hear(namesake.clone());
    assert!(node.alarms().is_empty(), "perhaps the last words of the run before");
    node.hear(namesake);
    assert_eq!(node.alarms(), [AlarmKind::TwoNodesOneName]);
}

#[test]
fn a_namesake_needs_payloads_too() {
    let mut node = Node::connected(Start { vector: vector(&[("a", 1, 2)]), ..Start::default() });
    let namesake = [beat("me", vector(&[("a", 1, 1)]))];
    let pruned = prunes(&node.wait_among(&namesake, 40_000));
    assert_eq!(pruned, [vector(&[("a", 1, 1)])]);
}

#[test]
fn another_writer_under_the_own_epoch_leads_to_a_new_one() {
    let mut node = Node::connected(Start::default());
    node.feed(Input::Committed { origin: origin("me", 1), head: 2, is_awaited: false });
    assert!(!node.hear(beat("a", vector(&[("me", 1, 2)]))).contains(&Effect::NewEpoch));
    assert!(node.hear(beat("a", vector(&[("me", 1, 3)]))).contains(&Effect::NewEpoch));
    assert_eq!(node.alarms(), [AlarmKind::EpochReused]);
    node.feed(Input::Committed { origin: origin("me", 1), head: 4, is_awaited: false });
    let again = node.hear(beat("a", vector(&[("me", 1, 5)])));
    assert!(!again.contains(&Effect::NewEpoch), "it is given up already");
}

#[test]
fn an_echo_is_told_from_a_twin_by_its_bytes() {
    let mut node = Node::connected(Start::default());
    node.feed(Input::Committed { origin: origin("me", 1), head: 1, is_awaited: false });
    let hashes = vec![payload_hash(&payload("me", 1))];
    node.feed(Input::Published { origin: origin("me", 1), lo: 1, hi: 1, seq: Some(1), hashes });
    assert!(!node.read(1, 1, batch("me", 1, 1)).contains(&Effect::NewEpoch));
    let twin = Batch { ops: vec![payload("me", 2).into()], ..batch("me", 1, 1) };
    assert!(node.read(1, 2, twin).contains(&Effect::NewEpoch));
}

#[test]
fn another_cluster_is_ignored() {
    let mut node = Node::connected(Start::default());
    let foreign = beat("a", vector(&[("a", 1, 1)]));
    node.hear(Heartbeat { cluster: ClusterId([8; 16]), ..foreign });
    assert_eq!(node.alarms(), [AlarmKind::OtherCluster]);
    let status = node.replicator.status();
    assert!(status.peers.is_empty() && status.missing.is_empty());
}

#[test]
fn an_incomplete_vector_is_asked_for_by_pages() {
    let mut node = Node::connected(Start::default());
    let whole = vector(&[("a", 1, 1), ("b", 1, 4)]);
    let lately = Heartbeat { recent: vector(&[("a", 1, 1)]), ..beat("a", whole.clone()) };
    let asked = asks(&node.hear(lately.clone()));
    let (ask, _, Request::Vector { after: None }) = &asked[0] else { panic!("{asked:?}") };
    assert!(asks(&node.hear(lately)).is_empty(), "once at a time");
    let page = vector(&[("a", 1, 1)]);
    let asked = asks(&node.feed(replied(*ask, Reply::Vector { page, more: true })));
    let (ask, _, Request::Vector { after: Some(after) }) = &asked[0] else { panic!("{asked:?}") };
    assert_eq!(*after, origin("a", 1));
    node.feed(replied(*ask, Reply::Vector { page: whole.clone(), more: false }));
    assert_eq!(node.replicator.status().peers[0].vector, whole);
}
