//! Finds out what a file is before it is touched, and brings it to the current schema.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::compounds;
use super::error::StoreError;
use super::peer;
use super::register::register_sqlite_vec;
use super::with_suffix;

/// `memn`: marks a file as ours (SQLite file format, offset 68).
const APPLICATION_ID: i64 = 0x6d65_6d6e;
/// Bytes of a page, measured by `benches/layout.rs`; fixed by the first migration.
const PAGE_SIZE: i64 = 16_384;
/// How long a connection waits for another process's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENT_CACHE_COUNT: usize = 256;
/// The numbered migrations, applied in order, each in a transaction of its own.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_replication.sql"),
    include_str!("migrations/0003_feed.sql"),
    include_str!("migrations/0004_webhook.sql"),
    include_str!("migrations/0005_codes.sql"),
    include_str!("migrations/0006_words.sql"),
    include_str!("migrations/0007_audit.sql"),
    include_str!("migrations/0008_compound.sql"),
    include_str!("migrations/0009_one_by_one.sql"),
];

/// The result of a step that makes a file what it should be.
type Made = Result<(), StoreError>;

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing, or an empty file.
    Absent,
    /// A database of ours with this schema version.
    Ours(i64),
    /// A database of mcp-memory-service.
    Peer,
    /// Something else.
    Foreign,
}

/// Looks at a file without changing it or leaving anything beside it.
///
/// # Errors
/// `Permission` when it cannot be read, `Sqlite` for other failures.
pub fn identify(path: &Path) -> Result<FileKind, StoreError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(FileKind::Absent),
        Err(error) => return Err(permission(path, &error)),
        Ok(found) if found.is_dir() => return Ok(FileKind::Foreign),
        Ok(found) if found.len() == 0 => return Ok(FileKind::Absent),
        Ok(_) => {}
    }
    let header = read_header(path).map_err(|error| permission(path, &error))?;
    if !header.starts_with(b"SQLite format 3\0") {
        return Ok(FileKind::Foreign);
    }
    let field = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|slice| slice.try_into().ok());
        i64::from(bytes.map_or(0, i32::from_be_bytes))
    };
    // SQLite file format: user_version at offset 60, application_id at 68.
    match field(68) {
        APPLICATION_ID => Ok(FileKind::Ours(field(60))),
        _ if has_peer_tables(path).unwrap_or(false) => Ok(FileKind::Peer),
        _ => Ok(FileKind::Foreign),
    }
}

fn read_header(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut header = Vec::with_capacity(100);
    fs::File::open(path)?.take(100).read_to_end(&mut header)?;
    Ok(header)
}

/// Whether the file has the table that mcp-memory-service keeps. `immutable` leaves no side files;
/// the log is looked at only where the file itself does not tell.
fn has_peer_tables(path: &Path) -> Result<bool, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let at_rest = Connection::open_with_flags(immutable_uri(path), flags)?;
    Ok(has_peer_columns(&at_rest)? || has_peer_columns(&peer::open(path)?)?)
}

fn has_peer_columns(connection: &Connection) -> Result<bool, StoreError> {
    let columns: i64 = connection.query_row(
        "SELECT count(*) FROM pragma_table_info('memories') \
         WHERE name IN ('content_hash', 'content', 'tags', 'memory_type', 'metadata')",
        [],
        |row| row.get(0),
    )?;
    Ok(columns == 5)
}

/// A URI that opens a file as it stands and writes nothing, not even beside it.
pub(super) fn immutable_uri(path: &Path) -> String {
    file_uri(path) + "?immutable=1"
}

/// A URI that opens a file for reading.
pub(super) fn read_only_uri(path: &Path) -> String {
    file_uri(path) + "?mode=ro"
}

fn file_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri
}

/// What stands at a path, if this program can work with it.
///
/// # Errors
/// `PeerFile`, `Foreign` and `Newer`; those of [`identify`].
pub(super) fn check_kind(path: &Path) -> Result<FileKind, StoreError> {
    match identify(path)? {
        FileKind::Peer => Err(StoreError::PeerFile(path.to_owned())),
        FileKind::Foreign => Err(StoreError::Foreign(path.to_owned())),
        FileKind::Ours(found) if found > known_version() => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: known_version() })
        }
        kind => Ok(kind),
    }
}

/// The version from which parts of compounds are kept.
const COMPOUND_VERSION: i64 = 8;

/// The schema version that the migrations lead to.
pub(super) fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("few migrations")
}

