//! `memnode mcp`: a client's standard input and output, bridged to whoever owns the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attach::{ATTACH_INTERVAL, ATTACH_TIMEOUT, check_model, check_model_unless_owned};
use super::error::StartError;
use super::handover::{ASKED_INTERVAL, Asking, Reply};
use super::local::connect_mcp;
use super::lock::{Lock, owner};
use super::serve::{bind, check_bind, serve_tcp, tls, url_of};
use super::{Node, Role};
use crate::bridge::{self, BridgeError, BridgeOptions};
use crate::config::Config;
use crate::memory::Namespace;
use crate::{Code, Error};

/// Bytes that may be under way between the bridge and a server in this process.
const DUPLEX_BYTES: usize = 256 * 1024;
/// How long a window waits before it takes a file whose owner went: whoever asked for the file
/// looks more often than that.
const TAKE_OVER_DELAY: Duration = Duration::from_millis(40);
/// The key under which a bridge tells where its client works.
const META_DIRECTORY: &str = "memnode/cwd";
/// The key under which a bridge tells its client's namespace.
const META_NAMESPACE: &str = "memnode/namespace";

/// A stream to a server, in this process or in another.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Answers MCP on standard input and output until the client hangs up or `shutdown`. With `http`
/// the process also serves the API, unless another one does.
///
/// # Errors
/// See [`StartError`].
pub async fn mcp_stdio(
    config: &Config,
    http: bool,
    namespace: Namespace,
    shutdown: CancellationToken,
) -> Result<(), StartError> {
    if http {
        check_bind(config)?;
    }
    check_model_unless_owned(config)?;
    let window = Arc::new(Window {
        config: config.clone(),
        http,
        has_attached: AtomicBool::new(false),
        node: Mutex::new(None),
        tasks: TaskTracker::new(),
        failure: Mutex::new(None),
    });
    let meta = Map::from_iter([
        (META_DIRECTORY.to_owned(), Value::String(working_directory())),
        (META_NAMESPACE.to_owned(), Value::String(namespace.to_string())),
    ]);
    let options = BridgeOptions::new(meta);
    let connecting = Arc::clone(&window);
    let bridging = bridge::run(
        tokio::io::stdin(),
        tokio::io::stdout(),
        move || Arc::clone(&connecting).connect(),
        options,
    );
    let ended = tokio::select! {
        ended = bridging => ended,
        () = shutdown.cancelled() => Ok(()),
    };
    let node = window.node.lock().take();
    if let Some(node) = node {
        node.stop().await;
    }
    match ended {
        Ok(()) => Ok(()),
        Err(error) => Err(window.failure.lock().take().unwrap_or_else(|| internal(&error))),
    }
}

fn internal(error: &BridgeError) -> StartError {
    StartError::Internal(error.to_string())
}

fn working_directory() -> String {
    std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default()
}

/// One client's window on the file.
struct Window {
    config: Config,
    http: bool,
    /// Whether there has been a stream before.
    has_attached: AtomicBool,
    node: Mutex<Option<Arc<Node>>>,
    tasks: TaskTracker,
    /// Why no stream can be had, in the words of a start.
    failure: Mutex<Option<StartError>>,
}

impl Window {
    /// A stream to the owner, which this process becomes when there is none.
    async fn connect(self: Arc<Self>) -> crate::Result<Box<dyn Stream>> {
        match self.try_connect().await {
            Ok(stream) => {
                self.has_attached.store(true, Ordering::Relaxed);
                Ok(stream)
            }
            Err(error) => {
                let told = Error::new(Code::Unavailable, error.to_string());
                *self.failure.lock() = Some(error);
                Err(told)
            }
        }
    }

    async fn try_connect(&self) -> Result<Box<dyn Stream>, StartError> {
        let path = &self.config.store.path;
        let was_owned = self.give_up_node().await;
        let has_attached = self.has_attached.load(Ordering::Relaxed);
        if was_owned || (has_attached && !self.http) {
            tokio::time::sleep(TAKE_OVER_DELAY).await;
        }
        let mut deadline = Instant::now() + ATTACH_TIMEOUT;
        let mut asking = Asking::default();
        loop {
            if let Some(lock) = Lock::try_take(path)? {
                return self.own(lock).await;
            }
            let present = owner(path);
            if let Some(owner) = &present {
                // A window that serves HTTP takes the place of one that does not.
                if self.http
                    && owner.url.is_none()
                    && asking.ask(owner, &self.tasks).await == Reply::Agreed
                {
                    tokio::time::sleep(ASKED_INTERVAL).await;
                    continue;
                }
                match connect_mcp(&owner.socket, &self.tasks).await {
                    Ok(stream) => return Ok(Box::new(stream)),
                    Err(error) => tracing::debug!(%error, "the owner does not answer yet"),
                }
            }
            if Instant::now() > deadline {
                // An owner that lives and does not answer is starting, stopping or stuck.
                let (pid, url) = present.map_or((0, None), |owner| (owner.pid, owner.url));
                tracing::warn!(owner.pid = pid, owner.url = ?url, "waiting for the owner");
                deadline = Instant::now() + ATTACH_TIMEOUT;
            }
            tokio::time::sleep(ATTACH_INTERVAL).await;
        }
    }

    /// Stops the node that this process had, if it handed the file over.
    async fn give_up_node(&self) -> bool {
        let node = self.node.lock().take();
        match node {
            Some(node) => {
                node.stop().await;
                true
            }
            None => false,
        }
    }

    /// Where the API is served, if it is. A client that works already is not cut off for a port
    /// that was taken meanwhile.
    async fn listener(&self) -> Result<Option<TcpListener>, StartError> {
        if !self.http {
            return Ok(None);
        }
        match bind(&self.config).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if self.has_attached.load(Ordering::Relaxed) => {
                tracing::error!(%error, "HTTP is not served any more");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Becomes the owner and serves the client in this process.
    async fn own(&self, lock: Lock) -> Result<Box<dyn Stream>, StartError> {
        check_model(&self.config)?;
        let listener = self.listener().await?;
        let url = listener.as_ref().map(|listener| url_of(listener, &self.config)).transpose()?;
        let tls = tls(&self.config)?;
        if let Some(url) = &url {
            tracing::info!(%url, "serving the API beside standard input and output");
        }
        let node = Node::open(&self.config, lock, Role::Window, false, url).await?;
        if let Some(listener) = listener {
            serve_tcp(&node, listener, tls, &self.config);
        }
        let stream = serve_in_process(&node);
        *self.node.lock() = Some(node);
        Ok(Box::new(stream))
    }
}

/// The bridge's end of a stream to the node's MCP server.
fn serve_in_process(node: &Arc<Node>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(DUPLEX_BYTES);
    let (mcp, shutdown) = (node.mcp.clone(), node.shutdown.clone());
    node.tasks.spawn(async move {
        if let Err(error) = crate::mcp::serve_stream(mcp, theirs, shutdown).await {
            tracing::debug!(%error, "the MCP stream of this process ended early");
        }
    });
    ours
}
