//! Batches, and how one reaches a node even if the node goes away in the middle.

use std::time::Duration;

use hyper::Method;

use super::super::Call;
use super::super::args::ImportArgs;
use super::super::exit::{Exit, Failure, trouble_exit};
use super::super::wire::{ImportLine, ImportStatus, Imported};
use super::interrupted;
use crate::client::{ApiClient, ClientError, Payload, path_with_query};
use crate::node::{Need, Session};

/// Most memories of one batch.
const BATCH_COUNT: usize = 64;
/// Most bytes of one batch, but for the one memory that goes beyond.
const BATCH_BYTES: usize = 1024 * 1024;
/// How often a batch is sent before the import gives up.
const TRIES: u32 = 5;
/// How long to wait before sending again when the node does not say.
const RETRY_AFTER_S: u64 = 1;

/// One memory on its way.
pub(super) struct Item {
    /// Where it was read, for messages.
    pub(super) place: String,
    /// The memory as one line of JSON.
    pub(super) line: String,
    /// How many bytes of all files were read by then.
    pub(super) bytes_read: u64,
}

/// Memories that are sent and become durable together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    bytes: usize,
}

impl Batch {
    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.line.len();
        self.items.push(item);
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= BATCH_COUNT || self.bytes >= BATCH_BYTES
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.bytes = 0;
    }

    fn lines(&self) -> Vec<u8> {
        self.items
            .iter()
            .flat_map(|item| [item.line.as_bytes(), b"\n"])
            .flatten()
            .copied()
            .collect()
    }
}

/// Sends batches to whichever node owns the file.
pub(super) struct Sender<'a> {
    call: &'a Call,
    need: Need,
    path: String,
    session: Option<Session>,
}

impl<'a> Sender<'a> {
    pub(super) async fn attach(call: &'a Call, args: &ImportArgs) -> Result<Self, Failure> {
        let given = |asked: bool| asked.then(|| "true".to_owned());
        let query =
            [("dry_run", given(args.dry_run)), ("restore_deleted", given(args.restore_deleted))];
        let path = path_with_query("/api/import", &query);
        let need = if args.dry_run { Need::StoreOnly } else { Need::Model };
        let session = Some(call.attach(need).await?);
        Ok(Sender { call, need, path, session })
    }

    /// What came of the items of the batch, in order, and why there is nothing of the rest.
    ///
    /// A node that is busy is asked again. When the owner went away, another one is found, or
    /// made of this process; what the first one had stored is there already then.
    pub(super) async fn send(&mut self, batch: &Batch) -> Result<Answer, Failure> {
        let lines = batch.lines();
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.try_send(&lines).await;
            let (Err(error) | Ok(Answer { trouble: Some(error), .. })) = &answer else {
                return answer.and_then(|answer| answer.checked(batch));
            };
            let Some(wait) = retry_after(error).filter(|_| tries < TRIES) else {
                return answer;
            };
            let node_is_there = matches!(
                error,
                Failure::Client(ClientError::Refused(_)) | Failure::BrokenOff { .. }
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.call.stop.cancelled() => return Err(interrupted()),
            }
            if !node_is_there {
                self.close().await;
            }
        }
    }

    async fn try_send(&mut self, lines: &[u8]) -> Result<Answer, Failure> {
        if self.session.is_none() {
            self.session = Some(self.call.attach(self.need).await?);
        }
        let session = self.session.as_ref().expect("attached above");
        post(&session.client, &self.path, lines).await
    }

    /// Lets go of the node.
    pub(super) async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}

/// What came of a batch.
pub(in super::super) struct Answer {
    /// Of the items, in order; fewer than there are when there was trouble.
    pub(in super::super) results: Vec<Imported>,
    /// What kept the node from going on.
    pub(in super::super) trouble: Option<Failure>,
}

impl Answer {
    fn checked(self, batch: &Batch) -> Result<Self, Failure> {
        let (answered, sent) = (self.results.len(), batch.items.len());
        if answered == sent {
            return Ok(self);
        }
        let reason = format!("{answered} results for {sent} lines");
        Err(ClientError::Unreadable { reason }.into())
    }

    /// Ends the results before the first that failed for no fault of its own: the node is in
    /// trouble, and every line after it would fail the same way.
    fn cut_at_trouble(&mut self) {
        let in_trouble = |result: &Imported| {
            let code = result.code.as_deref().unwrap_or_default();
            result.status == ImportStatus::Failed && trouble_exit(code).is_some()
        };
        let Some(first) = self.results.iter().position(in_trouble) else { return };
        let failed = self.results.swap_remove(first);
        self.results.truncate(first);
        self.trouble = Some(broken_off(failed.code, failed.detail));
    }
}

fn broken_off(code: Option<String>, detail: Option<String>) -> Failure {
    let detail = detail.unwrap_or_else(|| "the import broke off".to_owned());
    Failure::BrokenOff { code: code.unwrap_or_default(), detail }
}

/// Sends lines and reads what came of each.
pub(in super::super) async fn post(
    client: &ApiClient,
    path: &str,
    lines: &[u8],
) -> Result<Answer, Failure> {
    let payload = Payload::Lines(lines.to_vec());
    let mut lines = client.request(Method::POST, path, payload).await?.lines();
    let mut answer = Answer { results: Vec::new(), trouble: None };
    while let Some(line) = lines.next().await? {
        match super::super::find::read(line)? {
            ImportLine::Result(result) => answer.results.push(result),
            ImportLine::Summary { done: true, .. } => {}
            ImportLine::Summary { done: false, code, detail } => {
                answer.trouble = Some(broken_off(code, detail));
            }
        }
    }
    answer.cut_at_trouble();
    Ok(answer)
}

/// How long to wait before sending again; `None` when that would not help.
fn retry_after(error: &Failure) -> Option<Duration> {
    let seconds = match error {
        Failure::Client(ClientError::Unreachable { .. } | ClientError::Broken(_)) => 0,
        Failure::Client(ClientError::Refused(refusal))
            if matches!(refusal.status.as_u16(), 429 | 503) =>
        {
            refusal.retry_after_s.unwrap_or(RETRY_AFTER_S)
        }
        Failure::BrokenOff { code, .. } if trouble_exit(code) == Some(Exit::TryAgain) => {
            RETRY_AFTER_S
        }
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}
