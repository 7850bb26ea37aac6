//! The dashboard: the files of `static/`, built into the program. It talks to the public API only,
//! and needs no credential itself: it asks for one when a call is refused.

mod assets;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use assets::{ASSETS, Asset, INDEX};

/// Where everything but the page itself is.
const ASSETS_PATH: &str = "/ui/";
/// What the service worker keeps for when the node is away.
const LIST_PATH: &str = "/ui/assets.json";

/// All code, styles and pictures are the node's own, nothing is written into the page, and no
/// other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The page is asked for each time, and answered in one line when it did not change: an upgrade of
/// the node is an upgrade of the page.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// Lets the service worker look after `/`, although it lies below.
const WORKER_SCOPE: HeaderName = HeaderName::from_static("service-worker-allowed");

/// The page and its parts. Public: there is nothing in them but what is in the source.
pub fn pages() -> Router {
    let mut router =
        Router::new().route("/", get(async |headers: HeaderMap| answer(&INDEX, &headers)));
    for asset in ASSETS {
        let path = format!("{ASSETS_PATH}{}", asset.name);
        router = router.route(&path, get(async |headers: HeaderMap| answer(asset, &headers)));
    }
    router.route(LIST_PATH, get(async || axum::Json(paths())))
}

/// Everything that the page needs, by path.
fn paths() -> Vec<String> {
    let assets = ASSETS.iter().map(|asset| format!("{ASSETS_PATH}{}", asset.name));
    std::iter::once("/".to_owned()).chain(assets).collect()
}

fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let tag = asset.etag();
    let common = [
        (ETAG, tag.clone()),
        (CACHE_CONTROL, REVALIDATE),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (WORKER_SCOPE, HeaderValue::from_static("/")),
    ];
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|known| names(known, &tag));
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = (CONTENT_TYPE, HeaderValue::from_static(asset.media_type()));
    (common, [kind], asset.body).into_response()
}

/// Whether a list of entity tags names this one.
fn names(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(list), Ok(tag)) = (list.to_str(), tag.to_str()) else { return false };
    list.split(',').any(|known| known.trim() == tag || known.trim() == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_file_is_answered_without_its_body() {
        let first = answer(&INDEX, &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(answer(&INDEX, &headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("W/\"other\""));
        assert_eq!(answer(&INDEX, &headers).status(), StatusCode::OK);
    }

    #[test]
    fn the_policy_allows_nothing_inline() {
        assert!(!POLICY.contains("unsafe") && POLICY.starts_with("default-src 'none'"));
        let page = std::str::from_utf8(INDEX.body).expect("text");
        for inline in ["<style", "style=", "onclick=", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
