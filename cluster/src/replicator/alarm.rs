//! What an operator should know, for as long as it is so.

use std::collections::BTreeMap;

/// Time after which an alarm that is not raised again counts as over, in milliseconds.
const LINGER_MS: u64 = 60_000;
/// Most alarms that are kept; others of the same kind say enough.
const ALARM_COUNT_MAX: usize = 200;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// Somebody on the same subjects has another cluster id.
    OtherCluster,
    /// Two live processes have one node name.
    TwoNodesOneName,
    /// Somebody wrote under this node's open epoch.
    EpochReused,
    /// Equal writes, unequal states.
    Divergence,
    /// One dot came with two values.
    Contradiction,
    /// Ops lie in quarantine.
    Quarantine,
    /// A message of the stream could not be read.
    Undecodable,
    /// Writes exist that no live node holds.
    MissingWrites,
    /// The server refuses an own write.
    PublishRefused,
    /// A peer's clock runs far ahead.
    ClockAhead,
    /// The stream is another than before.
    StreamReplaced,
    /// The stream lost messages that were not read yet.
    StreamTruncated,
    /// The store does not take what peers send.
    ApplyFailing,
    /// Records of a state transfer were refused.
    TransferRefused,
    /// A state transfer ended early.
    TransferFailing,
    /// Payloads were dropped before every peer had them.
    PrunedEarly,
}

impl AlarmKind {
    /// Every kind.
    pub const ALL: [AlarmKind; 16] = [
        AlarmKind::OtherCluster,
        AlarmKind::TwoNodesOneName,
        AlarmKind::EpochReused,
        AlarmKind::Divergence,
        AlarmKind::Contradiction,
        AlarmKind::Quarantine,
        AlarmKind::Undecodable,
        AlarmKind::MissingWrites,
        AlarmKind::PublishRefused,
        AlarmKind::ClockAhead,
        AlarmKind::StreamReplaced,
        AlarmKind::StreamTruncated,
        AlarmKind::ApplyFailing,
        AlarmKind::TransferRefused,
        AlarmKind::TransferFailing,
        AlarmKind::PrunedEarly,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmKind::OtherCluster => "other_cluster",
            AlarmKind::TwoNodesOneName => "two_nodes_one_name",
            AlarmKind::EpochReused => "epoch_reused",
            AlarmKind::Divergence => "divergence",
            AlarmKind::Contradiction => "contradiction",
            AlarmKind::Quarantine => "quarantine",
            AlarmKind::Undecodable => "undecodable",
            AlarmKind::MissingWrites => "missing_writes",
            AlarmKind::PublishRefused => "publish_refused",
            AlarmKind::ClockAhead => "clock_ahead",
            AlarmKind::StreamReplaced => "stream_replaced",
            AlarmKind::StreamTruncated => "stream_truncated",
            AlarmKind::ApplyFailing => "apply_failing",
            AlarmKind::TransferRefused => "transfer_refused",
            AlarmKind::TransferFailing => "transfer_failing",
            AlarmKind::PrunedEarly => "pruned_early",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// With whom or which.
    pub subject: String,
    /// In a sentence.
    pub detail: String,
    /// When it went up, in milliseconds of the replicator's clock.
    pub since: u64,
    /// When it was last seen to be so.
    pub last: u64,
}

/// The alarms that are up.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    up: BTreeMap<(AlarmKind, String), Alarm>,
}

impl Alarms {
    /// Raises an alarm, or keeps it up; gives it when it is new.
    pub(super) fn raise(
        &mut self,
        kind: AlarmKind,
        subject: &str,
        detail: String,
        now: u64,
    ) -> Option<Alarm> {
        self.up.retain(|_, alarm| now < alarm.last.saturating_add(LINGER_MS));
        if let Some(alarm) = self.up.get_mut(&(kind, subject.to_owned())) {
            alarm.last = now;
            alarm.detail = detail;
            return None;
        }
        if self.up.len() >= ALARM_COUNT_MAX {
            return None;
        }
        let alarm = Alarm { kind, subject: subject.to_owned(), detail, since: now, last: now };
        self.up.insert((kind, subject.to_owned()), alarm.clone());
        Some(alarm)
    }

    /// Takes alarms of a kind down.
    pub(super) fn clear(&mut self, kind: AlarmKind) {
        self.up.retain(|(raised, _), _| *raised != kind);
    }

    /// Takes down the alarm about one subject.
    pub(super) fn clear_of(&mut self, kind: AlarmKind, subject: &str) {
        self.up.remove(&(kind, subject.to_owned()));
    }

    /// Those that are up now.
    pub(super) fn list(&self, now: u64) -> Vec<Alarm> {
        let is_up = |alarm: &&Alarm| now < alarm.last.saturating_add(LINGER_MS);
        self.up.values().filter(is_up).cloned().collect()
    }
}
