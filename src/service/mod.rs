//! The use cases: the only door for HTTP, MCP and the command line. Every rule lives here.

mod allowed;
mod audit;
mod backup;
mod batch;
mod candidates;
mod change;
mod cluster;
mod duplicates;
mod forged;
mod gate;
mod hybrid;
mod index_state;
mod indexing;
mod inspect;
mod keys;
mod nearest;
mod observe;
mod once;
mod order;
mod pending;
mod position;
mod recall;
mod recount;
mod reembed;
mod remember;
mod rerank;
mod survey;
mod watch;
mod webhook;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::config::{AuditConfig, BackupConfig, DedupConfig, EventsConfig};
use crate::embed::lazy::{Embedded, LazyEmbedder};
use crate::index::shared::Index;
use crate::memory::{ContentHash, Memory, Namespace};
use crate::replica::Replica;
use crate::rerank::Reranker;
use crate::store::{Reader, Store, StoreError};
use crate::telemetry::{self, metrics};
use crate::webhook::Webhooks;
use crate::{Code, Error, Result};
use nearest::Nearest;

pub use crate::index::shared::State as IndexState;
pub use crate::store::AuditOrder;
pub use crate::store::StoreState;
pub use audit::{AUDIT_PAGE_COUNT_MAX, AuditPage};
pub use backup::{BackupPhase, BackupProgress, BackupStatus, ListedBackup, MadeBackup};
pub use cluster::{
    AckWait, AlarmView, CONFLICT_COUNT_MAX, ClusterView, ConflictPage, Erased, ErasedAt, Held,
    JoiningView, Membership, NodeView, OriginView, PruningView, QUARANTINE_COUNT_MAX, Retried,
    Snapshot, StreamView, SyncView, TransferView, VectorView,
};
pub use gate::GateView;
pub use index_state::{INDEX_SAMPLE_COUNT_MAX, IndexCheck, IndexView};
pub use inspect::DigestView;
pub use keys::{KeyParts, KeyView};
pub use reembed::Reembed;
pub use survey::{AxesView, DayCount, MAP_COUNT_MAX, MapView, Overview, Period};
pub use watch::{Feed, News};
pub use webhook::{DeadView, HookView, WebhookView};

/// How often a write or search is tried again when the model changes under it.
const MODEL_CHANGE_TRY_COUNT: usize = 3;

/// How many texts must be embedded within the deadline of one request.
const DEADLINE_TEXT_COUNT: usize = 8;

/// What the use cases are built from.
pub struct ServiceParts {
    /// The open file.
    pub store: Arc<Store>,
    /// The road to the peers, if there is one.
    pub replica: Option<Replica>,
    /// Whom to tell of changes outside, if anybody.
    pub webhooks: Option<Webhooks>,
    /// The name of this node.
    pub node: String,
    /// The name of the cluster that it is in, or would be.
    pub cluster: String,
    /// The model, possibly still loading.
    pub embedder: Arc<LazyEmbedder>,
    /// Whom hybrid searches ask for a better order, if anybody.
    pub reranker: Option<Arc<Reranker>>,
    /// Whether and when near-repeats are refused.
    pub dedup: DedupConfig,
    /// How events are told, and how long they are kept.
    pub events: EventsConfig,
    /// Where backups go and how long they are kept.
    pub backup: BackupConfig,
    /// What API keys need.
    pub keys: KeyParts,
    /// What the audit log keeps.
    pub audit: AuditConfig,
    /// IANA name; the machine's own when `None`.
    pub time_zone: Option<String>,
    /// How long one request may take.
    pub deadline: Duration,
    /// Searches that take longer are logged; zero logs none.
    pub slow_query: Duration,
    /// Long jobs run here, so that closing waits for them.
    pub tasks: TaskTracker,
    /// Cancelled when the node stops.
    pub shutdown: CancellationToken,
}

/// A cheap handle on the use cases.
#[derive(Clone)]
pub struct Service {
    parts: Arc<ServiceParts>,
    started: Instant,
    reembed: Arc<Mutex<Option<reembed::Job>>>,
    live: watch::LiveCell,
    recount: Arc<Mutex<recount::Recount>>,
    index: Arc<Index>,
    index_is_kept: Arc<AtomicBool>,
    backups: Arc<backup::Backups>,
    observed: Arc<observe::Observed>,
    gate: Arc<gate::Gate>,
    auditor: Arc<audit::Auditor>,
}

/// State of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// In the background; calls that need it wait.
    Loading,
    /// Loaded.
    Ready,
    /// It will not load; the reason.
    Failed(String),
}

