//! Telling one webhook: signed, in order, again and again until it takes it or is given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

use super::target::Target;
use super::{READ_DEADLINE, State};
use crate::events::Event;
use crate::memory::Change;
use crate::store::{FeedHead, Reader, Store, StoreError};

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);
/// The pause after a first try that failed; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Rows of the change log that are read at a time.
const PAGE_COUNT: usize = 100;
/// How long the file may not know how far a webhook was told.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);

/// Sends changes to one address.
pub(super) struct Sender {
    target: Target,
    key: Vec<u8>,
    agent: ureq::Agent,
}

impl Sender {
    pub(super) fn new(target: Target, key: Vec<u8>) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TRY_TIMEOUT))
            .http_status_as_error(false)
            // What is signed for one address is for no other.
            .max_redirects(0)
            .user_agent(concat!("memnode/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Sender { target, key, agent }
    }

    /// The webhook as it was configured.
    pub(super) fn name(&self) -> &str {
        &self.target.name
    }

    /// Tries once; the reason of a failure names no text of a memory.
    pub(super) async fn send(self: Arc<Self>, change: Change) -> Result<(), String> {
        let sending = tokio::task::spawn_blocking(move || self.send_blocking(change));
        sending.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn send_blocking(&self, change: Change) -> Result<(), String> {
        // One change has one id, however often it is sent, so that a receiver can tell.
        let id = format!("{}-{}", change.dot, change.content_hash);
        let timestamp = (crate::clock::now_ms() / 1000).to_string();
        let event = Event::of_change(change, String::new());
        let body = format!(r#"{{"type":"{}","data":{}}}"#, event.kind().name(), event.data());
        let answer = self
            .agent
            .post(&self.target.url)
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signature(&self.key, &id, &timestamp, &body))
            .send(body)
            .map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("it answered {}", answer.status().as_u16()))
    }
}

/// As standardwebhooks.com, "Signature scheme".
fn signature(key: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The task of one webhook.
pub(super) struct Courier {
    pub(super) sender: Arc<Sender>,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) store: Arc<Store>,
    pub(super) try_count_max: u32,
}

impl Courier {
    /// Tells what is in the log, then what comes, until it is dropped.
    pub(super) async fn run(self) {
        let mut commits = self.store.changes();
        let mut n = loop {
            match self.start().await {
                Ok(n) => break n,
                Err(error) => self.rest(&error).await,
            }
        };
        loop {
            commits.borrow_and_update();
            match self.tell_page(&mut n).await {
                Ok(true) => {}
                Ok(false) => {
                    if commits.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) => self.rest(&error).await,
            }
        }
    }

    /// Where it was last; a new webhook begins with what comes.
    async fn start(&self) -> Result<u64, StoreError> {
        let name = self.sender.name().to_owned();
        let now = crate::clock::now_seconds();
        let read = move |reader: &Reader<'_>| match reader.webhook(&name)? {
            Some(n) => Ok((n, false)),
            None => reader.feed_head(now).map(|FeedHead { n, .. }| (n, true)),
        };
        let (n, is_new) = self.store.read(READ_DEADLINE, read).await?;
        self.state.lock().n = n;
        if is_new {
            self.note(n).await?;
        }
        Ok(n)
    }

    async fn rest(&self, error: &StoreError) {
        tracing::debug!(%error, "a webhook waits for the file");
        tokio::time::sleep(NOTE_INTERVAL).await;
    }

    /// Tells a page of the log; whether there was any.
    async fn tell_page(&self, n: &mut u64) -> Result<bool, StoreError> {
        let after = *n;
        let read = move |reader: &Reader<'_>| reader.changes(after, PAGE_COUNT);
        let changes = self.store.read(READ_DEADLINE, read).await?;
        let is_any = !changes.is_empty();
        let mut noted = Instant::now();
        for change in changes {
            let next = change.n;
            let event = Event::of_change(change.clone(), String::new());
            if self.sender.target.filter.matches(&event) && !self.tell(next).await? {
                noted = Instant::now();
            }
            *n = next;
            self.state.lock().n = next;
            if noted.elapsed() > NOTE_INTERVAL {
                self.note(next).await?;
                noted = Instant::now();
            }
        }
        if is_any {
            self.note(*n).await?;
        }
        Ok(is_any)
    }

    /// Tells one change, or gives it up; whether it was taken.
    async fn tell(&self, n: u64) -> Result<bool, StoreError> {
        let mut pause = PAUSE_MIN;
        loop {
            // Read each time: a text may be erased between two tries.
            let read = move |reader: &Reader<'_>| reader.changes(n - 1, 1);
            let change = self.store.read(READ_DEADLINE, read).await?.pop();
            let Some(change) = change.filter(|change| change.n == n) else { return Ok(true) };
            let Err(reason) = Arc::clone(&self.sender).send(change).await else {
                let mut state = self.state.lock();
                state.delivered_count += 1;
                (state.failed_count, state.reason) = (0, None);
                return Ok(true);
            };
            let failed_count = {
                let mut state = self.state.lock();
                state.failed_count += 1;
                state.reason = Some(reason.clone());
                state.failed_count
            };
            if failed_count >= self.try_count_max {
                let hook = self.sender.name().to_owned();
                tracing::warn!(reason, "a webhook was not told of a change: it was given up");
                self.store.write(move |writer| writer.bury(&hook, n, &reason)).await?;
                self.state.lock().failed_count = 0;
                return Ok(false);
            }
            // Not all at the same moment when what they wait for comes back.
            tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn note(&self, n: u64) -> Result<(), StoreError> {
        let hook = self.sender.name().to_owned();
        self.store.write(move |writer| writer.move_webhook(&hook, n)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of standardwebhooks.com's specification.
    #[test]
    fn a_signature_is_what_receivers_compute() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let body = r#"{"test": 2432232314}"#;
        let found = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
