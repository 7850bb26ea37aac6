//! What only writes carry: an idempotency key, and who or what sends them.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::json::{parse_json, read_body, require_json};
use super::parameters::{ANY, header_parameter};
use crate::http::problem::Problem;
use crate::memory::Idempotency;

/// The header that makes a write happen at most once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The idempotency key of a write without a body.
pub struct Once(pub Option<Idempotency>);

impl<S: Sync> FromRequestParts<S> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        once(parts, b"").map(Once)
    }
}

impl IntoParams for Once {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "When the same request is sent again with the same key within 24 hours, \
                           its first answer is given again.";
        vec![header_parameter("Idempotency-Key", description, "^[ -~]{0,255}$")]
    }
}

/// The JSON object of a write, and its idempotency key.
pub struct WriteJson<T>(pub T, pub Option<Idempotency>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for WriteJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let (parts, body) = request.into_parts();
        let bytes = read_body(Request::from_parts(parts.clone(), body)).await?;
        Ok(WriteJson(parse_json(&bytes)?, once(&parts, &bytes)?))
    }
}

/// Reads the idempotency key and binds it to this request: method, path, query and body.
///
/// # Errors
/// Status 400 when there is a key that is not valid.
pub fn once(parts: &Parts, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = header_text(&parts.headers, IDEMPOTENCY_KEY)? else { return Ok(None) };
    let head = format!("{} {}?{}\n", parts.method, parts.uri.path(), query_without_key(&parts.uri));
    Idempotency::new(key, &[head.as_bytes(), body].concat()).map(Some).map_err(Problem::query)
}

/// A resent request may bring its credential in another carrier.
fn query_without_key(uri: &Uri) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.filter(|pair| !pair.starts_with("api_key=")).collect::<Vec<_>>().join("&")
}

/// Who sends a memory, as far as its headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// `X-Agent-ID`.
    pub agent: Option<String>,
    /// `X-Client-Hostname`.
    pub host: Option<String>,
}

impl IntoParams for Sender {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let agent = header_parameter("X-Agent-ID", "Adds the tag `agent:<id>`.", ANY);
        let host = "Adds the tag `source:<host>`; `client_hostname` in the body goes before it.";
        vec![agent, header_parameter("X-Client-Hostname", host, ANY)]
    }
}

impl<S: Sync> FromRequestParts<S> for Sender {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = |name| header_text(&parts.headers, name).map(|text| text.map(str::to_owned));
        Ok(Sender { agent: text("x-agent-id")?, host: text("x-client-hostname")? })
    }
}

/// The trimmed text of a header; an empty one counts as absent.
pub(super) fn header_text<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
        let detail = format!("the header `{name}` is not UTF-8");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_header", detail)
    })?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, key: &[u8]) -> Parts {
        let value = axum::http::HeaderValue::from_bytes(key).unwrap();
        let request = axum::http::Request::builder().method(method).uri(uri);
        request.header(IDEMPOTENCY_KEY, value).body(()).unwrap().into_parts().0
    }

    fn hash(method: &str, uri: &str, body: &[u8]) -> [u8; 32] {
        once(&parts(method, uri, b"k"), body).unwrap().expect("a key is given").request_hash
    }

    #[test]
    fn a_key_is_bound_to_the_whole_request() {
        let first = hash("POST", "/a?namespace=x", b"{}");
        assert_eq!(first, hash("POST", "/a?namespace=x&api_key=s", b"{}"));
        for other in [
            hash("PUT", "/a?namespace=x", b"{}"),
            hash("POST", "/b?namespace=x", b"{}"),
            hash("POST", "/a?namespace=y", b"{}"),
            hash("POST", "/a?namespace=x", b"{ }"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_key_that_is_not_valid_is_status_400() {
        for key in [&b"\xff"[..], "é".as_bytes(), &[b'k'; 256]] {
            let problem = once(&parts("POST", "/", key), b"").expect_err("not valid");
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
        }
        assert!(once(&parts("POST", "/", b" "), b"").unwrap().is_none());
    }
}
