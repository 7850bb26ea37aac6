//! The way to the collector: HTTP on the thread that exports, which may block.

use std::pin::Pin;
use std::time::{Duration, Instant};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use parking_lot::Mutex;

/// The longest answer of a collector that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How often a collector that stays away is told of.
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// Calls the collector, and says in the log when it goes away and when it is back.
#[derive(Debug)]
pub(super) struct CollectorClient {
    agent: ureq::Agent,
    /// When it was last told that the collector does not take what it is sent.
    told: Mutex<Option<Instant>>,
}

impl CollectorClient {
    pub(super) fn new(timeout: Duration) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // What is meant for one address is for no other.
            .max_redirects(0)
            .user_agent(concat!("memnode/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        CollectorClient { agent, told: Mutex::new(None) }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, body.to_vec());
        let sent = self.agent.run(request).map_err(HttpError::from).and_then(|response| {
            let (parts, mut body) = response.into_parts();
            let bytes = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
            Ok(Response::from_parts(parts, Bytes::from(bytes)))
        });
        match &sent {
            Ok(answer) if answer.status().is_success() => self.note(None),
            Ok(answer) => self.note(Some(format!("it answers {}", answer.status()))),
            Err(error) => self.note(Some(error.to_string())),
        }
        sent
    }

    /// Tells of the first failure, of one in ten minutes after that, and of the first success.
    fn note(&self, failure: Option<String>) {
        let mut told = self.told.lock();
        match failure {
            Some(reason) if told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) => {
                *told = Some(Instant::now());
                tracing::warn!(reason, "the collector does not take telemetry: it is dropped");
            }
            Some(_) => {}
            None => {
                if told.take().is_some() {
                    tracing::info!("the collector takes telemetry again");
                }
            }
        }
    }
}

impl HttpClient for CollectorClient {
    fn send_bytes<'a, 'out>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'out>>
    where
        'a: 'out,
        Self: 'out,
    {
        Box::pin(async move { self.send(request) })
    }
}
