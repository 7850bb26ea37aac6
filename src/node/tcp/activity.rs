//! What goes on in one connection, so that one in which nothing does can be ended.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The requests of a connection.
pub(super) struct Activity {
    /// Requests whose answers are not complete.
    open_count: AtomicUsize,
    /// Whether there has been one.
    is_used: AtomicBool,
    /// When the last one ended.
    quiet_since: Mutex<Instant>,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Activity {
            open_count: AtomicUsize::new(0),
            is_used: AtomicBool::new(false),
            quiet_since: Mutex::new(Instant::now()),
        })
    }

    /// Counts a request, until what is given is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        self.is_used.store(true, Ordering::Relaxed);
        self.open_count.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// Comes back when no whole request came within `limit` of the start.
    pub(super) async fn unused(&self, limit: Duration) {
        tokio::time::sleep(limit).await;
        if self.is_used.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }

    /// Comes back when there was no request for as long as `limit`.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let is_open = self.open_count.load(Ordering::Relaxed) > 0;
            let since = if is_open { Instant::now() } else { *self.quiet_since.lock() };
            let until = since + limit;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// A request whose answer is not complete.
pub(super) struct Open(Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.quiet_since.lock() = Instant::now();
        self.0.open_count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, which keeps its request open until it is sent or given up.
pub(super) struct Held {
    body: Body,
    _open: Open,
}

impl Held {
    pub(super) fn new(body: Body, open: Open) -> Self {
        Held { body, _open: open }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_connection_without_a_request_is_unused_and_then_idle() {
        let activity = Activity::new();
        activity.unused(LIMIT).await;
        activity.idle(LIMIT).await;
    }

    #[tokio::test]
    async fn an_open_answer_keeps_a_connection_busy() {
        let activity = Activity::new();
        let open = activity.begin();
        let waiting = tokio::time::timeout(LIMIT * 4, activity.idle(LIMIT));
        assert!(waiting.await.is_err(), "it is busy");
        let waiting = tokio::time::timeout(LIMIT * 4, activity.unused(LIMIT));
        assert!(waiting.await.is_err(), "it was used");
        drop(open);
        activity.idle(LIMIT).await;
    }
}
