//! Putting a backup in the place of the database, which no node may have open meanwhile.

use std::path::{Path, PathBuf};

use super::error::StartError;
use super::lock::{Lock, owner};
use crate::config::Config;
use crate::store::{BackupContents, FileKind, StoreError, identify, stage};

/// A database that is held for a restore; whoever wants to own it waits until this is dropped.
pub struct Restore {
    database: PathBuf,
    aside: Option<PathBuf>,
    _lock: Lock,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The file that was replaced.
    pub database: PathBuf,
    /// Where the file is that was there before, if there was one.
    pub kept: Option<PathBuf>,
    /// What was restored.
    pub contents: BackupContents,
}

impl Restore {
    /// Takes the configured database for itself.
    ///
    /// # Errors
    /// `Locked` while a node owns it; `NotOurs` when a database of mcp-memory-service is there;
    /// those of the lock.
    pub fn begin(config: &Config) -> Result<Self, StartError> {
        let path = &config.store.path;
        let Some(lock) = Lock::try_take(path)? else {
            let (pid, url) = owner(path).map_or((0, None), |owner| (owner.pid, owner.url));
            return Err(StartError::Locked { pid, url });
        };
        let failed = |error| StartError::of_store(path, error);
        if identify(path).map_err(failed)? == FileKind::Peer {
            return Err(failed(StoreError::PeerFile(path.clone())));
        }
        // What a link leads to is replaced, the link stays.
        let database = path.canonicalize().unwrap_or_else(|_| path.clone());
        let is_there = std::fs::symlink_metadata(&database).is_ok();
        let aside = is_there.then(|| aside_of(&database));
        Ok(Restore { database, aside, _lock: lock })
    }

    /// The database.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// Whether there is a file to keep.
    pub fn replaces(&self) -> bool {
        self.aside.is_some()
    }

    /// Checks a backup and puts it in the place of the database, which is kept beside it. Blocks;
    /// ends early, with nothing changed, when `is_over` says so.
    ///
    /// # Errors
    /// See [`stage`]; the rest as the system says.
    pub fn run(
        self,
        backup: &Path,
        is_over: impl Fn() -> bool + Send + 'static,
    ) -> Result<Restored, StoreError> {
        let Restore { database, aside, _lock } = self;
        let staged = stage(backup, &database, is_over)?;
        let contents = staged.contents.clone();
        staged.install(&database, aside.as_deref())?;
        Ok(Restored { database, kept: aside, contents })
    }
}

/// A free name that says when the file was put aside.
fn aside_of(database: &Path) -> PathBuf {
    let at = |now_ms: u64| {
        let time = i64::try_from(now_ms).ok();
        let time = time.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let time = time.unwrap_or(jiff::Timestamp::MAX).strftime("%Y%m%dT%H%M%S%.3fZ");
        let mut name = database.as_os_str().to_owned();
        name.push(format!(".before-{time}"));
        PathBuf::from(name)
    };
    (crate::clock::now_ms()..)
        .map(at)
        .find(|path| std::fs::symlink_metadata(path).is_err())
        .expect("a directory does not hold a file for every millisecond")
}
