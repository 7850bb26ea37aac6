//! Fan-out of what happens on this node: one ring of events, made once, that all subscribers
//! share. Knows neither files nor transports: whoever reads the change log fills the ring, and
//! subscribers copy references out of it at their own pace.

mod event;
mod filter;
mod notice;
mod ring;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::watch;

pub use event::{Event, EventKind};
pub use filter::{Filter, TAG_COUNT_MAX};
pub use notice::{Notice, Replay};

use ring::Ring;

/// Events that one look into the ring gives.
const TAKE_COUNT_MAX: usize = 64;

/// Where a subscriber is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the next event in the ring.
    next: u64,
    /// The last row of the change log that the subscriber passed.
    pub n: u64,
}

/// What a subscriber finds.
#[derive(Debug)]
pub enum Taken {
    /// The next events; none when it has them all.
    Events(Vec<Arc<Event>>),
    /// The ring has moved on: the change log tells what came meanwhile.
    Behind,
    /// There will be no more.
    Closed,
}

/// The ring and who waits for it.
pub struct Hub {
    ring: RwLock<Ring>,
    /// Told of every change of the ring.
    changed: watch::Sender<()>,
    subscriber_count: AtomicU64,
}

/// A subscriber's place among those that are counted.
pub struct Seat(Arc<Hub>);

impl Hub {
    /// Makes an empty ring that goes on after a row of the change log; `id` says what a consumer
    /// has seen that has seen everything up to there.
    pub fn new(n: u64, id: String) -> Arc<Self> {
        Arc::new(Hub {
            ring: RwLock::new(Ring::new(n, id)),
            changed: watch::channel(()).0,
            subscriber_count: AtomicU64::new(0),
        })
    }

    /// Adds events, oldest first.
    pub fn publish(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        self.ring.write().extend(events);
        self.changed.send_replace(());
    }

    /// Ends all subscriptions.
    pub fn close(&self) {
        self.ring.write().close();
        self.changed.send_replace(());
    }

    /// Told whenever there may be news.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The end of the ring, for who wants only what comes from now on, and what a consumer has
    /// seen that has seen everything up to there.
    pub fn end(&self) -> (Cursor, String) {
        self.ring.read().end()
    }

    /// The place in the ring after a row of the change log; `None` when the ring starts later.
    pub fn after(&self, n: u64) -> Option<Cursor> {
        self.ring.read().after(n)
    }

    /// The next events for a subscriber, which moves on.
    pub fn take(&self, cursor: &mut Cursor) -> Taken {
        self.ring.read().take(cursor, TAKE_COUNT_MAX)
    }

    /// Counts a subscriber in, unless there are `max` already.
    pub fn seat(self: &Arc<Self>, max: u64) -> Option<Seat> {
        let free = |count: u64| (count < max).then_some(count + 1);
        let order = Ordering::Relaxed;
        self.subscriber_count.fetch_update(order, order, free).ok()?;
        Some(Seat(Arc::clone(self)))
    }

    /// How many subscribers there are.
    pub fn subscriber_count(&self) -> u64 {
        self.subscriber_count.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.subscriber_count.fetch_sub(1, Ordering::Relaxed);
    }
}
