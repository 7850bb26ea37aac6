//! The connection to the servers: who we are, whom we trust, how long we try.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use memnode_cluster::NodeName;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::subject;
use crate::config::NatsConfig;

/// Longest wait before the next try to connect.
const RECONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a silent server is asked whether it is there; twice unanswered is gone.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Messages of one subscription that may wait.
const SUBSCRIPTION_COUNT_MAX: usize = 4_096;

/// Why there can be no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file of the settings cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The client refuses the settings.
    #[error("cannot connect to NATS: {0}")]
    Refused(String),
}

/// Whether the connection came up (`true`) or broke.
pub(super) type Changes = mpsc::UnboundedReceiver<bool>;

/// Begins to connect, for as long as it takes; gives a client at once.
///
/// # Errors
/// Settings that can never work: files that are not there, certificates that are none.
pub(super) async fn connect(
    config: &NatsConfig,
    node: &NodeName,
) -> Result<(Client, Changes), ConnectError> {
    // As many entries as the connection has ups and downs; the driver takes them at once.
    let (sender, changes) = mpsc::unbounded_channel();
    let told = Arc::new(Mutex::new(String::new()));
    let options = authenticate(ConnectOptions::new(), config).await?;
    let client = options
        .name(format!("memnode {node}"))
        .custom_inbox_prefix(subject::inbox(node))
        .retry_on_initial_connect()
        .max_reconnects(None)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(Duration::from_secs(5))
        .subscription_capacity(SUBSCRIPTION_COUNT_MAX)
        .reconnect_delay_callback(delay)
        .event_callback(move |event| {
            let (sender, told) = (sender.clone(), Arc::clone(&told));
            async move {
                // A driver that ended listens no more.
                let _ = match &event {
                    Event::Connected => {
                        told.lock().clear();
                        sender.send(true)
                    }
                    Event::Disconnected | Event::Closed => sender.send(false),
                    other => {
                        tell_once(&told, other.to_string());
                        Ok(())
                    }
                };
            }
        })
        .connect(&config.servers)
        .await
        .map_err(|error| ConnectError::Refused(error.to_string()))?;
    Ok((client, changes))
}

/// Logs what the connection reports; each try that fails for the same reason says no more.
fn tell_once(told: &Mutex<String>, event: String) {
    let mut told = told.lock();
    if *told == event {
        tracing::debug!(event, "NATS connection");
    } else {
        tracing::warn!(event, "NATS connection: {event}");
        *told = event;
    }
}

fn delay(attempts: usize) -> Duration {
    let exponent = u32::try_from(attempts.min(10)).unwrap_or(10);
    let wait = Duration::from_millis(20) * 2_u32.pow(exponent);
    // Nodes that lost one server do not come back to it at one moment.
    wait.min(RECONNECT_WAIT_MAX).mul_f64(rand::random_range(0.5..1.0))
}

async fn authenticate(
    mut options: ConnectOptions,
    config: &NatsConfig,
) -> Result<ConnectOptions, ConnectError> {
    if let Some(path) = &config.creds {
        options = options.credentials_file(path).await.map_err(|source| file(path, source))?;
    }
    if let Some(path) = &config.nkey {
        let seed = std::fs::read_to_string(path).map_err(|source| file(path, source))?;
        options = options.nkey(seed.trim().to_owned());
    }
    if let Some(user) = &config.user {
        let password = config.password.as_ref().map(|password| password.expose().to_owned());
        options = options.user_and_password(user.clone(), password.unwrap_or_default());
    }
    if let Some(path) = &config.ca {
        std::fs::metadata(path).map_err(|source| file(path, source))?;
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
        for path in [cert, key] {
            std::fs::metadata(path).map_err(|source| file(path, source))?;
        }
        options = options.add_client_certificate(cert.clone(), key.clone()).require_tls(true);
    }
    Ok(options)
}

fn file(path: &Path, source: std::io::Error) -> ConnectError {
    ConnectError::File { path: path.display().to_string(), source }
}
