//! Backups: one at a time, by hand or by the clock, checked, and removed when they are old.

mod progress;
mod schedule;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Service;
use crate::auth::{Access, Principal};
use crate::config::BackupConfig;
use crate::store::{BackupContents, BackupDirectory, BackupFile, BackupStep, StoreError};
use crate::telemetry::metrics;
use crate::{Code, Error, Result};

pub use progress::{BackupPhase, BackupProgress};

/// How long one backup may take: an hour.
const BACKUP_DEADLINE: Duration = Duration::from_secs(3600);
/// Bytes that must be free besides those of the copy.
const SPARE_BYTES: u64 = 8 << 20;
/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// A backup that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeBackup {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub contents: BackupContents,
    /// When it was begun, in Unix seconds: what was written later is not in it.
    pub created_at: f64,
    /// How long it took.
    pub duration: Duration,
}

/// A backup in the directory.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedBackup {
    /// Its name there.
    pub file_name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was begun, in Unix seconds.
    pub created_at: f64,
}

/// How backups stand.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupStatus {
    /// What was set.
    pub config: BackupConfig,
    /// Those in the directory, newest first.
    pub backups: Vec<ListedBackup>,
    /// When the next one is due, in Unix seconds; `None` when the clock makes none here.
    pub next_at: Option<f64>,
    /// Whether this process makes them by the clock.
    pub is_scheduled: bool,
    /// The one under way.
    pub running: Option<BackupProgress>,
    /// Why the last one failed, unless one was made since.
    pub last_error: Option<String>,
}

/// What this process knows of its backups.
pub(super) struct Backups {
    config: BackupConfig,
    directory: BackupDirectory,
    turn: Arc<Semaphore>,
    progress: Mutex<BackupProgress>,
    last_error: Mutex<Option<String>>,
    is_scheduled: Mutex<bool>,
}

impl Backups {
    pub(super) fn new(config: BackupConfig, node: &str) -> Self {
        Backups {
            directory: BackupDirectory::new(config.dir.clone(), node),
            config,
            turn: Arc::new(Semaphore::new(1)),
            progress: Mutex::new(BackupProgress::idle()),
            last_error: Mutex::default(),
            is_scheduled: Mutex::default(),
        }
    }
}

impl Service {
    /// Makes a backup now: in the directory of backups, after which old ones are removed, or at
    /// `target`. Goes on when the caller does not wait for it.
    ///
    /// # Errors
    /// `Forbidden` without `write` everywhere; `Conflict` while another is made or when `target`
    /// is taken; `StorageFull` when there is no room for it; `Unavailable` when the place cannot be
    /// written to or the node stops; `Internal` for a copy that is not what it should be.
    pub async fn back_up(&self, who: &Principal, target: Option<PathBuf>) -> Result<MadeBackup> {
        who.require_everywhere(Access::Write)?;
        self.make_backup(target).await
    }

    /// The backups in the directory, newest first.
    ///
    /// # Errors
    /// `Forbidden` without `read` everywhere; `Unavailable` when the directory cannot be read.
    pub async fn backups(&self, who: &Principal) -> Result<Vec<ListedBackup>> {
        who.require_everywhere(Access::Read)?;
        let directory = self.backups.directory.clone();
        let listing = tokio::task::spawn_blocking(move || {
            directory.list().map_err(|error| unusable(directory.path(), error))
        });
        let listed = listing.await.map_err(|error| Error::internal("listing failed", error))??;
        Ok(listed.into_iter().map(ListedBackup::from).collect())
    }

    /// How backups stand.
    ///
    /// # Errors
    /// As [`Service::backups`].
    pub async fn backup_status(&self, who: &Principal) -> Result<BackupStatus> {
        let backups = self.backups(who).await?;
        let Backups { config, is_scheduled, progress, last_error, .. } = self.backups.as_ref();
        let is_scheduled = *is_scheduled.lock();
        let now = crate::clock::now_seconds();
        let running = Some(progress.lock().clone()).filter(BackupProgress::is_running);
        Ok(BackupStatus {
            next_at: is_scheduled.then(|| schedule::due_at(&backups, config.interval, now)),
            is_scheduled,
            running,
            last_error: last_error.lock().clone(),
            config: config.clone(),
            backups,
        })
    }

    /// Whether this process makes backups by the clock.
    pub(super) fn backups_are_scheduled(&self) -> bool {
        *self.backups.is_scheduled.lock()
    }

    /// When the newest backup was begun, in Unix seconds; `None` when there is none to be seen.
    pub(super) async fn newest_backup(&self) -> Option<f64> {
        let directory = self.backups.directory.clone();
        let listed = tokio::task::spawn_blocking(move || directory.list()).await.ok()?.ok()?;
        listed.into_iter().map(|file| ListedBackup::from(file).created_at).reduce(f64::max)
    }

    async fn make_backup(&self, target: Option<PathBuf>) -> Result<MadeBackup> {
        let turn = Arc::clone(&self.backups.turn).try_acquire_owned().map_err(|_| {
            Error::new(Code::Conflict, "a backup is being made already").reason("backup_running")
        })?;
        let service = self.clone();
        // The node waits for it when it stops; a caller that goes away does not end it.
        let task = self.parts.tasks.spawn_blocking(move || service.run_backup(target, &turn));
        task.await.map_err(|error| {
            self.tell(BackupProgress::failed("the backup broke off"));
            Error::internal("the backup broke off", error)
        })?
    }

