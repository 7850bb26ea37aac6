//! The threads that own the connections: one writer with group commit, several readers.

mod read;
mod write;

pub(super) use read::ReaderPool;
pub(super) use write::WriterPool;

/// Whether the file takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It does.
    Ok,
    /// The disk is full; tried again every ten seconds.
    Full,
    /// Damage or an IO error: reads only, until a restart.
    ReadOnly(String),
}
