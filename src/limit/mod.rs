//! How much each caller may ask for. Knows callers by name or address, and no transport.
//!
//! Each caller has a bucket for each [`Budget`], filled at a steady rate (GCRA, of the crate
//! `governor`). What a request costs is what it makes the node do: a batch of 100 costs 100. One
//! that costs more than a bucket can ever hold takes the whole of it, so that it has to wait for
//! a full one and is not refused for ever. Callers are kept in a table of fixed size; when it is
//! full, the one that was heard of longest ago is forgotten.

mod bucket;
mod meter;

use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;

use crate::config::{LimitsConfig, Rate};
use crate::{Code, Error};
use bucket::Bucket;

pub use meter::Meter;

/// Bits of an IPv6 address that one site has (RFC 6177): the rest it can choose as it likes.
const IPV6_SITE_BITS: u32 = 64;

/// What is limited separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Budget {
    /// Looking at memories, lists, states.
    Reads,
    /// Storing, changing and forgetting.
    Writes,
    /// Searches.
    Searches,
    /// Event streams that are opened.
    Events,
    /// Wrong credentials.
    Failures,
}

impl Budget {
    /// All of them.
    pub const ALL: [Budget; 5] =
        [Budget::Reads, Budget::Writes, Budget::Searches, Budget::Events, Budget::Failures];

    /// The name, as in settings and header fields.
    pub fn name(self) -> &'static str {
        match self {
            Budget::Reads => "reads",
            Budget::Writes => "writes",
            Budget::Searches => "searches",
            Budget::Events => "events",
            Budget::Failures => "failures",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Whoever holds a credential of this name.
    Named(Arc<str>),
    /// Whoever calls from this address, or from this site of IPv6, without a credential.
    At(IpAddr),
}

impl Caller {
    /// The caller at an address. IPv4 written as IPv6 is IPv4; of IPv6 the site counts.
    pub fn at(address: IpAddr) -> Self {
        Caller::At(match address.to_canonical() {
            IpAddr::V6(address) => {
                let bits = address.to_bits() >> IPV6_SITE_BITS << IPV6_SITE_BITS;
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
            v4 => v4,
        })
    }
}

/// Rates of one caller that differ from the usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnRates {
    /// In place of `limits.reads`.
    pub reads: Option<Rate>,
    /// In place of `limits.writes`.
    pub writes: Option<Rate>,
    /// In place of `limits.searches`.
    pub searches: Option<Rate>,
    /// In place of `limits.events`.
    pub events: Option<Rate>,
}

impl OwnRates {
    fn of(&self, budget: Budget) -> Option<Rate> {
        match budget {
            Budget::Reads => self.reads,
            Budget::Writes => self.writes,
            Budget::Searches => self.searches,
            Budget::Events => self.events,
            Budget::Failures => None,
        }
    }
}

/// How a bucket stands after a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The budget, or the tool.
    pub name: Arc<str>,
    /// Its rate.
    pub rate: Rate,
    /// What is left at this moment.
    pub remaining: u32,
    /// After how long it is full again.
    pub full_after: Duration,
}

/// Too much was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The name of the budget, `tools` for a tool.
    pub budget: &'static str,
    /// How the bucket stands.
    pub standing: Standing,
    /// After how long the same request is let through, if nothing else is asked.
    pub retry_after: Duration,
}

impl From<&Exceeded> for Error {
    fn from(exceeded: &Exceeded) -> Self {
        let seconds = exceeded.retry_after.as_secs_f64().ceil().max(1.0);
        let Standing { name, rate, .. } = &exceeded.standing;
        let detail = format!(
            "the limit of {name} is {rate} for one caller: try again in {seconds} s, or ask \
             whoever runs the node for more"
        );
        Error::new(Code::RateLimited, detail).reason("rate_limited")
    }
}

/// What a bucket is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Purpose {
    Budget(Budget),
    Tool(Arc<str>),
}

impl Purpose {
    /// What a bucket for it is called: by itself, and among others of its kind.
    fn names(&self) -> (Arc<str>, &'static str) {
        match self {
            Purpose::Budget(budget) => (budget.name().into(), budget.name()),
            Purpose::Tool(tool) => (Arc::clone(tool), "tools"),
        }
    }
}

/// The buckets of all callers.
pub struct Limits {
    config: LimitsConfig,
    buckets: Mutex<LruCache<(Caller, Purpose), Arc<Bucket>>>,
}

impl Limits {
    /// As configured.
    pub fn new(config: LimitsConfig) -> Self {
        // One caller has a bucket for each budget that it uses.
        let count = config.caller_count_max.get().saturating_mul(Budget::ALL.len());
        let capacity = NonZeroUsize::new(count).expect("more than none");
        Limits { config, buckets: Mutex::new(LruCache::new(capacity)) }
    }

    /// The settings.
    pub fn config(&self) -> &LimitsConfig {
        &self.config
    }

    /// Takes `cost` from a budget of a caller; `None` when it has no limit. `own` are rates that
    /// the caller has in place of the usual ones.
    ///
    /// # Errors
    /// [`Exceeded`], and then nothing is taken.
    pub fn take(
        &self,
        caller: &Caller,
        own: &OwnRates,
        budget: Budget,
        cost: u32,
    ) -> Result<Option<Standing>, Exceeded> {
        let Some(rate) = own.of(budget).or_else(|| self.usual(budget)) else { return Ok(None) };
        self.bucket(caller, Purpose::Budget(budget), rate).take(cost).map(Some)
    }

    /// Takes a call of a tool; `None` when it has no limit of its own.
    ///
    /// # Errors
    /// [`Exceeded`], and then nothing is taken.
    pub fn take_tool(&self, caller: &Caller, tool: &str) -> Result<Option<Standing>, Exceeded> {
        let Some(rate) = self.config.tools.0.get(tool).copied() else { return Ok(None) };
        self.bucket(caller, Purpose::Tool(tool.into()), rate).take(1).map(Some)
    }

    /// Whether the last refusal of a bucket is over; nothing is taken.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn check(&self, caller: &Caller, budget: Budget) -> Result<(), Exceeded> {
        let Some(rate) = self.usual(budget) else { return Ok(()) };
        let known = self.buckets.lock().peek(&(caller.clone(), Purpose::Budget(budget))).cloned();
        match known.filter(|bucket| bucket.rate() == rate) {
            Some(bucket) => bucket.check(),
            None => Ok(()),
        }
    }

    /// The usual rate of a budget.
    pub fn usual(&self, budget: Budget) -> Option<Rate> {
        match budget {
            Budget::Reads => self.config.reads,
            Budget::Writes => self.config.writes,
            Budget::Searches => self.config.searches,
            Budget::Events => self.config.events,
            Budget::Failures => self.config.failures,
        }
        .rate()
    }

    /// How many buckets are kept.
    pub fn bucket_count(&self) -> usize {
        self.buckets.lock().len()
    }

    fn bucket(&self, caller: &Caller, purpose: Purpose, rate: Rate) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock();
        let (name, kind) = purpose.names();
        let key = (caller.clone(), purpose);
        match buckets.get(&key) {
            Some(bucket) if bucket.rate() == rate => Arc::clone(bucket),
            // A rate that was changed begins with a full bucket.
            _ => {
                let bucket = Arc::new(Bucket::new(name, kind, rate));
                buckets.push(key, Arc::clone(&bucket));
                bucket
            }
        }
    }
}

/// `cost` as a bucket can pay it: at most all that it ever holds.
fn payable(cost: u32, burst: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN).min(burst)
}

#[cfg(test)]
mod tests;
