//! The replication protocol of memnode as pure logic.
//!
//! A node's replicated state is the join of the ops whose dots are in its vector, and nothing
//! else. This crate owns that join and the names, clocks, codecs and digests it needs. It knows
//! no file, no socket, no time of day and no task: every input is an argument, so whatever
//! happens on a network can be replayed in a test.

#![deny(unsafe_code)]

mod cbor;
mod change;
mod clock;
mod digest;
mod error;
mod interval;
mod merge;
mod op;
mod origin;
mod part;
mod record;
pub mod replicator;
#[cfg(test)]
mod testing;
pub mod value;
mod vector;
pub mod wire;

pub use change::{CreateValues, UpdateValues, create, delete, purge, update};
pub use clock::{Clock, ClockExhausted, LocalClock, Observed, SKEW_MILLIS_MAX};
pub use digest::{BUCKET_COUNT, Bucket, GROUP_COUNT, bucket_of, group_of, groups, root};
pub use error::{DecodeError, Invalid, NameError};
pub use interval::IntervalSet;
pub use merge::{Outcome, Replaced, Witness};
pub use op::{
    ClusterId, EMBEDDING_DIMENSIONS_MAX, Embedding, OP_BYTES_MAX, Op, OpKind, UnknownFields,
    Version,
};
pub use origin::{Dot, NodeName, OSEQ_MAX, Origin};
pub use part::{OtherPart, Part, Parts};
pub use record::{Record, RecordId, Register, Stamp};
pub use vector::{VECTOR_BYTES_MAX, Vector};
