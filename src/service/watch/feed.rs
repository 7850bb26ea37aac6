//! One subscriber: takes events out of the ring, and out of the log when the ring has moved on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::super::Service;
use super::allowed;
use crate::auth::Principal;
use crate::events::{Cursor, Event, EventKind, Filter, Notice, Replay, Seat, Taken};
use crate::memory::{Change, EventId};
use crate::store::Reader;
use crate::telemetry::metrics;
use crate::{Code, Error, Result};

/// Rows of the log that one subscriber reads at a time: it holds them alone until they are sent.
const PAGE_COUNT: usize = 64;
/// How often a subscriber may fall behind the ring without having had all of it in between.
const FALL_COUNT_MAX: u32 = 8;

/// Where a subscriber starts.
pub(super) enum Start {
    /// With what comes now.
    Now,
    /// After this row; what was seen there is in the id.
    After(u64, EventId),
    /// After this row, without the writes that the id lists.
    Missing(u64, EventId),
}

/// A subscriber. It holds a few events at most: the others wait in the ring or in the log. There
/// may be thousands of them, all woken by each event, so this is one state and no chain of futures.
pub struct Feed {
    service: Service,
    run: u64,
    seat: Seat,
    filter: Filter,
    cursor: Cursor,
    /// What comes next.
    queue: VecDeque<News>,
    /// What it goes on with before the ring.
    behind: Option<Box<Behind>>,
    /// A page of the log that is being read.
    reading: Option<Reading>,
    /// The last change that it was not told of: the id of the one before is older than it need be.
    passed_over: Option<Arc<Event>>,
    fall_count: u32,
}

/// Changes of the log, `None` when they were cut off.
type Reading = Pin<Box<dyn Future<Output = Result<Option<Vec<Change>>>> + Send>>;

/// A subscriber that reads the log.
struct Behind {
    n: u64,
    /// What it has seen.
    id: EventId,
    /// Up to this row, what the id listed at first is passed over.
    until: u64,
    listed: Option<EventId>,
}

/// What comes next for a subscriber.
#[derive(Clone, Debug)]
pub enum News {
    /// Something happened.
    Event(Arc<Event>),
    /// The id of what the subscriber has seen now, when no event says it.
    Position(String),
}

impl Feed {
    pub(super) fn new(
        service: Service,
        run: u64,
        seat: Seat,
        filter: Filter,
        replay: Replay,
        start: Start,
    ) -> Self {
        let (cursor, last_id) = seat.hub().end();
        let head = cursor.n;
        let behind = |n, id, listed| Box::new(Behind { n, id, until: head, listed });
        let (behind, cursor) = match start {
            Start::Now => (None, cursor),
            Start::After(n, id) => match seat.hub().after(n) {
                Some(cursor) => (None, cursor),
                None => (Some(behind(n, id, None)), cursor),
            },
            Start::Missing(n, id) => (Some(behind(n, id.clone(), Some(id))), cursor),
        };
        let last_id = (replay != Replay::Resumed).then_some(last_id);
        let greeting = Arc::new(greeting(&service, replay, last_id));
        Feed {
            service,
            run,
            seat,
            filter,
            cursor,
            queue: VecDeque::from([News::Event(greeting)]),
            behind,
            reading: None,
            passed_over: None,
            fall_count: 0,
        }
    }

    /// Changes what the subscriber wants to hear of, from its next event on.
    ///
    /// # Errors
    /// `Forbidden` for namespaces that the caller may not read.
    pub fn set_filter(&mut self, who: &Principal, filter: Filter) -> Result<()> {
        self.filter = allowed(who, filter)?;
        Ok(())
    }

    /// Waits for what comes next; `None` when the node stops, or when the subscriber cannot
    /// follow: it may come back with the last id.
    pub async fn next(&mut self) -> Option<News> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for who is polled.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<News>> {
        loop {
            if let Some(news) = self.queue.pop_front() {
                return Poll::Ready(Some(news));
            }
            if self.behind.is_some() {
                if let Err(error) = ready!(self.poll_catch_up(context)) {
                    tracing::debug!(%error, "a subscriber could not be told what it missed");
                    return Poll::Ready(None);
                }
                continue;
            }
            self.seat.wait(context.waker());
            match self.seat.hub().take(&mut self.cursor) {
                Taken::Closed => return Poll::Ready(None),
                Taken::Behind => {
                    if !self.fall_behind() {
                        return Poll::Ready(None);
                    }
                }
                Taken::Events(events) if events.is_empty() => {
                    self.fall_count = 0;
                    return Poll::Pending;
                }
                Taken::Events(events) => events.into_iter().for_each(|event| self.hear(event)),
            }
        }
    }

