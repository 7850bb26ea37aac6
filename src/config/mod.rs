//! One typed [`Config`], loaded and validated once; the only reader of the environment.
//!
//! Flags beat the environment, the environment beats `memnode.toml`, and that beats the embedded
//! `config.default.toml`. `table` names every setting once; `layers` finds what was given for
//! each, as text; `read` turns text into types; the same parsers serve every layer. Nothing here
//! prints: warnings and errors are values for the command line to show.

mod access;
mod args;
mod backup;
mod cluster;
mod directories;
mod error;
mod jwt;
mod layers;
mod limits;
mod network;
mod observe;
mod parse;
mod read;
mod rerank;
mod secret;
mod show;
mod suggest;
mod table;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub use access::{Anonymous, AuthConfig, CorsOrigins, HttpConfig, TlsFiles};
pub use args::{clap_args, flags_from};
pub use backup::{BackupConfig, BackupInterval};
pub use cluster::{ClusterConfig, NatsConfig};
pub use directories::Directories;
pub use error::ConfigError;
pub use jwt::{JwtAlgorithm, JwtIssuer, JwtIssuers, JwtKeys};
pub use layers::{Source, environment};
pub use limits::{ConnectionLimit, LimitsConfig, Rate, RateLimit, ToolLimits};
pub use network::{Network, Networks};
pub use observe::{AuditConfig, OtelConfig, Sampler};
pub use parse::duration;
pub use rerank::RerankConfig;
pub use secret::Secret;
pub use show::{Effective, effective_json, effective_text};

/// Every setting of a node, valid; each part goes only to the module that owns it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who this node is and how it reads names and times.
    pub node: NodeConfig,
    /// The cluster it is in, and the road to its peers.
    pub cluster: ClusterConfig,
    /// The SQLite file and its threads.
    pub store: StoreConfig,
    /// The HTTP listener and its limits.
    pub http: HttpConfig,
    /// Who may call.
    pub auth: AuthConfig,
    /// How much each caller may ask for.
    pub limits: LimitsConfig,
    /// What turns text into vectors.
    pub embed: EmbedConfig,
    /// Whom searches ask for a better order, if anybody.
    pub rerank: RerankConfig,
    /// Whether near-duplicates are refused.
    pub dedup: DedupConfig,
    /// How events are told, and how long they are kept.
    pub events: EventsConfig,
    /// Whom to tell of changes outside.
    pub webhooks: WebhookConfig,
    /// What clients may have ingested from disk.
    pub ingest: IngestConfig,
    /// Where backups go, how often they are made and how long they are kept.
    pub backup: BackupConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Where telemetry goes.
    pub otel: OtelConfig,
    /// What the audit log keeps.
    pub audit: AuditConfig,
}

/// Who this node is and how it reads names and times.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The stable name of this node, the `origin` of its memories; the host name by default.
    pub id: String,
    /// The namespace that `memnode mcp` and the command line use when a call names none.
    pub namespace: String,
    /// The IANA zone in which time phrases are read; `None` is the machine's own.
    pub time_zone: Option<String>,
}

/// The SQLite file and its threads.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The directory of everything the node keeps.
    pub base_dir: PathBuf,
    /// The SQLite file; `memnode.db` in `base_dir` by default.
    pub path: PathBuf,
    /// Read-only connections, each with its thread; 1 to 64.
    pub readers: NonZeroUsize,
    /// Writes that may wait for the writer thread before more are refused.
    pub write_queue_max: NonZeroUsize,
    /// How often the digest is recounted from the records; 1 s to 30 days.
    pub recount_interval: Duration,
}

/// What turns text into vectors.
#[derive(Clone, Debug)]
pub struct EmbedConfig {
    /// Where `memnode model fetch` puts the built-in model.
    pub model_dir: PathBuf,
    /// The embedder to use.
    pub embedder: EmbedderConfig,
}

/// The embedder to use, with what its kind needs.
#[derive(Clone, Debug)]
pub enum EmbedderConfig {
    /// The model that `memnode model fetch` brings.
    Builtin,
    /// A model in ONNX form in a local directory.
    Onnx(OnnxConfig),
    /// A service that speaks the embeddings call of OpenAI.
    OpenAi(OpenAiConfig),
}

/// A model in ONNX form in a local directory.
#[derive(Clone, Debug)]
pub struct OnnxConfig {
    /// The directory with the model and its tokenizer.
    pub dir: PathBuf,
    /// The name to record in the file; `None` leaves it to the embedder.
    pub model: Option<String>,
}

