//! Between the words of the protocol and those of the store: ages and times of day, mostly.

use memnode_cluster::replicator::{self, Position};

use crate::store::{BatchOutcome, Cursor, Incoming, Member, MemberState, ReplicaStart};

/// What the replicator starts from.
pub(super) fn start(start: ReplicaStart, now: f64) -> replicator::Start {
    let mut unpublished = memnode_cluster::Vector::default();
    for (origin, set) in start.unpublished {
        unpublished.replace(&origin, set);
    }
    replicator::Start {
        is_fresh: start.is_fresh,
        vector: start.vector,
        held: start.held,
        voided: start.voided,
        cursor: start
            .cursor
            .map(|cursor| Position { created: cursor.stream_created, seq: cursor.seq }),
        unpublished,
        members: start.members.into_iter().map(|member| known(member, now)).collect(),
    }
}

fn known(member: Member, now: f64) -> replicator::Member {
    replicator::Member {
        node: member.node,
        age_ms: ((now - member.seen_at).max(0.0) * 1000.0) as u64,
        state: match member.state {
            MemberState::Joined => replicator::MemberState::Joined,
            MemberState::Forgotten => replicator::MemberState::Forgotten,
        },
        vector: member.vector,
    }
}

/// A member as the store remembers it; `now` in Unix seconds.
pub(super) fn remembered(member: replicator::Member, now: f64) -> Member {
    Member {
        node: member.node,
        seen_at: now - member.age_ms as f64 / 1000.0,
        state: match member.state {
            replicator::MemberState::Joined => MemberState::Joined,
            replicator::MemberState::Forgotten => MemberState::Forgotten,
        },
        vector: member.vector,
    }
}

pub(super) fn cursor(position: Position) -> Cursor {
    Cursor { stream_created: position.created, seq: position.seq }
}

pub(super) fn incoming(incoming: replicator::Incoming) -> Incoming {
    Incoming { dot: incoming.dot, payload: incoming.payload, op: incoming.op }
}

/// What came of trying quarantined writes again.
pub(super) fn retried(outcome: BatchOutcome) -> replicator::Applied {
    replicator::Applied {
        applied: outcome.applied,
        held: outcome.held,
        far_ahead: outcome.far_ahead,
        contradictions: outcome.contradictions,
        ..replicator::Applied::default()
    }
}
