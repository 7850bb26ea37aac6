//! How sure a write is to be before it is answered, and where its answer says that it stands.

use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::parameters::header_parameter;
use super::write::header_text;
use crate::http::AppState;
use crate::http::problem::Problem;
use crate::memory::{AckLevel, Position};
use crate::service::AckWait;

/// The header that says how sure a write is to be, and in the answer how sure it is.
pub const ACK: &str = "memnode-ack";
/// The header of an answer that says where the write stands.
pub const POSITION: &str = "memnode-position";
/// The longest wait for that, in seconds.
const ACK_TIMEOUT: &str = "memnode-ack-timeout";

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const TIMEOUT_S_MAX: f64 = 60.0;

/// How sure a write is to be. Taking it refuses what this node cannot reach, before any write.
pub struct Ack {
    /// `None` when the caller did not ask.
    wait: Option<AckWait>,
    asked: AckLevel,
    /// A write that is on disk must be answered before the request's own time limit.
    until: Instant,
}

impl FromRequestParts<AppState> for Ack {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let text = header_text(&parts.headers, ACK)?;
        let level: Option<AckLevel> = text.map(str::parse).transpose().map_err(Problem::query)?;
        let timeout = timeout(header_text(&parts.headers, ACK_TIMEOUT)?)?;
        let wait = level.map(|level| state.service.expect_ack(level)).transpose()?;
        let spare = (state.http.request_timeout / 10).min(Duration::from_secs(1));
        let within = timeout.min(state.http.request_timeout - spare);
        Ok(Ack { wait, asked: level.unwrap_or(AckLevel::Local), until: Instant::now() + within })
    }
}

impl Ack {
    /// Whether more is asked than what every write is.
    pub fn is_asked(&self) -> bool {
        self.asked > AckLevel::Local
    }

    /// The answer of a write: where it stands, how sure it is, and status 202 when that is less
    /// than was asked.
    pub async fn answer(self, position: &Position, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        if let Some(text) = position.to_text() {
            response.headers_mut().insert(POSITION, visible(&text));
        }
        let Some(wait) = self.wait else { return response };
        let within = self.until.saturating_duration_since(Instant::now());
        let reached = wait.reached(position, within).await;
        response.headers_mut().insert(ACK, visible(&reached.to_string()));
        if reached < self.asked {
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        response
    }
}

/// Names of nodes are visible ASCII; one of another making is left out of the header.
fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn timeout(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(TIMEOUT_DEFAULT) };
    let seconds: Option<f64> = text.parse().ok();
    let seconds = seconds.filter(|seconds| (0.0..=TIMEOUT_S_MAX).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        let detail = format!("`Memnode-Ack-Timeout` is a number of seconds, 0 to {TIMEOUT_S_MAX}");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_ack", detail)
    })
}

impl IntoParams for Ack {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let level = "How sure the write is to be: `local` (on disk here), `logged` (in the log of \
                     the cluster too) or `replicated:K` (on disk on K other nodes too).";
        let timeout = "How many seconds to wait for that; 5 when absent.";
        vec![
            header_parameter("Memnode-Ack", level, "^(local|logged|replicated:[0-9]+)?$"),
            header_parameter("Memnode-Ack-Timeout", timeout, "^[0-9]*\\.?[0-9]*$"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_bounded_number_of_seconds() {
        for (text, expected) in [
            (None, Some(5_000)),
            (Some("0"), Some(0)),
            (Some("0.25"), Some(250)),
            (Some("60"), Some(60_000)),
            (Some("61"), None),
            (Some("-1"), None),
            (Some("NaN"), None),
            (Some("soon"), None),
        ] {
            let found = timeout(text).ok().map(|timeout| timeout.as_millis());
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
