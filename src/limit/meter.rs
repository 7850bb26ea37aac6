//! What one request takes from the buckets of its caller.

use std::sync::Arc;
use std::time::Duration;

use super::{Budget, Caller, Exceeded, Limits, OwnRates, Standing};

/// The longest sleep before a bucket is looked at once more.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// The limits as they hold for one request.
#[derive(Clone)]
pub struct Meter {
    limits: Arc<Limits>,
    caller: Caller,
    own: OwnRates,
}

impl Meter {
    /// For a request of `caller`, who may have rates of its own.
    pub fn new(limits: Arc<Limits>, caller: Caller, own: OwnRates) -> Self {
        Meter { limits, caller, own }
    }

    /// See [`Limits::take`].
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn take(&self, budget: Budget, cost: usize) -> Result<Option<Standing>, Exceeded> {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        self.limits.take(&self.caller, &self.own, budget, cost)
    }

    /// See [`Limits::take_tool`].
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn take_tool(&self, tool: &str) -> Result<Option<Standing>, Exceeded> {
        self.limits.take_tool(&self.caller, tool)
    }

    /// Takes as soon as the bucket holds so much: for work that comes in a stream, whose sender is
    /// slowed down and not refused.
    pub async fn take_when_possible(&self, budget: Budget, cost: usize) {
        while let Err(exceeded) = self.take(budget, cost) {
            tokio::time::sleep(exceeded.retry_after.min(SLEEP_MAX)).await;
        }
    }
}
