//! Single inputs and what they lead to; the node's simulator plays the whole.

mod audits;
mod holes;
mod meeting;
mod roads;
mod states;

use super::*;
use crate::testing::{dot, op, origin, part};
use crate::value;
use crate::wire::{Batch, Heartbeat, Held, Reply, Root, TransferRecord};
use crate::{ClusterId, Op};

const CLUSTER: ClusterId = ClusterId([7; 16]);
const TICK_MS: u64 = 250;

/// A replicator of node `me` and its time.
struct Node {
    replicator: Replicator,
    now: u64,
}

impl Node {
    fn new(start: Start) -> Node {
        let identity = Identity { cluster: CLUSTER, node: name("me"), run: 1 };
        let now = 1_000_000;
        Node { replicator: Replicator::new(identity, start, now), now }
    }

    /// One that reads an empty stream.
    fn connected(start: Start) -> Node {
        let mut node = Node::new(start);
        node.feed(Input::Connected);
        node.feed(Input::Stream(stream(1, 0)));
        node
    }

    fn feed(&mut self, input: Input) -> Vec<Effect> {
        self.replicator.handle(self.now, input)
    }

    /// Lets time pass, tick by tick, and gives what it led to, heartbeats left out.
    fn wait(&mut self, ms: u64) -> Vec<Effect> {
        let end = self.now + ms;
        let mut effects = Vec::new();
        while self.now < end {
            self.now = end.min(self.now + TICK_MS);
            effects.extend(self.feed(Input::Tick));
        }
        effects.retain(|effect| !matches!(effect, Effect::Beat { .. }));
        effects
    }

    /// The same with heartbeats of live peers all the while.
    fn wait_among(&mut self, peers: &[Heartbeat], ms: u64) -> Vec<Effect> {
        let end = self.now + ms;
        let mut effects = Vec::new();
        while self.now < end {
            for beat in peers {
                effects.extend(self.hear(beat.clone()));
            }
            effects.extend(self.wait(BEAT_INTERVAL_MS.min(end - self.now)));
        }
        effects.retain(|effect| !matches!(effect, Effect::Beat { .. }));
        effects
    }

    fn hear(&mut self, beat: Heartbeat) -> Vec<Effect> {
        self.feed(Input::Beat(Box::new(beat)))
    }

    fn read(&mut self, reader: u64, seq: u64, batch: Batch) -> Vec<Effect> {
        self.feed(Input::Message { reader, seq, batch: Ok(Box::new(batch)) })
    }

    /// The store takes everything that it is given.
    fn applies(&mut self, effects: &[Effect]) -> Vec<Effect> {
        let mut more = Vec::new();
        for effect in effects {
            if let Effect::Apply { number, ops, .. } = effect {
                let applied = ops.iter().map(|op| op.dot.clone()).collect();
                more.extend(self.done(*number, Applied { applied, ..Applied::default() }));
            }
        }
        more
    }

    fn done(&mut self, number: u64, outcome: Applied) -> Vec<Effect> {
        self.feed(Input::Applied { number, outcome: Some(Box::new(outcome)) })
    }

    fn alarms(&self) -> Vec<AlarmKind> {
        self.replicator.status().alarms.iter().map(|alarm| alarm.kind).collect()
    }
}

fn name(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn stream(first_seq: u64, last_seq: u64) -> StreamInfo {
    StreamInfo { created: "first".to_owned(), first_seq, last_seq }
}

fn vector(of: &[(&str, u64, u64)]) -> Vector {
    let mut vector = Vector::default();
    for (node, lo, hi) in of {
        vector.insert_range(&origin(node, 1), *lo, *hi);
    }
    vector
}

/// An op that sets a tag.
fn tagged(node: &str, oseq: u64) -> Op {
    let parts = [(part("tag.t"), value::bool(true))].into_iter().collect();
    op(dot(node, oseq), 5, parts)
}

fn payload(node: &str, oseq: u64) -> Vec<u8> {
    tagged(node, oseq).encode().unwrap()
}

fn batch(node: &str, lo: u64, hi: u64) -> Batch {
    Batch {
        cluster: CLUSTER,
        run: 9,
        origin: origin(node, 1),
        lo,
        ops: (lo..=hi).map(|oseq| payload(node, oseq).into()).collect(),
        wants_ack: false,
    }
}

/// A heartbeat of the only run of a node that applied so much.
fn beat(node: &str, applied: Vector) -> Heartbeat {
    Heartbeat {
        cluster: CLUSTER,
        node: name(node),
        run: 5,
        vector_hash: applied.hash(),
        recent: applied,
        root: None,
        held: Vector::default(),
        clock_ms: 0,
        change_head: 0,
        software: String::new(),
        embedder: String::new(),
        disk_percent: None,
        record_count: 1,
        outbox_count: 0,
    }
}

/// The requests among effects: of whom, and what.
fn asks(effects: &[Effect]) -> Vec<(AskId, Asked, Request)> {
    let ask = |effect: &Effect| match effect {
        Effect::Ask { ask, to, request } => Some((*ask, to.clone(), request.clone())),
        _ => None,
    };
    effects.iter().filter_map(ask).collect()
}

/// A range that is asked for: of whom, whose, which.
type AskedRange = (AskId, String, String, Vec<(u64, u64)>);

/// The ranges among the requests.
fn ranges(effects: &[Effect]) -> Vec<AskedRange> {
    let range = |(ask, to, request): (AskId, Asked, Request)| match (to, request) {
        (Asked::Peer(peer), Request::Range(range)) => {
            let (peer, node) = (peer.node.to_string(), range.origin.node.to_string());
            Some((ask, peer, node, range.intervals))
        }
        _ => None,
    };
    asks(effects).into_iter().filter_map(range).collect()
}

fn reads(effects: &[Effect]) -> Vec<(u64, u64)> {
    let read = |effect: &Effect| match effect {
        Effect::Read { reader, from } => Some((*reader, *from)),
        _ => None,
    };
    effects.iter().filter_map(read).collect()
}

/// The dots of the batches among effects.
fn ops(effects: &[Effect]) -> Vector {
    let mut all = Vector::default();
    applies(effects).iter().for_each(|(dots, _)| all.join(dots));
    all
}

/// The batches among effects: dots and position.
fn applies(effects: &[Effect]) -> Vec<(Vector, Option<u64>)> {
    let apply = |effect: &Effect| match effect {
        Effect::Apply { ops, position, .. } => {
            let dots = ops.iter().map(|op| op.dot.clone()).collect();
            Some((dots, position.as_ref().map(|position| position.seq)))
        }
        _ => None,
    };
    effects.iter().filter_map(apply).collect()
}

/// An answer to a range.
fn given(node: &str, oseqs: &[u64]) -> Reply {
    let held = |oseq: &u64| Held { oseq: *oseq, payload: payload(node, *oseq).into() };
    Reply::Range { ops: oseqs.iter().map(held).collect(), pruned: vec![], not_held: vec![] }
}

fn replied(ask: AskId, reply: Reply) -> Input {
    Input::Replied { ask, reply: Some(Box::new(reply)) }
}
