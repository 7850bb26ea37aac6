//! How far a backup is.

use crate::events::Notice;

/// What is being done for a backup, or was done last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupProgress {
    /// What.
    pub phase: BackupPhase,
    /// Bytes copied.
    pub bytes_done: u64,
    /// Bytes of the file.
    pub bytes_total: u64,
    /// The same for people.
    pub message: String,
}

/// The parts of the work, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupPhase {
    /// Nothing was done yet since the node started.
    Idle,
    /// The file is copied.
    Copying,
    /// The copy is read from end to end.
    Verifying,
    /// The backup is there.
    Completed,
    /// There is none.
    Failed,
}

impl BackupPhase {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            BackupPhase::Idle => "idle",
            BackupPhase::Copying => "copying",
            BackupPhase::Verifying => "verifying",
            BackupPhase::Completed => "completed",
            BackupPhase::Failed => "failed",
        }
    }
}

impl BackupProgress {
    pub(super) fn idle() -> Self {
        let message = "no backup was made since the node started".to_owned();
        BackupProgress { phase: BackupPhase::Idle, bytes_done: 0, bytes_total: 0, message }
    }

    pub(super) fn copying(bytes_done: u64, bytes_total: u64) -> Self {
        let message = "copying the database".to_owned();
        BackupProgress { phase: BackupPhase::Copying, bytes_done, bytes_total, message }
    }

    pub(super) fn verifying(bytes: u64) -> Self {
        Self::at_end(BackupPhase::Verifying, bytes, "checking the copy")
    }

    pub(super) fn completed(bytes: u64) -> Self {
        Self::at_end(BackupPhase::Completed, bytes, "the backup is made")
    }

    pub(super) fn failed(why: &str) -> Self {
        Self::at_end(BackupPhase::Failed, 0, why)
    }

    fn at_end(phase: BackupPhase, bytes: u64, message: &str) -> Self {
        let message = message.to_owned();
        BackupProgress { phase, bytes_done: bytes, bytes_total: bytes, message }
    }

    /// The same for those who listen to events.
    pub(super) fn notice(&self) -> Notice {
        Notice::BackupStatus {
            phase: self.phase.name(),
            bytes_done: self.bytes_done,
            bytes_total: self.bytes_total,
            message: self.message.clone(),
        }
    }

    /// Whether a backup is under way.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, BackupPhase::Copying | BackupPhase::Verifying)
    }
}
