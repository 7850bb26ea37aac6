//! The one table of settings: every name that a setting has, and what it may be.

mod access;
mod observe;

use std::sync::LazyLock;

/// One setting under all its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// The path in `memnode.toml`.
    pub(super) key: &'static str,
    /// The name in the environment.
    pub(super) environment: &'static str,
    /// The name on the command line, without the two dashes.
    pub(super) flag: &'static str,
    /// What a value looks like.
    pub(super) kind: Kind,
    /// One line for `--help`.
    pub(super) help: &'static str,
    /// Whether the value must never be shown.
    pub(super) secret: bool,
    /// Whether the short help names it.
    pub(super) common: bool,
}

impl Setting {
    const fn secret(self) -> Self {
        Setting { secret: true, ..self }
    }

    const fn common(self) -> Self {
        Setting { common: true, ..self }
    }
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// The placeholder in `--help`.
    pub(super) name: &'static str,
    /// Completes "it must be".
    pub(super) allowed: &'static str,
    /// Whether the flag alone means `true`.
    pub(super) switch: bool,
}

const fn kind(name: &'static str, allowed: &'static str) -> Kind {
    Kind { name, allowed, switch: false }
}

const BOOL: Kind = Kind { name: "BOOL", allowed: "true or false", switch: true };
const DIR: Kind = kind("DIR", "a path of a directory; `~` needs HOME");
const FILE: Kind = kind("FILE", "a path of a file; `~` needs HOME");
const MODEL: Kind = kind("NAME", "1 to 200 characters");
const SECRET: Kind = kind("KEY", "1 to 1024 visible ASCII characters");
const NAMESPACE: Kind =
    kind("NAME", "1 to 64 of a-z, 0-9, _ and -, without a leading _, which is reserved");
const LARGE: Kind = kind("SIZE", "a size from 1MiB to 1TiB, such as 512MiB or 4GiB");
const BYTES: Kind = kind("SIZE", "a size from 1KiB to 1GiB, such as 1048576, 512KiB or 32MiB");

const fn setting(
    key: &'static str,
    environment: &'static str,
    flag: &'static str,
    kind: Kind,
    help: &'static str,
) -> Setting {
    Setting { key, environment, flag, kind, help, secret: false, common: false }
}

/// The setting with this key.
pub(super) fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Every setting, in the order in which help lists them.
pub(super) static SETTINGS: LazyLock<Vec<Setting>> =
    LazyLock::new(|| [FIRST, access::SETTINGS, REST, observe::SETTINGS].concat());

