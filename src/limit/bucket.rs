//! One bucket: what one caller may still ask of one budget.

use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use super::{Exceeded, Standing, payable};
use crate::config::Rate;

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// A bucket with the rate at which it fills.
pub(super) struct Bucket {
    name: Arc<str>,
    kind: &'static str,
    rate: Rate,
    limiter: Limiter,
    /// Until when the last refusal holds.
    refused_until: Mutex<Option<<DefaultClock as Clock>::Instant>>,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(name: Arc<str>, kind: &'static str, rate: Rate) -> Self {
        let limiter = RateLimiter::direct(quota(rate)).with_middleware();
        Bucket { name, kind, rate, limiter, refused_until: Mutex::default() }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes `cost`, or all that it can hold when that is less.
    pub(super) fn take(&self, cost: u32) -> Result<Standing, Exceeded> {
        let cost = payable(cost, self.rate.burst);
        let decided = self.limiter.check_n(cost).expect("no more than the burst");
        match decided {
            Ok(state) => Ok(self.standing(state.remaining_burst_capacity())),
            Err(not_until) => {
                let now = self.limiter.clock().now();
                let retry_after = not_until.wait_time_from(now);
                *self.refused_until.lock() = Some(now + retry_after.into());
                Err(Exceeded { budget: self.kind, standing: self.standing(0), retry_after })
            }
        }
    }

    /// Whether the last refusal is over.
    pub(super) fn check(&self) -> Result<(), Exceeded> {
        let Some(until) = *self.refused_until.lock() else { return Ok(()) };
        let left: Duration = until.duration_since(self.limiter.clock().now()).into();
        if left.is_zero() {
            return Ok(());
        }
        Err(Exceeded { budget: self.kind, standing: self.standing(0), retry_after: left })
    }

    fn standing(&self, remaining: u32) -> Standing {
        let missing = self.rate.burst.get().saturating_sub(remaining);
        let full_after =
            self.rate.period.mul_f64(f64::from(missing) / f64::from(self.rate.count.get()));
        Standing { name: Arc::clone(&self.name), rate: self.rate, remaining, full_after }
    }
}

/// `count` in `period`, one by one.
fn quota(rate: Rate) -> Quota {
    let nanos = rate.period.as_nanos() / u128::from(rate.count.get());
    let one = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1));
    Quota::with_period(one).expect("longer than nothing").allow_burst(rate.burst)
}
