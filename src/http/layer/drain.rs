//! Reads what a refused request still sends, so that the caller gets to see the answer.
//!
//! A connection that is closed while the other side still writes is reset, and most clients then
//! report a broken pipe instead of the status, which tells them what was wrong.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// The most that is read and thrown away, in bytes.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest that is spent on it.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Reads the rest of a body that nobody wants, within bounds, before the answer goes out.
pub async fn drain(request: Request, next: Next) -> Response {
    // A caller that asked first does not send a body that it was not asked for.
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (sender, mut rest) = oneshot::channel();
    let lend = |body| Body::new(Lent { body: Some(body), back: Some(sender) });
    let response = next.run(request.map(lend)).await;
    if let Ok(body) = rest.try_recv() {
        // Too slow is as good as too large: the connection is closed in either case.
        let _ = tokio::time::timeout(TIME_MAX, throw_away(body)).await;
    }
    response
}

async fn throw_away(body: Body) {
    let mut parts = body.into_data_stream();
    let mut byte_count = 0;
    while byte_count < BYTES_MAX {
        let Some(Ok(part)) = parts.next().await else { return };
        byte_count += part.len();
    }
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody takes it back once the answer is on its way.
            let _ = back.send(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(parts: &[&'static str]) -> (Body, oneshot::Receiver<Body>) {
        let parts: Vec<Result<&str, axum::Error>> = parts.iter().map(|part| Ok(*part)).collect();
        let body = Body::from_stream(futures::stream::iter(parts));
        let (sender, receiver) = oneshot::channel();
        (Body::new(Lent { body: Some(body), back: Some(sender) }), receiver)
    }

    #[tokio::test]
    async fn only_a_body_that_was_not_read_to_its_end_comes_back() {
        let (body, mut rest) = lent(&["a", "b"]);
        drop(body);
        let back = axum::body::to_bytes(rest.try_recv().expect("it comes back"), 10).await;
        assert_eq!(back.expect("readable"), "ab");

        let (body, mut rest) = lent(&["a", "b"]);
        assert_eq!(axum::body::to_bytes(body, 10).await.expect("readable"), "ab");
        assert!(rest.try_recv().is_err());

        let (body, mut rest) = lent(&["a", "b"]);
        assert!(axum::body::to_bytes(body, 1).await.is_err(), "over its limit");
        assert!(rest.try_recv().is_ok());
    }
}
