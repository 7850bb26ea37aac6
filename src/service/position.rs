//! Where writes stand: what their answers name, and what reads wait for.

use crate::memory::{ContentHash, Namespace, Written};
use crate::store::{Reader, StoreError, Writer};

/// A value and all the writes that this job made.
pub(super) fn written<T>(writer: &Writer<'_>, value: T) -> Written<T> {
    Written { value, position: writer.drawn().iter().cloned().collect() }
}

/// A value and the last write that this job made.
pub(super) fn last_written<T>(writer: &Writer<'_>, value: T) -> Written<T> {
    Written { value, position: writer.drawn().last().cloned().into_iter().collect() }
}

/// A value that no write of this call made, and the write that gave its memory life.
pub(super) fn found<T>(
    reader: &Reader<'_>,
    namespace: &Namespace,
    hash: &ContentHash,
    value: T,
) -> Result<Written<T>, StoreError> {
    Ok(Written { value, position: reader.born(namespace, hash)?.into_iter().collect() })
}

/// Adds the write that gave the memory life: where it is not applied, the others show nothing.
pub(super) fn with_birth<T>(
    reader: &Reader<'_>,
    namespace: &Namespace,
    hash: &ContentHash,
    mut written: Written<T>,
) -> Result<Written<T>, StoreError> {
    if let Some(dot) = reader.born(namespace, hash)? {
        written.position.insert(&dot);
    }
    Ok(written)
}
