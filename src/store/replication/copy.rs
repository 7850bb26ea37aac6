//! Copying the replicated part of one file into an empty other one, table by table.

use rusqlite::Connection;

use super::super::compounds;
use super::super::error::StoreError;

/// The schema name under which the other file is attached.
const SOURCE: &str = "source";
/// Tables that are copied as they are. What is not listed is local, or set anew.
const TABLES: [&str; 7] =
    ["applied", "memory", "tag", "memory_tag", "tally", "bucket", "pending_vector"];
/// Where FTS5 keeps the word index (fts5.html, "Data Structures").
const WORD_TABLES: [&str; 4] =
    ["memory_fts_config", "memory_fts_data", "memory_fts_idx", "memory_fts_docsize"];
/// Where sqlite-vec keeps the vectors.
const VECTOR_TABLES: [&str; 3] =
    ["memory_embeddings_chunks", "memory_embeddings_rowids", "memory_embeddings_vector_chunks00"];

/// Attaches the file at a URI as the source of a copy.
pub(super) fn attach(connection: &Connection, uri: &str) -> Result<(), StoreError> {
    connection.execute(&format!("ATTACH ?1 AS {SOURCE}"), [uri])?;
    Ok(())
}

/// Copies everything that is replicated, and what follows from it, in one transaction that
/// `check` may still refuse. Vectors are left to be made when the two files differ in model.
pub(super) fn copy<T>(
    connection: &Connection,
    check: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let copied = without_triggers(connection, copy_tables).and_then(|()| check(connection));
    match copied {
        Ok(value) => {
            connection.execute_batch("COMMIT")?;
            Ok(value)
        }
        Err(error) => {
            // On a full disk and the like SQLite may have rolled back everything by itself.
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK")?;
            }
            Err(error)
        }
    }
}

/// Runs `work` while the triggers of the memory table are not there: what they would write is
/// copied too.
fn without_triggers(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger'";
    let triggers = connection
        .prepare(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, String)>, _>>()?;
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER main.{name}"))?;
    }
    work(connection)?;
    for (_, sql) in &triggers {
        connection.execute_batch(sql)?;
    }
    Ok(())
}

fn copy_tables(connection: &Connection) -> Result<(), StoreError> {
    // Payloads and the numbers drawn here stay behind.
    connection.execute_batch(&format!(
        "DELETE FROM main.origin;
         INSERT INTO main.origin (origin_id, node, epoch, changed_at)
           SELECT origin_id, node, epoch, changed_at FROM {SOURCE}.origin"
    ))?;
    for table in TABLES.iter().chain(&WORD_TABLES) {
        replace(connection, table)?;
    }
    compounds::fill(connection)?;
    // The triggers would have told the index.
    connection
        .execute_batch("DELETE FROM main.code_chunk; INSERT INTO main.code_log (row) VALUES (0)")?;
    if has_same_vectors(connection)? {
        VECTOR_TABLES.iter().try_for_each(|table| replace(connection, table))
    } else {
        connection.execute_batch(
            "INSERT OR IGNORE INTO main.pending_vector (row)
               SELECT row FROM main.memory WHERE live = 1",
        )?;
        Ok(())
    }
}

/// Rows go over as they lie in the file where both definitions agree (SQLite, "xfer").
fn replace(connection: &Connection, table: &str) -> Result<(), StoreError> {
    Ok(connection.execute_batch(&format!(
        "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM {SOURCE}.{table}"
    ))?)
}

fn has_same_vectors(connection: &Connection) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT count(*) = 2 FROM main.meta JOIN {SOURCE}.meta USING (key, value)
         WHERE key IN ('model', 'dimension')"
    );
    Ok(connection.query_row(&sql, [], |row| row.get(0))?)
}
