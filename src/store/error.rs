//! What can go wrong in the store.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::{Code, Error};

/// A failure of the file or of a request to it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room.
    #[error("the disk is full: writes are refused until space returns, reads go on")]
    Full,
    /// Corruption or an IO error was met; nothing is written until a restart.
    #[error("the database is read-only until restart: {0}")]
    ReadOnly(String),
    /// More writes wait than the queue may hold.
    #[error("too many writes are waiting")]
    QueueFull,
    /// The deadline of a read passed.
    #[error("the query took too long")]
    Deadline,
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// The file belongs to mcp-memory-service.
    #[error(
        "{} is a database of mcp-memory-service, left untouched: choose another path and run \
         `memnode import {}`", .0.display(), .0.display()
    )]
    PeerFile(PathBuf),
    /// The file is something else.
    #[error("{} is not a memnode database, left untouched: choose another path", .0.display())]
    Foreign(PathBuf),
    /// The file was written by a later version.
    #[error(
        "{} has schema version {found}, this binary knows {known}: use a newer memnode",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// The file's vectors are of another model than the configured one.
    #[error(
        "the database holds vectors of {recorded}, the configured model is {configured}: \
         run `memnode reembed` to change over"
    )]
    OtherModel {
        /// As the file says.
        recorded: String,
        /// As the settings say.
        configured: String,
    },
    /// A vector was made by a model that is no longer the file's: embed again.
    #[error("the embedding model changed meanwhile")]
    ModelChanged,
    /// No right to read or write the file or its directory.
    #[error("{} cannot be opened for writing: {reason}", .path.display())]
    Permission {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file or its directory cannot be made.
    #[error("{} cannot be created: {reason}", .path.display())]
    CannotCreate {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A record or value in the file does not decode.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// Anything else that SQLite says.
    #[error("SQLite: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// A rule of the caller refused the write; nothing was changed.
    #[error("{0}")]
    Refused(Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // The index of the write-ahead log cannot grow: SQLite calls that an IO error, and says
        // itself that it means a full disk (rescode.html, SQLITE_IOERR_SHMSIZE).
        let extended_code = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full,
            _ if extended_code == Some(SQLITE_IOERR_SHMSIZE) => StoreError::Full,
            Some(ErrorCode::OperationInterrupted) => StoreError::Deadline,
            _ => StoreError::Sqlite(error),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        StoreError::Refused(error)
    }
}

impl StoreError {
    /// Whether the file or the disk below it cannot be trusted any more.
    pub fn is_fatal(&self) -> bool {
        match self {
            StoreError::Damaged(_) => true,
            StoreError::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseCorrupt
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::NotADatabase
                        | ErrorCode::ReadOnly
                )
            ),
            _ => false,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Refused(error) => error,
            StoreError::Full => Error::new(Code::StorageFull, detail),
            StoreError::ReadOnly(_) => {
                Error::new(Code::Unavailable, "the database is read-only until restart")
                    .reason("store_read_only")
                    .source(detail)
            }
            StoreError::QueueFull => Error::new(Code::Unavailable, detail).reason("queue_full"),
            StoreError::Deadline => Error::new(Code::DeadlineExceeded, detail),
            StoreError::Closed => Error::new(Code::Unavailable, detail).reason("store_closed"),
            StoreError::OtherModel { .. } => {
                Error::new(Code::Conflict, detail).reason("other_model")
            }
            other => Error::internal("the store failed", other),
        }
    }
}
