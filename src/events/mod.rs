//! Fan-out of what happens on this node: one ring of events, made once, that all subscribers
//! share. Knows neither files nor transports: whoever reads the change log fills the ring, and
//! subscribers copy references out of it at their own pace.

mod event;
mod filter;
mod notice;
mod ring;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use futures::task::AtomicWaker;
use parking_lot::{Mutex, RwLock};

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
    Events(VecDeque<Arc<Event>>),
    /// The ring has moved on: the change log tells what came meanwhile.
    Behind,
    /// There will be no more.
    Closed,
}

/// The ring and who waits for it.
pub struct Hub {
    ring: RwLock<Ring>,
    seats: Mutex<Seats>,
}

/// The subscribers, each with what wakes it.
#[derive(Default)]
struct Seats {
    wakers: HashMap<u64, Arc<AtomicWaker>>,
    next: u64,
}

/// A subscriber's place among those that are counted and woken.
pub struct Seat {
    hub: Arc<Hub>,
    number: u64,
    waker: Arc<AtomicWaker>,
}

impl Hub {
    /// Makes an empty ring that goes on after a row of the change log; `id` says what a consumer
    /// has seen that has seen everything up to there.
    pub fn new(n: u64, id: String) -> Arc<Self> {
        Arc::new(Hub { ring: RwLock::new(Ring::new(n, id)), seats: Mutex::default() })
    }

    /// Adds events, oldest first.
    pub fn publish(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        self.ring.write().extend(events);
        self.wake();
    }

    /// Ends all subscriptions.
    pub fn close(&self) {
        self.ring.write().close();
        self.wake();
    }

    fn wake(&self) {
        // Not under the lock: whoever comes or goes takes it, and a waker may drop a task.
        let wakers: Vec<_> = self.seats.lock().wakers.values().cloned().collect();
        wakers.iter().for_each(|waker| waker.wake());
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

    /// Gives a subscriber a seat, unless there are `max` already.
    pub fn seat(self: &Arc<Self>, max: u64) -> Option<Seat> {
        let mut seats = self.seats.lock();
        if seats.wakers.len() as u64 >= max {
            return None;
        }
        let (number, waker) = (seats.next, Arc::<AtomicWaker>::default());
        seats.next += 1;
        seats.wakers.insert(number, Arc::clone(&waker));
        Some(Seat { hub: Arc::clone(self), number, waker })
    }

    /// How many subscribers there are.
    pub fn subscriber_count(&self) -> u64 {
        self.seats.lock().wakers.len() as u64
    }
}

impl Seat {
    /// Where the events are.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Wakes whoever waits here at the next change of the ring. To miss none, look into the ring
    /// after this.
    pub fn wait(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.seats.lock().wakers.remove(&self.number);
    }
}
