//! Recounts everything that is kept in step by hand, and runs SQLite's own checks.

use memnode_cluster::{BUCKET_COUNT, Bucket, RecordId, bucket_of};
use rusqlite::Connection;

use super::digest;
use super::error::StoreError;
use super::open::meta;
use super::reader::Reader;
use super::record;

/// Most problems that one check names.
const PROBLEM_COUNT_MAX: usize = 100;

impl Reader<'_> {
    /// What is wrong with the file, in sentences; empty when nothing is.
    pub fn verify(&self) -> Result<Vec<String>, StoreError> {
        let connection = self.connection();
        let mut problems = integrity(connection)?;
        problems.extend(words(connection)?);
        problems.extend(counters(connection)?);
        problems.extend(records(connection)?);
        problems.extend(vectors(connection)?);
        problems.truncate(PROBLEM_COUNT_MAX);
        Ok(problems)
    }
}

fn integrity(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let lines = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(lines
        .into_iter()
        .filter(|line| line != "ok")
        .map(|line| format!("SQLite: {line}"))
        .collect())
}

/// Every live row must be in the word index. Its contents are compared by the writer's check of
/// FTS5 itself, which needs a writing connection; a count finds missing and left-over rows.
fn words(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let indexed: i64 =
        connection.query_row("SELECT count(*) FROM memory_fts_docsize", [], |row| row.get(0))?;
    let live: i64 =
        connection.query_row("SELECT count(*) FROM memory WHERE live = 1", [], |row| row.get(0))?;
    Ok(mismatch("texts in the word index", indexed, live))
}

fn counters(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let tally = "SELECT count(*) FROM (
        SELECT namespace, memory_type, count FROM tally
        EXCEPT
        SELECT namespace, ifnull(memory_type, ''), count(*) FROM memory WHERE live = 1
        GROUP BY 1, 2)";
    let tags = "SELECT count(*) FROM (
        SELECT namespace, name, count FROM tag
        EXCEPT
        SELECT m.namespace, j.value, count(*) FROM memory m, json_each(m.tags) j
        WHERE m.live = 1 GROUP BY 1, 2)";
    let links = "SELECT count(*) FROM (
        SELECT t.namespace, t.name, l.created_at, l.row FROM memory_tag l JOIN tag t USING (tag_id)
        EXCEPT
        SELECT m.namespace, j.value, m.created_at, m.row FROM memory m, json_each(m.tags) j
        WHERE m.live = 1)";
    let mut problems = Vec::new();
    for (what, sql) in [("totals", tally), ("tag counts", tags), ("tag entries", links)] {
        let wrong: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        problems.extend(mismatch(&format!("wrong {what}"), wrong, 0));
    }
    Ok(problems)
}

/// Recounts the digest from the records themselves.
fn records(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    let mut buckets = vec![Bucket::default(); BUCKET_COUNT];
    let sql = "SELECT row, id, record, content, version, live FROM memory";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(line) = rows.next()? {
        let row: i64 = line.get(0)?;
        let id = RecordId(line.get(1)?);
        let blob: Vec<u8> = line.get(2)?;
        let content: Option<String> = line.get(3)?;
        let version: [u8; 16] = line.get(4)?;
        let live: bool = line.get(5)?;
        match record::decode(&blob, content.as_deref()) {
            Ok(record) => {
                let found = record.state_hash(&id);
                if found != version || record.is_live() != live {
                    problems.push(format!("row {row}: its columns contradict its record"));
                }
                if let Some(bucket) = buckets.get_mut(usize::from(bucket_of(&id))) {
                    bucket.insert(&found);
                }
            }
            Err(error) => problems.push(format!("row {row}: {error}")),
        }
    }
    if digest::read(connection)?.buckets != buckets {
        problems.push("the kept digest differs from a recount".to_owned());
    }
    Ok(problems)
}

fn vectors(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let count: i64 =
        connection
            .query_row("SELECT count(*) FROM memory_embeddings_rowids", [], |row| row.get(0))?;
    let live: i64 =
        connection.query_row("SELECT count(*) FROM memory WHERE live = 1", [], |row| row.get(0))?;
    let mut problems = mismatch("vectors", count, live);
    let dimension: Option<i64> = meta(connection, "dimension")?;
    if dimension.is_none() {
        problems.push("the file does not say which vectors it holds".to_owned());
    }
    Ok(problems)
}

fn mismatch(what: &str, found: i64, expected: i64) -> Vec<String> {
    if found == expected {
        return Vec::new();
    }
    vec![format!("{found} {what}, expected {expected}")]
}
