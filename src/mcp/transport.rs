//! How requests come in: a byte stream of JSON lines, or HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use rmcp::service::{QuitReason, ServerInitializeError};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Caller, IngestPaths, McpOptions, McpServer};
use crate::{Error, Result};

/// Longest request in bytes; more than the bridge lets through, so that it is the one to refuse.
const LINE_BYTES_MAX: usize = 5 * 1024 * 1024;

/// A tower service that answers `POST` with streamable HTTP; to be nested at `/mcp`.
pub type McpHttpService = StreamableHttpService<McpServer, NeverSessionManager>;

/// What the HTTP transport checks by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpHttpOptions {
    /// Host names, each with or without a port, that requests may name; empty allows any. A node
    /// without authentication needs it against DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Longest body of a request.
    pub body_bytes_max: usize,
    /// The directories below which `memory_ingest` may read; none by default.
    pub ingest_roots: Vec<PathBuf>,
}

/// Serves one client on a byte stream, one JSON message a line, until either side ends it.
///
/// # Errors
/// `Internal` when the conversation ends otherwise.
pub async fn serve_stream<S>(
    server: McpServer,
    stream: S,
    shutdown: CancellationToken,
) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let transport =
        AsyncRwTransport::new_server(reader, writer).with_max_line_length(LINE_BYTES_MAX);
    // rmcp cancels the token that it is given when the stream ends; the node's is not its own.
    let ending = shutdown.child_token();
    let running = match rmcp::service::serve_server_with_ct(server, transport, ending).await {
        Ok(running) => running,
        // A client that leaves before it says anything is no failure.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            return Ok(());
        }
        Err(error) => return Err(Error::internal("the MCP handshake failed", error)),
    };
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => {
            Err(Error::internal("the MCP connection failed", error))
        }
        Ok(_) => Ok(()),
    }
}

/// Serves HTTP requests, each on its own: no session outlives its request, whatever the revision
/// of the protocol, so that a client may continue on another node or after a restart.
///
/// Every request must carry the [`Principal`](crate::auth::Principal) that the HTTP layer found,
/// in its extensions. That, and the roots in `options`, replace the caller and the paths that
/// `server` was made for: a remote caller never inherits what a local one may do.
pub fn http_service(
    server: McpServer,
    options: McpHttpOptions,
    shutdown: CancellationToken,
) -> McpHttpService {
    let ingest = IngestPaths::Below(options.ingest_roots);
    let server = McpServer {
        caller: Caller::OfHttpRequest,
        options: Arc::new(McpOptions { ingest, ..server.options.as_ref().clone() }),
        ..server
    };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(options.allowed_hosts)
        .with_max_request_body_bytes(options.body_bytes_max)
        .with_cancellation_token(shutdown.child_token());
    let sessions = Arc::new(NeverSessionManager::default());
    StreamableHttpService::new(move || Ok(server.clone()), sessions, config)
}
