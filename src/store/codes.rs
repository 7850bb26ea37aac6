//! What the search index is made of, and its codes as they are kept in the file.

use rusqlite::{OptionalExtension, params};

use super::error::StoreError;
use super::reader::{Reader, damaged};
use super::writer::Writer;

/// Rows whose codes are kept together: number `c` has rows from `c` times this on.
pub const CODE_CHUNK_ROWS: i64 = 4096;
/// Of which so many are read at a time.
const VISITED_COUNT: usize = 128;

/// A live memory as the index wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeRow {
    /// Its row.
    pub row: i64,
    /// Its namespace.
    pub namespace: String,
    /// Its type.
    pub memory_type: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it was made, Unix seconds.
    pub created_at: f64,
    /// Its vector.
    pub vector: Vec<f32>,
}

/// An entry of the log of changed rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeChange {
    /// Its number.
    pub n: i64,
    /// The row; `None` when every row is another.
    pub row: Option<i64>,
}

/// The codes of a chunk as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedCodes {
    /// The last entry of the log that they hold.
    pub n: i64,
    /// Whatever the index made of them.
    pub bytes: Vec<u8>,
}

/// A chunk whose kept codes are behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleChunk {
    /// Its number.
    pub chunk: i64,
    /// Entries of the log that it does not hold.
    pub count: u64,
}

impl Reader<'_> {
    /// The number of the last entry of the log, also of one that is gone.
    ///
    /// # Errors
    /// Those of the file.
    pub fn code_head(&self) -> Result<i64, StoreError> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'code_log'";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// The first `limit` entries of the log after one.
    ///
    /// # Errors
    /// Those of the file.
    pub fn code_changes(&self, after: i64, limit: usize) -> Result<Vec<CodeChange>, StoreError> {
        let sql = "SELECT n, row FROM code_log WHERE n > ?1 ORDER BY n LIMIT ?2";
        let mut statement = self.connection().prepare_cached(sql)?;
        let changes = statement.query_map(params![after, limit as i64], |line| {
            let row: i64 = line.get(1)?;
            Ok(CodeChange { n: line.get(0)?, row: (row != 0).then_some(row) })
        })?;
        Ok(changes.collect::<Result<_, _>>()?)
    }

    /// A live memory that has a vector.
    ///
    /// # Errors
    /// Those of the file.
    pub fn code_row(&self, row: i64) -> Result<Option<CodeRow>, StoreError> {
        Ok(self.code_rows_between(row, row + 1)?.pop())
    }

    /// Looks at all of a chunk, a few rows at a time, so that no more vectors are in memory than
    /// those. The connection forgets their pages, which are of no use to whoever comes next.
    ///
    /// # Errors
    /// Those of the file and of `look`.
    pub fn visit_code_rows(
        &self,
        chunk: i64,
        mut look: impl FnMut(&CodeRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let first = chunk * CODE_CHUNK_ROWS;
        for part in (first..first + CODE_CHUNK_ROWS).step_by(VISITED_COUNT) {
            let end = part + VISITED_COUNT as i64;
            self.code_rows_between(part, end)?.iter().try_for_each(&mut look)?;
        }
        Ok(self.connection().execute_batch("PRAGMA shrink_memory")?)
    }

    fn code_rows_between(&self, first: i64, end: i64) -> Result<Vec<CodeRow>, StoreError> {
        let sql = "SELECT row, namespace, memory_type, tags, created_at FROM memory \
                   WHERE row >= ?1 AND row < ?2 AND live = 1 ORDER BY row";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut lines = statement.query([first, end])?;
        let mut found = Vec::new();
        while let Some(line) = lines.next()? {
            let tags = line.get_ref(3)?.as_str().map_err(damaged)?;
            found.push(CodeRow {
                row: line.get(0)?,
                namespace: line.get(1)?,
                memory_type: line.get(2)?,
                tags: serde_json::from_str(tags).map_err(damaged)?,
                created_at: line.get(4)?,
                vector: Vec::new(),
            });
        }
        let rows: Vec<i64> = found.iter().map(|row| row.row).collect();
        let mut waiting = found.iter_mut();
        self.visit_embeddings(&rows, |row, vector| {
            let of_row = waiting.find(|waiting| waiting.row == row);
            of_row.expect("a row that was asked for").vector = vector.to_vec();
        })?;
        // One whose vector is still to be made joins later.
        found.retain(|row| !row.vector.is_empty());
        Ok(found)
    }

    /// The numbers of the chunks that have rows, dead ones included.
    ///
    /// # Errors
    /// Those of the file.
    pub fn code_chunks(&self) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT min(row) FROM memory WHERE row >= ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let (mut chunks, mut next) = (Vec::new(), 0);
        while let Some(row) = statement.query_row([next], |line| line.get::<_, Option<i64>>(0))? {
            let chunk = row / CODE_CHUNK_ROWS;
            chunks.push(chunk);
            next = (chunk + 1) * CODE_CHUNK_ROWS;
        }
        Ok(chunks)
    }

    /// The codes that are kept of a chunk.
    ///
    /// # Errors
    /// Those of the file.
    pub fn saved_codes(&self, chunk: i64) -> Result<Option<SavedCodes>, StoreError> {
        let sql = "SELECT n, codes FROM code_chunk WHERE chunk = ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let saved = statement
            .query_row([chunk], |row| Ok(SavedCodes { n: row.get(0)?, bytes: row.get(1)? }))
            .optional()?;
        Ok(saved)
    }

    /// Chunks that the log has entries of, most entries first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn stale_chunks(&self) -> Result<Vec<StaleChunk>, StoreError> {
        let sql = "SELECT row / ?1, count(*) FROM code_log WHERE row > 0 \
                   GROUP BY 1 ORDER BY 2 DESC, 1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let stale = statement.query_map([CODE_CHUNK_ROWS], |line| {
            Ok(StaleChunk { chunk: line.get(0)?, count: line.get(1)? })
        })?;
        Ok(stale.collect::<Result<_, _>>()?)
    }

    /// The first row from one on that has a vector.
    ///
    /// # Errors
    /// Those of the file.
    pub fn vector_row_from(&self, row: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(rowid) FROM memory_embeddings_rowids WHERE rowid >= ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.query_row([row], |line| line.get(0))?)
    }

    /// The last row that has a vector.
    ///
    /// # Errors
    /// Those of the file.
    pub fn last_vector_row(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT max(rowid) FROM memory_embeddings_rowids";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.query_row([], |line| line.get(0))?)
    }

    /// How many vectors the file holds.
    ///
    /// # Errors
    /// Those of the file.
    pub fn vector_count(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM memory_embeddings_rowids";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.query_row([], |line| line.get(0))?)
    }
}

