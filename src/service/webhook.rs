//! Webhooks: how they stand, and what an administrator does about what they did not take.

use super::Service;
use crate::auth::{Access, Principal};
use crate::webhook::Webhooks;
use crate::{Code, Error, Result};

/// The webhooks, and what was given up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebhookView {
    /// Each that is configured.
    pub hooks: Vec<HookView>,
    /// Changes that were not taken, the oldest first, up to a bound.
    pub dead: Vec<DeadView>,
    /// How many there are in all.
    pub dead_count: u64,
}

/// One webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct HookView {
    /// As it was configured.
    pub url: String,
    /// Changes that it took since the node started.
    pub delivered_count: u64,
    /// Rows of the change log that it has not passed yet.
    pub waiting_count: u64,
    /// Tries in a row that failed.
    pub failed_count: u32,
    /// What came of the last try, if that failed.
    pub reason: Option<String>,
}

/// A change that was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadView {
    /// Its name.
    pub id: i64,
    /// The webhook.
    pub url: String,
    /// When, in Unix seconds.
    pub at: f64,
    /// Why.
    pub reason: String,
}

impl Service {
    /// How webhooks stand.
    ///
    /// # Errors
    /// `Forbidden`; those of the file.
    pub async fn webhooks(&self, who: &Principal) -> Result<WebhookView> {
        who.require_everywhere(Access::Admin)?;
        let Some(webhooks) = &self.parts.webhooks else { return Ok(WebhookView::default()) };
        let now = crate::clock::now_seconds();
        let head = self.read(move |reader| reader.feed_head(now)).await?.n;
        let view = webhooks.view().await?;
        let hook = |(url, state): (String, crate::webhook::State)| HookView {
            url,
            delivered_count: state.delivered_count,
            waiting_count: head.saturating_sub(state.n),
            failed_count: state.failed_count,
            reason: state.reason,
        };
        let dead = view.dead.into_iter().map(|letter| DeadView {
            id: letter.id,
            url: letter.hook,
            at: letter.at,
            reason: letter.reason,
        });
        Ok(WebhookView {
            hooks: view.hooks.into_iter().map(hook).collect(),
            dead: dead.collect(),
            dead_count: view.dead_count,
        })
    }

    /// Tells again what was given up, one or the oldest ones; says how many were taken.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; those of the file.
    pub async fn retry_webhooks(&self, who: &Principal, id: Option<i64>) -> Result<u64> {
        self.admin_webhooks(who)?.retry(id).await
    }

    /// Drops what was given up, one or all; says how many.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; those of the file.
    pub async fn drop_webhooks(&self, who: &Principal, id: Option<i64>) -> Result<u64> {
        self.admin_webhooks(who)?.drop_letters(id).await
    }

    fn admin_webhooks(&self, who: &Principal) -> Result<&Webhooks> {
        who.require_everywhere(Access::Admin)?;
        self.parts.webhooks.as_ref().ok_or_else(|| {
            Error::new(Code::Conflict, "this node has no webhooks: MEMNODE_WEBHOOKS names them")
                .reason("no_webhooks")
        })
    }
}
