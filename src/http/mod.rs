//! The HTTP API: routes, extractors and failures of ours on axum; knows no SQL and no rule.
//!
//! [`router`] shows the whole API: its routes, then what is around them, outermost last.

mod analytics;
mod audit;
mod backup;
mod batch;
mod cluster;
#[cfg(feature = "dashboard")]
mod dashboard;
mod document;
mod events;
mod export;
mod extract;
mod forget;
mod health;
mod import;
mod index;
mod keys;
mod labels;
mod layer;
mod line;
mod maintenance;
mod map;
mod memories;
mod memory;
mod memory_body;
mod metadata;
mod metrics;
mod needs;
mod new_memory;
mod phrases;
mod problem;
mod purge;
mod quota;
mod rate_limit;
mod search;
mod search_request;
mod selection;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    CACHE_CONTROL, ETAG, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Authenticator;
use crate::config::{CorsOrigins, HttpConfig};
use crate::limit::Limits;
use crate::service::Service;
use extract::{ACK, POSITION};
use layer::problems::{panicked, unknown_method, unknown_path};

/// How long a browser may remember what it was told about other origins.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// What handlers and layers work with.
#[derive(Clone)]
pub struct AppState {
    /// The use cases.
    pub service: Service,
    /// Who is who.
    pub authenticator: Arc<Authenticator>,
    /// Addresses and limits.
    pub http: Arc<HttpConfig>,
    /// How much each caller may ask for.
    pub limits: Arc<Limits>,
}

/// Marks requests, as an extension, that came over the node's local socket or from within: their
/// caller is [`crate::auth::Principal::local`].
#[derive(Clone, Copy, Debug)]
pub struct LocalCaller;

/// Who is at the other end of the connection that a request came over, as an extension; requests
/// over the local socket have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address, which may be that of a proxy.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
}

/// The whole API. `extra` is served beside it behind the same authentication and the same layers,
/// but for compression, since its answers may be streams: the time limit is on their start.
pub fn router(state: AppState, extra: Router) -> Router {
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest);
    let authorize = || from_fn_with_state(state.clone(), layer::authorize::authorize);
    let limit = || from_fn_with_state(state.clone(), layer::limit::limit);
    let quick = Router::from(quick())
        .route_layer(limit())
        .route_layer(authorize())
        .layer(compression.clone())
        .layer(DefaultBodyLimit::max(state.http.body_bytes_max))
        .layer(from_fn_with_state(state.clone(), layer::deadline::deadline));
    let long = Router::from(long())
        .route_layer(limit())
        .route_layer(authorize())
        .layer(DefaultBodyLimit::max(state.http.batch_bytes_max));
    let extra = extra
        .layer(RequestBodyLimitLayer::new(state.http.body_bytes_max))
        .layer(limit())
        .layer(from_fn_with_state(state.clone(), layer::deadline::deadline))
        .layer(from_fn_with_state(state.clone(), layer::authenticate::authenticate));
    let router = quick
        .merge(long)
        .with_state(state.clone())
        .merge(document::page(document()).merge(front()).layer(compression))
        .merge(extra)
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method);
    with_layers(router, state)
}

/// The OpenAPI document of [`router`], made from its routes.
pub fn document() -> OpenApi {
    let routes = OpenApiRouter::with_openapi(document::base()).merge(quick()).merge(long());
    let mut document = routes.into_openapi();
    document::finish(&mut document);
    document
}

/// What people see first.
#[cfg(feature = "dashboard")]
fn front() -> Router {
    dashboard::pages()
}

/// What people see first.
#[cfg(not(feature = "dashboard"))]
fn front() -> Router {
    use axum::{response::Redirect, routing::get};
    Router::new().route("/", get(async || Redirect::temporary(document::DOCS_PATH)))
}

