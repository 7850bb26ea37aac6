//! TLS: a certificate and its key from files, read again when they change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_util::sync::CancellationToken;

use crate::config::ConfigError;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Largest file: a chain has a few kilobytes.
const FILE_BYTES_MAX: usize = 1 << 20;
/// What is spoken inside, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Chooses what all TLS of this process computes with; first thing in the program, since libraries
/// that find two choices make none.
pub fn install_crypto() {
    // It fails where somebody chose before, and then there is a choice.
    let _ = ring::default_provider().install_default();
}

/// The certificate of the node, as it is now.
#[derive(Clone)]
pub(in super::super) struct Tls {
    files: Arc<Files>,
    acceptor: Arc<RwLock<TlsAcceptor>>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What the files hold, and what tells one content from another.
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    mark: [u8; 32],
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them; never a part of the key.
    pub(in super::super) fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, ConfigError> {
        let files = Arc::new(Files { certificate, key });
        let acceptor = acceptor(&files.read().map_err(|error| files.wrong(&error))?);
        let acceptor = acceptor.map_err(|error| files.wrong(&error))?;
        Ok(Tls { files, acceptor: Arc::new(RwLock::new(acceptor)) })
    }

    /// For the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().clone()
    }

    /// Takes new files into use until the node stops. Connections that there are keep what they
    /// began with; files that cannot be used change nothing.
    pub(in super::super) async fn follow(self, shutdown: CancellationToken) {
        let mut seen = self.read().await.map(|content| content.mark).ok();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            // Files that are being replaced may be gone for a moment.
            let Ok(content) = self.read().await else { continue };
            if seen == Some(content.mark) {
                continue;
            }
            seen = Some(content.mark);
            match acceptor(&content) {
                Ok(acceptor) => {
                    *self.acceptor.write() = acceptor;
                    tracing::info!("took a new TLS certificate into use");
                }
                Err(error) => tracing::error!(
                    error,
                    "the new TLS certificate cannot be used: the one before stays"
                ),
            }
        }
    }

    async fn read(&self) -> Result<Content, String> {
        let files = Arc::clone(&self.files);
        let reading = tokio::task::spawn_blocking(move || files.read());
        reading.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

impl Files {
    fn read(&self) -> Result<Content, String> {
        let read = |path: &PathBuf| {
            let bytes =
                std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            match bytes.len() > FILE_BYTES_MAX {
                true => Err(format!("{}: it has more than {FILE_BYTES_MAX} bytes", path.display())),
                false => Ok(bytes),
            }
        };
        let (certificate, key) = (read(&self.certificate)?, read(&self.key)?);
        let mut hash = Sha256::new();
        for part in [&certificate, &key] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ok(Content { certificate, key, mark: hash.finalize().into() })
    }

    fn wrong(&self, error: &str) -> ConfigError {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        ConfigError::Contradiction(format!(
            "http.tls_cert ({certificate}) and http.tls_key ({key}) cannot be used: {error}"
        ))
    }
}

fn acceptor(content: &Content) -> Result<TlsAcceptor, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&content.certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| "the certificate is not PEM".to_owned())?;
    if chain.is_empty() {
        return Err("the file of the certificate holds none".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(&content.key)
        .map_err(|_| "the key is no private key in PEM, without a password".to_owned())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(certificate: &str, key: &str) -> Content {
        Content { certificate: certificate.into(), key: key.into(), mark: [0; 32] }
    }

    #[test]
    fn only_a_certificate_with_its_own_key_is_used() {
        let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (one, other) = (make(), make());
        let (certificate, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        assert!(acceptor(&content(&certificate, &key)).is_ok());
        for (certificate, key) in [
            (certificate.as_str(), other.signing_key.serialize_pem()),
            ("", key.clone()),
            ("no PEM", key.clone()),
            (&certificate, String::new()),
            (&certificate, certificate.clone()),
        ] {
            let error = acceptor(&content(certificate, &key)).err().expect("refused");
            assert!(!error.contains("BEGIN"), "{error}");
        }
    }
}
