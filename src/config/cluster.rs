//! The settings of the cluster a node is in: its name, the road to its peers, and how much is kept
//! for peers that lag.

use std::path::PathBuf;
use std::time::Duration;

use super::access;
use super::error::ConfigError;
use super::parse;
use super::read::Reader;
use super::secret::Secret;

/// Server addresses that one node may be given.
const SERVERS_MAX: usize = 16;

/// What only a node with peers reads.
const OF_NATS: [&str; 11] = [
    "cluster.nats_ca",
    "cluster.nats_cert",
    "cluster.nats_creds",
    "cluster.nats_key",
    "cluster.nats_nkey",
    "cluster.nats_password",
    "cluster.nats_user",
    "cluster.op_bytes_max",
    "cluster.stream_age_max",
    "cluster.stream_bytes_max",
    "cluster.stream_replicas",
];

/// The cluster that a node is in.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The name that all its nodes share; 1 to 64 letters, digits, dots, `_` and `-`.
    pub name: String,
    /// The road to the peers; `None` is a node on its own.
    pub nats: Option<NatsConfig>,
    /// What proves to the peers that an API key is genuine; at least 32 characters.
    pub secret: Option<Secret>,
    /// A file that holds it instead; see [`super::Config::read_secrets`].
    pub secret_file: Option<PathBuf>,
    /// Copies that the servers keep of the stream, 1 to 5, when that was set; see
    /// [`ClusterConfig::replicas`].
    pub stream_replicas: Option<usize>,
    /// Bytes that the stream may hold; older messages go first.
    pub stream_bytes_max: u64,
    /// How long the stream holds a message; at least its window of duplicates, 2 minutes.
    pub stream_age_max: Duration,
    /// Bytes of writes that this node keeps for peers that lack them; beyond, they get state.
    pub op_bytes_max: u64,
}

impl ClusterConfig {
    /// Copies of the stream to ask for where there is none yet: what was set, else 3 when three or
    /// more servers are listed, else 1.
    pub fn replicas(&self) -> usize {
        let servers = self.nats.as_ref().map_or(0, |nats| nats.servers.len());
        self.stream_replicas.unwrap_or(if servers >= 3 { 3 } else { 1 })
    }
}

/// How to reach the NATS servers, and as whom.
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// 1 to 16 addresses, each `nats://` or `tls://`, a host and perhaps a port.
    pub servers: Vec<String>,
    /// A file of credentials, as `nsc` writes it. At most one of this, `nkey` and `user` is set.
    pub creds: Option<PathBuf>,
    /// A file that holds the seed of an NKey.
    pub nkey: Option<PathBuf>,
    /// A user name; `password` is set exactly when this is.
    pub user: Option<String>,
    /// The password of `user`.
    pub password: Option<Secret>,
    /// A PEM file of root certificates to trust besides the machine's.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate of this node; `key` is set exactly when this is.
    pub cert: Option<PathBuf>,
    /// A PEM file with the private key of `cert`.
    pub key: Option<PathBuf>,
}

/// Reads `cluster.*`, each once.
pub(super) fn read(reader: &mut Reader) -> Result<ClusterConfig, ConfigError> {
    let sizes = 1 << 20..=1 << 40;
    let ages = Duration::from_secs(120)..=Duration::from_hours(365 * 24);
    let name = reader.required("cluster.name", parse::node_id)?;
    let nats = nats(reader)?;
    let directories = reader.directories();
    let secret = reader.optional("cluster.secret", parse::long_secret)?;
    let secret_file = reader.optional("cluster.secret_file", |text| directories.expand(text))?;
    access::one_of(
        "cluster.secret",
        secret.is_some(),
        "cluster.secret_file",
        secret_file.is_some(),
    )?;
    let config = ClusterConfig {
        name,
        nats,
        secret,
        secret_file,
        stream_replicas: reader
            .optional("cluster.stream_replicas", |text| parse::number(text, 1..=5))?,
        stream_bytes_max: reader
            .required("cluster.stream_bytes_max", |text| parse::bytes(text, sizes.clone()))?,
        stream_age_max: reader
            .required("cluster.stream_age_max", |text| parse::duration(text, ages))?,
        op_bytes_max: reader
            .required("cluster.op_bytes_max", |text| parse::bytes(text, sizes.clone()))?,
    };
    if config.nats.is_none() {
        reader.warn_of_unread("cluster.nats_url is not set", &OF_NATS);
    }
    Ok(config)
}

fn nats(reader: &mut Reader) -> Result<Option<NatsConfig>, ConfigError> {
    let directories = reader.directories();
    let path = |text: &str| directories.expand(text);
    let servers = reader.list("cluster.nats_url", servers)?;
    let config = NatsConfig {
        servers: servers.unwrap_or_default(),
        creds: reader.optional("cluster.nats_creds", path)?,
        nkey: reader.optional("cluster.nats_nkey", path)?,
        user: reader.optional("cluster.nats_user", parse::user)?,
        password: reader.optional("cluster.nats_password", parse::secret)?,
        ca: reader.optional("cluster.nats_ca", path)?,
        cert: reader.optional("cluster.nats_cert", path)?,
        key: reader.optional("cluster.nats_key", path)?,
    };
    validate(&config)?;
    Ok((!config.servers.is_empty()).then_some(config))
}

/// A node is one caller with one proof of it, and a half of a pair proves nothing.
fn validate(nats: &NatsConfig) -> Result<(), ConfigError> {
    let contradiction = |sentence: &str| Err(ConfigError::Contradiction(sentence.to_string()));
    let ways = [nats.creds.is_some(), nats.nkey.is_some(), nats.user.is_some()];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return contradiction(
            "only one of cluster.nats_creds, cluster.nats_nkey and cluster.nats_user can be set",
        );
    }
    if nats.user.is_some() != nats.password.is_some() {
        return contradiction("cluster.nats_user and cluster.nats_password need each other");
    }
    if nats.cert.is_some() != nats.key.is_some() {
        return contradiction("cluster.nats_cert and cluster.nats_key need each other");
    }
    Ok(())
}

fn servers(items: &[String]) -> Option<Vec<String>> {
    (items.len() <= SERVERS_MAX).then(|| items.iter().map(|item| server(item)).collect())?
}

/// `nats://host[:port]` or `tls://host[:port]`; one closing slash is forgiven. A user and password
/// have settings of their own, which are not shown.
fn server(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p))),
    };
    let host_is_good = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    let port_is_good = port.is_none_or(|port| parse::number(port, 1..=u16::MAX).is_some());
    (matches!(scheme, "nats" | "tls") && host_is_good && port_is_good).then_some(text)
}
