//! The cluster as one node sees it, and what an administrator decides about it.

mod conflicts;
mod decide;
mod erase;
mod member;
mod promises;
mod sync;
mod view;

pub use conflicts::{CONFLICT_COUNT_MAX, ConflictPage};
pub use decide::{Held, QUARANTINE_COUNT_MAX, Retried, Snapshot};
pub use erase::{Erased, ErasedAt};
pub use member::Membership;
pub use promises::AckWait;
pub use sync::SyncView;
pub(super) use view::reason_name;
pub use view::{
    AlarmView, ClusterView, JoiningView, NodeView, OriginView, PruningView, StreamView,
    TransferView, VectorView,
};
