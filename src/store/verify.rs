//! Recounts everything that is kept in step by hand, and runs SQLite's own checks.

use memnode_cluster::{BUCKET_COUNT, Bucket, Record, RecordId, bucket_of};
use rusqlite::{Connection, Row};

use super::digest;
use super::error::StoreError;
use super::open::meta;
use super::reader::Reader;
use super::record;

/// Most problems that one check names.
const PROBLEM_COUNT_MAX: usize = 100;

impl Reader<'_> {
    /// Whether the digest and the columns are what the records say: what is wrong, in sentences.
    pub fn recount(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = match records(self.connection()) {
            Ok(problems) => problems,
            Err(error) if error.is_fatal() => vec![error.to_string()],
            Err(error) => return Err(error),
        };
        problems.truncate(PROBLEM_COUNT_MAX);
        Ok(problems)
    }

    /// What is wrong with the file, in sentences; empty when nothing is.
    pub fn verify(&self) -> Result<Vec<String>, StoreError> {
        let connection = self.connection();
        let mut problems = Vec::new();
        for check in [integrity, foreign_keys, derived, records] {
            match check(connection) {
                Ok(found) => problems.extend(found),
                // Damage that the check stumbled over is what it was looking for.
                Err(error) if error.is_fatal() => problems.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        problems.truncate(PROBLEM_COUNT_MAX);
        Ok(problems)
    }
}

/// Rows that name a row which is not there.
fn foreign_keys(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT \"table\", count(*), parent FROM pragma_foreign_key_check GROUP BY 1, 3";
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([], |row| {
        let (table, count, parent): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("{count} rows of {table} name a row of {parent} that is not there"))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn integrity(connection: &Connection) -> Result<Vec<String>, StoreError> {
    // The check of FTS5 trusts what an earlier query of this connection learnt about the word
    // index, however old; a query looks again.
    let look = "SELECT 1 FROM memory_fts WHERE memory_fts MATCH '\"\"'";
    connection.prepare(look)?.exists([])?;
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let lines = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(lines
        .into_iter()
        .filter(|line| line != "ok")
        .map(|line| format!("SQLite: {line}"))
        .collect())
}

/// Rows that one query gives and the other does not, either way round.
fn difference(connection: &Connection, one: &str, other: &str) -> Result<i64, StoreError> {
    let sql = format!(
        "WITH one AS ({one}), other AS ({other}) \
         SELECT (SELECT count(*) FROM (SELECT * FROM one EXCEPT SELECT * FROM other)) \
              + (SELECT count(*) FROM (SELECT * FROM other EXCEPT SELECT * FROM one))"
    );
    Ok(connection.query_row(&sql, [], |row| row.get(0))?)
}

/// Everything that the triggers and the writer keep beside the memories, recounted.
///
/// Every live row must be in the word index. Its contents are compared by the writer's check of
/// FTS5 itself, which needs a writing connection; the rows tell what is missing or left over.
fn derived(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let checks = [
        (
            "wrong totals",
            "SELECT namespace, memory_type, count FROM tally",
            "SELECT namespace, ifnull(memory_type, ''), count(*) FROM memory WHERE live = 1
             GROUP BY 1, 2",
        ),
        (
            "wrong tag counts",
            "SELECT namespace, name, count FROM tag",
            "SELECT m.namespace, j.value, count(*) FROM memory m, json_each(m.tags) j
             WHERE m.live = 1 GROUP BY 1, 2",
        ),
        (
            "wrong tag entries",
            "SELECT t.namespace, t.name, l.created_at, l.row
             FROM memory_tag l LEFT JOIN tag t USING (tag_id)",
            "SELECT m.namespace, j.value, m.created_at, m.row FROM memory m, json_each(m.tags) j
             WHERE m.live = 1",
        ),
        (
            "wrong rows in the word index",
            "SELECT id FROM memory_fts_docsize",
            "SELECT row FROM memory WHERE live = 1",
        ),
        (
            "parts of words of no memory",
            "SELECT row FROM compound_part EXCEPT SELECT row FROM memory WHERE live = 1",
            "SELECT row FROM memory WHERE 0",
        ),
        (
            "wrong rows of vectors",
            "SELECT rowid, 0 FROM memory_embeddings_rowids
             UNION ALL SELECT row, 1 FROM pending_vector",
            "SELECT row, EXISTS (SELECT 1 FROM pending_vector p WHERE p.row = m.row)
             FROM memory m WHERE live = 1",
        ),
        (
            "runs with numbers of own writes that are drawn and not applied",
            "SELECT origin_id FROM origin WHERE head > 0",
            "SELECT origin_id FROM applied JOIN origin USING (origin_id)
             WHERE head > 0 AND lo = 1 AND hi >= head",
        ),
        (
            "wrong counts of kept writes",
            "SELECT origin_id, kept_count, kept_bytes FROM origin WHERE kept_count > 0",
            "SELECT origin_id, count(*), sum(length(payload)) FROM op GROUP BY origin_id",
        ),
    ];
    let mut problems = Vec::new();
    for (what, found, expected) in checks {
        let wrong = difference(connection, found, expected)?;
        problems.extend((wrong > 0).then(|| format!("{wrong} {what}")));
    }
    if meta::<i64>(connection, "dimension")?.is_none() {
        problems.push("the file does not say which vectors it holds".to_owned());
    }
    Ok(problems)
}

/// Recounts the digest from the records themselves, and holds the columns against them.
fn records(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut problems = Vec::new();
    let mut buckets = vec![Bucket::default(); BUCKET_COUNT];
    let sql = "SELECT row, id, record, content, version, live, created_at, updated_at, \
               memory_type, tags, metadata, origin, namespace, content_hash FROM memory";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(line) = rows.next()? {
        let row: i64 = line.get(0)?;
        let id = RecordId(line.get(1)?);
        let blob: Vec<u8> = line.get(2)?;
        let content: Option<String> = line.get(3)?;
        match record::decode(&blob, content.as_deref()) {
            Ok(record) => {
                let found = record.state_hash(&id);
                if line.get::<_, [u8; 16]>(4)? != found || !shows(line, &id, &record)? {
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

/// Whether the columns that `records` selects are those that follow from the record.
fn shows(line: &Row<'_>, id: &RecordId, record: &Record) -> Result<bool, StoreError> {
    let namespace: String = line.get(12)?;
    let shown = record::project(record, &namespace)?;
    let text = |column: usize| -> Result<Option<&str>, StoreError> {
        Ok(line.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?)
    };
    Ok(line.get::<_, bool>(5)? == shown.live
        && text(3)? == shown.content
        && line.get::<_, Option<f64>>(6)? == shown.created_at
        && line.get::<_, Option<f64>>(7)? == shown.updated_at
        && text(8)? == shown.memory_type
        && text(9)? == Some(shown.tags.as_str())
        && text(10)? == Some(shown.metadata.as_str())
        && text(11)? == shown.origin
        && RecordId::new(&namespace, &line.get(13)?) == *id)
}
