//! A blocking client of a WebSocket.

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::DEADLINE;

/// A connection to `/api/ws`.
pub struct Socket {
    runtime: Runtime,
    stream: WebSocketStream<TcpStream>,
}

/// What a node sent.
#[derive(Debug)]
pub enum Sent {
    Json(Value),
    Closed(u16),
}

impl Socket {
    pub fn open(url: &str, query: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let address = url.strip_prefix("http://").expect("a plain address");
        let url = format!("ws://{address}/api/ws{query}");
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        let opened = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("a connection");
            tokio_tungstenite::client_async(request, stream).await
        });
        match opened {
            Ok((stream, _)) => Ok(Socket { runtime, stream }),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub fn send(&mut self, message: Message) {
        self.runtime.block_on(self.stream.send(message)).expect("it is sent");
    }

    pub fn say(&mut self, value: &Value) {
        self.send(Message::text(value.to_string()));
    }

    #[track_caller]
    pub fn hear(&mut self) -> Sent {
        loop {
            let next = self.stream.next();
            let next = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, next).await });
            match next.expect("in time").expect("a message").expect("a whole one") {
                Message::Text(text) => {
                    return Sent::Json(serde_json::from_str(&text).expect("JSON"));
                }
                Message::Close(frame) => return Sent::Closed(frame.expect("a code").code.into()),
                _ => {}
            }
        }
    }

    #[track_caller]
    pub fn json(&mut self) -> Value {
        match self.hear() {
            Sent::Json(value) => value,
            closed @ Sent::Closed(_) => panic!("{closed:?}"),
        }
    }
}
