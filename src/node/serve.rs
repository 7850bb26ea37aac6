//! `memnode serve`: the API on a TCP address until it is told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attach::{ATTACH_TIMEOUT, check_model};
use super::error::StartError;
use super::handover::{ASKED_INTERVAL, Asking, Reply};
use super::lock::{Lock, owner};
use super::stall::Guarded;
use super::{Node, Role};
use crate::config::Config;

/// What to tell the person who started a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Where the API is.
    pub url: String,
    /// The file.
    pub database: PathBuf,
}

/// Serves the configured file until `shutdown`; `on_ready` is called once requests are taken.
///
/// # Errors
/// See [`StartError`]. A wrong setting, a missing model or a taken port leave no file behind.
pub async fn serve(
    config: &Config,
    shutdown: CancellationToken,
    on_ready: impl FnOnce(&Ready),
) -> Result<(), StartError> {
    config.check_bind()?;
    check_model(config)?;
    let listener = bind(config).await?;
    let url = url_of(&listener)?;
    let lock = take_lock(config).await?;
    let node = Node::open(config, lock, Role::Server, false, Some(url.clone())).await?;
    serve_tcp(&node, listener);
    on_ready(&Ready { url, database: config.store.path.clone() });
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = node.shutdown.cancelled() => {}
    }
    node.stop().await;
    Ok(())
}

/// Binds the configured address.
pub(super) async fn bind(config: &Config) -> Result<TcpListener, StartError> {
    let address = config.http.address();
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::PortTaken { address: address.to_string(), source })
}

/// The address that people can open in a browser.
pub(super) fn url_of(listener: &TcpListener) -> Result<String, StartError> {
    let address = listener
        .local_addr()
        .map_err(|error| StartError::Internal(format!("the listener has no address: {error}")))?;
    Ok(format!("http://{address}"))
}

/// Serves the API on a listener for as long as the node runs.
pub(super) fn serve_tcp(node: &Arc<Node>, listener: TcpListener) {
    let router = node.router.clone();
    let shutdown = node.shutdown.clone();
    node.tasks.spawn(async move {
        let served = axum::serve(Guarded(listener), router)
            .with_graceful_shutdown(shutdown.clone().cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the HTTP server failed");
            shutdown.cancel();
        }
    });
}

/// Takes the lock; an MCP window that has it is asked to hand the file over.
async fn take_lock(config: &Config) -> Result<Lock, StartError> {
    let path = &config.store.path;
    let tasks = TaskTracker::new();
    let deadline = Instant::now() + ATTACH_TIMEOUT;
    let mut asking = Asking::default();
    loop {
        if let Some(lock) = Lock::try_take(path)? {
            return Ok(lock);
        }
        let present = owner(path);
        if let Some(owner) = &present
            && asking.ask(owner, &tasks).await == Reply::Refused
            && owner.url.is_some()
        {
            return Err(StartError::Locked { pid: owner.pid, url: owner.url.clone() });
        }
        if Instant::now() > deadline {
            let (pid, url) = present.map_or((0, None), |owner| (owner.pid, owner.url));
            return Err(StartError::Locked { pid, url });
        }
        tokio::time::sleep(ASKED_INTERVAL).await;
    }
}
