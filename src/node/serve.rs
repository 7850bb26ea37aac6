//! `memnode serve`: the API on a TCP address until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attach::{ATTACH_TIMEOUT, check_model};
use super::error::StartError;
use super::handover::{ASKED_INTERVAL, Asking, Reply};
use super::lock::{Lock, owner};
use super::tcp::{self, Bounds, Door, Tls};
use super::{Node, Role};
use crate::config::Config;
use crate::store::holds_keys;

/// Bytes that the system keeps for a client that does not read; Linux takes twice that.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// Descriptors that connections leave to everything else.
const DESCRIPTOR_COUNT_LEFT: usize = 200;
/// Connections that wait to be accepted.
const BACKLOG_COUNT: u32 = 1024;

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
    check_bind(config)?;
    check_model(config)?;
    let listener = bind(config).await?;
    let url = url_of(&listener, config)?;
    let tls = tls(config)?;
    let lock = take_lock(config).await?;
    let node = Node::open(config, lock, Role::Server, false, Some(url.clone())).await?;
    serve_tcp(&node, listener, tls, config);
    on_ready(&Ready { url, database: config.store.path.clone() });
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = node.shutdown.cancelled() => {}
    }
    node.stop().await;
    Ok(())
}

/// Refuses to be open to other machines; a node that has API keys is not.
pub(super) fn check_bind(config: &Config) -> Result<(), StartError> {
    let Err(error) = config.check_bind() else { return Ok(()) };
    match holds_keys(&config.store.path) {
        Ok(true) => Ok(()),
        // What is wrong with the file is told when it is opened.
        Ok(false) | Err(_) => Err(error.into()),
    }
}

/// Binds the configured address.
pub(super) async fn bind(config: &Config) -> Result<TcpListener, StartError> {
    let address = config.http.address();
    listen(address).map_err(|source| StartError::PortTaken { address: address.to_string(), source })
}

/// What the system keeps for a client that does not read is bounded too: without a size of its own
/// a socket's buffer grows to megabytes. Connections inherit it.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As for any server: its port is free again as soon as it ended.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG_COUNT)
}

/// The address that people can open in a browser.
pub(super) fn url_of(listener: &TcpListener, config: &Config) -> Result<String, StartError> {
    let address = listener
        .local_addr()
        .map_err(|error| StartError::Internal(format!("the listener has no address: {error}")))?;
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{address}"))
}

/// As many as the settings allow, and the system: what the file needs must not run out.
fn connection_count_max(config: &Config) -> usize {
    let descriptors = crate::machine::descriptor_count_max().unwrap_or(u64::MAX);
    let free = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let free = free.saturating_sub(DESCRIPTOR_COUNT_LEFT).max(1);
    config.http.connection_count_max.get().min(free)
}

/// What connections are encrypted with, if they are to be.
pub(super) fn tls(config: &Config) -> Result<Option<Tls>, StartError> {
    let opened = config.http.tls.clone().map(|files| Tls::open(files.certificate, files.key));
    Ok(opened.transpose()?)
}

/// Serves the API on a listener for as long as the node runs.
pub(super) fn serve_tcp(
    node: &Arc<Node>,
    listener: TcpListener,
    tls: Option<Tls>,
    config: &Config,
) {
    if let Some(tls) = tls.clone() {
        node.tasks.spawn(tls.follow(node.shutdown.clone()));
    }
    let door = Door {
        router: node.router.clone(),
        bounds: Bounds {
            count_max: connection_count_max(config),
            count_of_address_max: config.limits.connections.count_max(),
            trusted_proxies: config.http.trusted_proxies.clone(),
        },
        tls,
        tasks: node.tasks.clone(),
        shutdown: node.shutdown.clone(),
    };
    node.tasks.spawn(tcp::accept(listener, door));
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
