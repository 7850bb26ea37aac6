//! Backups: whole copies of the file, made while it is written to, checked, and found again.
//!
//! A backup is one SQLite file that needs nothing beside it, and a line for `sha256sum -c` that
//! tells a copy of it from a damaged one. It appears under its name only when it is checked and on
//! disk; until then its bytes lie under names that [`BackupDirectory::clean`] knows.

mod checksum;
mod copy;
mod directory;
mod restore;

use std::fs;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::open::sync_names;
use super::with_suffix;

pub use copy::check;
pub use directory::{BackupDirectory, BackupFile};
pub use restore::{Staged, stage};

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupContents {
    /// The digest root of its records.
    pub root: [u8; 16],
    /// Records, deleted ones included.
    pub record_count: u64,
    /// The size of the file.
    pub bytes: u64,
}

/// What is being done for a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupStep {
    /// So many bytes of so many are copied.
    Copied {
        /// How many.
        bytes_done: u64,
        /// Of how many.
        bytes_total: u64,
    },
    /// All is copied and is now read again.
    Checking,
}

/// Makes a backup of a file that a node may be writing to: everything that was committed before
/// the call is in it. `is_over` is asked often and ends the work when it says so. Blocks.
///
/// # Errors
/// `CannotCreate` when something is at `target` already; `Full` when the target's disk is;
/// `Deadline` when it was over too soon; `Damaged` when the copy is not what the file holds.
pub fn back_up(
    source: &Path,
    target: &Path,
    mut on_step: impl FnMut(BackupStep),
    is_over: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<BackupContents, StoreError> {
    if fs::symlink_metadata(target).is_ok() {
        let reason = "something is there already".to_owned();
        return Err(StoreError::CannotCreate { path: target.to_owned(), reason });
    }
    let part = Part::of(target);
    let root = copy::copy(source, &part.path, &mut on_step, &is_over)?;
    if is_over() {
        return Err(StoreError::Deadline);
    }
    on_step(BackupStep::Checking);
    let contents = check(&part.path, is_over)?;
    if contents.root != root {
        return Err(StoreError::Damaged("the copy does not hold what the file does".to_owned()));
    }
    let failed = |error| of_io(target, error);
    // The checksum first: whatever has the name of a backup has one.
    checksum::write(&part.path, target).map_err(failed)?;
    fs::rename(&part.path, target).and_then(|()| sync_names(target)).map_err(failed)?;
    Ok(contents)
}

/// A file under way; what is left of it goes when it is given up.
struct Part {
    path: PathBuf,
}

impl Part {
    fn of(target: &Path) -> Self {
        Part { path: with_suffix(target, PART_SUFFIX) }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            // Most are not there; one that stays is found by the next `clean`.
            let _ = fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

/// The end of the name of a backup under way.
const PART_SUFFIX: &str = ".part";

/// A failure of the system at a file that is not the store's own.
fn of_io(path: &Path, error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::CannotCreate { path: path.to_owned(), reason: error.to_string() },
    }
}
