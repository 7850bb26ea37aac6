//! What replication needs of the file: taking in what peers wrote, giving out what is kept,
//! comparing, joining states, pruning, erasing.
//!
//! All of it runs in the caller's transaction. What to do and when is decided elsewhere.

mod batch;
mod confirmed;
mod conflicts;
mod copy;
mod erasing;
pub(super) mod erasure;
mod join;
mod members;
mod membership;
pub(super) mod prune;
mod publish;
mod quarantine;
mod range;
mod reserved;
mod rules;
mod seal;
pub(super) mod snapshot;
pub(super) mod start;
mod transfer;

pub use batch::BatchOutcome;
pub use conflicts::Conflict;
pub use join::MergeOutcome;
pub use membership::{Membership, holds_decisions};
pub use quarantine::{ForgedKeys, Quarantined};
pub use seal::{Seal, Sealed};
pub use snapshot::{Installed, Snapshot};
pub use start::{Beat, OwnHead};
