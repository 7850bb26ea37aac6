//! The settings of who reaches the node, and how: the listener, its limits, and who may call.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use super::error::ConfigError;
use super::network::Networks;
use super::parse;
use super::read::Reader;
use super::secret::Secret;

/// The HTTP listener and its limits.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Whether to serve HTTP; `None` is yes for `memnode serve` and no for `memnode mcp`.
    pub enabled: Option<bool>,
    /// The address to bind.
    pub host: IpAddr,
    /// The port to bind; 0 is any free one.
    pub port: u16,
    /// Which web pages of other origins may call.
    pub cors_origins: CorsOrigins,
    /// The longest a request may take.
    pub request_timeout: Duration,
    /// The longest body of an ordinary request.
    pub body_bytes_max: usize,
    /// The longest body of a batch; never below `body_bytes_max`.
    pub batch_bytes_max: usize,
    /// Connections at a time; 1 to 1,000,000.
    pub connection_count_max: NonZeroUsize,
    /// Names, in lower case and without ports, that requests may name besides those of a node on
    /// loopback; where it is not on loopback and none is listed, any.
    pub allowed_hosts: Vec<String>,
    /// Whose word is taken for where a request came from.
    pub trusted_proxies: Networks,
}

impl HttpConfig {
    /// The address and port to bind.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// Whether only this machine can reach the listener.
    pub fn is_loopback(&self) -> bool {
        self.host.to_canonical().is_loopback()
    }
}

/// Which web pages of other origins may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Only pages that the node serves itself.
    Own,
    /// Any page, without credentials.
    Any,
    /// Pages of these origins, each `scheme://host[:port]` in visible ASCII.
    Listed(Vec<String>),
}

/// Who may call.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The key that grants full access; 1 to 1024 visible ASCII characters.
    pub api_key: Option<Secret>,
    /// Whether calls without a credential are served. Unless it was set, this is true exactly
    /// when the node listens on loopback and has no key.
    pub allow_anonymous: bool,
}

/// Reads `http.*`, each once.
pub(super) fn http(reader: &mut Reader) -> Result<HttpConfig, ConfigError> {
    const SIZES: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 30;
    let times = Duration::from_secs(1)..=Duration::from_secs(3600);
    Ok(HttpConfig {
        enabled: reader.optional("http.enabled", parse::boolean)?,
        host: reader.required("http.host", parse::host)?,
        port: reader.required("http.port", |text| parse::number(text, 0..=u16::MAX))?,
        cors_origins: reader
            .list("http.cors_origins", parse::cors_origins)?
            .unwrap_or(CorsOrigins::Own),
        request_timeout: reader
            .required("http.request_timeout", |text| parse::duration(text, times))?,
        body_bytes_max: reader.required("http.body_bytes_max", |text| parse::bytes(text, SIZES))?,
        batch_bytes_max: reader
            .required("http.batch_bytes_max", |text| parse::bytes(text, SIZES))?,
        connection_count_max: reader
            .required("http.connections_max", |text| parse::count(text, 1..=1_000_000))?,
        allowed_hosts: reader.list("http.allowed_hosts", parse::hosts)?.unwrap_or_default(),
        trusted_proxies: reader.list("http.trusted_proxies", Networks::parse)?.unwrap_or_default(),
    })
}

/// Reads `auth.*`, each once.
pub(super) fn auth(reader: &mut Reader, http: &HttpConfig) -> Result<AuthConfig, ConfigError> {
    let api_key = reader.optional("auth.api_key", parse::secret)?;
    let private = http.is_loopback() && api_key.is_none();
    let allow_anonymous =
        reader.or_else("auth.allow_anonymous", parse::boolean, |_| Ok(private))?;
    Ok(AuthConfig { api_key, allow_anonymous })
}
