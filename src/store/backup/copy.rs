//! Copying a file in steps, and reading a copy again.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::super::error::StoreError;
use super::super::open::{check_kind, immutable_uri, open_reader};
use super::super::reader::Reader;
use super::super::register::register_sqlite_vec;
use super::super::{FileKind, with_suffix};
use super::{BackupContents, BackupStep, of_io};

/// Pages that are copied in one step, 4 MiB of them: few enough to be stopped at once.
const STEP_PAGE_COUNT: i32 = 256;
/// How long to wait before a step is tried again that met a lock of SQLite's own.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// SQLite instructions between two looks at whether a check is over.
const STOP_CHECK_INSTRUCTIONS: i32 = 10_000;

/// Copies the file as of one moment; gives the digest root that it has then.
///
/// All steps share one read transaction. Without it, SQLite begins anew whenever another
/// connection writes between two steps (backup.html, "Example 2"), and under load never ends. In
/// write-ahead mode a reader holds up no writer; the log alone grows until the copy is made.
pub(super) fn copy(
    source: &Path,
    target: &Path,
    on_step: &mut impl FnMut(BackupStep),
    is_over: &impl Fn() -> bool,
) -> Result<[u8; 16], StoreError> {
    let from = open_reader(source)?;
    from.execute_batch("BEGIN")?;
    let root = Reader::new(&from).digest()?.root();
    create_private(target).map_err(|error| of_io(target, error))?;
    let mut to = Connection::open(target)?;
    // Nobody else sees the file yet, and all of it is synced at the end.
    to.pragma_update(None, "journal_mode", "OFF")?;
    to.pragma_update(None, "synchronous", "OFF")?;
    let page_bytes: u64 = from.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let backup = Backup::new(&from, &mut to)?;
    loop {
        if is_over() {
            return Err(StoreError::Deadline);
        }
        let step = backup.step(STEP_PAGE_COUNT)?;
        let progress = backup.progress();
        let bytes = |pages: i32| u64::try_from(pages).unwrap_or_default() * page_bytes;
        let bytes_total = bytes(progress.pagecount);
        let bytes_done = bytes(progress.pagecount - progress.remaining);
        on_step(BackupStep::Copied { bytes_done, bytes_total });
        match step {
            StepResult::Done => break,
            StepResult::Busy | StepResult::Locked => std::thread::sleep(BUSY_PAUSE),
            _ => {}
        }
    }
    drop(backup);
    close(to)?;
    close(from)?;
    settle(target)?;
    fs::File::open(target).and_then(|file| file.sync_all()).map_err(|e| of_io(target, e))?;
    Ok(root)
}

/// Reads a copy from end to end: whose it is, of which version, whether SQLite finds it whole and
/// its records make the digest that it keeps. Changes nothing, not even beside it.
///
/// # Errors
/// `PeerFile`, `Foreign` and `Newer`; `Damaged`, with what is wrong; `Deadline` when it was over
/// too soon.
pub fn check(
    path: &Path,
    is_over: impl Fn() -> bool + Send + 'static,
) -> Result<BackupContents, StoreError> {
    if check_kind(path)? == FileKind::Absent {
        return Err(StoreError::Damaged("the file is empty".to_owned()));
    }
    register_sqlite_vec();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let mut connection = Connection::open_with_flags(immutable_uri(path), flags)?;
    connection.progress_handler(STOP_CHECK_INSTRUCTIONS, Some(is_over))?;
    let reader = Reader::new(&connection);
    let problems = reader.verify()?;
    if !problems.is_empty() {
        return Err(StoreError::Damaged(problems.join("; ")));
    }
    let digest = reader.digest()?;
    let bytes = fs::metadata(path).map_err(|error| of_io(path, error))?.len();
    Ok(BackupContents { root: digest.root(), record_count: digest.count(), bytes })
}

/// Makes an empty file that only this user may read.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    for suffix in ["-journal", "-wal", "-shm"] {
        // What a crash left under this name would be taken for a part of the new file.
        let _ = fs::remove_file(with_suffix(path, suffix));
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600).open(path).map(drop)
}

/// Takes a copy out of write-ahead mode, so that reading it needs and makes no files beside it.
fn settle(path: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    close(connection)
}

pub(super) fn close(connection: Connection) -> Result<(), StoreError> {
    Ok(connection.close().map_err(|(_, error)| error)?)
}
