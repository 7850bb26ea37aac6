//! Keeps pages of other sites out: a browser carries their requests to any address it can reach.
//!
//! A page can make its own name resolve to this machine (DNS rebinding), so a node on loopback
//! answers only to names of this machine, and any node only to the names that are listed for it. A
//! page can also send some requests without asking first, so one that changes something must come
//! from a page that may call.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::config::{CorsOrigins, HttpConfig};
use crate::http::problem::Problem;
use crate::http::{AppState, LocalCaller};

/// Refuses requests that a page of another site could have caused.
pub async fn access(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if request.extensions().get::<LocalCaller>().is_none() {
        let host = authority_of(request.uri(), request.headers());
        check_host(&state.http, host.as_ref())?;
        check_origin(&state.http, request.method(), request.headers(), host.as_ref())?;
    }
    Ok(next.run(request).await)
}

/// The name under which the caller reached the node.
pub(super) fn authority_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    uri.authority().cloned().or_else(|| headers.get(header::HOST)?.to_str().ok()?.parse().ok())
}

fn check_host(config: &HttpConfig, host: Option<&Authority>) -> Result<(), Problem> {
    let any_is_good = !config.is_loopback() && config.allowed_hosts.is_empty();
    if any_is_good || host.is_some_and(|host| is_good_host(config, host.host())) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "host_not_allowed",
        "this node does not answer to that name: on loopback it answers to localhost and loopback \
         addresses, else to those in MEMNODE_ALLOWED_HOSTS",
    ))
}

fn is_good_host(config: &HttpConfig, host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = name.parse().ok();
    let is_address = |listed: &str| address.is_some() && address == listed.parse().ok();
    name.eq_ignore_ascii_case("localhost")
        || address.is_some_and(|ip| ip.to_canonical().is_loopback() || ip == config.host)
        || (config.allowed_hosts.iter())
            .any(|listed| listed.eq_ignore_ascii_case(name) || is_address(listed))
}

fn check_origin(
    config: &HttpConfig,
    method: &Method,
    headers: &HeaderMap,
    host: Option<&Authority>,
) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    // What a page may read of another site's answer does not hold for WebSockets.
    let is_safe = method.is_safe() && !headers.contains_key(header::UPGRADE);
    if is_safe || is_own(origin, host) || is_listed(&config.cors_origins, origin) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "origin_not_allowed",
        "pages of this origin may not call: name it in MCP_CORS_ORIGINS if they should",
    ))
}

fn is_listed(origins: &CorsOrigins, origin: &str) -> bool {
    match origins {
        CorsOrigins::Own => false,
        CorsOrigins::Any => true,
        CorsOrigins::Listed(list) => list.iter().any(|listed| listed.eq_ignore_ascii_case(origin)),
    }
}

/// Whether the page came from this node. The scheme may differ: a proxy in front may speak TLS.
fn is_own(origin: &str, host: Option<&Authority>) -> bool {
    let (Ok(origin), Some(host)) = (origin.parse::<Uri>(), host) else { return false };
    let default_port = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let Some(page) = origin.authority() else { return false };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
    page.host().eq_ignore_ascii_case(host.host()) && port(page) == port(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn config(host: &str, cors_origins: CorsOrigins) -> HttpConfig {
        HttpConfig {
            enabled: None,
            host: host.parse().unwrap(),
            port: 8000,
            cors_origins,
            request_timeout: Duration::from_secs(1),
            body_bytes_max: 1,
            batch_bytes_max: 1,
            connection_count_max: std::num::NonZeroUsize::MIN,
            allowed_hosts: Vec::new(),
            tls: None,
            trusted_proxies: crate::config::Networks::default(),
        }
    }

    #[test]
    fn a_node_on_loopback_answers_only_to_names_of_this_machine() {
        let check = |bound: &str, host: &str, good: bool| {
            let config = config(bound, CorsOrigins::Own);
            let host: Option<Authority> = host.parse().ok();
            assert_eq!(check_host(&config, host.as_ref()).is_ok(), good, "{bound} {host:?}");
        };
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:9", "127.0.0.2"] {
            check("127.0.0.1", host, true);
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.nip.io"] {
            check("127.0.0.1", host, false);
            check("::1", host, false);
        }
        check("0.0.0.0", "memory.example", true);
    }

    #[test]
    fn listed_names_are_good_and_where_there_are_some_no_others() {
        let check = |bound: &str, host: &str, good: bool| {
            let listed = ["memory.example", "2001:db8::5"].map(str::to_owned).to_vec();
            let config = HttpConfig { allowed_hosts: listed, ..config(bound, CorsOrigins::Own) };
            let host: Option<Authority> = host.parse().ok();
            assert_eq!(check_host(&config, host.as_ref()).is_ok(), good, "{bound} {host:?}");
        };
        for bound in ["127.0.0.1", "0.0.0.0"] {
            for host in ["memory.example", "Memory.Example:8000", "[2001:db8:0::5]:1", "localhost"]
            {
                check(bound, host, true);
            }
            for host in ["evil.example", "a.memory.example", "memory.example.", "10.0.0.1", ""] {
                check(bound, host, false);
            }
        }
        check("192.168.1.2", "192.168.1.2:8000", true);
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing() {
        let check = |cors: CorsOrigins, method: Method, origin: &str, good: bool| {
            let config = config("127.0.0.1", cors);
            let host: Authority = "localhost:8000".parse().unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            let found = check_origin(&config, &method, &headers, Some(&host));
            assert_eq!(found.is_ok(), good, "{method} {origin}");
        };
        check(CorsOrigins::Own, Method::POST, "http://localhost:8000", true);
        check(CorsOrigins::Own, Method::POST, "https://localhost:8000", true);
        check(CorsOrigins::Own, Method::POST, "http://localhost:3000", false);
        check(CorsOrigins::Own, Method::DELETE, "http://evil.example", false);
        check(CorsOrigins::Own, Method::POST, "null", false);
        check(CorsOrigins::Own, Method::POST, "", false);
        check(CorsOrigins::Own, Method::GET, "http://evil.example", true);
        check(CorsOrigins::Any, Method::POST, "http://evil.example", true);
        let listed = || CorsOrigins::Listed(vec!["https://app.example".to_owned()]);
        check(listed(), Method::POST, "https://app.example", true);
        check(listed(), Method::POST, "https://app.example.evil", false);
    }

    #[test]
    fn no_origin_is_no_browser() {
        let config = config("127.0.0.1", CorsOrigins::Own);
        assert!(check_origin(&config, &Method::POST, &HeaderMap::new(), None).is_ok());
    }
}
