//! What a whole file looks like: a fair sample of its vectors, and how it grew.

use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use super::error::StoreError;
use super::filter::{Sql, in_namespaces};
use super::open::{meta, set_meta};
use super::reader::{Located, MEMORY_COLUMNS, Reader, memory_of};
use super::writer::Writer;
use crate::memory::NamespaceSet;

/// Width of the slots that memories are counted in: every time zone is a multiple of it.
pub const SLOT_SECONDS: i64 = 900;

/// Slots from the first year to 1970: added before a cast, which cuts towards zero.
const YEAR_ONE: i64 = 62_135_596_800 / SLOT_SECONDS;

/// Where the axes of the map are kept.
const MAP_AXES: &str = "map_axes";

impl Reader<'_> {
    /// Up to `limit` live memories with their vectors, chosen by their ids. Those are hashes, so
    /// the sample is fair, and one more memory takes the place of one other at most.
    pub fn sample(
        &self,
        namespaces: &NamespaceSet,
        limit: usize,
    ) -> Result<Vec<(Located, Vec<f32>)>, StoreError> {
        // The plus signs keep SQLite on the index of ids, where it can stop early.
        let mut sql = Sql::new(format!("SELECT {MEMORY_COLUMNS} FROM memory m WHERE +m.live = 1"));
        sql.append(in_namespaces("+m.namespace", namespaces));
        sql.push(" ORDER BY m.id LIMIT ?", [SqlValue::Integer(limit as i64)]);
        let mut statement = self.connection().prepare_cached(&sql.text)?;
        let mut rows = statement.query(params_from_iter(sql.parameters))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let located = memory_of(row)?;
            // One whose vector is still to be made joins later.
            if let Some(vector) = self.embedding(located.row)? {
                found.push((located, vector));
            }
        }
        Ok(found)
    }

    /// The axes of the map, as they were kept.
    pub fn map_axes(&self) -> Result<Option<String>, StoreError> {
        meta(self.connection(), MAP_AXES)
    }

    /// Live memories by the slot of [`SLOT_SECONDS`] since 1970 in which they were made, from
    /// `after` on, ascending.
    pub fn growth(
        &self,
        namespaces: &NamespaceSet,
        after: Option<f64>,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        let slot =
            format!("CAST(m.created_at / {SLOT_SECONDS} + {YEAR_ONE} AS INTEGER) - {YEAR_ONE}");
        let mut sql =
            Sql::new(format!("SELECT {slot} AS slot, count(*) FROM memory m WHERE m.live = 1"));
        sql.append(in_namespaces("m.namespace", namespaces));
        if let Some(after) = after {
            sql.push(" AND m.created_at >= ?", [SqlValue::Real(after)]);
        }
        sql.push(" GROUP BY slot ORDER BY slot", []);
        let mut statement = self.connection().prepare_cached(&sql.text)?;
        let rows = statement
            .query_map(params_from_iter(sql.parameters), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Writer<'_> {
    /// Keeps the axes of the map in place of others.
    pub fn keep_map_axes(&mut self, axes: &str) -> Result<(), StoreError> {
        set_meta(self.connection(), MAP_AXES, axes)
    }
}