/// What is answered within the time limit.
fn quick() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::detailed))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::healthz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(memories::store, memories::list))
        .routes(routes!(forget::forget))
        .routes(routes!(memory::get, memory::put, memory::patch, memory::delete))
        .routes(routes!(memory::restore))
        .routes(routes!(memory::history))
        .routes(routes!(search::search))
        .routes(routes!(search::by_tag))
        .routes(routes!(search::by_time))
        .routes(routes!(search::similar))
        .routes(routes!(labels::tags))
        .routes(routes!(labels::types))
        .routes(routes!(map::map))
        .routes(routes!(map::redraw))
        .routes(routes!(analytics::memory_growth))
        .routes(routes!(analytics::overview))
        .routes(routes!(purge::purge))
        .routes(routes!(cluster::cluster))
        .routes(routes!(cluster::digest))
        .routes(routes!(cluster::bucket))
        .routes(routes!(cluster::quarantine, cluster::decide_quarantine))
        .routes(routes!(cluster::forget_node))
        .routes(routes!(cluster::init))
        .routes(routes!(cluster::join))
        .routes(routes!(cluster::conflicts))
        .routes(routes!(cluster::sync_status))
        .routes(routes!(events::ticket))
        .routes(routes!(metadata::of_api))
        .routes(routes!(metadata::of_mcp))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::rotate))
        .routes(routes!(webhooks::webhooks))
        .routes(routes!(audit::audit))
        .routes(routes!(maintenance::reembed_start, maintenance::reembed_status))
        .routes(routes!(rate_limit::limits))
        .routes(routes!(index::status))
        .routes(routes!(index::rebuild))
        .routes(routes!(backup::status))
        .routes(routes!(backup::list))
}

/// What takes as long as there is work: bounded by its size, or a stream in small pieces.
fn long() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(backup::now))
        .routes(routes!(batch::store_batch))
        .routes(routes!(cluster::snapshot))
        .routes(routes!(events::events))
        .routes(routes!(events::events_root))
        .routes(routes!(events::socket))
        .routes(routes!(export::export))
        .routes(routes!(audit::export_audit))
        .routes(routes!(import::import))
        .routes(routes!(index::check))
        .routes(routes!(maintenance::verify))
        .routes(routes!(webhooks::decide_webhooks))
}

/// What is around every route, outermost last.
fn with_layers(router: Router, state: AppState) -> Router {
    let no_store = HeaderValue::from_static("no-store");
    let no_sniff = HeaderValue::from_static("nosniff");
    let router = router
        .layer(from_fn_with_state(state.clone(), layer::limit::failures))
        .layer(from_fn_with_state(state.clone(), layer::after::after))
        .layer(from_fn_with_state(state.clone(), layer::access::access));
    let router = match cors(&state.http.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), layer::problems::problems))
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, no_store))
        .layer(SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, no_sniff))
        .layer(from_fn(layer::drain::drain))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(from_fn_with_state(state.clone(), layer::audit::audit))
        .layer(from_fn_with_state(state.clone(), layer::trace::trace))
        .layer(from_fn_with_state(state, layer::client::client))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
}

/// Tells browsers which pages may call; `None` when only the node's own may.
fn cors(origins: &CorsOrigins) -> Option<CorsLayer> {
    let exposed = [ETAG, RETRY_AFTER, WWW_AUTHENTICATE].into_iter().chain(
        [
            "x-request-id",
            "mcp-session-id",
            "mcp-protocol-version",
            quota::RATE_LIMIT,
            quota::RATE_LIMIT_POLICY,
            ACK,
            POSITION,
        ]
        .map(HeaderName::from_static),
    );
    let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let layer = CorsLayer::new()
        .allow_methods(methods)
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.collect::<Vec<_>>())
        .max_age(PREFLIGHT_AGE);
    match origins {
        CorsOrigins::Own => None,
        CorsOrigins::Any => Some(layer.allow_origin(Any)),
        CorsOrigins::Listed(list) => {
            let values = list.iter().map(|origin| {
                HeaderValue::from_str(origin).expect("configured origins are visible ASCII")
            });
            Some(layer.allow_origin(AllowOrigin::list(values)).allow_credentials(true))
        }
    }
}
