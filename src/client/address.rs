//! A node that is called by its address, on this machine or another.

use std::path::{Path, PathBuf};

use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use tokio::net::TcpStream;

use super::secure::Secure;
use super::{CONNECT_TIMEOUT, ClientError, RequestBody, Stream};

/// The ports when the address names none.
const PORT: u16 = 80;
const SECURE_PORT: u16 = 443;
/// The header that carries the key.
const API_KEY: &str = "x-api-key";

/// Where a node is, and what it is shown.
#[derive(Clone)]
pub(super) struct Address {
    host: String,
    port: u16,
    authority: HeaderValue,
    api_key: Option<HeaderValue>,
    /// What it must prove, of `https`.
    secure: Option<Secure>,
}

impl Address {
    /// Reads `http://host[:port]` or `https://host[:port]`; `authorities` are whose certificates
    /// are believed in place of those that the system trusts.
    pub(super) fn new(
        url: &str,
        api_key: Option<String>,
        authorities: Option<&Path>,
    ) -> Result<Self, ClientError> {
        let uri: Uri = url.parse().map_err(|_| ClientError::BadPath)?;
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(ClientError::BadPath),
        };
        let authority = uri.authority().filter(|authority| {
            matches!(uri.path(), "" | "/")
                && uri.query().is_none()
                && !authority.as_str().contains('@')
        });
        let authority = authority.ok_or(ClientError::BadPath)?;
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| ClientError::BadPath);
        let mut api_key = api_key.as_deref().map(value).transpose()?;
        if let Some(key) = &mut api_key {
            key.set_sensitive(true);
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let secure = is_secure.then(|| Secure::new(&host, authorities)).transpose()?;
        Ok(Address {
            host,
            port: authority.port_u16().unwrap_or(if is_secure { SECURE_PORT } else { PORT }),
            authority: value(authority.as_str())?,
            api_key,
            secure,
        })
    }

    /// Says whom the request is for, and who asks.
    pub(super) fn sign(&self, request: &mut Request<RequestBody>) {
        request.headers_mut().insert(HOST, self.authority.clone());
        if let Some(key) = &self.api_key {
            request.headers_mut().insert(API_KEY, key.clone());
        }
    }

    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, ClientError> {
        let place = PathBuf::from(format!("{}:{}", self.host, self.port));
        let unreachable = |source| ClientError::Unreachable { socket: place.clone(), source };
        let connecting = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            let stream: Box<dyn Stream> = match &self.secure {
                Some(secure) => Box::new(secure.secure(stream).await?),
                None => Box::new(stream),
            };
            Ok(stream)
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_nodes_are_called() {
        let directory = tempfile::tempdir().unwrap();
        let authorities = directory.path().join("ca.pem");
        let certified = rcgen::generate_simple_self_signed(["node-2".to_owned()]).unwrap();
        std::fs::write(&authorities, certified.cert.pem()).unwrap();
        for (url, expected) in [
            ("http://node-2:8000", Some(("node-2", 8000, false))),
            ("http://node-2/", Some(("node-2", 80, false))),
            ("http://[::1]:8000", Some(("::1", 8000, false))),
            ("https://node-2", Some(("node-2", 443, true))),
            ("https://[::1]:8443", Some(("::1", 8443, true))),
            ("ftp://node-2", None),
            ("http://u:p@node-2", None),
            ("https://node-2/api", None),
            ("http://node-2?x", None),
            ("node-2:8000", None),
            ("", None),
        ] {
            let found = Address::new(url, None, Some(&authorities)).ok();
            let found = found.map(|address| (address.host, address.port, address.secure.is_some()));
            let expected =
                expected.map(|(host, port, is_secure)| (host.to_owned(), port, is_secure));
            assert_eq!(found, expected, "{url}");
        }
    }
}
