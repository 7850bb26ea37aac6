//! `/api/events`, and `/events` for older clients: server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;

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
    let body = Body::new(Stream { feed, ended, first: Some(RETRY) });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // Proxies of the nginx kind would gather events before they pass them on.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
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
    first: Option<Bytes>,
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let bytes = match self.feed.poll_next(context) {
            Poll::Ready(Some(News::Event(event))) => event.frame(),
            // An id alone is no event: a client only remembers it.
            Poll::Ready(Some(News::Position(id))) => Bytes::from(format!("id: {id}\n\n")),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return self.ended.as_mut().poll(context).map(|()| None),
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
