//! The parts of compound words, kept beside the word index, which knows whole words alone.

use rusqlite::{Connection, params};

use super::error::StoreError;
use crate::memory::relevance::words::part_stems;

/// Keeps the parts of the compounds of a row that has none here.
pub(super) fn write(connection: &Connection, row: i64, content: &str) -> Result<(), StoreError> {
    let stems = part_stems(content);
    if stems.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO compound_part (stem, row) VALUES (?1, ?2)";
    let mut insert = connection.prepare_cached(sql)?;
    for stem in stems {
        insert.execute(params![stem, row])?;
    }
    Ok(())
}

/// Forgets what a row has here.
pub(super) fn forget(connection: &Connection, row: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM compound_part WHERE row = ?1")?.execute([row])?;
    Ok(())
}

/// Makes everything anew from the texts. The caller has a transaction open.
pub(super) fn fill(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("DELETE FROM main.compound_part")?;
    let sql = "SELECT row, content FROM main.memory WHERE live = 1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let content: String = row.get(1)?;
        write(connection, row.get(0)?, &content)?;
    }
    Ok(())
}
