//! `/api/events`, and `/events` for older clients: server-sent events.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::watcher::{FilterParameters, Watcher};
use crate::http::AppState;
use crate::http::extract::Query;
use crate::http::problem::Problem;
use crate::service::{Feed, News};

/// When a client should come back after a stream ended, in milliseconds.
const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// Listen to what happens
///
/// A stream of server-sent events. Every change of a memory is told once on every node; with the
/// id of the last event seen, what was missed is told first, on any node of the cluster. Event
/// streams that cannot follow are ended; they may come back with their last id.
#[utoipa::path(get, path = "/api/events", tag = "events", params(FilterParameters),
    responses((status = 200, body = String, content_type = "text/event-stream",
        description = "Events, until either side ends the stream.")))]
pub async fn events(
    State(state): State<AppState>,
    Watcher(who): Watcher,
    Query(parameters): Query<FilterParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (filter, last) = (parameters.filter()?, parameters.last(&headers)?);
    let feed = state.service.watch(&who, filter, last).await.map_err(Problem::query)?;
    let authenticator = Arc::clone(&state.authenticator);
    // Whatever opened the stream may end before it: a key is revoked, a token expires.
    let ended = Box::pin(async move { authenticator.ended(&who).await });
    let stream = Stream { feed, ended, ready: VecDeque::from([RETRY]) };
    let frames = stream::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), stream))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // Proxies of the nginx kind would gather events before they pass them on.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(frames)).into_response())
}

/// Listen to what happens, as older clients do
///
/// The same as `/api/events`.
#[utoipa::path(get, path = "/events", tag = "events", params(FilterParameters),
    responses((status = 200, body = String, content_type = "text/event-stream",
        description = "Events, until either side ends the stream.")))]
pub async fn events_root(
    state: State<AppState>,
    who: Watcher,
    parameters: Query<FilterParameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    events(state, who, parameters, headers).await
}

/// The frames of a subscriber. It gives them one by one, as they lie in the ring: a client that
/// does not read then holds up a few references, and no copies.
struct Stream {
    feed: Feed,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    ready: VecDeque<Bytes>,
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        while self.ready.is_empty() {
            let News { events, id } = tokio::select! {
                news = self.feed.next() => news?,
                () = &mut self.ended => return None,
            };
            self.ready.extend(events.iter().map(|event| event.frame()));
            // An id alone is no event: a client only remembers it.
            self.ready.extend(id.map(|id| Bytes::from(format!("id: {id}\n\n"))));
        }
        self.ready.pop_front()
    }
}
