//! Reads the databases of mcp-memory-service, to import what they hold.
//!
//! Such a file is never written to. Columns are found by name, because they grew over the years,
//! and values are taken as they come: what does not fit our rules is kept in the metadata.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};
use serde_json::{Map, Value};

use super::error::StoreError;
use super::open::immutable_uri;
use super::write_ahead_log;
use crate::memory::{CONTENT_BYTES_MAX, ContentHash, Namespace, NewMemory, normalise_tags};
use crate::{Code, Error, Result};

/// Where a text's old hash is kept when it differs from ours.
const LEGACY_HASH: &str = "legacy_content_hash";
/// Where tags are kept that break our rules.
const LEGACY_TAGS: &str = "legacy_tags";
/// Where metadata are kept that are no JSON object.
const LEGACY_METADATA: &str = "legacy_metadata";
/// Where the name of a store is kept that is no namespace.
const LEGACY_STORE: &str = "legacy_store";
/// Largest tags or metadata that are looked at, in bytes.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// The times that a memory can carry: years 1 to 9999, in seconds since 1970.
const SECONDS: RangeInclusive<f64> = -62_135_596_800.0..=253_402_214_399.0;
/// How long to wait for the program that the file belongs to.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A database of mcp-memory-service, open for reading.
pub struct PeerFile {
    connection: Connection,
    columns: Vec<String>,
}

/// One memory of such a file.
#[derive(Debug)]
pub struct PeerMemory {
    /// Its row, for messages and to go on behind it.
    pub row: i64,
    /// The memory, or why it cannot be one of ours.
    pub memory: Result<NewMemory>,
}

/// How much such a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCounts {
    /// Memories that are there.
    pub live: u64,
    /// Memories that were deleted, of which the file keeps a trace.
    pub deleted: u64,
}

impl PeerFile {
    /// Opens a file that [`identify`](super::identify) calls a peer's.
    ///
    /// # Errors
    /// As SQLite says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open(path)?;
        let columns = connection
            .prepare("SELECT name FROM pragma_table_info('memories')")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(PeerFile { connection, columns })
    }

    /// How much it holds.
    ///
    /// # Errors
    /// As SQLite says.
    pub fn counts(&self) -> Result<PeerCounts, StoreError> {
        let deleted_at = self.column("deleted_at");
        let sql = format!("SELECT count(*), count({deleted_at}) FROM memories");
        let (all, deleted): (u64, u64) =
            self.connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(PeerCounts { live: all - deleted, deleted })
    }

    /// The next memories behind a row that were not deleted, lowest row first. Those that name no
    /// valid namespace go to `namespace`.
    ///
    /// # Errors
    /// As SQLite says: the file is damaged, or its owner keeps it locked.
    pub fn memories_after(
        &self,
        row: i64,
        count: usize,
        namespace: &Namespace,
    ) -> Result<Vec<PeerMemory>, StoreError> {
        let sql = format!(
            "SELECT rowid, octet_length(content), \
             CASE WHEN octet_length(content) <= {CONTENT_BYTES_MAX} THEN content END, \
             CASE WHEN octet_length(tags) <= {TEXT_BYTES_MAX} THEN tags END, \
             CASE WHEN octet_length(metadata) <= {TEXT_BYTES_MAX} THEN metadata END, \
             memory_type, content_hash, {store}, {created_at}, {created_at_iso}, \
             {updated_at}, {updated_at_iso} \
             FROM memories WHERE rowid > ?1 AND {deleted_at} IS NULL ORDER BY rowid LIMIT ?2",
            store = self.column("store"),
            created_at = self.column("created_at"),
            created_at_iso = self.column("created_at_iso"),
            updated_at = self.column("updated_at"),
            updated_at_iso = self.column("updated_at_iso"),
            deleted_at = self.column("deleted_at"),
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let found = statement.query_map(params![row, count], |row| {
            Ok(PeerMemory { row: row.get(0)?, memory: memory(row, namespace)? })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// A column that only some versions have, or NULL.
    fn column(&self, name: &'static str) -> &'static str {
        if self.columns.iter().any(|column| column == name) { name } else { "NULL" }
    }
}

/// A file at rest is opened as if it could not change, so that nothing is made beside it. One
/// with a write-ahead log needs the log: the newest memories are only there.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    super::register::register_sqlite_vec();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let has_log = std::fs::metadata(write_ahead_log(path)).is_ok_and(|found| found.len() > 0);
    let connection = if has_log {
        Connection::open_with_flags(path, flags & !OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(immutable_uri(path), flags)?
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Reads the columns of [`PeerFile::memories_after`].
fn memory(row: &Row<'_>, namespace: &Namespace) -> rusqlite::Result<Result<NewMemory>> {
    let content_bytes = row.get::<_, Option<u64>>(1)?.unwrap_or_default();
    if content_bytes > CONTENT_BYTES_MAX as u64 {
        let detail = format!(
            "content has {content_bytes} bytes; a memory holds at most {CONTENT_BYTES_MAX}"
        );
        return Ok(Err(Error::new(Code::TooLarge, detail).reason("content_too_large")));
    }
    let Some(content) = text(row.get_ref(2)?) else {
        return Ok(Err(Error::invalid("content is not UTF-8 text")));
    };
    let hash = ContentHash::of(&content).to_string();
    let mut new = NewMemory { content, namespace: namespace.clone(), ..NewMemory::default() };
    new.metadata = metadata(text(row.get_ref(4)?));
    take_tags(&mut new, text(row.get_ref(3)?));
    new.memory_type = text(row.get_ref(5)?).filter(|kind| !kind.is_empty());
    if let Some(legacy) = text(row.get_ref(6)?).filter(|legacy| *legacy != hash) {
        new.metadata.insert(LEGACY_HASH.to_owned(), legacy.into());
    }
    take_store(&mut new, text(row.get_ref(7)?));
    new.created_at = seconds(row.get_ref(8)?).or(seconds(row.get_ref(9)?));
    new.updated_at = seconds(row.get_ref(10)?).or(seconds(row.get_ref(11)?));
    Ok(new.validate().map(|()| new))
}

/// Text, also where it was stored as bytes; `None` for NULL and for bytes that are no text.
fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        }
    }
}

/// Seconds since 1970 from a number, the text of one, or an ISO date-time (UTC without offset).
fn seconds(value: ValueRef<'_>) -> Option<f64> {
    let found = match value {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        _ => text(value).and_then(|text| seconds_of_text(text.trim())),
    };
    found.filter(|seconds| SECONDS.contains(seconds))
}

fn seconds_of_text(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    let timestamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })?;
    Some(timestamp.as_microsecond() as f64 / 1e6)
}

/// A JSON object; anything else is kept whole under a key of its own.
fn metadata(text: Option<String>) -> Map<String, Value> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Map::new() };
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => map,
        Ok(Value::Null) => Map::new(),
        Ok(other) => Map::from_iter([(LEGACY_METADATA.to_owned(), other)]),
        Err(_) => Map::from_iter([(LEGACY_METADATA.to_owned(), text.into())]),
    }
}