    /// Leaves out what the filter does.
    fn hear(&mut self, event: Arc<Event>) {
        let is_change = event.change().is_some();
        if !self.filter.matches(&event) {
            if is_change {
                self.passed_over = Some(event);
            }
            return;
        }
        // Now and then a consumer learns how far it is although nothing was for it.
        let is_quiet = event.kind() == EventKind::Comment;
        let passed = if is_quiet || is_change { self.passed_over.take() } else { None };
        let id = passed.filter(|_| is_quiet).and_then(|event| event.id().map(str::to_owned));
        self.queue.push_back(News::Event(event));
        self.queue.extend(id.map(News::Position));
    }

    /// Goes on from the log; not for who falls behind again and again.
    fn fall_behind(&mut self) -> bool {
        self.fall_count += 1;
        if self.fall_count > FALL_COUNT_MAX {
            metrics().event_disconnect();
            return false;
        }
        let n = self.cursor.n;
        // What it has seen is too long ago to know; the place in the log is known.
        let id = EventId { run: self.run, n, at_s: 0, seen: Default::default() };
        self.behind = Some(Box::new(Behind { n, id, until: 0, listed: None }));
        true
    }

    /// Reads a page of the log, or finds the ring again.
    fn poll_catch_up(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(behind) = &mut self.behind else { return Poll::Ready(Ok(())) };
        let reading = match &mut self.reading {
            Some(reading) => reading,
            None => {
                let is_passing_over = behind.listed.is_some() && behind.n < behind.until;
                if !is_passing_over && let Some(cursor) = self.seat.hub().after(behind.n) {
                    self.cursor = cursor;
                    self.behind = None;
                    return Poll::Ready(Ok(()));
                }
                self.reading.insert(Box::pin(page(self.service.clone(), behind.n)))
            }
        };
        let changes = ready!(reading.as_mut().poll(context));
        self.reading = None;
        let changes = changes?
            .ok_or_else(|| Error::new(Code::Gone, "the log was cut").reason("event_log_cut"))?;
        for event in behind.pass(changes, self.run) {
            self.hear(event);
        }
        Poll::Ready(Ok(()))
    }
}

/// The changes after a row of the log, the oldest first.
async fn page(service: Service, after: u64) -> Result<Option<Vec<Change>>> {
    let read = move |reader: &Reader<'_>| {
        let changes = reader.changes(after, PAGE_COUNT)?;
        Ok((!reader.is_cut_after(after)?).then_some(changes))
    };
    Ok(service.read(read).await?)
}

impl Behind {
    /// Goes past a page of the log; gives what the subscriber has not seen.
    fn pass(&mut self, changes: Vec<Change>, run: u64) -> Vec<Arc<Event>> {
        self.id.at_s = crate::clock::now_ms() / 1000;
        self.id.run = run;
        let (is_end, mut events) = (changes.len() < PAGE_COUNT, Vec::new());
        for change in changes {
            self.n = change.n;
            let is_listed = change.n <= self.until
                && self.listed.as_ref().is_some_and(|id| id.lists(&change.dot, change.at));
            self.id.seen.insert(&change.dot);
            self.id.n = change.n;
            if !is_listed {
                events.push(Arc::new(Event::of_change(change, self.id.to_string())));
            }
        }
        if is_end {
            self.listed = None;
        }
        events
    }
}

/// The first event of a stream. With the id of the last change, a consumer that breaks off before
/// it was told of any goes on from here.
pub(super) fn greeting(service: &Service, replay: Replay, id: Option<String>) -> Event {
    let notice = Notice::ConnectionEstablished {
        connection_id: format!("{:016x}", rand::random::<u64>()),
        message: match replay {
            Replay::Fresh => "Connected",
            Replay::Resumed => "Connected: what was missed follows",
            Replay::Reset => "Connected: too much was missed to be told; read anew what you show",
        },
        heartbeat_interval: service.parts.events.heartbeat.as_secs(),
        replay: replay.into(),
    };
    Event::of_notice_with_id(&notice, crate::clock::now_seconds(), id)
}
