//! Why a node did not start.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::embed::EmbedError;
use crate::replica::ConnectError;
use crate::store::StoreError;

/// One variant per way a person can react.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model is missing or damaged.
    #[error(transparent)]
    ModelMissing(EmbedError),
    /// The settings of NATS can never work.
    #[error(transparent)]
    Nats(ConnectError),
    /// The address is in use, or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    PortTaken {
        /// Host and port.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database, its lock or its socket cannot be made.
    #[error("{} cannot be created: {source}", .path.display())]
    CannotCreate {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process owns the file and does not answer, or serves it already.
    #[error("process {pid} owns the database{}", served_at(.url.as_deref()))]
    Locked {
        /// Its process id.
        pid: u32,
        /// Where it serves, if it does.
        url: Option<String>,
    },
    /// The file is somebody else's.
    #[error("{0}")]
    NotOurs(StoreError),
    /// The file was written by a later version.
    #[error("{0}")]
    Newer(StoreError),
    /// The file's vectors are of another model.
    #[error("{0}")]
    OtherModel(StoreError),
    /// The file is damaged.
    #[error("{} is damaged: {reason}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No right to read or write the file.
    #[error("{0}")]
    Permission(StoreError),
    /// The disk or the system failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A defect.
    #[error("{0}")]
    Internal(String),
}

fn served_at(url: Option<&str>) -> String {
    url.map(|url| format!(" and serves it at {url}")).unwrap_or_default()
}

impl StartError {
    /// What a failure to open the file means to a person.
    pub(super) fn of_store(path: &std::path::Path, error: StoreError) -> Self {
        let path = path.to_owned();
        match error {
            StoreError::PeerFile(_) | StoreError::Foreign(_) => StartError::NotOurs(error),
            StoreError::Newer { .. } => StartError::Newer(error),
            StoreError::OtherModel { .. } => StartError::OtherModel(error),
            StoreError::Permission { .. } => StartError::Permission(error),
            StoreError::CannotCreate { reason, .. } => {
                StartError::CannotCreate { path, source: std::io::Error::other(reason) }
            }
            StoreError::Full => StartError::Io {
                path,
                source: std::io::Error::from(std::io::ErrorKind::StorageFull),
            },
            other => StartError::Corrupt { path, reason: other.to_string() },
        }
    }
}
