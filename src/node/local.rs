//! The local socket: the API, MCP streams and the hand-over, for callers of the same user.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::TaskTracker;

use super::error::StartError;
use super::{Node, Role};

/// Path of the MCP stream.
const MCP_PATH: &str = "/local/mcp";
/// Path of the request to hand the file over.
const YIELD_PATH: &str = "/local/yield";
/// The protocol that a connection is upgraded to.
const MCP_PROTOCOL: &str = "memnode-mcp";
/// How long an owner may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts to serve the node's socket; only this user may connect.
pub(super) fn listen(node: &Arc<Node>, role: Role) -> Result<(), StartError> {
    let path = node.socket.clone();
    let cannot = |source| StartError::CannotCreate { path: path.clone(), source };
    // The lock is ours, so a socket that lies here belonged to an owner that is gone.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(cannot)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(cannot)?;
    let router = router(node, role);
    let shutdown = node.shutdown.clone();
    node.tasks.spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.clone().cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the local socket failed");
            shutdown.cancel();
        }
    });
    Ok(())
}

fn router(node: &Arc<Node>, role: Role) -> Router {
    let (streams, mcp) = (node.tasks.clone(), node.mcp.clone());
    let stopping = node.shutdown.clone();
    let stream = move |request: Request| {
        let (mcp, stopping) = (mcp.clone(), stopping.clone());
        async move { open_stream(request, &streams, mcp, stopping) }
    };
    let shutdown = node.shutdown.clone();
    let hand_over = move || async move {
        match role {
            Role::Window => {
                tracing::info!("handing the database over");
                shutdown.cancel();
                StatusCode::NO_CONTENT
            }
            Role::Server | Role::Command => StatusCode::CONFLICT,
        }
    };
    node.local_router().route(MCP_PATH, get(stream)).route(YIELD_PATH, post(hand_over))
}

/// Turns a connection into a stream of MCP messages.
fn open_stream(
    request: Request,
    streams: &TaskTracker,
    mcp: crate::mcp::McpServer,
    shutdown: tokio_util::sync::CancellationToken,
) -> Response {
    let asked = request.headers().get(UPGRADE).is_some_and(|value| value == MCP_PROTOCOL);
    if !asked {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    }
    let upgrade = hyper::upgrade::on(request);
    streams.spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let stream = TokioIo::new(upgraded);
                if let Err(error) = crate::mcp::serve_stream(mcp, stream, shutdown).await {
                    tracing::debug!(%error, "an MCP stream ended early");
                }
            }
            Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
        }
    });
    let headers = [
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static(MCP_PROTOCOL)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Opens a stream of MCP messages to the owner behind a socket.
pub(super) async fn connect_mcp(
    socket: &Path,
    tasks: &TaskTracker,
) -> std::io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
    let request = hyper::Request::get(MCP_PATH)
        .header(hyper::header::HOST, "localhost")
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, MCP_PROTOCOL);
    let response = send(socket, request, tasks).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(std::io::Error::other(format!("the owner answered {}", response.status())));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(std::io::Error::other)?;
    Ok(TokioIo::new(upgraded))
}

/// Asks the owner behind a socket to hand the file over; true when it will.
pub(super) async fn ask_to_yield(socket: &Path, tasks: &TaskTracker) -> std::io::Result<bool> {
    let request = hyper::Request::post(YIELD_PATH).header(hyper::header::HOST, "localhost");
    Ok(send(socket, request, tasks).await?.status() == StatusCode::NO_CONTENT)
}

async fn send(
    socket: &Path,
    request: hyper::http::request::Builder,
    tasks: &TaskTracker,
) -> std::io::Result<hyper::Response<hyper::body::Incoming>> {
    let request = request.body(Empty::<Bytes>::new()).map_err(std::io::Error::other)?;
    let exchange = async {
        let stream = TokioIo::new(UnixStream::connect(socket).await?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(std::io::Error::other)?;
        tasks.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "the connection to the owner broke");
            }
        });
        sender.send_request(request).await.map_err(std::io::Error::other)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, exchange)
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}
