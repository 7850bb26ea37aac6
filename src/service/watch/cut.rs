//! Keeps the change log within its bound, whether or not anybody listens.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::super::Service;

/// How often the log is cut: between two cuts it grows beyond its bound.
const CUT_INTERVAL: Duration = Duration::from_secs(15);
/// Rows that are dropped in one transaction.
const CUT_COUNT: u64 = 2_000;

impl Service {
    /// Drops the oldest changes beyond the bound, now and again until the node stops.
    pub fn keep_change_log(&self) {
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            let shutdown = service.parts.shutdown.clone();
            let mut due = tokio::time::interval(CUT_INTERVAL);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    _ = due.tick() => service.cut_change_log().await,
                }
            }
        });
    }

    async fn cut_change_log(&self) {
        let keep = self.parts.events.log_rows_max;
        loop {
            let cut = self.parts.store.write(move |writer| writer.cut_changes(keep, CUT_COUNT));
            match cut.await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return tracing::debug!(%error, "the change log was not cut"),
            }
        }
    }
}