const FIRST: &[Setting] = &[
    setting(
        "node.id",
        "MEMNODE_NODE_ID",
        "node-id",
        kind("NAME", "1 to 64 letters, digits, dots, _ and -"),
        "Stable name of this node; default: the host name",
    ),
    setting(
        "node.namespace",
        "MEMNODE_NAMESPACE",
        "namespace",
        NAMESPACE,
        "Namespace when a call names none",
    )
    .common(),
    setting(
        "node.time_zone",
        "MEMNODE_TIME_ZONE",
        "time-zone",
        kind("ZONE", "an IANA time zone, such as Europe/Berlin"),
        "Time zone of time phrases; default: the machine's",
    ),
    setting(
        "cluster.name",
        "MEMNODE_CLUSTER",
        "cluster",
        kind("NAME", "1 to 64 letters, digits, dots, _ and -"),
        "Name that all nodes of the cluster share",
    ),
    setting(
        "cluster.nats_url",
        "MEMNODE_NATS_URL",
        "nats-url",
        kind("LIST", "up to 16 of nats:// or tls://, host and port; user names have a setting"),
        "NATS servers, comma between; default: none, a node on its own",
    )
    .common(),
    setting(
        "cluster.nats_creds",
        "MEMNODE_NATS_CREDS",
        "nats-creds",
        FILE,
        "File of NATS credentials, as nsc writes it",
    ),
    setting(
        "cluster.nats_nkey",
        "MEMNODE_NATS_NKEY",
        "nats-nkey",
        FILE,
        "File that holds the seed of an NKey",
    ),
    setting(
        "cluster.nats_user",
        "MEMNODE_NATS_USER",
        "nats-user",
        kind("NAME", "1 to 256 visible ASCII characters"),
        "User name for NATS",
    ),
    setting(
        "cluster.nats_password",
        "MEMNODE_NATS_PASSWORD",
        "nats-password",
        SECRET,
        "Password for NATS; not as a flag, which other users can see",
    )
    .secret(),
    setting(
        "cluster.nats_ca",
        "MEMNODE_NATS_CA",
        "nats-ca",
        FILE,
        "Root certificates to trust besides the machine's, PEM",
    ),
    setting(
        "cluster.nats_cert",
        "MEMNODE_NATS_CERT",
        "nats-cert",
        FILE,
        "Certificate that this node shows to NATS, PEM",
    ),
    setting(
        "cluster.nats_key",
        "MEMNODE_NATS_KEY",
        "nats-key",
        FILE,
        "Private key of that certificate, PEM",
    ),
    setting(
        "cluster.secret",
        "MEMNODE_CLUSTER_SECRET",
        "cluster-secret",
        kind("KEY", "32 to 1024 visible ASCII characters"),
        "Proves API keys to the other nodes; not as a flag, which other users can see",
    )
    .secret(),
    setting(
        "cluster.secret_file",
        "MEMNODE_CLUSTER_SECRET_FILE",
        "cluster-secret-file",
        FILE,
        "File that holds that secret",
    ),
    setting(
        "cluster.stream_replicas",
        "MEMNODE_STREAM_REPLICAS",
        "stream-replicas",
        kind("COUNT", "a whole number from 1 to 5"),
        "Copies of the stream; default: 3 with three or more servers, else 1",
    ),
    setting(
        "cluster.stream_bytes_max",
        "MEMNODE_STREAM_BYTES_MAX",
        "stream-bytes-max",
        LARGE,
        "Bytes that the stream may hold",
    ),
    setting(
        "cluster.stream_age_max",
        "MEMNODE_STREAM_AGE_MAX",
        "stream-age-max",
        kind("TIME", "a time from 2m to 365d, such as 30d"),
        "How long the stream holds a write",
    ),
    setting(
        "cluster.op_bytes_max",
        "MEMNODE_OP_BYTES_MAX",
        "op-bytes-max",
        LARGE,
        "Bytes of writes kept for peers that lack them",
    ),
    setting(
        "store.base_dir",
        "MCP_MEMORY_BASE_DIR",
        "base-dir",
        DIR,
        "Directory of everything the node keeps",
    )
    .common(),
    setting(
        "store.path",
        "MCP_MEMORY_SQLITE_PATH",
        "store-path",
        FILE,
        "The SQLite file; default: memnode.db in the base directory",
    ),
    setting(
        "store.readers",
        "MEMNODE_STORE_READERS",
        "store-readers",
        kind("COUNT", "a whole number from 1 to 64"),
        "Reading connections; default: one a core, 2 to 16",
    ),
    setting(
        "store.write_queue_max",
        "MEMNODE_WRITE_QUEUE_MAX",
        "write-queue-max",
        kind("COUNT", "a whole number from 1 to 65536"),
        "Writes that may wait before more are refused",
    ),
    setting(
        "store.recount_interval",
        "MEMNODE_RECOUNT_INTERVAL",
        "recount-interval",
        kind("TIME", "a time from 1s to 30d, such as 12h"),
        "How often the digest is recounted from the records",
    ),
];

