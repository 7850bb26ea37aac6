//! Who belongs to the cluster, and what nobody needs from here any more.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Replicator};
use crate::origin::NodeName;
use crate::vector::Vector;

/// How long a node that is not heard stays in the roster, in milliseconds.
const MEMBER_MS: u64 = 30 * 24 * 3600 * 1000;
/// How often payloads are dropped, in milliseconds.
const PRUNE_MS: u64 = 30_000;

/// What an operator said of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It belongs to the cluster.
    Joined,
    /// It is not waited for.
    Forgotten,
}

/// A node as it is remembered over restarts.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Who.
    pub node: NodeName,
    /// How long ago it was heard, in milliseconds.
    pub age_ms: u64,
    /// What it had received then.
    pub vector: Vector,
}

#[derive(Debug)]
pub(super) struct Roster {
    /// When each node was last heard, on the replicator's clock; negative before its start.
    seen: BTreeMap<NodeName, i64>,
    /// What nodes had received that were not heard in this run.
    remembered: BTreeMap<NodeName, Vector>,
    forgotten: BTreeSet<NodeName>,
    prune_due: u64,
    /// What was to be dropped the last time, and before. Everything is told twice: the first time
    /// the store may not know yet that it is in the stream.
    told: [Vector; 2],
}

impl Roster {
    pub(super) fn new(members: Vec<Member>, now: u64) -> Roster {
        let mut roster = Roster {
            seen: BTreeMap::new(),
            remembered: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            prune_due: now + PRUNE_MS,
            told: <[Vector; 2]>::default(),
        };
        for member in members {
            let age = i64::try_from(member.age_ms).unwrap_or(i64::MAX);
            let seen = now.cast_signed().saturating_sub(age);
            roster.seen.insert(member.node.clone(), seen);
            roster.remembered.insert(member.node, member.vector);
        }
        roster
    }

    /// A node that is heard belongs to the cluster, whatever was said of it before.
    pub(super) fn seen(&mut self, node: &NodeName, now: u64) {
        self.seen.insert(node.clone(), now.cast_signed());
    }

    /// Nodes that an earlier run of this one knew: when they were heard, what they had.
    pub(super) fn remembered(&self) -> impl Iterator<Item = (&NodeName, i64, &Vector)> {
        self.remembered
            .iter()
            .map(|(node, vector)| (node, self.seen.get(node).copied().unwrap_or_default(), vector))
    }

    pub(super) fn set_forgotten(&mut self, forgotten: Vec<NodeName>) {
        self.forgotten = forgotten.into_iter().collect();
    }

    /// The nodes whose state is waited for, but for the own one.
    pub(super) fn members(&self, now: u64) -> impl Iterator<Item = (&NodeName, i64)> {
        let now = now.cast_signed();
        let is_member = move |node: &NodeName, seen: i64| {
            let age = now.saturating_sub(seen);
            age < MEMBER_MS.cast_signed()
                // Forgotten means not waited for; one that is heard again is back.
                && (!self.forgotten.contains(node) || age < super::PEER_LIVE_MS.cast_signed())
        };
        self.seen.iter().map(|(node, seen)| (node, *seen)).filter(move |(n, s)| is_member(n, *s))
    }
}

impl Replicator {
    /// What every member has applied, this node included: nobody will ask for it.
    ///
    /// What lies in a member's quarantine is not among it: what it holds may be damaged, or of no
    /// use to it before an upgrade.
    pub(super) fn everywhere(&self) -> Vector {
        let own = &self.identity.node;
        let mut everywhere = self.vector.clone();
        if let Some(twins) = self.peers.applied_by_live(own, self.now) {
            everywhere = everywhere.intersect(&twins);
        }
        for (node, _) in self.roster.members(self.now).filter(|(node, _)| *node != own) {
            let applied = self.peers.applied_by(node);
            let Some(mut applied) = applied.or_else(|| self.roster.remembered.get(node).cloned())
            else {
                return Vector::default();
            };
            // Nobody waits for what was given up.
            applied.join(&self.voided);
            everywhere = everywhere.intersect(&applied);
        }
        everywhere
    }

    pub(super) fn tick_roster(&mut self) {
        if self.now < self.roster.prune_due {
            return;
        }
        self.roster.prune_due = self.now + PRUNE_MS;
        self.remember_members();
        let everywhere = self.outbox.without_unsent(self.everywhere());
        let [last, before] = &mut self.roster.told;
        let is_known = before.covers(&everywhere);
        *before = std::mem::replace(last, everywhere.clone());
        if !is_known {
            self.effects.push_back(Effect::Prune(everywhere));
        }
    }
}
