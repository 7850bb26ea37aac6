//! Backups by the clock. When the last one was made is read from the names in the directory, so a
//! restart neither forgets one nor makes one too many.

use std::time::Duration;

use super::super::Service;
use super::ListedBackup;
use crate::Error;
use crate::config::BackupInterval;

/// When a node that was started looks first: it has more urgent things to do.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// How often it looks then. The clock may be set, and a laptop may sleep, so no wait is longer.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long it leaves a place alone where a backup could not be made.
const RETRY_AFTER: Duration = Duration::from_secs(600);
/// How far beyond the present time a backup may seem to be made, in seconds: one of a clock that
/// was wrong must not hold up those of the right one.
const AHEAD_MAX: f64 = 3600.0;

impl Service {
    /// Removes what an earlier process left half done, and makes backups by the clock, if that is
    /// wanted, until the node stops.
    pub fn schedule_backups(&self) {
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            service.clean_backups().await;
            if service.backups.config.enabled {
                *service.backups.is_scheduled.lock() = true;
                service.run_schedule().await;
            }
        });
    }

    async fn clean_backups(&self) {
        // Nothing is under way while it holds the turn.
        let Ok(_turn) = self.backups.turn.acquire().await else { return };
        let directory = self.backups.directory.clone();
        let cleaned = tokio::task::spawn_blocking(move || directory.clean()).await;
        if let Ok(Err(error)) = cleaned {
            tracing::warn!(%error, "what is left of a backup could not be removed");
        }
    }

    async fn run_schedule(&self) {
        let mut wait = FIRST_LOOK;
        loop {
            tokio::select! {
                () = self.parts.shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = match self.back_up_if_due().await {
                Ok(()) => LOOK_EVERY,
                Err(error) if error.reason == "backup_running" => LOOK_EVERY,
                // It is logged and shown where it happened.
                Err(_) => RETRY_AFTER,
            };
        }
    }

    async fn back_up_if_due(&self) -> Result<(), Error> {
        let backups = self.backups(&crate::auth::Principal::local()).await?;
        let now = crate::clock::now_seconds();
        if due_at(&backups, self.backups.config.interval, now) > now {
            return Ok(());
        }
        // A file that never held anything needs no copy.
        if self.read(|reader| reader.digest()).await?.count() == 0 {
            return Ok(());
        }
        self.make_backup(None).await.map(drop)
    }
}

/// When the next backup is due, in Unix seconds; now when there is none.
pub(super) fn due_at(backups: &[ListedBackup], interval: BackupInterval, now: f64) -> f64 {
    let last = backups.iter().find(|backup| backup.created_at <= now + AHEAD_MAX);
    last.map_or(now, |last| last.created_at + interval.duration().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_due_an_interval_after_the_last() {
        let check = |made_at: &[f64], interval, expected: f64| {
            let backup = |created_at: &f64| ListedBackup {
                file_name: "x".to_owned(),
                bytes: 1,
                created_at: *created_at,
            };
            let backups: Vec<ListedBackup> = made_at.iter().map(backup).collect();
            assert_eq!(due_at(&backups, interval, 1_000_000.0), expected);
        };
        check(&[], BackupInterval::Daily, 1_000_000.0);
        check(&[999_000.0, 5.0], BackupInterval::Hourly, 1_002_600.0);
        check(&[999_000.0], BackupInterval::Daily, 1_085_400.0);
        check(&[5.0], BackupInterval::Weekly, 604_805.0);
        // Made by a clock that was a year ahead.
        check(&[32_000_000.0, 999_000.0], BackupInterval::Hourly, 1_002_600.0);
        check(&[32_000_000.0], BackupInterval::Hourly, 1_000_000.0);
    }
}