/// A service that speaks the embeddings call of OpenAI.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// The whole address, such as `http://127.0.0.1:11434/v1/embeddings`.
    pub url: String,
    /// The name of the model, as the service knows it.
    pub model: String,
    /// Numbers in one vector; 1 to 8192.
    pub dimension: NonZeroUsize,
    /// The bearer token of the service.
    pub api_key: Option<Secret>,
    /// The longest one call may take.
    pub timeout: Duration,
}

/// Whether near-duplicates are refused.
#[derive(Clone, Debug)]
pub struct DedupConfig {
    /// Off by default: it refuses real memories.
    pub enabled: bool,
    /// The similarity, 0 to 1, from which two texts count as the same.
    pub threshold: f64,
    /// Only memories of the last so many hours are compared; 1 to 87,600.
    pub time_window_hours: u32,
}

/// How events are told, and how long they are kept.
#[derive(Clone, Debug)]
pub struct EventsConfig {
    /// Between two heartbeats; 5 to 300 seconds.
    pub heartbeat: Duration,
    /// Rows of the change log that are kept; 10,000 to 100 million.
    pub log_rows_max: u64,
}

/// Whom to tell of changes outside.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Addresses, each with its filter in the fragment; at most 16.
    pub urls: Vec<String>,
    /// What requests are signed with; needed when there are addresses.
    pub secret: Option<Secret>,
    /// Tries before a change is given up; 1 to 20.
    pub try_count_max: u32,
}

/// What clients may have ingested from disk.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// Absolute directories below which a client of `/mcp` may name files; none by default.
    pub roots: Vec<PathBuf>,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A level, or directives such as `info,memnode=debug`, as `tracing_subscriber` reads them.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
    /// Searches that take longer are logged; zero logs none. At most an hour.
    pub slow_query: Duration,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Refuses to listen beyond this machine unless callers are checked or the operator has said
    /// aloud that they are not; for every mode that binds a port.
    ///
    /// # Errors
    /// [`ConfigError::OpenToAll`].
    pub fn check_bind(&self) -> Result<(), ConfigError> {
        let has_key = self.auth.api_key.is_some() || self.auth.api_key_file.is_some();
        let guarded = has_key
            || !self.auth.jwt_issuers.0.is_empty()
            || self.auth.anonymous == Anonymous::Allowed;
        if self.http.is_loopback() || guarded {
            return Ok(());
        }
        Err(ConfigError::OpenToAll { host: self.http.host })
    }
}

impl Config {
    /// Reads the secrets that lie in files of their own. Apart from [`load`], because what only
    /// shows settings must not need them.
    ///
    /// # Errors
    /// `Unreadable`.
    pub fn read_secrets(&mut self) -> Result<(), ConfigError> {
        if let Some(path) = &self.auth.api_key_file {
            self.auth.api_key = Some(access::secret_of(path)?);
        }
        if let Some(path) = &self.cluster.secret_file {
            let secret = access::secret_of(path)?;
            if parse::long_secret(secret.expose()).is_none() {
                let reason =
                    format!("its secret must have at least {} characters", parse::SECRET_BYTES_MIN);
                return Err(ConfigError::Unreadable { path: path.clone(), reason });
            }
            self.cluster.secret = Some(secret);
        }
        Ok(())
    }
}

/// What was given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Keys, such as `http.port`, and their values.
    pub settings: Vec<(String, String)>,
}

/// Everything that [`load`] reads from, besides the settings file.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// What was given on the command line.
    pub flags: Flags,
    /// Names and values; [`environment`] for the real ones.
    pub environment: Vec<(String, String)>,
}

/// The settings, and what a person may want to know about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Where this person keeps settings, data and caches.
    pub directories: Directories,
    /// Sentences to log once the log is set up.
    pub warnings: Vec<String>,
    /// Every setting, its value and where that came from, sorted by key.
    pub effective: Vec<Effective>,
}

/// Reads every layer and checks the whole.
///
/// # Errors
/// The first unknown name, bad value or contradiction; all of them are wrong usage (exit code 64).
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let directories = Directories::new(&sources.environment);
    let given = layers::gather(sources, &directories)?;
    let host_name = directories::host_name(&sources.environment);
    let (config, effective, mut warnings) = read::config(given.values, &directories, &host_name)?;
    warnings.splice(0..0, given.warnings);
    Ok(Loaded { config, directories, warnings, effective })
}
