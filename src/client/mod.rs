//! HTTP calls to a node: over its local socket, straight into its router, or by its address.
//!
//! Knows HTTP and how a refusal looks; knows nothing of memories, arguments or exit codes.

mod address;
mod error;
mod feed;
mod secure;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryFutureExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use address::Address;
pub use error::{ClientError, Refusal};
pub use feed::Feed;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type RequestBody = Full<Bytes>;
type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;
type Router = BoxCloneSyncService<Request<RequestBody>, hyper::Response<ResponseBody>, Infallible>;

/// Largest answer that is held in memory at once, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest line of a streamed answer, in bytes.
const LINE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a node may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection's two directions.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A way to call one node. Cheap to clone.
#[derive(Clone)]
pub struct ApiClient(Target);

#[derive(Clone)]
enum Target {
    Socket(PathBuf),
    Router(Router),
    Address(Address),
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Nothing.
    Empty,
    /// One JSON document.
    Json(Value),
    /// JSON lines.
    Lines(Vec<u8>),
}

impl ApiClient {
    /// Calls the node that listens on a Unix socket; each call has a connection of its own.
    pub fn unix(socket: impl Into<PathBuf>) -> Self {
        ApiClient(Target::Socket(socket.into()))
    }

    /// Calls the node at an address such as `http://node-2:8000`, with an API key if there is one.
    /// One of `https` must have a certificate that leads to one in the file `authorities`, or
    /// where none is named to one that the system trusts.
    ///
    /// # Errors
    /// [`ClientError::BadPath`] for another address; `BadAuthorities`.
    pub fn tcp(
        url: &str,
        api_key: Option<String>,
        authorities: Option<&Path>,
    ) -> Result<Self, ClientError> {
        Ok(ApiClient(Target::Address(Address::new(url, api_key, authorities)?)))
    }

    /// Calls a router in this process.
    pub fn in_process<S, B>(router: S) -> Self
    where
        S: Service<Request<RequestBody>, Response = hyper::Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let boxed = router.map_response(|response: hyper::Response<B>| {
            response.map(|body| body.map_err(Into::into).boxed_unsync())
        });
        ApiClient(Target::Router(BoxCloneSyncService::new(boxed)))
    }

    /// Sends a request and waits for the head of a successful answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for every other answer, and when there was none.
    pub async fn request(
        &self,
        method: Method,
        path_and_query: &str,
        payload: Payload,
    ) -> Result<Response, ClientError> {
        let mut request = build(method, path_and_query, payload)?;
        let response = match &self.0 {
            Target::Socket(socket) => send(connect(socket).await?, request).await?,
            Target::Address(address) => {
                address.sign(&mut request);
                send(address.connect().await?, request).await?
            }
            Target::Router(router) => {
                let (parts, body) = router
                    .clone()
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {})
                    .into_parts();
                Response { status: parts.status, headers: parts.headers, body, task: None }
            }
        };
        if response.status.is_success() { Ok(response) } else { Err(response.into_refusal().await) }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// As [`ApiClient::request`], and [`ClientError::Unreadable`] when the answer is of another
    /// shape.
    pub async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path_and_query: &str,
        payload: Payload,
    ) -> Result<T, ClientError> {
        self.request(method, path_and_query, payload).await?.json().await
    }
}

fn build(
    method: Method,
    path_and_query: &str,
    payload: Payload,
) -> Result<Request<RequestBody>, ClientError> {
    let (kind, bytes) = match payload {
        Payload::Empty => (None, Bytes::new()),
        Payload::Json(value) => (Some("application/json"), Bytes::from(value.to_string())),
        Payload::Lines(lines) => (Some("application/x-ndjson"), Bytes::from(lines)),
    };
    let mut request = Request::new(Full::new(bytes));
    *request.method_mut() = method;
    *request.uri_mut() = path_and_query.parse().map_err(|_| ClientError::BadPath)?;
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    if let Some(kind) = kind {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Ok(request)
}

async fn connect(socket: &Path) -> Result<UnixStream, ClientError> {
    let unreachable = |source| ClientError::Unreachable { socket: socket.to_owned(), source };
    tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(socket))
        .await
        .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
        .map_err(unreachable)
}

async fn send<S>(stream: S, request: Request<RequestBody>) -> Result<Response, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| ClientError::Broken(error.into());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut task = JoinSet::new();
    // Its failure shows as a failure of the request or of the body.
    task.spawn(connection.unwrap_or_else(|_| ()));
    let (parts, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
    let body = body.map_err(BoxError::from).boxed_unsync();
    Ok(Response { status: parts.status, headers: parts.headers, body, task: Some(task) })
}

/// The head of an answer, and its body as it comes.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: ResponseBody,
    /// Moves bytes over the connection for as long as the answer is read.
    task: Option<JoinSet<()>>,
}

impl Response {
    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when the node went away in the middle.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(bytes) = frame.map_err(ClientError::Broken)?.into_data() {
                return Ok(Some(bytes));
            }
        }
        self.task = None;
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Response::chunk`], and when the body is larger than a bound.
    pub async fn bytes(mut self) -> Result<Vec<u8>, ClientError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if whole.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::unreadable("it is too large"));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    /// The whole body as one JSON document.
    ///
    /// # Errors
    /// As [`Response::bytes`], and when the document is of another shape.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(ClientError::unreadable)
    }

    /// The body line by line.
    pub fn lines(self) -> Lines {
        Lines { response: self, buffer: Vec::new(), start: 0, ended: false }
    }

    async fn into_refusal(self) -> ClientError {
        let (status, headers) = (self.status, self.headers.clone());
        match self.bytes().await {
            Ok(body) => ClientError::Refused(Refusal::new(status, &headers, &body)),
            Err(error) => error,
        }
    }
}

/// A body that is read line by line.
pub struct Lines {
    response: Response,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Lines {
    /// The next line that is not empty, without its newline; `None` at the end.
    ///
    /// # Errors
    /// As [`Response::chunk`], and when a line is longer than a bound.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, ClientError> {
        loop {
            let rest = &self.buffer[self.start..];
            let end = match rest.iter().position(|byte| *byte == b'\n') {
                Some(newline) => newline,
                None if self.ended && rest.is_empty() => return Ok(None),
                None if self.ended => rest.len(),
                None => {
                    self.fill().await?;
                    continue;
                }
            };
            let line = self.start..self.start + end;
            self.start = (line.end + 1).min(self.buffer.len());
            if !line.is_empty() {
                return Ok(Some(&self.buffer[line]));
            }
        }
    }

    async fn fill(&mut self) -> Result<(), ClientError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        match self.response.chunk().await? {
            Some(chunk) => self.buffer.extend_from_slice(&chunk),
            None => self.ended = true,
        }
        // A chunk may hold many lines.
        if self.buffer.len() > LINE_BYTES_MAX && !self.buffer.contains(&b'\n') {
            return Err(ClientError::unreadable("a line of it is too long"));
        }
        Ok(())
    }
}

/// A text as it may stand in a path segment or a query value.
pub fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}

/// A path with a query string; values that are `None` are left out.
pub fn path_with_query(path: &str, query: &[(&str, Option<String>)]) -> String {
    let mut uri = path.to_owned();
    let given = query.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (position, (name, value)) in given.enumerate() {
        uri.push(if position == 0 { '?' } else { '&' });
        uri.push_str(&format!("{name}={}", escape(value)));
    }
    uri
}

#[cfg(test)]
mod tests;
