//! Moving a file from one embedding model to another: the new vectors gather in a table of their
//! own, and take the place of the old ones in one transaction when none is missing.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::open::{meta, set_meta};
use super::reader::{Reader, vector_bytes};
use super::writer::Writer;

/// A text that has no vector of the new model yet.
#[derive(Clone, Debug)]
pub struct Unembedded {
    /// Its row.
    pub row: i64,
    /// The text as it was read; its vector is kept only if it still is.
    pub content: String,
}

/// Where a move stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReembedProgress {
    /// The model the file has now.
    pub from: String,
    /// The model it moves to.
    pub to: String,
    /// Texts that have a vector of the new model.
    pub done: u64,
    /// Live texts.
    pub total: u64,
}

impl Reader<'_> {
    /// The name of the model whose vectors the file holds.
    pub fn model(&self) -> Result<String, StoreError> {
        Ok(meta(self.connection(), "model")?.unwrap_or_default())
    }

    /// How many numbers each of them has.
    pub fn dimension(&self) -> Result<usize, StoreError> {
        let recorded = recorded_model(self.connection())?;
        Ok(recorded.map_or(0, |(_, dimension)| dimension))
    }

    /// Where a move stands, `None` when none was begun.
    pub fn reembed_progress(&self) -> Result<Option<ReembedProgress>, StoreError> {
        let Some(to) = meta(self.connection(), "reembed_model")? else { return Ok(None) };
        let done =
            self.connection()
                .query_row("SELECT count(*) FROM reembed_vector", [], |row| row.get(0))?;
        Ok(Some(ReembedProgress { from: self.model()?, to, done, total: self.live_count()? }))
    }

    /// Texts after a row that have no vector of the new model.
    pub fn unembedded(&self, after: i64, limit: usize) -> Result<Vec<Unembedded>, StoreError> {
        let sql = "SELECT m.row, m.content FROM memory m WHERE m.live = 1 AND m.row > ?1 \
                   AND NOT EXISTS (SELECT 1 FROM reembed_vector v WHERE v.row = m.row) \
                   ORDER BY m.row LIMIT ?2";
        let mut statement = self.connection().prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![after, limit], |row| {
            Ok(Unembedded { row: row.get(0)?, content: row.get(1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Reader<'_> {
    /// Live texts that have no vector at all: writes of peers that use another model.
    pub fn unembedded_live(&self, limit: usize) -> Result<Vec<Unembedded>, StoreError> {
        let sql = "SELECT row, content FROM pending_vector JOIN memory USING (row) \
                   ORDER BY row LIMIT ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement
            .query_map([limit], |row| Ok(Unembedded { row: row.get(0)?, content: row.get(1)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Writer<'_> {
    /// Begins a move, or goes on with the one to the same model.
    pub fn reembed_begin(&mut self, model: &str, dimension: usize) -> Result<(), StoreError> {
        let connection = self.connection();
        let begun: Option<String> = meta(connection, "reembed_model")?;
        let begun_dimension: Option<i64> = meta(connection, "reembed_dimension")?;
        if begun.as_deref() != Some(model) || begun_dimension != Some(dimension as i64) {
            connection.execute("DELETE FROM reembed_vector", [])?;
            set_meta(connection, "reembed_model", model)?;
            set_meta(connection, "reembed_dimension", dimension as i64)?;
        }
        Ok(())
    }

    /// Keeps vectors of the new model for texts that are still what they were.
    pub fn reembed_keep(&mut self, done: &[(Unembedded, Vec<f32>)]) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO reembed_vector (row, vector) SELECT ?1, ?2 \
                   WHERE EXISTS \
                   (SELECT 1 FROM memory WHERE row = ?1 AND live = 1 AND content = ?3)";
        let mut statement = self.connection().prepare_cached(sql)?;
        for (text, vector) in done {
            statement.execute(params![text.row, vector_bytes(vector), text.content])?;
        }
        Ok(())
    }

    /// Puts the new vectors in place of the old ones, unless some are missing. Does nothing when
    /// no move was begun.
    pub fn reembed_finish(&mut self) -> Result<bool, StoreError> {
        let connection = self.connection();
        let model: Option<String> = meta(connection, "reembed_model")?;
        let dimension: Option<i64> = meta(connection, "reembed_dimension")?;
        let (Some(model), Some(dimension)) = (model, dimension) else { return Ok(true) };
        if !self.unembedded(0, 1)?.is_empty() {
            return Ok(false);
        }
        connection.execute_batch("DROP TABLE memory_embeddings")?;
        create_embeddings(connection, usize::try_from(dimension).unwrap_or_default())?;
        connection.execute(
            "INSERT INTO memory_embeddings (rowid, embedding) \
             SELECT v.row, v.vector FROM reembed_vector v JOIN memory m ON m.row = v.row \
             WHERE m.live = 1 ORDER BY v.row",
            [],
        )?;
        set_meta(connection, "model", &model)?;
        set_meta(connection, "dimension", dimension)?;
        connection.execute_batch(
            "DELETE FROM reembed_vector;
             DELETE FROM pending_vector;
             DELETE FROM meta WHERE key IN ('reembed_model', 'reembed_dimension')",
        )?;
        self.forget_model();
        Ok(true)
    }
}

/// Makes the vector table. Chunks of eight rows, the fewest that sqlite-vec takes: 384 numbers each
/// fit one page, so that a point read need not walk a chain of overflow pages. It costs a third of
/// the space more, and half of a flat scan's time (`benches/layout.rs`).
pub(super) fn create_embeddings(
    connection: &Connection,
    dimension: usize,
) -> Result<(), StoreError> {
    let sql = format!(
        "CREATE VIRTUAL TABLE memory_embeddings USING vec0 \
         (embedding FLOAT[{dimension}] distance_metric=cosine, chunk_size=8)"
    );
    Ok(connection.execute_batch(&sql)?)
}

/// The model and dimension that the file's vectors are of.
pub(super) fn recorded_model(
    connection: &Connection,
) -> Result<Option<(String, usize)>, StoreError> {
    let sql = "SELECT m.value, d.value FROM meta m, meta d \
               WHERE m.key = 'model' AND d.key = 'dimension'";
    let found =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
    Ok(found.map(|(model, dimension)| (model, usize::try_from(dimension).unwrap_or_default())))
}
