//! Who is calling: the credential out of its carrier, and the principal it stands for.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri};
use serde::Deserialize;

use crate::auth::{Authenticator, Credential, Principal};
use crate::http::problem::Problem;
use crate::http::{AppState, LocalCaller};

/// A handler that does not take a principal is open to everyone, on purpose.
impl FromRequestParts<AppState> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        match parts.extensions.get::<Principal>() {
            Some(known) => Ok(known.clone()),
            None => authenticate_parts(parts, &state.authenticator).await,
        }
    }
}

/// The principal behind a request.
///
/// # Errors
/// Status 401.
pub async fn authenticate_parts(
    parts: &Parts,
    authenticator: &Authenticator,
) -> Result<Principal, Problem> {
    // Recognised already, by the layer around all routes.
    if let Some(who) = parts.extensions.get::<Principal>() {
        return Ok(who.clone());
    }
    if parts.extensions.get::<LocalCaller>().is_some() {
        return Ok(Principal::local());
    }
    let credential = credential_of(&parts.headers, &parts.uri);
    Ok(authenticator.authenticate(&credential).await?)
}

/// The first credential that is present, in the order of its carriers. One that cannot be read
/// is present all the same: it becomes the empty key, which is never right.
fn credential_of(headers: &HeaderMap, uri: &Uri) -> Credential {
    let key = |text: Option<&str>| Credential::ApiKey(text.unwrap_or_default().to_owned());
    if let Some(value) = headers.get(AUTHORIZATION) {
        return Credential::Bearer(bearer_token(value).unwrap_or_default().to_owned());
    }
    if let Some(value) = headers.get("x-api-key") {
        return key(value.to_str().ok());
    }
    match axum::extract::Query::<KeyParameter>::try_from_uri(uri) {
        Ok(query) => query.0.api_key.map_or(Credential::None, Credential::ApiKey),
        Err(_) => key(None),
    }
}

#[derive(Deserialize)]
struct KeyParameter {
    api_key: Option<String>,
}

/// The token of `Bearer <token>`; the scheme's case does not count (RFC 9110, section 11.1).
fn bearer_token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Issuers;
    use crate::config::Anonymous;

    fn check(headers: &[(&'static str, &str)], uri: &str, expected: Option<&str>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let is_bearer = map.contains_key(AUTHORIZATION);
        let expected =
            expected.map(str::to_owned).map_or(Credential::None, |key| match is_bearer {
                true => Credential::Bearer(key),
                false => Credential::ApiKey(key),
            });
        let found = credential_of(&map, &uri.parse().unwrap());
        assert!(found == expected, "{headers:?} {uri}");
    }

    #[test]
    fn the_first_carrier_that_is_present_decides() {
        check(&[], "/", None);
        check(&[], "/?api_key=k", Some("k"));
        check(&[], "/?a=1&api_key=k%20k", Some("k k"));
        check(&[("x-api-key", "h")], "/?api_key=k", Some("h"));
        check(&[("authorization", "Bearer b"), ("x-api-key", "h")], "/?api_key=k", Some("b"));
        check(&[("authorization", "bearer  b ")], "/", Some("b"));
    }

    #[test]
    fn what_cannot_be_read_is_a_wrong_key_and_not_none() {
        check(&[("authorization", "Basic dTpw"), ("x-api-key", "h")], "/", Some(""));
        check(&[("authorization", "Bearer")], "/?api_key=k", Some(""));
        check(&[("x-api-key", "é")], "/", Some(""));
        check(&[], "/?api_key=", Some(""));
        check(&[], "/?api_key=k&api_key=j", Some(""));
    }

    #[tokio::test]
    async fn the_local_caller_needs_no_credential() {
        let authenticator =
            Authenticator::new(Some("s3cret"), Issuers::default(), Anonymous::Refused);
        let request = axum::http::Request::get("/").body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        let problem = authenticate_parts(&parts, &authenticator).await.expect_err("no credential");
        assert_eq!(problem.status().as_u16(), 401);
        parts.extensions.insert(LocalCaller);
        assert_eq!(authenticate_parts(&parts, &authenticator).await.unwrap(), Principal::local());
    }
}
