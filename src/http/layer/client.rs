//! Finds out where a request came from, through proxies that are trusted.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::FORWARDED;
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::ClientAddress;
use crate::http::{AppState, Peer};

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Puts the [`ClientAddress`] into the extensions of the request.
pub async fn client(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if let Some(peer) = request.extensions().get::<Peer>() {
        let (peer, trusted) = (peer.address.ip(), &state.http.trusted_proxies);
        let hops = hops(request.headers());
        let address = ClientAddress::behind(peer, hops.into_iter(), trusted);
        request.extensions_mut().insert(address);
    }
    next.run(request).await
}

/// The addresses that proxies added, the last one first. The two fields say the same in different
/// words; a proxy that sets the newer one must take the older one away.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let texts = |name: &str| -> Vec<&str> {
        let values = headers.get_all(name).iter();
        values.flat_map(|value| value.to_str().unwrap_or("?").split(',')).collect()
    };
    match headers.contains_key(X_FORWARDED_FOR) {
        true => texts(X_FORWARDED_FOR).into_iter().rev().map(address).collect(),
        false => texts(FORWARDED.as_str()).into_iter().rev().map(forwarded_for).collect(),
    }
}

/// The `for` of one element of `Forwarded` (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| address(value.trim().trim_matches('"')))?
    })
}

/// An address, perhaps in brackets, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split(']').next()?.parse().ok();
    }
    text.parse().ok().or_else(|| text.split_once(':')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Networks, Sources};

    fn trusted(list: &str) -> Networks {
        let settings = vec![("http.trusted_proxies".to_owned(), list.to_owned())];
        let flags = Flags { file: None, settings };
        let environment = vec![("HOME".to_owned(), "/none".to_owned())];
        let loaded = crate::config::load(&Sources { flags, environment }).unwrap();
        loaded.config.http.trusted_proxies
    }

    fn check(peer: &str, headers: &[(&'static str, &str)], expected: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted = trusted("10.0.0.0/8,::1");
        let found = ClientAddress::behind(peer.parse().unwrap(), hops(&map).into_iter(), &trusted);
        assert_eq!(found.0.to_string(), expected, "{headers:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let claim = [("x-forwarded-for", "198.51.100.7")];
        check("203.0.113.9", &[], "203.0.113.9");
        check("203.0.113.9", &claim, "203.0.113.9");
        check("10.1.1.1", &claim, "198.51.100.7");
        check("::ffff:10.1.1.1", &claim, "198.51.100.7");
        check("10.1.1.1", &[], "10.1.1.1");
    }

    #[test]
    fn the_nearest_that_is_no_proxy_is_the_caller() {
        let chain = "192.0.2.66, 198.51.100.7, 10.2.2.2";
        check("10.1.1.1", &[("x-forwarded-for", chain)], "198.51.100.7");
        check("10.1.1.1", &[("x-forwarded-for", "10.3.3.3, 10.2.2.2")], "10.3.3.3");
        check("10.1.1.1", &[("x-forwarded-for", "192.0.2.66, junk, 10.2.2.2")], "10.2.2.2");
        check("10.1.1.1", &[("x-forwarded-for", "junk")], "10.1.1.1");
        check("::1", &[("x-forwarded-for", "[2001:db8::5]:4711")], "2001:db8::5");
        check("::1", &[("x-forwarded-for", "198.51.100.7:80")], "198.51.100.7");
    }

    #[test]
    fn the_newer_field_is_read_where_the_older_is_absent() {
        let newer = ("forwarded", "for=192.0.2.66, For=\"[2001:db8::5]:47\";proto=https");
        check("10.1.1.1", &[newer], "2001:db8::5");
        check("10.1.1.1", &[newer, ("x-forwarded-for", "198.51.100.7")], "198.51.100.7");
        check("10.1.1.1", &[("forwarded", "for=_hidden")], "10.1.1.1");
        check("10.1.1.1", &[("forwarded", "proto=https")], "10.1.1.1");
    }
}
