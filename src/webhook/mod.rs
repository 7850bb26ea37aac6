//! Tells programs that cannot hold a connection of changes: a POST a change, at least once.
//!
//! Each webhook reads the change log from where it was last, kept in the file, so a restart loses
//! nothing. Nothing is queued but places in that log: what is told is read when it is told, so an
//! erased text leaves no copy here.

mod deliver;
mod target;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::WebhookConfig;
use crate::store::{DeadLetter, Reader, Store, StoreError};
use crate::{Code, Error, Result};

use deliver::{Courier, Sender};
use target::Target;

/// How long a read of the file may take.
const READ_DEADLINE: Duration = Duration::from_secs(20);
/// Most dead letters of one answer, and of one retry.
pub const LETTER_COUNT_MAX: usize = 100;

/// What webhooks are built from.
pub struct WebhookParts {
    /// Whom to tell, and how.
    pub config: WebhookConfig,
    /// The open file.
    pub store: Arc<Store>,
    /// Where the tasks run.
    pub tasks: TaskTracker,
    /// Cancelled when the node stops.
    pub shutdown: CancellationToken,
}

/// A cheap handle on the webhooks of a node.
#[derive(Clone)]
pub struct Webhooks {
    store: Arc<Store>,
    hooks: Arc<Vec<Hook>>,
}

/// One webhook.
struct Hook {
    sender: Arc<Sender>,
    state: Arc<Mutex<State>>,
}

/// How a webhook stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The last row of the change log that it was told of, or passed over.
    pub n: u64,
    /// Changes that it took since the node started.
    pub delivered_count: u64,
    /// Tries in a row that it did not take.
    pub failed_count: u32,
    /// What came of the last try, if that failed.
    pub reason: Option<String>,
}

/// The webhooks and what they did not take.
#[derive(Clone, Debug)]
pub struct WebhookView {
    /// Each as it was configured, and how it stands.
    pub hooks: Vec<(String, State)>,
    /// What was given up, the oldest first.
    pub dead: Vec<DeadLetter>,
    /// How much that is in all.
    pub dead_count: u64,
}

impl Webhooks {
    /// Starts to tell all that are configured.
    ///
    /// # Errors
    /// `InvalidInput` for a filter or a secret that cannot be read, or no secret.
    pub fn start(parts: WebhookParts) -> Result<Webhooks> {
        let WebhookParts { config, store, tasks, shutdown } = parts;
        let secret = config.secret.as_ref().ok_or_else(|| {
            Error::invalid(
                "webhooks.urls needs webhooks.secret, with which receivers check who called: set \
                 MEMNODE_WEBHOOK_SECRET",
            )
            .reason("invalid_webhook")
        })?;
        let key = target::key(secret.expose())?;
        let mut hooks = Vec::new();
        for url in &config.urls {
            let target = Target::parse(url)?;
            let sender = Arc::new(Sender::new(target, key.clone()));
            let hook = Hook { sender, state: Arc::default() };
            let courier = Courier {
                sender: Arc::clone(&hook.sender),
                state: Arc::clone(&hook.state),
                store: Arc::clone(&store),
                try_count_max: config.try_count_max,
            };
            let stopping = shutdown.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = courier.run() => {}
                }
            });
            hooks.push(hook);
        }
        Ok(Webhooks { store, hooks: Arc::new(hooks) })
    }

    /// How they stand.
    ///
    /// # Errors
    /// Those of the file.
    pub async fn view(&self) -> Result<WebhookView> {
        let read = |reader: &Reader<'_>| reader.dead_letters(LETTER_COUNT_MAX);
        let (dead, dead_count) = self.store.read(READ_DEADLINE, read).await?;
        let view = |hook: &Hook| (hook.sender.name().to_owned(), hook.state.lock().clone());
        Ok(WebhookView { hooks: self.hooks.iter().map(view).collect(), dead, dead_count })
    }

    /// Tells again what was given up, one or the oldest ones; says how many were taken now.
    ///
    /// # Errors
    /// `NotFound` for one that is not there; those of the file.
    pub async fn retry(&self, id: Option<i64>) -> Result<u64> {
        let letters = self.view().await?.dead;
        let letters: Vec<DeadLetter> =
            letters.into_iter().filter(|letter| id.is_none_or(|id| letter.id == id)).collect();
        if letters.is_empty() && id.is_some() {
            return Err(no_letter());
        }
        let mut taken = 0;
        for letter in letters {
            if self.send_again(&letter).await? {
                self.store.write(move |writer| writer.drop_dead_letters(Some(letter.id))).await?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Drops what was given up, one or all; says how many.
    ///
    /// # Errors
    /// `NotFound` for one that is not there; those of the file.
    pub async fn drop_letters(&self, id: Option<i64>) -> Result<u64> {
        match self.store.write(move |writer| writer.drop_dead_letters(id)).await? {
            0 if id.is_some() => Err(no_letter()),
            count => Ok(count),
        }
    }

    /// Whether the letter need not be kept: it was taken, or there is nothing left to tell.
    async fn send_again(&self, letter: &DeadLetter) -> Result<bool, StoreError> {
        let n = letter.n;
        let read = move |reader: &Reader<'_>| reader.changes(n - 1, 1);
        let change = self.store.read(READ_DEADLINE, read).await?.pop();
        let Some(change) = change.filter(|change| change.n == n) else { return Ok(true) };
        let hook = self.hooks.iter().find(|hook| hook.sender.name() == letter.hook);
        let Some(hook) = hook else { return Ok(false) };
        Ok(Arc::clone(&hook.sender).send(change).await.is_ok())
    }
}

fn no_letter() -> Error {
    Error::new(Code::NotFound, "there is no such dead letter").reason("dead_letter_not_found")
}
