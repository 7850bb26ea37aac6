//! Builds the parts of a node, binds, runs and stops them in order.
//!
//! A database file has one owner at a time. A command that finds an owner goes through it; one
//! that finds none becomes the owner for as long as it runs.

mod attach;
mod error;
mod handover;
mod local;
mod lock;
mod restore;
mod secret;
mod serve;
mod stdio;
mod tcp;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use memnode_cluster::NodeName;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Principal;
use crate::config::{Config, ConfigError};
use crate::embed::EmbedderChoice;
use crate::embed::lazy::LazyEmbedder;
use crate::http::{AppState, LocalCaller};
use crate::limit::Limits;
use crate::mcp::{Caller, IngestPaths, McpHttpOptions, McpOptions, McpServer};
use crate::replica::{Replica, ReplicaError, ReplicaParts};
use crate::rerank::Reranker;
use crate::service::{Service, ServiceParts};
use crate::store::{Store, StoreOptions, recorded_model};
use crate::webhook::{WebhookParts, Webhooks};

pub use attach::{Need, Session, attach};
pub use error::StartError;
pub use lock::{Lock, Owner, lock_path, owner, socket_path};
pub use restore::{Restore, Restored};
pub use serve::{Ready, serve};
pub use stdio::mcp_stdio;
pub use tcp::install_crypto;

/// How long requests and jobs may take to finish when the node stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long own writes may take into the stream when the node stops; the rest is sent by the next
/// run.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// What kind of process owns the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// `memnode serve`: keeps the file until it is stopped.
    Server,
    /// `memnode mcp`: hands the file over to a server, or to a window that serves HTTP.
    Window,
    /// Another command: keeps the file until it is done.
    Command,
}

/// A running node: the owner of a file.
struct Node {
    store: Arc<Store>,
    replica: Option<Replica>,
    service: Service,
    router: Router,
    mcp: McpServer,
    lock: Mutex<Lock>,
    socket: PathBuf,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Node {
    /// Opens the file that `lock` is for and listens on the local socket.
    async fn open(
        config: &Config,
        lock: Lock,
        role: Role,
        any_model: bool,
        url: Option<String>,
    ) -> Result<Arc<Node>, StartError> {
        let choice = EmbedderChoice::from(&config.embed);
        let store = open_store(config, choice.clone(), any_model).await?;
        let choice = if any_model { file_embedder(config).unwrap_or(choice) } else { choice };
        let tasks = TaskTracker::new();
        let shutdown = CancellationToken::new();
        let keys = secret::key_parts(config)?;
        if let Some(seal) = keys.seal.clone() {
            let set = store.write(move |writer| {
                writer.set_seal(seal);
                Ok(())
            });
            set.await.map_err(|error| StartError::of_store(&config.store.path, error))?;
        }
        let authenticator = Arc::clone(&keys.authenticator);
        let replica = match role {
            Role::Server | Role::Window => replica(config, &store, &tasks).await?,
            // A command is over soon; what it wrote is sent by the next server.
            Role::Command => None,
        };
        let service = Service::new(ServiceParts {
            store: Arc::clone(&store),
            replica: replica.clone(),
            webhooks: webhooks(config, role, &store, &tasks, &shutdown)?,
            node: config.node.id.clone(),
            cluster: config.cluster.name.clone(),
            embedder: LazyEmbedder::start(choice),
            reranker: Reranker::new(&config.rerank).map(Arc::new),
            dedup: config.dedup.clone(),
            events: config.events.clone(),
            backup: config.backup.clone(),
            keys,
            audit: config.audit.clone(),
            time_zone: config.node.time_zone.clone(),
            deadline: config.http.request_timeout,
            slow_query: config.log.slow_query,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        });
        let opened = service.open_keys().await;
        opened.map_err(|error| StartError::Internal(error.to_string()))?;
        if url.is_some() && authenticator.is_open() {
            say_open(config);
        }
        if role != Role::Command {
            service.follow_keys();
            service.keep_audit();
            service.keep_change_log();
            service.recount_every(config.store.recount_interval);
            if config.cluster.nats.is_some() {
                service.embed_pending();
            }
        }
        // A command is over before an index would pay.
        if role != Role::Command {
            service.keep_index();
        }
        if role != Role::Command {
            service.schedule_backups();
        }
        if role != Role::Command && config.otel.endpoint.is_some() {
            service.observe_regularly();
        }
        let state = AppState {
            service: service.clone(),
            authenticator,
            http: Arc::new(config.http.clone()),
            limits: Arc::new(Limits::new(config.limits.clone())),
        };
        let router = crate::http::router(state, mcp_route(config, &service, &shutdown));
        let mcp = local_mcp(config, &service);
        let socket = socket_path(&config.store.path)?;
        let node = Arc::new(Node {
            store,
            replica,
            service,
            router,
            mcp,
            lock: Mutex::new(lock),
            socket,
            tasks,
            shutdown,
        });
        local::listen(&node, role)?;
        let owner = Owner { pid: std::process::id(), socket: node.socket.clone(), url };
        node.lock.lock().announce(&owner)?;
        Ok(node)
    }

    /// The API for callers on this machine, whom the system has let in.
    fn local_router(&self) -> Router {
        self.router.clone().layer(axum::Extension(LocalCaller))
    }

    /// Stops accepting, sends what peers lack, lets requests and jobs finish, closes the file and
    /// gives up the lock.
    async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        if let Some(replica) = &self.replica {
            replica.stop(DRAIN_TIMEOUT).await;
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests were cut off: they took too long to finish");
        }
        self.service.flush_audit().await;
        let store = Arc::clone(&self.store);
        if let Err(error) = tokio::task::spawn_blocking(move || store.close()).await {
            tracing::error!(%error, "closing the database failed");
        }
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the local socket was gone already");
        }
        self.lock.lock().retract();
    }
}

