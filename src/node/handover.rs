//! Asking the owner of a file to hand it over.

use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use super::local::ask_to_yield;
use super::lock::Owner;

/// How often whoever asked looks whether the file is free: more often than those who did not.
pub(super) const ASKED_INTERVAL: Duration = Duration::from_millis(5);
/// How long an owner that agreed is not asked again; it may have got the file back by then.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What an owner said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It is letting go.
    Agreed,
    /// It keeps the file.
    Refused,
    /// It cannot be asked yet, or any more.
    Silent,
}

/// Who was asked, and when.
#[derive(Default)]
pub(super) struct Asking {
    agreed: Option<(u32, Instant)>,
}

impl Asking {
    /// Asks an owner, unless it has just agreed.
    pub(super) async fn ask(&mut self, owner: &Owner, tasks: &TaskTracker) -> Reply {
        if let Some((pid, at)) = self.agreed
            && pid == owner.pid
            && at.elapsed() < ASK_AGAIN
        {
            return Reply::Agreed;
        }
        match ask_to_yield(&owner.socket, tasks).await {
            Ok(true) => {
                self.agreed = Some((owner.pid, Instant::now()));
                Reply::Agreed
            }
            Ok(false) => Reply::Refused,
            Err(error) => {
                tracing::debug!(%error, "the owner cannot be asked yet");
                Reply::Silent
            }
        }
    }
}
