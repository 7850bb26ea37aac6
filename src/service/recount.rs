//! Whether the file is what its records say: recounted once a day, and on `memnode verify`.

use std::time::Duration;

use super::{AlarmView, Service};
use crate::Result;
use crate::auth::{Access, Principal};
use crate::clock::now_seconds;

/// How long a check of the whole file may take: an hour.
const DEADLINE: Duration = Duration::from_secs(3600);
/// How long after a start the first recount is at the latest.
const FIRST_AFTER: Duration = Duration::from_secs(600);
/// The stable name of the alarm.
pub(super) const ALARM: &str = "file_damaged";

/// What the last check found.
#[derive(Debug, Default)]
pub(super) struct Recount {
    problems: Vec<String>,
    /// When something was found first, and last.
    since: f64,
    last: f64,
}

impl Recount {
    fn note(&mut self, problems: Vec<String>, now: f64) {
        if self.problems.is_empty() {
            self.since = now;
        }
        self.last = now;
        self.problems = problems;
    }

    fn alarm(&self) -> Option<AlarmView> {
        let first = self.problems.first()?;
        let count = self.problems.len();
        Some(AlarmView {
            kind: ALARM,
            subject: "store".to_owned(),
            detail: format!(
                "a check of the file found {count} problems, first: {first}; \
                 `memnode verify` tells them all"
            ),
            since: self.since,
            last: self.last,
        })
    }
}

impl Service {
    /// Recounts the digest from the records every so often until the node stops, on one snapshot
    /// and on a reading connection: writes go on.
    pub fn recount_every(&self, interval: Duration) {
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            let mut pause = interval.min(FIRST_AFTER);
            loop {
                tokio::select! {
                    () = service.parts.shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                service.recount().await;
                pause = interval;
            }
        });
    }

    async fn recount(&self) {
        match self.parts.store.read(DEADLINE, |reader| reader.recount()).await {
            Ok(problems) => {
                let count = problems.len();
                if count > 0 {
                    tracing::error!(count, "the digest differs from a recount of the records");
                } else {
                    tracing::debug!("the digest is what the records say");
                }
                self.recount.lock().note(problems, now_seconds());
            }
            Err(error) => tracing::warn!(%error, "the records could not be recounted"),
        }
    }

    /// Recounts all that is kept in step, and runs SQLite's own checks: what is wrong, in
    /// sentences; nothing for a sound file.
    ///
    /// # Errors
    /// `Forbidden` without `admin`; those of the file.
    pub async fn verify(&self, who: &Principal) -> Result<Vec<String>> {
        who.require_everywhere(Access::Admin)?;
        let problems = self.parts.store.read(DEADLINE, |reader| reader.verify()).await?;
        self.recount.lock().note(problems.clone(), now_seconds());
        Ok(problems)
    }

    /// The alarm about the file, while its last check found something.
    pub(super) fn file_alarm(&self) -> Option<AlarmView> {
        self.recount.lock().alarm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_stands_from_the_first_finding_until_a_check_finds_nothing() {
        let mut recount = Recount::default();
        assert!(recount.alarm().is_none());
        recount.note(vec!["one".to_owned()], 10.0);
        recount.note(vec!["one".to_owned(), "two".to_owned()], 20.0);
        let alarm = recount.alarm().expect("an alarm");
        assert_eq!((alarm.kind, alarm.since, alarm.last), (ALARM, 10.0, 20.0));
        assert!(alarm.detail.contains("2 problems, first: one;"), "{}", alarm.detail);
        recount.note(Vec::new(), 30.0);
        assert!(recount.alarm().is_none());
    }
}
