//! How a call can fail.

use std::path::PathBuf;

use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

/// Longest text of a refusal that is shown, in characters.
const DETAIL_CHARS_MAX: usize = 1000;

/// Why a call gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no node answers on {}: {source}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The node went away in the middle of a call.
    #[error("the node went away before it had answered: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
    /// The node said no.
    #[error("{}", .0.detail)]
    Refused(Refusal),
    /// The answer is none of a node's.
    #[error("the node gave an answer that cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to hold the certificate of a node against.
    #[error("no certificate can be believed: {0}")]
    BadAuthorities(String),
    /// A request that cannot be written down.
    #[error("the request holds a character that a path cannot hold")]
    BadPath,
}

impl ClientError {
    pub(super) fn unreadable(reason: impl ToString) -> Self {
        ClientError::Unreadable { reason: reason.to_string() }
    }

    /// The stable name that the node gave its refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            ClientError::Refused(refusal) => Some(&refusal.code),
            ClientError::Unreachable { .. }
            | ClientError::Broken(_)
            | ClientError::Unreadable { .. }
            | ClientError::BadAuthorities(_)
            | ClientError::BadPath => None,
        }
    }
}

/// A node's reason not to do what it was asked to (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The stable name.
    pub code: String,
    /// One sentence.
    pub detail: String,
    /// When to try again, in seconds.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let detail = match &body["detail"] {
            Value::String(text) => text.clone(),
            Value::Array(faults) => faults.iter().map(fault).collect::<Vec<_>>().join("; "),
            _ => format!("the node answered {status}"),
        };
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Refusal {
            status,
            code: body["code"].as_str().unwrap_or_default().to_owned(),
            detail: detail.chars().take(DETAIL_CHARS_MAX).collect(),
            retry_after_s: retry_after.and_then(|value| value.parse().ok()),
        }
    }
}

/// One fault of a body that is not valid: where, and what.
fn fault(fault: &Value) -> String {
    let step = |step: &Value| step.as_str().map_or_else(|| step.to_string(), str::to_owned);
    let place: Vec<String> =
        fault["loc"].as_array().into_iter().flatten().skip(1).map(step).collect();
    let message = fault["msg"].as_str().unwrap_or("not valid");
    if place.is_empty() { message.to_owned() } else { format!("{}: {message}", place.join(".")) }
}