/// Says aloud, once, that nobody is asked who they are.
fn say_open(config: &Config) {
    if config.http.is_loopback() {
        tracing::info!(
            "everyone on this machine may call without a key: `memnode key create` makes the first"
        );
    } else {
        let host = config.http.host;
        tracing::warn!(%host, "everyone who reaches this address may do everything without a key");
    }
}

/// What fits the vectors of a file that is to move to another model, as far as this process can
/// know: with it searches go on meanwhile.
fn file_embedder(config: &Config) -> Option<EmbedderChoice> {
    let builtin = EmbedderChoice::Builtin { model_dir: config.embed.model_dir.clone() };
    let recorded = recorded_model(&config.store.path).ok()??;
    let model = builtin.model_id().ok()?;
    let fits = recorded == (model.name, model.dimension) && builtin.check_present().is_ok();
    fits.then_some(builtin)
}

/// Opens the database on the blocking pool.
async fn open_store(
    config: &Config,
    choice: EmbedderChoice,
    any_model: bool,
) -> Result<Arc<Store>, StartError> {
    let path = config.store.path.clone();
    let node = node_name(config)?;
    let keeps_ops = config.cluster.nats.is_some();
    let (reader_count, write_queue_count_max) =
        (config.store.readers.get(), config.store.write_queue_max.get());
    let opening = tokio::task::spawn_blocking(move || {
        let model = choice.model_id().map_err(StartError::ModelMissing)?;
        let options = StoreOptions {
            path: path.clone(),
            node,
            model: model.name,
            dimension: model.dimension,
            any_model,
            reader_count,
            write_queue_count_max,
            keeps_ops,
        };
        Store::open(&options).map(Arc::new).map_err(|error| StartError::of_store(&path, error))
    });
    opening.await.map_err(|error| StartError::Internal(error.to_string()))?
}

/// Starts to exchange writes with peers, if there is a way to them.
async fn replica(
    config: &Config,
    store: &Arc<Store>,
    tasks: &TaskTracker,
) -> Result<Option<Replica>, StartError> {
    let parts = ReplicaParts {
        config: config.cluster.clone(),
        node: node_name(config)?,
        store: Arc::clone(store),
        tasks: tasks.clone(),
    };
    Replica::start(parts).await.map_err(|error| match error {
        ReplicaError::Connect(error) => StartError::Nats(error),
        ReplicaError::Store(error) => StartError::of_store(&config.store.path, error),
    })
}

/// Starts to tell webhooks, unless the process is a command, which is over soon: what it wrote is
/// told by the next server.
fn webhooks(
    config: &Config,
    role: Role,
    store: &Arc<Store>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Option<Webhooks>, StartError> {
    if config.webhooks.urls.is_empty() || role == Role::Command {
        return Ok(None);
    }
    let parts = WebhookParts {
        config: config.webhooks.clone(),
        store: Arc::clone(store),
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
    };
    let started = Webhooks::start(parts);
    started.map(Some).map_err(|error| ConfigError::Contradiction(error.detail).into())
}

fn node_name(config: &Config) -> Result<NodeName, StartError> {
    NodeName::new(&config.node.id)
        .map_err(|error| StartError::Internal(format!("the node's name is not valid: {error}")))
}

/// `/mcp` for HTTP clients: each caller is who its credential says. The layers of the API around
/// it check the host and authenticate.
fn mcp_route(config: &Config, service: &Service, shutdown: &CancellationToken) -> Router {
    let options = McpHttpOptions {
        allowed_hosts: Vec::new(),
        body_bytes_max: config.http.body_bytes_max,
        ingest_roots: config.ingest.roots.clone(),
    };
    let service = crate::mcp::http_service(local_mcp(config, service), options, shutdown.clone());
    Router::new().nest_service("/mcp", service)
}

/// MCP for the user of this machine.
fn local_mcp(config: &Config, service: &Service) -> McpServer {
    let options =
        McpOptions { default_namespace: default_namespace(config), ingest: IngestPaths::Any };
    McpServer::new(service.clone(), Caller::Fixed(Principal::local()), options)
}

fn default_namespace(config: &Config) -> crate::memory::Namespace {
    config.node.namespace.parse().unwrap_or_default()
}
