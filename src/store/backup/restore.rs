//! Putting a backup in the place of a file that no process has open.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::Connection;

use super::super::error::StoreError;
use super::super::open::{check_kind, open_writer};
use super::super::{FileKind, with_suffix, write_ahead_log};
use super::copy::{check, close, create_private};
use super::{BackupContents, Part, checksum, of_io};

/// A checked backup beside the database, about to take its place; removed when it does not.
pub struct Staged {
    part: Part,
    /// What it holds.
    pub contents: BackupContents,
}

/// Copies a backup beside a database, brings it to the present schema and reads it from end to
/// end. Neither the backup nor the database is touched. Blocks.
///
/// # Errors
/// `PeerFile`, `Foreign`, `Newer`; `Damaged` for a backup that is not what it should be; the rest
/// as the system says.
pub fn stage(
    backup: &Path,
    database: &Path,
    is_over: impl Fn() -> bool + Send + 'static,
) -> Result<Staged, StoreError> {
    if check_kind(backup)? == FileKind::Absent {
        return Err(StoreError::Damaged("the file is empty".to_owned()));
    }
    if fs::metadata(write_ahead_log(backup)).is_ok_and(|log| log.len() > 0) {
        let why =
            "a write-ahead log lies beside it: it is a database in use, or half a copy of one";
        return Err(StoreError::Damaged(why.to_owned()));
    }
    let part = Part { path: with_suffix(database, ".restoring") };
    let failed = |error| of_io(&part.path, error);
    copy_private(backup, &part.path).map_err(failed)?;
    if checksum::is_right(&part.path, backup).map_err(failed)? == Some(false) {
        let why = "its checksum is not the one in the file beside it";
        return Err(StoreError::Damaged(why.to_owned()));
    }
    // A backup of an earlier version becomes one of this.
    close(open_writer(&part.path, |_| Ok(()))?)?;
    let contents = check(&part.path, is_over)?;
    fs::File::open(&part.path).and_then(|file| file.sync_all()).map_err(failed)?;
    Ok(Staged { part, contents })
}

impl Staged {
    /// Takes the place of the database, which is kept under `aside` if there is one: at no moment
    /// is there nothing under its name.
    ///
    /// # Errors
    /// As the system says; what was there is then there still, or under `aside`.
    pub fn install(self, database: &Path, aside: Option<&Path>) -> Result<(), StoreError> {
        let failed = |error| of_io(database, error);
        if let Some(aside) = aside {
            keep_aside(database, aside)?;
        }
        fs::rename(&self.part.path, database).map_err(failed)?;
        super::sync_names(database).map_err(failed)
    }
}

/// Gives a database that nobody has open a second name, with all that was committed to it. Nothing
/// is lost when that fails.
fn keep_aside(database: &Path, aside: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(aside).is_ok() {
        let reason = "something is there already".to_owned();
        return Err(StoreError::CannotCreate { path: aside.to_owned(), reason });
    }
    let failed = |error| of_io(aside, error);
    fold_log(database);
    for suffix in ["-wal", "-journal"] {
        // What would not fold in belongs to this file alone: the next one must not find it.
        let (from, to) = (with_suffix(database, suffix), with_suffix(aside, suffix));
        rename_if_there(&from, &to).map_err(failed)?;
    }
    let linked = fs::hard_link(database, aside);
    // Not every file system has links; the name is free for a moment then.
    linked.or_else(|_| fs::rename(database, aside)).map_err(failed)?;
    // An index of the log that is gone says nothing about the next one.
    let _ = fs::remove_file(with_suffix(database, "-shm"));
    Ok(())
}

/// Brings what the write-ahead log holds into the file, if that can be done.
fn fold_log(database: &Path) {
    let folded = Connection::open(database).and_then(|connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    });
    if let Err(error) = folded {
        tracing::debug!(%error, "the write-ahead log is kept as it is");
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Copies bytes to a file that only this user may read.
fn copy_private(from: &Path, to: &Path) -> io::Result<()> {
    create_private(to)?;
    let mut to = fs::OpenOptions::new().write(true).open(to)?;
    io::copy(&mut fs::File::open(from)?, &mut to).map(drop)
}
