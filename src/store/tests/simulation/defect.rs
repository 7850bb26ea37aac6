//! Mistakes that a node could make, put into the simulated one: proof that a run would notice.

/// A planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// The store says that it read more of the stream than it did.
    CursorSkipped,
    /// Some ops are applied and their dots are not noted.
    DotNotRecorded,
    /// A transfer's vector is adopted with the first records.
    AdoptedEarly,
    /// A node goes on under the epoch of its last run.
    EpochReused,
    /// Deleted records are left out of transfers.
    TombstoneDropped,
    /// What a node says it applied has no holes.
    AckedByHead,
    /// What lies in quarantine is adopted with a transfer.
    HeldAdopted,
    /// A write's clock is that of its author, whatever the record holds.
    ClockNotRaised,
    /// A creation over a deleted record does not end what concurrent edits left there.
    FormerLifeKept,
}

impl Defect {
    pub(super) const ALL: [Defect; 9] = [
        Defect::CursorSkipped,
        Defect::DotNotRecorded,
        Defect::AdoptedEarly,
        Defect::EpochReused,
        Defect::TombstoneDropped,
        Defect::AckedByHead,
        Defect::HeldAdopted,
        Defect::ClockNotRaised,
        Defect::FormerLifeKept,
    ];
}
