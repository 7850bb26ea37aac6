//! The audit log in the file.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Row, params, params_from_iter};

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use crate::memory::{AuditEntry, AuditFilter};

/// In which order entries are read, and after which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOrder {
    /// The newest first, those before this number.
    NewestBefore(i64),
    /// The oldest first, those after this number.
    OldestAfter(i64),
}

impl Reader<'_> {
    /// Entries with their numbers.
    ///
    /// # Errors
    /// Those of the file.
    pub fn audit(
        &self,
        filter: &AuditFilter,
        order: AuditOrder,
        limit: usize,
    ) -> Result<Vec<(i64, AuditEntry)>, StoreError> {
        let (condition, start, direction) = match order {
            AuditOrder::NewestBefore(n) => ("n < ?", n, "DESC"),
            AuditOrder::OldestAfter(n) => ("n > ?", n, "ASC"),
        };
        let mut sql = format!(
            "SELECT n, at, principal, key_id, operation, namespaces, address, status, outcome, \
             refused, trace_id FROM audit WHERE {condition}"
        );
        let mut values = vec![SqlValue::Integer(start)];
        let mut also = |text: &str, value: SqlValue| {
            sql.push_str(text);
            values.push(value);
        };
        if let Some(after) = filter.after {
            also(" AND at >= ?", SqlValue::Real(after));
        }
        if let Some(before) = filter.before {
            also(" AND at < ?", SqlValue::Real(before));
        }
        if let Some(principal) = &filter.principal {
            also(" AND ? IN (principal, key_id)", SqlValue::Text(principal.clone()));
        }
        if let Some(operation) = &filter.operation {
            also(" AND operation = ?", SqlValue::Text(operation.clone()));
        }
        if let Some(namespace) = &filter.namespace {
            also(" AND instr(namespaces, ?) > 0", SqlValue::Text(format!(" {namespace} ")));
        }
        if let Some(is_refused) = filter.is_refused {
            also(" AND refused = ?", SqlValue::Integer(i64::from(is_refused)));
        }
        sql.push_str(&format!(" ORDER BY n {direction} LIMIT {limit}"));
        let mut statement = self.connection().prepare(&sql)?;
        let found = statement.query_map(params_from_iter(values), entry_of)?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

impl Writer<'_> {
    /// Adds entries.
    ///
    /// # Errors
    /// Those of the file.
    pub fn add_audit(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let mut statement = self.connection().prepare_cached(
            "INSERT INTO audit (at, principal, key_id, operation, namespaces, address, status, \
             outcome, refused, trace_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        for entry in entries {
            statement.execute(params![
                entry.at,
                entry.principal,
                entry.key_id,
                entry.operation,
                format!(" {} ", entry.namespaces.join(" ")),
                entry.address,
                entry.status,
                entry.outcome,
                entry.is_refused,
                entry.trace_id,
            ])?;
        }
        Ok(())
    }

    /// Drops entries of before a time (Unix seconds), and all but the newest `count_max`; at most
    /// `limit` at a time. Says how many.
    ///
    /// # Errors
    /// Those of the file.
    pub fn prune_audit(
        &mut self,
        before: f64,
        count_max: u64,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let sql = "DELETE FROM audit WHERE n IN (SELECT n FROM audit \
                   WHERE at < ?1 OR n <= (SELECT max(n) FROM audit) - ?2 ORDER BY n LIMIT ?3)";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.execute(params![before, count_max, limit])? as u64)
    }
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<(i64, AuditEntry)> {
    let namespaces: String = row.get(5)?;
    let entry = AuditEntry {
        at: row.get(1)?,
        principal: row.get(2)?,
        key_id: row.get(3)?,
        operation: row.get(4)?,
        namespaces: namespaces.split_whitespace().map(str::to_owned).collect(),
        address: row.get(6)?,
        status: row.get(7)?,
        outcome: row.get(8)?,
        is_refused: row.get(9)?,
        trace_id: row.get(10)?,
    };
    Ok((row.get(0)?, entry))
}
