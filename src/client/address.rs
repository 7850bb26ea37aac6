//! A node that is called by its address, on this machine or another.

use std::path::PathBuf;

use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use tokio::net::TcpStream;

use super::{CONNECT_TIMEOUT, ClientError, RequestBody};

/// The port when the address names none.
const PORT: u16 = 80;
/// The header that carries the key.
const API_KEY: &str = "x-api-key";

/// Where a node is, and what it is shown.
#[derive(Clone)]
pub(super) struct Address {
    host: String,
    port: u16,
    authority: HeaderValue,
    api_key: Option<HeaderValue>,
}

impl Address {
    /// Reads `http://host[:port]`.
    pub(super) fn new(url: &str, api_key: Option<String>) -> Result<Self, ClientError> {
        let uri: Uri = url.parse().map_err(|_| ClientError::BadPath)?;
        let is_plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/");
        let authority = uri.authority().filter(|authority| {
            is_plain && uri.query().is_none() && !authority.as_str().contains('@')
        });
        let authority = authority.ok_or(ClientError::BadPath)?;
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| ClientError::BadPath);
        let mut api_key = api_key.as_deref().map(value).transpose()?;
        if let Some(key) = &mut api_key {
            key.set_sensitive(true);
        }
        Ok(Address {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(PORT),
            authority: value(authority.as_str())?,
            api_key,
        })
    }

    /// Says whom the request is for, and who asks.
    pub(super) fn sign(&self, request: &mut Request<RequestBody>) {
        request.headers_mut().insert(HOST, self.authority.clone());
        if let Some(key) = &self.api_key {
            request.headers_mut().insert(API_KEY, key.clone());
        }
    }

    pub(super) async fn connect(&self) -> Result<TcpStream, ClientError> {
        let place = PathBuf::from(format!("{}:{}", self.host, self.port));
        let unreachable = |source| ClientError::Unreachable { socket: place.clone(), source };
        tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((self.host.as_str(), self.port)))
            .await
            .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_called() {
        for (url, expected) in [
            ("http://node-2:8000", Some(("node-2", 8000))),
            ("http://node-2/", Some(("node-2", 80))),
            ("http://[::1]:8000", Some(("::1", 8000))),
            ("https://node-2", None),
            ("http://u:p@node-2", None),
            ("http://node-2/api", None),
            ("http://node-2?x", None),
            ("node-2:8000", None),
            ("", None),
        ] {
            let found = Address::new(url, None).ok().map(|address| (address.host, address.port));
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(found, expected, "{url}");
        }
    }
}