    /// Blocks.
    fn run_backup(
        &self,
        target: Option<PathBuf>,
        _turn: &OwnedSemaphorePermit,
    ) -> Result<MadeBackup> {
        let started = Instant::now();
        let is_of_directory = target.is_none();
        let made = self.place(target).and_then(|(path, at_ms)| {
            self.tell(BackupProgress::copying(0, self.parts.store.size_bytes()));
            let contents = self.copy(&path)?;
            let created_at = at_ms as f64 / 1000.0;
            Ok(MadeBackup { path, contents, created_at, duration: started.elapsed() })
        });
        if made.is_err() {
            metrics().backup_failed();
        }
        *self.backups.last_error.lock() = made.as_ref().err().map(ToString::to_string);
        match &made {
            Ok(made) => {
                tracing::info!(path = %made.path.display(), bytes = made.contents.bytes,
                    elapsed = ?made.duration, "made a backup");
                self.tell(BackupProgress::completed(made.contents.bytes));
                if is_of_directory {
                    self.remove_old();
                }
            }
            Err(error) => {
                tracing::warn!(%error, source = ?error.source, "no backup was made");
                self.tell(BackupProgress::failed(&error.detail));
            }
        }
        made
    }

    /// Where a backup is to be, with room for it.
    fn place(&self, target: Option<PathBuf>) -> Result<(PathBuf, u64)> {
        let directory = &self.backups.directory;
        let now_ms = crate::clock::now_ms();
        let (path, at_ms) = match target {
            Some(path) if std::fs::symlink_metadata(&path).is_ok() => {
                let detail = format!("{} is there already", path.display());
                return Err(Error::new(Code::Conflict, detail).reason("backup_exists"));
            }
            Some(path) => (path, now_ms),
            None => {
                directory.create().map_err(|error| unusable(directory.path(), error))?;
                directory.free_name(now_ms)
            }
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let needed = self.parts.store.size_bytes() + SPARE_BYTES;
        match crate::machine::disk_free_bytes(parent) {
            Some(free) if free < needed => Err(no_room(parent, needed, free)),
            _ => Ok((path, at_ms)),
        }
    }

    fn copy(&self, path: &Path) -> Result<BackupContents> {
        let until = Instant::now() + BACKUP_DEADLINE;
        let shutdown = self.parts.shutdown.clone();
        let is_over = move || shutdown.is_cancelled() || Instant::now() > until;
        let mut copied = 0;
        let on_step = |step| match step {
            BackupStep::Copied { bytes_done, bytes_total } => {
                copied = bytes_total;
                self.tell(BackupProgress::copying(bytes_done, bytes_total));
            }
            BackupStep::Checking => self.tell(BackupProgress::verifying(copied)),
        };
        crate::store::back_up(self.parts.store.path(), path, on_step, is_over).map_err(|error| {
            match error {
                StoreError::Full => {
                    let detail = format!("the disk of {} is full", path.display());
                    Error::new(Code::StorageFull, detail).reason("backup_disk_full")
                }
                StoreError::Deadline if self.parts.shutdown.is_cancelled() => {
                    Error::new(Code::Unavailable, "the node stopped before the backup was made")
                }
                StoreError::Deadline => {
                    Error::new(Code::DeadlineExceeded, "the backup took longer than an hour")
                }
                StoreError::CannotCreate { path, reason } => unusable(&path, reason),
                StoreError::Damaged(why) => Error::new(
                    Code::Internal,
                    "the copy is not sound: `memnode verify` tells whether the database is",
                )
                .reason("backup_damaged")
                .source(why),
                other => Error::internal("the backup failed", other),
            }
        })
    }

    /// Removes backups that are too old or too many; a failure leaves them for the next time.
    fn remove_old(&self) {
        let Backups { config, directory, .. } = self.backups.as_ref();
        let age_ms = u64::from(config.retention_days) * DAY_MS;
        let oldest_ms = crate::clock::now_ms().saturating_sub(age_ms);
        match directory.prune(oldest_ms, config.max_count as usize) {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(count = gone.len(), "removed old backups"),
            Err(error) => tracing::warn!(%error, "old backups could not be removed"),
        }
    }

    fn tell(&self, progress: BackupProgress) {
        self.announce(&progress.notice());
        *self.backups.progress.lock() = progress;
    }
}

impl From<BackupFile> for ListedBackup {
    fn from(file: BackupFile) -> Self {
        let BackupFile { name, bytes, at_ms } = file;
        ListedBackup { file_name: name, bytes, created_at: at_ms as f64 / 1000.0 }
    }
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> Error {
    let detail = format!("backups cannot be kept at {}: {why}", path.display());
    Error::new(Code::Unavailable, detail).reason("backup_unusable")
}

fn no_room(directory: &Path, needed: u64, free: u64) -> Error {
    const MIB: u64 = 1 << 20;
    let detail = format!(
        "a backup needs {} MiB, and {} has {} MiB free: make room, or set backup.dir",
        needed.div_ceil(MIB),
        directory.display(),
        free / MIB,
    );
    Error::new(Code::StorageFull, detail).reason("backup_disk_full")
}
