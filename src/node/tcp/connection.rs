//! One connection: HTTP/1.1 or HTTP/2, with a bound on everything that the other side can make the
//! node hold or wait for.

use std::convert::Infallible;
use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::{self, Builder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::Door;
use super::activity::{Activity, Held};
use super::guard::Guard;
use super::seats::Seat;
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
/// How connections of HTTP/2 begin, and no request of HTTP/1.1 that is answered here (RFC 9113,
/// section 3.4).
const HTTP2_BEGIN: &[u8] = b"PRI * HTTP/2.0";
/// How often the other side of HTTP/2 is asked whether it is there, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// An accepted connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) seat: Seat,
    pub(super) door: Door,
}

impl Connection {
    /// Serves it to its end.
    pub(super) async fn run(self) {
        if self.door.tls.is_some() {
            // On the heap: the others, which are most by far, need not have room for it.
            return Box::pin(self.run_encrypted()).await;
        }
        let mut begin = [0; 2];
        let peeked = tokio::select! {
            peeked = tokio::time::timeout(FIRST_TIMEOUT, self.stream.peek(&mut begin)) => peeked,
            () = self.door.shutdown.cancelled() => return,
        };
        let Ok(Ok(length @ 1..)) = peeked else {
            tracing::debug!("a connection was closed: no request came");
            return;
        };
        let Connection { stream, peer, seat, door } = self;
        let peer = Peer { address: peer, is_encrypted: false };
        let stream = Guard::new(stream, seat);
        if HTTP2_BEGIN.starts_with(&begin[..length]) {
            Box::pin(serve_any(stream, peer, &door)).await;
        } else {
            serve_http1(stream, peer, &door).await;
        }
    }

    async fn run_encrypted(self) {
        let Connection { stream, peer, seat, door } = self;
        let Some(tls) = &door.tls else { return };
        let accepting = tls.acceptor().accept(Guard::new(stream, seat));
        let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => {
                tracing::debug!("a connection was closed: its TLS handshake took too long");
                return;
            }
        };
        serve_any(stream, Peer { address: peer, is_encrypted: true }, &door).await;
    }
}

/// Serves HTTP/1.1 on a stream of bytes, with less memory than [`serve_any`]: there may be
/// thousands of these that listen to events.
async fn serve_http1(stream: impl Stream, peer: Peer, door: &Door) {
    let activity = Activity::new();
    let (router, used) = (door.router.clone(), Arc::clone(&activity));
    let service = service_fn(move |request| {
        used.begin();
        answer(router.clone(), peer, request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // It also ends connections that have no request for so long.
        .header_read_timeout(IDLE_TIMEOUT)
        .max_headers(HEADER_COUNT_MAX)
        .max_header_size(BUFFER_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX);
    let serving = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let unused = pin!(activity.unused(FIRST_TIMEOUT));
    let idle = pin!(std::future::pending());
    follow(serving, http1::UpgradeableConnection::graceful_shutdown, unused, idle, door).await;
}

/// Serves HTTP/1.1 or HTTP/2, whichever the other side begins with.
async fn serve_any(stream: impl Stream, peer: Peer, door: &Door) {
    let activity = Activity::new();
    let (router, counted) = (door.router.clone(), Arc::clone(&activity));
    let service = service_fn(move |request| {
        let (open, answer) = (counted.begin(), answer(router.clone(), peer, request));
        async move {
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|body| Body::new(Held::new(body, open))))
        }
    });
    let builder = builder(&door.tasks);
    let serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let unused = pin!(activity.unused(FIRST_TIMEOUT));
    let idle = pin!(activity.idle(IDLE_TIMEOUT));
    follow(serving, auto::UpgradeableConnection::graceful_shutdown, unused, idle, door).await;
}

/// Drives a connection. It is closed when `unused` comes back; after `idle` and when the node
/// stops, what is under way is finished and nothing new begun.
async fn follow<C, E: Display>(
    mut serving: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>),
    mut unused: Pin<&mut impl Future<Output = ()>>,
    mut idle: Pin<&mut impl Future<Output = ()>>,
    door: &Door,
) where
    C: Future<Output = Result<(), E>>,
{
    let mut stopping = pin!(door.shutdown.cancelled());
    let mut is_ending = false;
    loop {
        tokio::select! {
            biased;
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
            () = &mut stopping, if !is_ending => {}
        }
        is_ending = true;
        end(serving.as_mut());
    }
}

/// What HTTP is spoken over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

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
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    router.oneshot(request).await
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
