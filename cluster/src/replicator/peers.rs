//! What is known of the other nodes: how they are and what they have on disk.

use std::collections::{BTreeMap, BTreeSet};

use super::{AlarmKind, Asked, Effect, Member, PEER_LIVE_MS, Replicator, TransferReason};
use crate::origin::{Dot, NodeName};
use crate::vector::Vector;
use crate::wire::{Ack, Heartbeat, Reply, Request};

/// One process of a peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// The node.
    pub node: NodeName,
    /// The run of its process.
    pub run: u64,
}

/// Most processes that are remembered.
const PEER_COUNT_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Peers {
    known: BTreeMap<PeerKey, Peer>,
    /// Vector pages that were asked for.
    asks: BTreeMap<super::AskId, PeerKey>,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) beat: Heartbeat,
    /// When it was last heard.
    pub(super) heard: u64,
    /// What it has applied, as far as it told.
    pub(super) vector: Vector,
    /// Whether that is all.
    pub(super) is_complete: bool,
    is_asked: bool,
    /// When the heartbeat before the last came.
    heard_before: Option<u64>,
}

impl Peer {
    fn is_live(&self, now: u64) -> bool {
        now < self.heard + PEER_LIVE_MS
    }

    /// Takes over what a heartbeat says. One whose state is older than that of the one before
    /// comes from a machine that was set back with its memory: what it told since is void.
    fn take(&mut self, beat: Heartbeat) {
        if beat.change_head < self.beat.change_head {
            self.vector = Vector::default();
            self.is_complete = false;
        }
        // What was acknowledged meanwhile may be newer than the snapshot of a heartbeat.
        self.vector.join(&beat.recent);
        // Complete once is complete for as long as it is heard: heartbeats list every origin
        // that changed lately.
        self.is_complete |= self.vector.hash() == beat.vector_hash;
        self.beat = beat;
    }
}

impl Peers {
    pub(super) fn get(&self, key: &PeerKey) -> Option<&Peer> {
        self.known.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PeerKey, &Peer)> {
        self.known.iter()
    }

    pub(super) fn live(&self, now: u64) -> impl Iterator<Item = (&PeerKey, &Peer)> {
        self.known.iter().filter(move |(_, peer)| peer.is_live(now))
    }

    /// Other nodes that have a dot on disk, each name once; while two processes share a name,
    /// both must.
    pub(super) fn replica_count(&self, dot: &Dot, own: &NodeName, now: u64) -> usize {
        let (mut with, mut without) = (BTreeSet::new(), BTreeSet::new());
        for (key, peer) in self.live(now).filter(|(key, _)| key.node != *own) {
            let side = if peer.vector.contains(dot) { &mut with } else { &mut without };
            side.insert(&key.node);
        }
        with.difference(&without).count()
    }

    /// What a node has applied: the intersection over its processes. `None` when never heard.
    pub(super) fn applied_by(&self, node: &NodeName) -> Option<Vector> {
        intersection(self.known.iter().filter(|(key, _)| key.node == *node))
    }

    /// The same over its live processes only.
    pub(super) fn applied_by_live(&self, node: &NodeName, now: u64) -> Option<Vector> {
        intersection(self.live(now).filter(|(key, _)| key.node == *node))
    }

    /// A process that was replaced by a later one of the same name is forgotten; so is the
    /// longest silent one when there are too many.
    fn drop_replaced(&mut self, now: u64) {
        let newest: BTreeMap<NodeName, u64> =
            self.known.iter().fold(BTreeMap::new(), |mut newest, (key, peer)| {
                let heard = newest.entry(key.node.clone()).or_default();
                *heard = peer.heard.max(*heard);
                newest
            });
        self.known.retain(|key, peer| {
            peer.is_live(now) || newest.get(&key.node).is_none_or(|heard| peer.heard >= *heard)
        });
        while self.known.len() > PEER_COUNT_MAX {
            let oldest = self.known.iter().min_by_key(|(_, peer)| peer.heard);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.known.remove(&key);
        }
    }
}

fn intersection<'p>(peers: impl Iterator<Item = (&'p PeerKey, &'p Peer)>) -> Option<Vector> {
    peers.fold(None, |all, (_, peer)| match all {
        None => Some(peer.vector.clone()),
        Some(all) => Some(all.intersect(&peer.vector)),
    })
}

