//! A command's way to the data: through the owner, or by becoming it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::ApiClient;
use crate::config::Config;
use crate::embed::EmbedderChoice;

use super::error::StartError;
use super::lock::{Lock, Owner, owner};
use super::{Node, Role};

/// How long to wait for an owner that is starting or stopping.
pub(super) const ATTACH_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look again meanwhile.
pub(super) const ATTACH_INTERVAL: Duration = Duration::from_millis(20);

/// What a command cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The model: fail early, and create nothing, when it is missing.
    Model,
    /// The file alone.
    StoreOnly,
    /// The file, although its vectors may be of another model than the configured one.
    AnyModel,
}

/// A command's connection to a node.
pub struct Session {
    /// The API.
    pub client: ApiClient,
    node: Option<Arc<Node>>,
}

impl Session {
    /// Stops the node if this process became the owner.
    pub async fn close(self) {
        if let Some(node) = self.node {
            node.stop().await;
        }
    }
}

/// Who got the file.
pub(super) enum Found {
    /// It is ours.
    Free(Lock),
    /// It has an owner that can be reached.
    Owned(Owner),
}

/// Finds the owner of the configured file, or becomes it.
///
/// # Errors
/// See [`StartError`]; `Locked` when an owner is there and cannot be reached in ten seconds.
pub async fn attach(config: &Config, need: Need) -> Result<Session, StartError> {
    if need == Need::Model {
        check_model_unless_owned(config)?;
    }
    match find(config).await? {
        Found::Owned(owner) => Ok(Session { client: ApiClient::unix(owner.socket), node: None }),
        Found::Free(lock) => {
            let any_model = need == Need::AnyModel;
            let node = Node::open(config, lock, Role::Command, any_model, None).await?;
            let client = ApiClient::in_process(node.local_router());
            Ok(Session { client, node: Some(node) })
        }
    }
}

/// Fails when the configured model's files are not there.
pub(super) fn check_model(config: &Config) -> Result<(), StartError> {
    EmbedderChoice::from(&config.embed).check_present().map_err(StartError::ModelMissing)
}

/// The same, before anything is made on disk; an owner that is there has its own model.
pub(super) fn check_model_unless_owned(config: &Config) -> Result<(), StartError> {
    if owner(&config.store.path).is_some() { Ok(()) } else { check_model(config) }
}

/// Takes the lock, or waits until its owner can be reached.
pub(super) async fn find(config: &Config) -> Result<Found, StartError> {
    let path = &config.store.path;
    let deadline = Instant::now() + ATTACH_TIMEOUT;
    loop {
        if let Some(lock) = Lock::try_take(path)? {
            return Ok(Found::Free(lock));
        }
        let announced = owner(path);
        if let Some(owner) = &announced
            && tokio::net::UnixStream::connect(&owner.socket).await.is_ok()
        {
            return Ok(Found::Owned(owner.clone()));
        }
        if Instant::now() > deadline {
            let (pid, url) = announced.map_or((0, None), |owner| (owner.pid, owner.url));
            return Err(StartError::Locked { pid, url });
        }
        tokio::time::sleep(ATTACH_INTERVAL).await;
    }
}
