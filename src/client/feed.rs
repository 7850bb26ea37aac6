//! The events of a node, over a WebSocket.

use futures::{SinkExt, StreamExt};
use hyper::Method;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{
    ApiClient, CONNECT_TIMEOUT, ClientError, Payload, Refusal, Stream, Target, build, connect,
};

/// Largest event, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Events as they come.
pub struct Feed(WebSocketStream<Box<dyn Stream>>);

impl ApiClient {
    /// Listens to the events of a node.
    ///
    /// # Errors
    /// As [`ApiClient::request`]; `BadPath` for a router in this process, which has no sockets.
    pub async fn feed(&self, path_and_query: &str) -> Result<Feed, ClientError> {
        let mut request = build(Method::GET, path_and_query, Payload::Empty)?;
        let (stream, host): (Box<dyn Stream>, String) = match &self.0 {
            Target::Socket(socket) => (Box::new(connect(socket).await?), "localhost".to_owned()),
            Target::Address(address) => {
                address.sign(&mut request);
                let host = request.headers()[hyper::header::HOST].to_str().unwrap_or_default();
                (address.connect().await?, host.to_owned())
            }
            Target::Router(_) => return Err(ClientError::BadPath),
        };
        let url = format!("ws://{host}{path_and_query}");
        let mut upgrade = url.into_client_request().map_err(|_| ClientError::BadPath)?;
        upgrade.headers_mut().extend(request.headers().clone());
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
        let opening = tokio_tungstenite::client_async_with_config(upgrade, stream, Some(config));
        match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
            Ok(Ok((socket, _))) => Ok(Feed(socket)),
            Ok(Err(error)) => Err(refusal(error)),
            Err(elapsed) => Err(ClientError::Broken(elapsed.into())),
        }
    }
}

impl Feed {
    /// The next event as JSON; `None` when the node ended the connection in order.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when the connection broke.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Some(text.as_str().to_owned())),
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                // The library answers pings when it is polled again.
                Some(Ok(_)) => self.0.flush().await.map_err(refusal)?,
                Some(Err(error)) => return Err(refusal(error)),
            }
        }
    }
}

fn refusal(error: Error) -> ClientError {
    match error {
        Error::Http(response) => {
            let (parts, body) = response.into_parts();
            let body = body.unwrap_or_default();
            ClientError::Refused(Refusal::new(parts.status, &parts.headers, &body))
        }
        other => ClientError::Broken(other.into()),
    }
}