impl Writer<'_> {
    /// Keeps the codes of a chunk, whose last row is `last`, as of an entry of the log; unless one
    /// of the rows changed since: it may have been erased. Says whether it did.
    ///
    /// # Errors
    /// Those of the file.
    pub fn keep_codes(
        &mut self,
        chunk: i64,
        last: i64,
        codes: &SavedCodes,
    ) -> Result<bool, StoreError> {
        let connection = self.connection();
        let (first, n) = (chunk * CODE_CHUNK_ROWS, codes.n);
        let changed = "SELECT 1 FROM code_log WHERE n > ?1 AND (row = 0 OR row BETWEEN ?2 AND ?3)";
        if connection.prepare_cached(changed)?.exists(params![n, first, last])? {
            return Ok(false);
        }
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO code_chunk (chunk, n, codes) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![chunk, n, codes.bytes])?;
        connection
            .prepare_cached("DELETE FROM code_log WHERE n <= ?1 AND row >= ?2 AND row < ?3")?
            .execute(params![n, first, first + CODE_CHUNK_ROWS])?;
        Ok(true)
    }

    /// Drops all codes: whoever follows the log makes them anew.
    ///
    /// # Errors
    /// Those of the file.
    pub fn drop_codes(&mut self) -> Result<(), StoreError> {
        Ok(self.connection().execute_batch(
            "DELETE FROM code_chunk; DELETE FROM code_log; INSERT INTO code_log (row) VALUES (0);",
        )?)
    }
}
