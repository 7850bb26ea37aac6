//! `/api/cluster`, `/api/conflicts`, `/api/sync`: the cluster as this node sees it, and what an
//! administrator decides about it.

mod conflicts;
mod digest;
mod member;
mod nodes;
mod quarantine;
mod snapshot;
mod status;
mod sync;

pub use conflicts::*;
pub use digest::*;
pub use member::*;
pub use nodes::*;
pub use quarantine::*;
pub use snapshot::*;
pub use status::*;
pub use sync::*;
