//! TLS to a node: whom to believe, and whether it is the one that was called.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::ClientError;

/// What proves that a node is the one that was called.
#[derive(Clone)]
pub(super) struct Secure {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Secure {
    /// For a host whose certificate leads to one of a file, or to one that the system trusts.
    ///
    /// # Errors
    /// `BadPath` for what is no name of a host; `BadAuthorities` when there is nothing to believe.
    pub(super) fn new(host: &str, authorities: Option<&Path>) -> Result<Self, ClientError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ClientError::BadPath)?;
        let roots = match authorities {
            Some(path) => of_file(path),
            None => of_system(),
        };
        let roots = roots.map_err(ClientError::BadAuthorities)?;
        // HTTP/1.1 alone: nothing else is spoken here.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Secure { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(super) async fn secure(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

fn of_file(path: &Path) -> Result<RootCertStore, String> {
    let unusable = |error: String| format!("{}: {error}", path.display());
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unusable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(unusable("it holds no certificate in PEM form".to_owned())),
        false => Ok(roots),
    }
}

fn of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems carry some that nobody can read any more.
    let _ = roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => Err("this system trusts no authority: name one with --ca".to_owned()),
        false => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_hold_a_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let certified = rcgen::generate_simple_self_signed(["node-2".to_owned()]).unwrap();
        let good = file("good.pem", &certified.cert.pem());
        assert!(Secure::new("node-2", Some(&good)).is_ok());
        assert!(Secure::new("::1", Some(&good)).is_ok());
        assert!(matches!(Secure::new("no de", Some(&good)), Err(ClientError::BadPath)));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bad in [file("empty.pem", ""), file("junk.pem", junk), directory.path().join("none")] {
            let refused = Secure::new("node-2", Some(&bad)).err().map(|error| error.to_string());
            let named = bad.display().to_string();
            assert!(refused.is_some_and(|text| text.contains(&named)), "{named}");
        }
    }
}