/// Opens the writing connection, creating the file and bringing the schema up to date;
/// `initialise` writes the first rows, and holds later files against the settings.
///
/// # Errors
/// `PeerFile`, `Foreign` and `Newer` leave the file untouched; the rest as the system says.
pub fn open_writer(
    path: &Path,
    initialise: impl Fn(&Connection) -> Made,
) -> Result<Connection, StoreError> {
    register_sqlite_vec();
    if check_kind(path)? == FileKind::Absent {
        create(path, &initialise)?;
    } else {
        check_writable(path)?;
        refuse_newer(path)?;
    }
    let connection = Connection::open(path)?;
    configure(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    migrate(&connection)?;
    initialise(&connection)?;
    Ok(connection)
}

/// Makes a file of the present schema that is whole when it appears; `path` must be free.
///
/// # Errors
/// `CannotCreate` when something is there already; the rest as the system says.
pub(super) fn create_new(path: &Path, initialise: impl FnOnce(&Connection) -> Made) -> Made {
    if fs::symlink_metadata(path).is_ok() {
        let reason = "something is there already".to_owned();
        return Err(StoreError::CannotCreate { path: path.to_owned(), reason });
    }
    register_sqlite_vec();
    create(path, initialise)
}

/// Makes the file under another name, so that it appears only when it is whole: a crash, a power
/// cut or a full disk on the way leaves nothing where the database should be.
fn create(path: &Path, initialise: impl FnOnce(&Connection) -> Made) -> Made {
    let cannot = |error: std::io::Error| StoreError::CannotCreate {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    fs::create_dir_all(parent(path)).map_err(cannot)?;
    // What is there already, an empty file or a link to nowhere, is filled where it is.
    let is_in_place = fs::symlink_metadata(path).is_ok();
    let stage = if is_in_place { path.to_owned() } else { with_suffix(path, ".new") };
    // What people remember is theirs alone; SQLite gives the files beside it the same rights.
    let made = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&stage)
        .map_err(cannot)
        .and_then(|_| fill(&stage, initialise))
        .and_then(|()| if is_in_place { Ok(()) } else { fs::rename(&stage, path).map_err(cannot) })
        .and_then(|()| sync_names(path).map_err(cannot));
    if made.is_err() && !is_in_place {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            // Best effort: the next try starts afresh in any case.
            let _ = fs::remove_file(with_suffix(&stage, suffix));
        }
    }
    made
}

/// Gives an empty file its format, schema and first rows, all of it on disk: without a write-ahead
/// log, every commit is in the file itself.
fn fill(path: &Path, initialise: impl FnOnce(&Connection) -> Made) -> Made {
    let connection = Connection::open(path)?;
    configure(&connection)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(&connection)?;
    initialise(&connection)?;
    Ok(connection.close().map_err(|(_, error)| error)?)
}

/// Puts the name of a new file on disk, and those of the directories above it, which may be as
/// new; a directory that others own is theirs to sync.
pub(super) fn sync_names(path: &Path) -> std::io::Result<()> {
    fs::File::open(parent(path))?.sync_all()?;
    let above = path.ancestors().skip(2).filter(|directory| !directory.as_os_str().is_empty());
    for directory in above {
        if let Ok(directory) = fs::File::open(directory) {
            // Not every file system can, and the nearest ones that matter could.
            let _ = directory.sync_all();
        }
    }
    Ok(())
}

/// The directory of a file; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refuse_newer(path: &Path) -> Result<(), StoreError> {
    let known = known_version();
    // A newer binary that was killed may have left its version in the write-ahead log alone.
    match open_reader(path).and_then(|connection| version(&connection)) {
        Ok(found) if found > known => {
            Err(StoreError::Newer { path: path.to_owned(), found, known })
        }
        // A power cut left a journal that only a writer may roll back: no newer binary uses one.
        Err(StoreError::Sqlite(error))
            if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) =>
        {
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Opens a connection that cannot write.
///
/// # Errors
/// As SQLite says.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    register_sqlite_vec();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_COUNT);
    // 16 MiB of pages; the operating system caches the rest of the file.
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Deleted text lingers neither within pages nor in free ones, where erasing could not find it.
    connection.pragma_update(None, "secure_delete", "ON")?;
    Ok(())
}

/// Tells a missing right from damage before SQLite folds them into one error.
fn check_writable(path: &Path) -> Result<(), StoreError> {
    let opened = fs::OpenOptions::new().append(true).open(path);
    opened.map(drop).map_err(|error| permission(path, &error))
}

fn permission(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Permission { path: path.to_owned(), reason: error.to_string() }
}

/// The version of the schema, the write-ahead log included.
pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let version = version(connection)?;
    for (sql, to) in MIGRATIONS.iter().zip(1_i64..).skip_while(|(_, to)| *to <= version) {
        connection
            .execute_batch(&format!("BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {to};"))?;
        if to == COMPOUND_VERSION {
            compounds::fill(connection)?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(())
}

/// Reads a value of the table `meta`.
pub(super) fn meta<T: rusqlite::types::FromSql>(
    connection: &Connection,
    key: &str,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Writes a value of the table `meta`.
pub(super) fn set_meta(
    connection: &Connection,
    key: &str,
    value: impl rusqlite::ToSql,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(rusqlite::params![key, value])?;
    Ok(())
}