/// `a,b`, or the list as JSON that old versions wrote.
fn take_tags(new: &mut NewMemory, text: Option<String>) {
    let Some(text) = text else { return };
    let listed: Option<Vec<String>> = serde_json::from_str(&text).ok();
    let tags = listed.unwrap_or_else(|| text.split(',').map(str::to_owned).collect());
    match normalise_tags(tags.iter().map(String::as_str)) {
        Ok(tags) => new.tags = tags,
        Err(_) => {
            new.metadata.insert(LEGACY_TAGS.to_owned(), tags.into());
        }
    }
}

/// What version 12 calls a store is a namespace here.
fn take_store(new: &mut NewMemory, text: Option<String>) {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return };
    match text.parse() {
        Ok(namespace) => new.namespace = namespace,
        Err(_) => {
            new.metadata.insert(LEGACY_STORE.to_owned(), text.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "CREATE TABLE memories (content_hash TEXT, content, tags, memory_type, \
                       metadata, created_at, created_at_iso);";

    /// The memories of a file whose table is made and filled by `sql`.
    fn read(sql: &str) -> Vec<(i64, Result<NewMemory, String>)> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sqlite_vec.db");
        Connection::open(&path).and_then(|file| file.execute_batch(sql)).expect("valid SQL");
        let file = PeerFile::open(&path).expect("a database");
        let found = file.memories_after(0, 100, &Namespace::default()).expect("readable");
        let plain = |found: PeerMemory| (found.row, found.memory.map_err(|error| error.detail));
        found.into_iter().map(plain).collect()
    }

    /// The one memory of an old file with these values.
    fn old(values: &str) -> Result<NewMemory, String> {
        let mut found = read(&format!("{OLD} INSERT INTO memories VALUES ({values});"));
        found.pop().expect("one row").1
    }

    fn names(memory: &NewMemory) -> Vec<&str> {
        memory.tags.iter().map(|tag| tag.as_str()).collect()
    }

    #[test]
    fn columns_are_found_by_name_and_deleted_rows_are_left_out() {
        let found = read(
            "CREATE TABLE memories (deleted_at REAL, store TEXT, updated_at REAL, metadata TEXT,
               memory_type TEXT, tags TEXT, content TEXT, content_hash TEXT, created_at REAL);
             INSERT INTO memories VALUES
               (NULL, 'work', 3.5, '{\"a\":1}', 'note', 'B, a', 'one', 'x', 2.5),
               (9.0, 'work', 3.5, '{}', 'note', '', 'two', 'y', 2.5),
               (NULL, 'Not one', NULL, NULL, '', NULL, 'three', 'z', NULL);",
        );
        assert_eq!(found.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 3]);
        let one = found[0].1.as_ref().expect("a memory");
        assert_eq!((names(one), one.memory_type.as_deref()), (vec!["a", "b"], Some("note")));
        assert_eq!((one.created_at, one.updated_at), (Some(2.5), Some(3.5)));
        assert_eq!((one.namespace.as_str(), &one.metadata["a"]), ("work", &1.into()));
        let three = found[1].1.as_ref().expect("a memory");
        assert_eq!((three.namespace.as_str(), &three.memory_type), ("default", &None));
        assert_eq!(three.metadata[LEGACY_STORE], "Not one");
    }

    #[test]
    fn a_hash_of_its_own_is_kept() {
        let ours = ContentHash::of("One");
        assert_eq!(old(&format!("'{ours}','One','','','','',''")).expect("ours").metadata.len(), 0);
        let memory = old("'abc','One','','','','',''").expect("another");
        assert_eq!(memory.metadata[LEGACY_HASH], "abc");
    }

    #[test]
    fn numbers_win_over_texts_of_time() {
        for (values, expected) in [
            ("1.25, '2020-01-01T00:00:00Z'", Some(1.25)),
            ("7, NULL", Some(7.0)),
            ("NULL, '1970-01-01T00:00:02.5Z'", Some(2.5)),
            ("'', '1970-01-01T00:00:02'", Some(2.0)),
            ("'1970-01-01T00:00:03+00:00', ''", Some(3.0)),
            ("'1.5', 'soon'", Some(1.5)),
            ("9e99, 'soon'", None),
            ("NULL, NULL", None),
        ] {
            let memory = old(&format!("'x','One','','','',{values}")).expect("a memory");
            assert_eq!(memory.created_at, expected, "{values}");
        }
    }

    #[test]
    fn tags_and_metadata_of_every_age_are_read() {
        let row = |tags: &str, metadata: &str| {
            old(&format!("'x','One',{tags},NULL,{metadata},1,NULL")).expect("a memory")
        };
        assert_eq!(names(&row("'[\"a\",\"b,c\"]'", "NULL")), ["a", "b-c"]);
        assert_eq!(names(&row("NULL", "'null'")), [""; 0]);
        let long = "t".repeat(200);
        let memory = row(&format!("'a,{long}'"), "'[1]'");
        assert_eq!((names(&memory), &memory.metadata[LEGACY_TAGS][1]), (vec![], &long.into()));
        assert_eq!(memory.metadata[LEGACY_METADATA][0], 1);
        assert_eq!(row("''", "'{broken'").metadata[LEGACY_METADATA], "{broken");
        assert_eq!(row("''", "x'7b7d'").metadata.len(), 1);
    }

    #[test]
    fn what_cannot_be_a_memory_says_why() {
        for (content, part) in [
            ("NULL", "not UTF-8"),
            ("x'ff'", "not UTF-8"),
            ("'  '", "empty"),
            ("zeroblob(98305)", "98305 bytes"),
        ] {
            let error = old(&format!("'x',{content},'','','','',''")).expect_err("refused");
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn memories_that_are_only_in_the_log_are_read_and_nothing_is_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sqlite_vec.db");
        let owner = Connection::open(&path).expect("a database");
        owner.pragma_update(None, "journal_mode", "WAL").expect("a log");
        owner.execute_batch(OLD).expect("valid SQL");
        owner
            .execute_batch("INSERT INTO memories VALUES ('x','One','','','','','')")
            .expect("valid SQL");
        let bytes = || {
            let log = write_ahead_log(&path);
            (std::fs::read(&path).expect("a file"), std::fs::read(log).expect("a log"))
        };
        let before = bytes();
        let file = PeerFile::open(&path).expect("a database");
        assert_eq!(file.counts().expect("readable"), PeerCounts { live: 1, deleted: 0 });
        drop(file);
        assert_eq!(bytes(), before);
    }
}
