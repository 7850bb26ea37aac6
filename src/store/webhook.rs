//! How far webhooks were told, and what could not be told.

use rusqlite::{OptionalExtension, params};

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;

/// Most changes that are kept as not told; the oldest go first.
const DEAD_COUNT_MAX: i64 = 10_000;

/// A change that a webhook could not be told of.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Its name.
    pub id: i64,
    /// The webhook.
    pub hook: String,
    /// The row of the change log.
    pub n: u64,
    /// When it was given up, in Unix seconds.
    pub at: f64,
    /// What came of the last try.
    pub reason: String,
}

impl Reader<'_> {
    /// The last row that a webhook was told of, or passed over; `None` for a new one.
    ///
    /// # Errors
    /// Those of the file.
    pub fn webhook(&self, hook: &str) -> Result<Option<u64>, StoreError> {
        let mut statement =
            self.connection().prepare_cached("SELECT n FROM webhook WHERE hook = ?1")?;
        Ok(statement.query_row([hook], |row| row.get(0)).optional()?)
    }

    /// What was given up, the oldest first, and how much there is in all.
    ///
    /// # Errors
    /// Those of the file.
    pub fn dead_letters(&self, limit: usize) -> Result<(Vec<DeadLetter>, u64), StoreError> {
        let connection = self.connection();
        let sql = "SELECT k, hook, n, at, reason FROM webhook_dead ORDER BY k LIMIT ?1";
        let mut statement = connection.prepare_cached(sql)?;
        let letters = statement.query_map([limit as i64], |row| {
            Ok(DeadLetter {
                id: row.get(0)?,
                hook: row.get(1)?,
                n: row.get(2)?,
                at: row.get(3)?,
                reason: row.get(4)?,
            })
        })?;
        let letters = letters.collect::<Result<_, _>>()?;
        let count = connection.query_row("SELECT count(*) FROM webhook_dead", [], |r| r.get(0))?;
        Ok((letters, count))
    }
}

impl Writer<'_> {
    /// Notes how far a webhook was told.
    ///
    /// # Errors
    /// Those of the file.
    pub fn move_webhook(&mut self, hook: &str, n: u64) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO webhook (hook, n) VALUES (?1, ?2)";
        self.connection().prepare_cached(sql)?.execute(params![hook, n])?;
        Ok(())
    }

    /// Gives a change up for a webhook, which goes on after it.
    ///
    /// # Errors
    /// Those of the file.
    pub fn bury(&mut self, hook: &str, n: u64, reason: &str) -> Result<(), StoreError> {
        let at = self.now();
        let connection = self.connection();
        let sql = "INSERT INTO webhook_dead (hook, n, at, reason) VALUES (?1, ?2, ?3, ?4)";
        connection.prepare_cached(sql)?.execute(params![hook, n, at, reason])?;
        let sql = "DELETE FROM webhook_dead WHERE k <= (SELECT max(k) FROM webhook_dead) - ?1";
        connection.prepare_cached(sql)?.execute([DEAD_COUNT_MAX])?;
        self.move_webhook(hook, n)
    }

    /// Drops what was given up: one, or all; says how many.
    ///
    /// # Errors
    /// Those of the file.
    pub fn drop_dead_letters(&mut self, id: Option<i64>) -> Result<u64, StoreError> {
        let sql = "DELETE FROM webhook_dead WHERE ?1 IS NULL OR k = ?1";
        Ok(self.connection().prepare_cached(sql)?.execute([id])? as u64)
    }
}