const REST: &[Setting] = &[
    setting(
        "embed.embedder",
        "MEMNODE_EMBEDDER",
        "embedder",
        kind("KIND", "builtin, onnx or openai"),
        "What turns text into vectors: builtin, onnx or openai",
    ),
    setting(
        "embed.model_dir",
        "MEMNODE_MODEL_DIR",
        "model-dir",
        DIR,
        "Where `memnode model fetch` puts the built-in model",
    ),
    setting(
        "embed.dir",
        "MEMNODE_EMBEDDER_DIR",
        "embedder-dir",
        DIR,
        "onnx: directory of the model",
    ),
    setting(
        "embed.url",
        "MEMNODE_EMBEDDER_URL",
        "embedder-url",
        kind("URL", "an http or https address without user name and password"),
        "openai: whole address, such as http://127.0.0.1:11434/v1/embeddings",
    ),
    setting(
        "embed.model",
        "MEMNODE_EMBEDDER_MODEL",
        "embedder-model",
        MODEL,
        "onnx, openai: name of the model",
    ),
    setting(
        "embed.dimension",
        "MEMNODE_EMBEDDER_DIMENSION",
        "embedder-dimension",
        kind("COUNT", "a whole number from 1 to 8192"),
        "openai: numbers in one vector",
    ),
    setting(
        "embed.api_key",
        "MEMNODE_EMBEDDER_API_KEY",
        "embedder-api-key",
        SECRET,
        "openai: key of the service; not as a flag, which other users can see",
    )
    .secret(),
    setting(
        "embed.timeout",
        "MEMNODE_EMBEDDER_TIMEOUT",
        "embedder-timeout",
        kind("TIME", "a time from 100ms to 10m, such as 30s"),
        "openai: longest one call may take",
    ),
    setting(
        "rerank.url",
        "MEMNODE_RERANK_URL",
        "rerank-url",
        kind("URL", "an http:// or https:// address without a user name"),
        "Service that orders results anew; default: none",
    ),
    setting(
        "rerank.api_key",
        "MEMNODE_RERANK_API_KEY",
        "rerank-api-key",
        SECRET,
        "Key of that service; not as a flag, which other users can see",
    )
    .secret(),
    setting(
        "rerank.timeout",
        "MEMNODE_RERANK_TIMEOUT",
        "rerank-timeout",
        kind("TIME", "a time from 10ms to 1m, such as 2s"),
        "Longest a search waits for that service",
    ),
    setting(
        "dedup.enabled",
        "MCP_SEMANTIC_DEDUP_ENABLED",
        "dedup-enabled",
        BOOL,
        "Refuse what means the same as a recent memory",
    ),
    setting(
        "dedup.threshold",
        "MCP_SEMANTIC_DEDUP_THRESHOLD",
        "dedup-threshold",
        kind("SIMILARITY", "a number from 0 to 1"),
        "Similarity from which two texts count as the same",
    ),
    setting(
        "dedup.time_window_hours",
        "MCP_SEMANTIC_DEDUP_TIME_WINDOW_HOURS",
        "dedup-time-window-hours",
        kind("HOURS", "a whole number from 1 to 87600"),
        "Hours back that count as recent",
    ),
    setting(
        "events.heartbeat",
        "MCP_SSE_HEARTBEAT",
        "sse-heartbeat",
        kind("SECONDS", "a whole number from 5 to 300"),
        "Seconds between the heartbeats of event streams",
    ),
    setting(
        "events.log_rows_max",
        "MEMNODE_EVENT_LOG_ROWS_MAX",
        "event-log-rows-max",
        kind("COUNT", "a whole number from 10000 to 100000000"),
        "Changes kept for event streams that resume, and for histories",
    ),
    setting(
        "webhooks.urls",
        "MEMNODE_WEBHOOKS",
        "webhooks",
        kind("LIST", "up to 16 of http:// or https://, a filter after #"),
        "Addresses that are told of changes, comma between; default: none",
    ),
    setting(
        "webhooks.secret",
        "MEMNODE_WEBHOOK_SECRET",
        "webhook-secret",
        SECRET,
        "Signs what webhooks are told; not as a flag, which other users can see",
    )
    .secret(),
    setting(
        "webhooks.tries",
        "MEMNODE_WEBHOOK_TRIES",
        "webhook-tries",
        kind("COUNT", "a whole number from 1 to 20"),
        "Tries before a webhook is not told of a change any more",
    ),
    setting(
        "ingest.roots",
        "MEMNODE_INGEST_ROOTS",
        "ingest-roots",
        kind("LIST", "up to 100 absolute directories; `~` needs HOME"),
        "Directories clients of /mcp may ingest from, comma between; default: none",
    ),
    setting(
        "backup.dir",
        "MCP_MEMORY_BACKUPS_PATH",
        "backup-dir",
        DIR,
        "Directory of backups; default: backups in the base directory",
    ),
    setting(
        "backup.enabled",
        "MCP_BACKUP_ENABLED",
        "backup-enabled",
        BOOL,
        "Make backups by the clock",
    ),
    setting(
        "backup.interval",
        "MCP_BACKUP_INTERVAL",
        "backup-interval",
        kind("INTERVAL", "hourly, daily or weekly"),
        "How often: hourly, daily or weekly",
    ),
    setting(
        "backup.retention_days",
        "MCP_BACKUP_RETENTION",
        "backup-retention-days",
        kind("DAYS", "a whole number from 1 to 3650"),
        "Days after which a backup is removed",
    ),
    setting(
        "backup.max_count",
        "MCP_BACKUP_MAX_COUNT",
        "backup-max-count",
        kind("COUNT", "a whole number from 1 to 1000"),
        "Backups that are kept; the oldest go first",
    ),
    setting(
        "log.filter",
        "MEMNODE_LOG",
        "log",
        kind("FILTER", "a level (error, warn, info, debug, trace, off) or target=level, ..."),
        "What to log: a level, or such as info,memnode=debug",
    )
    .common(),
    setting(
        "log.format",
        "MEMNODE_LOG_FORMAT",
        "log-format",
        kind("FORMAT", "human or json"),
        "How a line of the log looks: human or json",
    ),
];
