//! The settings of who reaches the node, and how: the listener, its limits, and who may call.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ConfigError;
use super::jwt::{self, JwtIssuers};
use super::network::Networks;
use super::parse;
use super::read::Reader;
use super::secret::Secret;

/// More than a file with one secret ever holds.
const SECRET_FILE_BYTES_MAX: u64 = 4096;

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
    /// The files of the certificate, when connections are to be encrypted.
    pub tls: Option<TlsFiles>,
    /// Whose word is taken for where a request came from.
    pub trusted_proxies: Networks,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that lead to its root, in PEM form.
    pub certificate: PathBuf,
    /// The private key, in PEM form.
    pub key: PathBuf,
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
    /// A file that holds it instead; see [`super::Config::read_secrets`].
    pub api_key_file: Option<PathBuf>,
    /// Whose tokens are accepted besides.
    pub jwt_issuers: JwtIssuers,
    /// Whether calls without a credential are served. Unless it was set, a node that listens on
    /// loopback and has no key serves them until it has one.
    pub anonymous: Anonymous,
}

/// Whether calls without a credential are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Always: somebody said so.
    Allowed,
    /// Never.
    Refused,
    /// Until the first API key is made.
    UntilThereAreKeys,
}

/// Reads `http.*`, each once.
pub(super) fn http(reader: &mut Reader) -> Result<HttpConfig, ConfigError> {
    const SIZES: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 30;
    let times = Duration::from_secs(1)..=Duration::from_secs(3600);
    let tls = tls(reader)?;
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
        tls,
        trusted_proxies: reader.list("http.trusted_proxies", Networks::parse)?.unwrap_or_default(),
    })
}

fn tls(reader: &mut Reader) -> Result<Option<TlsFiles>, ConfigError> {
    let directories = reader.directories();
    let certificate = reader.optional("http.tls_cert", |text| directories.expand(text))?;
    let key = reader.optional("http.tls_key", |text| directories.expand(text))?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (None, None) => Ok(None),
        _ => Err(ConfigError::Contradiction(
            "http.tls_cert and http.tls_key need each other".to_owned(),
        )),
    }
}

/// Reads `auth.*`, each once.
pub(super) fn auth(reader: &mut Reader, http: &HttpConfig) -> Result<AuthConfig, ConfigError> {
    let directories = reader.directories();
    let api_key = reader.optional("auth.api_key", parse::secret)?;
    let api_key_file = reader.optional("auth.api_key_file", |text| directories.expand(text))?;
    one_of("auth.api_key", api_key.is_some(), "auth.api_key_file", api_key_file.is_some())?;
    let issuers = reader.optional("auth.jwt_issuers", |text| jwt::issuers(text, directories))?;
    let jwt_issuers = issuers.unwrap_or_default();
    let has_key = api_key.is_some() || api_key_file.is_some();
    let private = http.is_loopback() && !has_key && jwt_issuers.0.is_empty();
    let set = reader.optional("auth.allow_anonymous", parse::boolean)?;
    let anonymous = match set {
        Some(true) => Anonymous::Allowed,
        None if private => Anonymous::UntilThereAreKeys,
        Some(false) | None => Anonymous::Refused,
    };
    Ok(AuthConfig { api_key, api_key_file, jwt_issuers, anonymous })
}

/// A secret and the file that holds it cannot both be given.
pub(super) fn one_of(
    key: &str,
    key_is_set: bool,
    file: &str,
    file_is_set: bool,
) -> Result<(), ConfigError> {
    if key_is_set && file_is_set {
        return Err(ConfigError::Contradiction(format!("only one of {key} and {file} can be set")));
    }
    Ok(())
}

/// The secret that a file holds, without the end of its line.
pub(super) fn secret_of(path: &Path) -> Result<Secret, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable { path: path.to_owned(), reason };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    file.take(SECRET_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    parse::secret(text.trim()).ok_or_else(|| {
        unreadable("it must hold one secret of 1 to 1024 visible ASCII characters".to_owned())
    })
}
