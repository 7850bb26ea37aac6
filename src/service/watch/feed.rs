//! One subscriber: takes events out of the ring, and out of the log when the ring has moved on.

use std::sync::Arc;

use tokio::sync::watch;

use super::super::Service;
use super::{Live, allowed};
use crate::auth::Principal;
use crate::events::{Cursor, Event, EventKind, Filter, Hub, Notice, Replay, Seat, Taken};
use crate::memory::EventId;
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

/// A subscriber. It holds no events: those that it did not take wait in the ring or in the log.
pub struct Feed {
    service: Service,
    hub: Arc<Hub>,
    run: u64,
    changed: watch::Receiver<()>,
    filter: Filter,
    cursor: Cursor,
    /// What it goes on with before the ring.
    behind: Option<Box<Behind>>,
    greeting: Option<Arc<Event>>,
    /// The last change that it was not told of: the id of the one before is older than it need be.
    passed_over: Option<Arc<Event>>,
    fall_count: u32,
    _seat: Seat,
}

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
pub struct News {
    /// At least one, unless there is an id.
    pub events: Vec<Arc<Event>>,
    /// What the subscriber has seen now, when none of the events says it.
    pub id: Option<String>,
}

impl Feed {
    pub(super) fn new(
        service: Service,
        live: &Live,
        seat: Seat,
        changed: watch::Receiver<()>,
        filter: Filter,
        replay: Replay,
        start: Start,
    ) -> Self {
        let hub = Arc::clone(&live.hub);
        let (cursor, last_id) = hub.end();
        let head = cursor.n;
        let behind = |n, id, listed| Box::new(Behind { n, id, until: head, listed });
        let (behind, cursor) = match start {
            Start::Now => (None, cursor),
            Start::After(n, id) => match hub.after(n) {
                Some(cursor) => (None, cursor),
                None => (Some(behind(n, id, None)), cursor),
            },
            Start::Missing(n, id) => (Some(behind(n, id.clone(), Some(id))), cursor),
        };
        let last_id = (replay != Replay::Resumed).then_some(last_id);
        let greeting = Some(Arc::new(greeting(&service, replay, last_id)));
        Feed {
            service,
            hub,
            run: live.run,
            changed,
            filter,
            cursor,
            behind,
            greeting,
            passed_over: None,
            fall_count: 0,
            _seat: seat,
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
        if let Some(greeting) = self.greeting.take() {
            return Some(News { events: vec![greeting], id: None });
        }
        loop {
            if self.behind.is_some() {
                match Box::pin(self.catch_up()).await {
                    Ok(Some(news)) => return Some(news),
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::debug!(%error, "a subscriber could not be told what it missed");
                        return None;
                    }
                }
            }
            self.changed.borrow_and_update();
            match self.hub.take(&mut self.cursor) {
                Taken::Closed => return None,
                Taken::Behind => self.fall_behind()?,
                Taken::Events(events) if events.is_empty() => {
                    self.fall_count = 0;
                    self.changed.changed().await.ok()?;
                }
                Taken::Events(events) => {
                    let news = self.wanted(events);
                    if !news.events.is_empty() || news.id.is_some() {
                        return Some(news);
                    }
                }
            }
        }
    }

    /// Leaves out what the filter does.
    fn wanted(&mut self, events: Vec<Arc<Event>>) -> News {
        let mut news = News { events: Vec::with_capacity(events.len()), id: None };
        for event in events {
            let is_change = event.change().is_some();
            if self.filter.matches(&event) {
                if event.kind() == EventKind::Comment {
                    // Now and then a consumer learns how far it is although nothing was for it.
                    let passed = self.passed_over.take();
                    news.id = passed.and_then(|event| event.id().map(str::to_owned));
                }
                if is_change {
                    self.passed_over = None;
                }
                news.events.push(event);
            } else if is_change {
                self.passed_over = Some(event);
            }
        }
        news
    }

    /// Goes on from the log; `None` for who falls behind again and again.
    fn fall_behind(&mut self) -> Option<()> {
        self.fall_count += 1;
        if self.fall_count > FALL_COUNT_MAX {
            metrics().event_disconnect();
            return None;
        }
        let n = self.cursor.n;
        // What it has seen is too long ago to know; the place in the log is known.
        let id = EventId { run: self.run, n, at_s: 0, seen: Default::default() };
        self.behind = Some(Box::new(Behind { n, id, until: 0, listed: None }));
        Some(())
    }

    /// Reads a page of the log, or finds the ring again.
    async fn catch_up(&mut self) -> Result<Option<News>> {
        let Some(behind) = &mut self.behind else { return Ok(None) };
        let is_passing_over = behind.listed.is_some() && behind.n < behind.until;
        if !is_passing_over && let Some(cursor) = self.hub.after(behind.n) {
            self.cursor = cursor;
            self.behind = None;
            return Ok(None);
        }
        let after = behind.n;
        let read = move |reader: &Reader<'_>| {
            let changes = reader.changes(after, PAGE_COUNT)?;
            Ok((!reader.is_cut_after(after)?).then_some(changes))
        };
        let changes = self
            .service
            .read(read)
            .await?
            .ok_or_else(|| Error::new(Code::Gone, "the log was cut").reason("event_log_cut"))?;
        behind.id.at_s = crate::clock::now_ms() / 1000;
        behind.id.run = self.run;
        let (is_end, mut events) = (changes.len() < PAGE_COUNT, Vec::new());
        for change in changes {
            behind.n = change.n;
            let is_listed = change.n <= behind.until
                && behind.listed.as_ref().is_some_and(|id| id.lists(&change.dot, change.at));
            behind.id.seen.insert(&change.dot);
            behind.id.n = change.n;
            if !is_listed {
                events.push(Arc::new(Event::of_change(change, behind.id.to_string())));
            }
        }
        if is_end {
            behind.listed = None;
        }
        let news = self.wanted(events);
        Ok((!news.events.is_empty()).then_some(news))
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