impl Replicator {
    pub(super) fn beat(&mut self, beat: Heartbeat) {
        let key = PeerKey { node: beat.node.clone(), run: beat.run };
        if key.node == self.identity.node && key.run == self.identity.run {
            return;
        }
        if beat.cluster != self.identity.cluster {
            let detail = format!("{} is on the same subjects and of another cluster", key.node);
            self.raise(AlarmKind::OtherCluster, key.node.as_str(), detail);
            return;
        }
        self.learn(&beat.recent);
        self.learn(&beat.held);
        let now = self.now;
        let is_new = !self.peers.known.contains_key(&key);
        let peer = self.peers.known.entry(key.clone()).or_insert_with(|| Peer {
            beat: beat.clone(),
            heard: now,
            vector: Vector::default(),
            is_complete: false,
            is_asked: false,
            heard_before: None,
        });
        let was_silent = is_new || !peer.is_live(now);
        peer.heard_before = (!is_new).then_some(peer.heard);
        peer.heard = now;
        peer.is_complete &= !was_silent;
        peer.take(beat);
        let must_ask = !peer.is_complete && !peer.is_asked;
        if must_ask {
            peer.is_asked = true;
            self.ask_vector(&key, None);
        }
        if was_silent {
            self.beat_soon();
        }
        self.meet_namesakes(&key);
        self.peers.drop_replaced(self.now);
        self.roster.seen(&key.node, self.now);
        self.consider_joining(&key);
    }

    fn meet_namesakes(&mut self, key: &PeerKey) {
        let is_other = |other: &PeerKey| other.node == key.node && other.run != key.run;
        let is_own = key.node == self.identity.node;
        // A process that was just restarted left a heartbeat of its former run behind: only one
        // that is heard again after another of its name is a twin.
        let Some(before) = self.peers.get(key).and_then(|peer| peer.heard_before) else { return };
        let is_between = |(other, peer): (&PeerKey, &Peer)| is_other(other) && peer.heard > before;
        if is_own || self.peers.known.iter().any(is_between) {
            let detail = format!("two running processes call themselves {}", key.node);
            self.raise(AlarmKind::TwoNodesOneName, key.node.as_str(), detail);
        }
    }

    fn ask_vector(&mut self, key: &PeerKey, after: Option<crate::Origin>) {
        let ask = self.ask(Asked::Peer(key.clone()), Request::Vector { after });
        self.peers.asks.insert(ask, key.clone());
    }

    /// A page of a peer's vector, if it was asked for here.
    pub(super) fn vector_replied(&mut self, ask: super::AskId, reply: Option<&Reply>) -> bool {
        let Some(key) = self.peers.asks.remove(&ask) else { return false };
        let Some(peer) = self.peers.known.get_mut(&key) else { return true };
        let Some(Reply::Vector { page, more }) = reply else {
            peer.is_asked = false;
            return true;
        };
        peer.vector.join(page);
        if *more {
            let after = page.last_origin().cloned();
            self.ask_vector(&key, after);
        } else {
            peer.is_asked = false;
            peer.is_complete = true;
        }
        self.learn(page);
        true
    }

    pub(super) fn acked(&mut self, ack: &Ack) {
        if ack.cluster != self.identity.cluster {
            return;
        }
        let key = PeerKey { node: ack.node.clone(), run: ack.run };
        if let Some(peer) = self.peers.known.get_mut(&key) {
            peer.vector.join(&ack.applied);
        }
        self.learn(&ack.applied);
    }

    /// Equal vectors and unequal digests: the states differ although they cannot.
    pub(super) fn compare_roots(&mut self, vector_hash: [u8; 16], root: [u8; 16]) {
        let now = self.now;
        if !self.state_fits_vector() {
            return;
        }
        let (mut equal, mut differing) = (Vec::new(), None);
        for (key, peer) in self.peers.live(now) {
            match peer.beat.root {
                Some(theirs) if peer.beat.vector_hash == vector_hash && theirs.0 == root => {
                    equal.push(key.node.clone());
                }
                Some(_) if peer.beat.vector_hash == vector_hash => differing = Some(key.clone()),
                _ => {}
            }
        }
        for node in equal {
            self.alarms.clear_of(AlarmKind::Divergence, node.as_str());
        }
        let Some(key) = differing else { return };
        let detail = format!("{} has applied the same writes and holds another state", key.node);
        self.raise(AlarmKind::Divergence, key.node.as_str(), detail);
        self.want_transfer(key, TransferReason::Divergence);
    }

    /// What is remembered of every peer that was heard.
    pub(super) fn members(&self) -> Vec<Member> {
        let nodes: BTreeSet<&NodeName> = self.peers.known.keys().map(|key| &key.node).collect();
        let member = |node: &&NodeName| {
            let age = self.peers.known.iter().filter(|(key, _)| key.node == **node);
            let heard = age.map(|(_, peer)| peer.heard).max()?;
            Some(Member {
                node: (*node).clone(),
                age_ms: self.now.saturating_sub(heard),
                vector: self.peers.applied_by(node)?,
            })
        };
        let others = nodes.iter().filter(|node| ***node != self.identity.node);
        others.filter_map(member).collect()
    }

    pub(super) fn remember_members(&mut self) {
        for member in self.members() {
            self.effects.push_back(Effect::Remember(member));
        }
    }
}
