//! Connections over TCP: how many there may be, how long each may keep the node waiting, and who
//! is at the other end.

mod activity;
mod connection;
mod guard;
mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use connection::Connection;

pub(super) use tls::Tls;
pub use tls::install_crypto;

/// How long to wait after the system could not give a connection, as when descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// Connections over the limit that are told so at a time; others are just closed.
const REFUSAL_COUNT_MAX: usize = 64;
/// How long telling one may take.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// What is told: it has no request to answer yet, so it is the same for all.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 143\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
    \"detail\":\"too many connections\",\"instance\":\"/\",\"code\":\"too_many_connections\"}\n";

/// What connections lead to, and what bounds them.
#[derive(Clone)]
pub(super) struct Door {
    /// The API.
    pub(super) router: Router,
    /// Connections at a time, WebSockets included.
    pub(super) connection_count_max: usize,
    /// What connections are encrypted with, if they are.
    pub(super) tls: Option<Tls>,
    /// Where connections run.
    pub(super) tasks: TaskTracker,
    /// When none is accepted any more, and those that there are end after their requests.
    pub(super) shutdown: CancellationToken,
}

/// Accepts connections until the node stops.
pub(super) async fn accept(listener: TcpListener, door: Door) {
    let seats = Arc::new(Semaphore::new(door.connection_count_max));
    let refusals = Arc::new(Semaphore::new(REFUSAL_COUNT_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.shutdown.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                recover(&error, &door.shutdown).await;
                continue;
            }
        };
        // An event is one small write: it must not wait for the answer to the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection gathers small writes");
        }
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            door.tasks.spawn(Connection { stream, peer, seat, door: door.clone() }.run());
        } else if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
            tracing::warn!(
                connection.count_max = door.connection_count_max,
                "turned a connection away: there are too many"
            );
            door.tasks.spawn(async move {
                let _permit = permit;
                // Who does not listen needs no answer.
                let _ = tokio::time::timeout(REFUSAL_TIMEOUT, refuse(stream)).await;
            });
        }
    }
}

/// Failures of one connection are its own; others may pass when something else ends.
async fn recover(error: &io::Error, shutdown: &CancellationToken) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted].contains(&error.kind())
    {
        return;
    }
    tracing::error!(%error, "no connection can be accepted");
    tokio::select! {
        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
        () = shutdown.cancelled() => {}
    }
}

/// Answers without a look at the request, then reads it: a connection that is closed with bytes
/// unread is reset, and the other side never sees the answer.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await?;
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_whole() {
        let text = std::str::from_utf8(REFUSAL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["code"], "too_many_connections");
    }
}
