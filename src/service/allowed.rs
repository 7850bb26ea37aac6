//! The rows that a filter leaves, for searches by words.

use std::collections::HashSet;
use std::sync::Arc;

use crate::index::bits::Bits;
use crate::index::selection::Selection;
use crate::index::snapshot::Snapshot;
use crate::memory::Filter;
use crate::store::{Reader, StoreError};

/// So few rows are judged one by one, whatever words they hold.
const FEW_COUNT: usize = 300;

/// The rows that a filter leaves.
pub(super) enum Allowed {
    /// Every one.
    All,
    /// So few that each can be looked at.
    Few(Vec<i64>),
    /// These.
    Rows(HashSet<i64>),
    /// Those that the index says, and of rows without a vector those that SQL says.
    Indexed {
        /// What the index holds.
        snapshot: Arc<Snapshot>,
        /// Its rows, by chunk.
        parts: Vec<Option<Bits>>,
        /// The same in other words.
        filter: Filter,
    },
}

impl Allowed {
    /// Of a filter, as of the reader's snapshot. `index` is what the index holds then.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn of(
        reader: &Reader<'_>,
        filter: &Filter,
        index: Option<Arc<Snapshot>>,
    ) -> Result<Self, StoreError> {
        if !filter.has_conditions() && reader.count(filter)? == reader.live_count()? {
            return Ok(Allowed::All);
        }
        let selected = index.and_then(|index| Some((Selection::of(&index, filter)?, index)));
        if let Some((selection, snapshot)) = selected
            && selection.count > FEW_COUNT
        {
            let mut parts = vec![None; snapshot.chunks().len()];
            for (number, bits) in selection.parts {
                parts[number] = Some(bits);
            }
            return Ok(Allowed::Indexed { snapshot, parts, filter: filter.clone() });
        }
        let rows = reader.rows(filter)?;
        Ok(if rows.len() <= FEW_COUNT {
            Allowed::Few(rows)
        } else {
            Allowed::Rows(rows.into_iter().collect())
        })
    }

    /// Whether a row is left.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn holds(&self, reader: &Reader<'_>, row: i64) -> Result<bool, StoreError> {
        Ok(match self {
            Allowed::All => true,
            Allowed::Few(rows) => rows.binary_search(&row).is_ok(),
            Allowed::Rows(rows) => rows.contains(&row),
            Allowed::Indexed { snapshot, parts, filter } => match snapshot.place(row) {
                Some((number, slot)) => {
                    parts[number].as_ref().is_some_and(|bits| bits.contains(slot))
                }
                None => reader.leaves(filter, row)?,
            },
        })
    }
}
