//! One connection: HTTP/1.1 or HTTP/2, with a bound on everything that the other side can make the
//! node hold or wait for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::Door;
use super::activity::{Activity, Held, Open};
use super::guard::Guard;
use crate::http::Peer;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the first request may take to come, its whole head.
const FIRST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may be without a request, and a later head may take to come.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a head, and of an answer that the other side does not take.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Fields of a head.
const HEADER_COUNT_MAX: usize = 100;
/// Requests at a time in one connection of HTTP/2.
const STREAM_COUNT_MAX: u32 = 100;
/// How often the other side of HTTP/2 is asked whether it is there, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// An accepted connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) seat: OwnedSemaphorePermit,
    pub(super) door: Door,
}

impl Connection {
    /// Serves it to its end.
    pub(super) async fn run(self) {
        let Connection { stream, peer, seat, door } = self;
        let peer = Peer { address: peer, is_encrypted: door.tls.is_some() };
        let stream = Guard::new(stream, seat);
        let Some(tls) = &door.tls else { return serve(stream, peer, &door).await };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, peer, &door).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a connection was closed: its TLS handshake took too long"),
        }
    }
}

/// Serves HTTP on a stream of bytes.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    door: &Door,
) {
    let activity = Activity::new();
    let (router, counted) = (door.router.clone(), Arc::clone(&activity));
    let service = service_fn(move |request| answer(router.clone(), peer, counted.begin(), request));
    let builder = builder(&door.tasks);
    let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut unused = pin!(activity.unused(FIRST_TIMEOUT));
    let mut idle = pin!(activity.idle(IDLE_TIMEOUT));
    let mut is_ending = false;
    loop {
        tokio::select! {
            served = serving.as_mut() => {
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            () = &mut unused => {
                tracing::debug!("a connection was closed: no request came");
                return;
            }
            () = &mut idle, if !is_ending => {}
            () = door.shutdown.cancelled(), if !is_ending => {}
        }
        // What is under way is finished, and nothing new begun.
        is_ending = true;
        serving.as_mut().graceful_shutdown();
    }
}

fn builder(tasks: &TaskTracker) -> Builder<Tracked> {
    let mut builder = Builder::new(Tracked(tasks.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_headers(HEADER_COUNT_MAX)
        .max_buf_size(BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAM_COUNT_MAX)
        .max_header_list_size(BUFFER_BYTES_MAX as u32)
        .max_send_buf_size(BUFFER_BYTES_MAX)
        // For WebSockets over HTTP/2 (RFC 8441).
        .enable_connect_protocol();
    builder
}

async fn answer(
    router: Router,
    peer: Peer,
    open: Open,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| Body::new(Held::new(body, open))))
}

/// Runs the requests of HTTP/2 among the tasks of the node.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
