//! What was written and what was promised, to be held against what the nodes know.

use std::collections::{BTreeMap, BTreeSet};

use memnode_cluster::replicator::AlarmKind;
use memnode_cluster::{Dot, NodeName, Op, OpKind, RecordId, Stamp, Vector};

#[derive(Default)]
pub(super) struct History {
    /// Every op ever made.
    pub(super) ops: BTreeMap<Dot, Op>,
    /// Those that a client was told of.
    pub(super) acknowledged: Vector,
    /// Those that were on a disk which was put back since: they may be gone.
    pub(super) excused: Vector,
    /// What each node had on disk at some time.
    pub(super) applied_ever: BTreeMap<NodeName, Vector>,
    /// Payloads that some node dropped before everyone had them: they may never get into the
    /// stream.
    pub(super) capped: Vector,
    /// What nobody can read.
    pub(super) garbage: Vector,
    /// Creations over deleted memories, with what their authors had seen erased: nothing older may
    /// show.
    pub(super) new_lives: Vec<(RecordId, Stamp)>,
    pub(super) alarms: BTreeSet<AlarmKind>,
}

impl History {
    /// Whether an erasure took what an op wrote: nobody needs it any more.
    pub(super) fn is_erased(&self, dot: &Dot) -> bool {
        let Some(op) = self.ops.get(dot) else { return false };
        let (id, era) = (op.id(), op.era);
        self.ops.values().any(|o| o.kind == OpKind::Purge && o.id() == id && o.clock > era)
    }

    pub(super) fn applied(&mut self, node: &NodeName, dots: &Vector) {
        self.applied_ever.entry(node.clone()).or_default().join(dots);
    }
}
