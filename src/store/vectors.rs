//! Vectors of many rows at once, read where sqlite-vec keeps them.
//!
//! A point query on a vec0 table opens a blob for each row, which compiles a statement each time.
//! A search scores hundreds of rows: here one open blob is moved from chunk to chunk instead, at a
//! third of the cost (`benches/layout.rs`). The shadow tables are those of the pinned sqlite-vec;
//! a test compares what is read here with what the vec0 table itself says.

use rusqlite::blob::Blob;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::reader::{Reader, damaged, vector_of};

impl Reader<'_> {
    /// Shows the vectors of rows, in the order given; rows that have none are left out. Ascending
    /// rows are read fastest.
    ///
    /// # Errors
    /// Those of the file.
    pub fn visit_embeddings(
        &self,
        rows: &[i64],
        mut visit: impl FnMut(i64, &[f32]),
    ) -> Result<(), StoreError> {
        let sql = "SELECT chunk_id, chunk_offset FROM memory_embeddings_rowids WHERE rowid = ?1";
        let mut position = self.connection().prepare_cached(sql)?;
        let mut chunk: Option<Chunk<'_>> = None;
        let mut bytes = vec![0; self.dimension()? * size_of::<f32>()];
        for row in rows {
            let found = position.query_row(params![row], |line| Ok((line.get(0)?, line.get(1)?)));
            let Some::<(i64, i64)>((id, offset)) = found.optional()? else { continue };
            let chunk = match &mut chunk {
                Some(chunk) => chunk.at(id)?,
                none => none.insert(Chunk::open(self.connection(), id)?),
            };
            let start = bytes.len() * usize::try_from(offset).map_err(damaged)?;
            chunk.blob.read_at_exact(&mut bytes, start)?;
            visit(*row, &vector_of(&bytes));
        }
        Ok(())
    }
}

/// The vectors of one chunk of sqlite-vec, side by side.
struct Chunk<'c> {
    id: i64,
    blob: Blob<'c>,
}

impl<'c> Chunk<'c> {
    fn open(connection: &'c Connection, id: i64) -> rusqlite::Result<Self> {
        let table = "memory_embeddings_vector_chunks00";
        let blob = connection.blob_open("main", table, "vectors", id, true)?;
        Ok(Chunk { id, blob })
    }

    /// The same handle on another chunk.
    fn at(&mut self, id: i64) -> rusqlite::Result<&mut Self> {
        if self.id != id {
            self.blob.reopen(id)?;
            self.id = id;
        }
        Ok(self)
    }
}
