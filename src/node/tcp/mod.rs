//! Connections over TCP: how many there may be, how long each may keep the node waiting, and who
//! is at the other end.

mod activity;
mod connection;
mod guard;
mod seats;
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

use crate::telemetry::metrics;
use connection::Connection;
use seats::{Full, Seats};

pub(super) use seats::Bounds;
pub(super) use tls::Tls;
pub use tls::install_crypto;

/// How long to wait after the system could not give a connection, as when descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// Connections over the limit that are told so at a time; others are just closed.
const REFUSAL_COUNT_MAX: usize = 64;
/// What they count as among what is refused for being too much.
const CONNECTIONS: &str = "connections";
/// How long telling one may take.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// What connections lead to, and what bounds them.
#[derive(Clone)]
pub(super) struct Door {
    /// The API.
    pub(super) router: Router,
    /// How many there may be.
    pub(super) bounds: Bounds,
    /// What connections are encrypted with, if they are.
    pub(super) tls: Option<Tls>,
    /// Where connections run.
    pub(super) tasks: TaskTracker,
    /// When none is accepted any more, and those that there are end after their requests.
    pub(super) shutdown: CancellationToken,
}

/// Accepts connections until the node stops.
pub(super) async fn accept(listener: TcpListener, door: Door) {
    let seats = Seats::new(door.bounds.clone());
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
        let full = match seats.take(peer.ip()) {
            Ok(seat) => {
                door.tasks.spawn(Connection { stream, peer, seat, door: door.clone() }.run());
                continue;
            }
            Err(full) => full,
        };
        note(full, &door.bounds);
        if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
            door.tasks.spawn(async move {
                let _permit = permit;
                // Who does not listen needs no answer.
                let _ = tokio::time::timeout(REFUSAL_TIMEOUT, refuse(stream, full)).await;
            });
        }
    }
}

/// One address can make any number of these, so they are counted and not logged.
fn note(full: Full, bounds: &Bounds) {
    match full {
        Full::All => tracing::warn!(
            connection.count_max = bounds.count_max,
            "turned a connection away: there are too many"
        ),
        Full::OfAddress => metrics().rate_limited(CONNECTIONS),
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
async fn refuse(mut stream: TcpStream, full: Full) -> io::Result<()> {
    stream.write_all(full.answer().as_bytes()).await?;
    stream.shutdown().await?;
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