/// State of the parts that a node cannot serve without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The file.
    pub store: StoreState,
    /// The embedding model.
    pub model: ModelState,
    /// Whether a new node of a cluster has taken its first state over.
    pub has_joined: bool,
}

impl Service {
    /// Puts the parts together.
    pub fn new(parts: ServiceParts) -> Self {
        let core_count = std::thread::available_parallelism().map_or(1, usize::from);
        let backups = Arc::new(backup::Backups::new(parts.backup.clone(), &parts.node));
        Service {
            parts: Arc::new(parts),
            started: Instant::now(),
            reembed: Arc::default(),
            live: watch::LiveCell::default(),
            recount: Arc::default(),
            index: Arc::new(Index::new(core_count)),
            index_is_kept: Arc::default(),
            backups,
            observed: Arc::default(),
            gate: Arc::new(gate::Gate::new()),
            auditor: Arc::default(),
        }
    }

    /// Whether the file and the model can be used.
    pub fn readiness(&self) -> Readiness {
        let embedder = &self.parts.embedder;
        let model = match embedder.failed() {
            Some(error) => ModelState::Failed(error.to_string()),
            None if embedder.ready() => ModelState::Ready,
            None => ModelState::Loading,
        };
        let has_joined = self.parts.replica.as_ref().is_none_or(Replica::is_ready);
        Readiness { store: self.parts.store.state(), model, has_joined }
    }

    /// How the line to the model is.
    pub fn gate(&self) -> GateView {
        self.gate.view(self.parts.embedder.parallelism())
    }

    /// How long the node has been up.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The present local time in `tz`, else in the configured time zone, else in the machine's.
    ///
    /// # Errors
    /// `InvalidInput` when the zone is not known.
    pub fn now(&self, tz: Option<&str>) -> Result<jiff::Zoned> {
        let zone = tz.or(self.parts.time_zone.as_deref());
        crate::clock::zoned_now(zone).map_err(|error| {
            Error::invalid(format!("`{}` is not a time zone", zone.unwrap_or_default()))
                .reason("unknown_time_zone")
                .source(error)
        })
    }

    /// How long one request may take.
    pub fn deadline(&self) -> Duration {
        self.parts.deadline
    }

    /// One snapshot of the file, with the deadline of a request.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.parts.store.read(self.parts.deadline, work).await
    }

    /// The same with what searches by meaning need; `is_exact` makes them ask sqlite-vec itself.
    async fn read_near<T: Send + 'static>(
        &self,
        is_exact: bool,
        work: impl FnOnce(&Reader<'_>, &Nearest) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let index = Arc::clone(&self.index);
        self.read(move |reader| {
            let nearest = if is_exact { Nearest::exact(&index) } else { Nearest::begin(&index) };
            work(reader, &nearest)
        })
        .await
    }

    /// The deadline of a request is for a few texts; a batch of an import gets one for each few,
    /// or a slow machine could never import long texts.
    async fn embed(&self, texts: Vec<String>) -> Result<Embedded> {
        let rounds = texts.len().div_ceil(DEADLINE_TEXT_COUNT).max(1);
        let allowed = self.parts.deadline * u32::try_from(rounds).unwrap_or(u32::MAX);
        let (started, text_count) = (Instant::now(), texts.len());
        let span = telemetry::child_span(|| {
            tracing::info_span!(
                target: telemetry::SPAN,
                "embeddings",
                gen_ai.operation.name = "embeddings",
                memnode.text_count = text_count,
            )
        });
        let embedded = self.parts.embedder.embed(texts, started + allowed).instrument(span).await?;
        metrics().embedded(text_count, started.elapsed());
        Ok(embedded)
    }
}

fn memory_not_found() -> Error {
    Error::new(Code::NotFound, "Memory not found").reason("memory_not_found")
}

fn deleted_before(namespace: &Namespace, hash: &ContentHash) -> Error {
    Error::new(
        Code::Conflict,
        format!(
            "this text was deleted before from namespace `{namespace}` (hash {hash}): \
             store it with `restore_deleted: true` to bring it back"
        ),
    )
    .reason("deleted_before")
}

/// Holds `If-Match` against the present version.
fn check_version(memory: &Memory, if_match: Option<&str>) -> Result<()> {
    match if_match {
        Some(expected) if expected != memory.version => Err(Error::new(
            Code::PreconditionFailed,
            format!("the memory changed meanwhile: its version is {}", memory.version),
        )
        .reason("version_mismatch")),
        _ => Ok(()),
    }
}

fn model_keeps_changing() -> Error {
    Error::new(Code::Unavailable, "the embedding model is being changed: try again")
        .reason("model_changing")
}
