//! Comparing states with a peer while writes go on.

use super::*;
use crate::digest::{BUCKET_COUNT, GROUP_COUNT};
use crate::testing::record;

/// What the two sides hold, and what is asked of them.
struct Sides {
    own: Vec<TransferRecord>,
    theirs: Vec<TransferRecord>,
    asked_count: usize,
}

impl Sides {
    fn answer(&self, to: &Asked, request: &Request) -> Reply {
        let (records, hash) = match to {
            Asked::Own => (&self.own, Root([1; 16])),
            Asked::Peer(_) => (&self.theirs, Root([2; 16])),
        };
        match request {
            Request::Groups => {
                let mut groups = vec![Root([0; 16]); GROUP_COUNT];
                groups[9] = hash;
                Reply::Groups { groups }
            }
            Request::Buckets { group: 9 } => {
                let mut buckets = vec![(Root([0; 16]), 0); BUCKET_COUNT / GROUP_COUNT];
                buckets[5] = (hash, 1);
                Reply::Buckets { buckets }
            }
            Request::Hashes { bucket: 581, .. } => {
                let hash = |record: &TransferRecord| {
                    (record.id(), Root(record.record.state_hash(&record.id())))
                };
                Reply::Hashes { hashes: records.iter().map(hash).collect(), more: false }
            }
            Request::Records { .. } => Reply::Records { records: records.clone(), more: false },
            other => panic!("nobody asks for {other:?} here"),
        }
    }

    /// Plays until so many questions were asked.
    fn play_until(&mut self, node: &mut Node, peer: &Heartbeat, asked_count: usize) -> Vec<Effect> {
        let mut rest = Vec::new();
        for _ in 0..40 {
            if self.asked_count >= asked_count {
                break;
            }
            rest.extend(self.play(node, peer, BEAT_INTERVAL_MS));
        }
        rest
    }

    /// Lets a live peer be heard for a while and answers every question of an audit; gives what
    /// else was wanted.
    fn play(&mut self, node: &mut Node, peer: &Heartbeat, ms: u64) -> Vec<Effect> {
        let mut rest = Vec::new();
        for _ in 0..ms / BEAT_INTERVAL_MS {
            let heard = [peer.clone()];
            let mut waiting = VecDeque::from(node.wait_among(&heard, BEAT_INTERVAL_MS));
            while let Some(effect) = waiting.pop_front() {
                match &effect {
                    Effect::Ask { request: Request::Vector { .. }, .. } => rest.push(effect),
                    Effect::Ask { ask, to, request } => {
                        self.asked_count += 1;
                        waiting.extend(node.feed(replied(*ask, self.answer(to, request))));
                    }
                    _ => rest.push(effect),
                }
            }
        }
        rest
    }
}

fn holding(ops: &[Op]) -> Vec<TransferRecord> {
    vec![TransferRecord {
        namespace: "default".to_owned(),
        content_hash: [3; 32],
        record: record(ops),
        embedding: None,
    }]
}

fn sides(own: Vec<TransferRecord>, theirs: Vec<TransferRecord>) -> Sides {
    Sides { own, theirs, asked_count: 0 }
}

fn knowing(applied: &Vector) -> Node {
    Node::connected(Start { vector: applied.clone(), ..Start::default() })
}

#[test]
fn a_record_that_lacks_an_applied_write_is_a_divergence_though_vectors_differ() {
    let mut node = knowing(&vector(&[("a", 1, 2), ("me", 1, 7)]));
    let peer = beat("a", vector(&[("a", 1, 2)]));
    let mut sides = sides(holding(&[tagged("a", 1)]), holding(&[tagged("a", 2)]));
    let wanted = sides.play_until(&mut node, &peer, 8);
    assert_eq!(node.alarms(), [AlarmKind::Divergence]);
    let is_transfer = |(_, to, request): &(AskId, Asked, Request)| {
        matches!((to, request), (Asked::Peer(_), Request::Vector { after: None }))
    };
    assert!(asks(&wanted).iter().any(is_transfer), "{wanted:?}");
}

#[test]
fn a_record_that_is_missing_altogether_is_a_divergence_too() {
    let applied = vector(&[("a", 1, 1)]);
    let mut node = knowing(&applied);
    let mut sides = sides(Vec::new(), holding(&[tagged("a", 1)]));
    sides.play_until(&mut node, &beat("a", applied), 8);
    assert_eq!(node.alarms(), [AlarmKind::Divergence]);
}

#[test]
fn what_is_still_on_its_way_is_no_divergence() {
    let applied = vector(&[("a", 1, 1)]);
    let peer = beat("a", applied.clone());
    // Neither side's newest write is known to be on both.
    let (older, newer) = (holding(&[tagged("a", 1)]), holding(&[tagged("a", 2)]));
    for (own, theirs) in [(older.clone(), newer.clone()), (newer, older)] {
        let mut node = knowing(&applied);
        let mut sides = sides(own, theirs);
        sides.play_until(&mut node, &peer, 8);
        assert_eq!(node.alarms(), []);
        assert_eq!(sides.asked_count, 8, "two sides, four questions");
        assert_eq!(node.replicator.status().audit_count, 1);
    }
}

#[test]
fn a_record_that_became_equal_meanwhile_is_no_divergence() {
    let applied = vector(&[("a", 1, 1)]);
    let mut node = knowing(&applied);
    let peer = beat("a", applied);
    let mut sides = sides(Vec::new(), holding(&[tagged("a", 1)]));
    sides.play_until(&mut node, &peer, 6);
    sides.own = sides.theirs.clone();
    sides.play(&mut node, &peer, 10_000);
    assert_eq!((sides.asked_count, node.alarms()), (8, vec![]));
}

#[test]
fn an_unanswered_comparison_is_over_and_another_begins_a_minute_later() {
    let applied = vector(&[("a", 1, 1)]);
    let mut node = knowing(&applied);
    let peer = [beat("a", applied)];
    let begins = |effects: &[Effect]| {
        let asked = asks(effects).into_iter();
        asked.filter(|(_, _, request)| *request == Request::Groups).collect::<Vec<_>>()
    };
    let first = begins(&node.wait_among(&peer, 62_000));
    assert_eq!(first.len(), 2, "of the peer and of the own store");
    assert_eq!(begins(&node.wait_among(&peer, 62_000)), [], "one at a time");
    for (ask, _, _) in first {
        node.feed(Input::Replied { ask, reply: None });
    }
    assert_eq!(begins(&node.wait_among(&peer, 62_000)).len(), 2);
    assert_eq!(node.alarms(), []);
}

#[test]
fn an_answer_of_another_shape_ends_a_comparison() {
    let applied = vector(&[("a", 1, 1)]);
    let mut node = knowing(&applied);
    let asked = asks(&node.wait_among(&[beat("a", applied)], 62_000));
    for (ask, _, request) in asked {
        if request == Request::Groups {
            node.feed(replied(ask, Reply::Groups { groups: vec![Root([1; 16])] }));
        }
    }
    assert_eq!(node.replicator.status().audit_count, 1);
    assert_eq!(node.alarms(), []);
}
