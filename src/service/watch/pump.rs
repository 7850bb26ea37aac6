//! The one task that turns the change log, and the time, into events.

use std::sync::Arc;
use std::time::Duration;

use memnode_cluster::Vector;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{Span, info_span};

use super::super::Service;
use super::feed;
use super::health::Health;
use crate::Result;
use crate::events::{Event, Hub, Notice, Replay};
use crate::memory::{Change, EventId};
use crate::store::{FeedHead, FeedPage};
use crate::telemetry::{self, metrics};

/// Rows of the log that are read at a time.
const PAGE_COUNT: usize = 500;
/// How often the health is looked at, and a failed read is tried again.
const TICK: Duration = Duration::from_secs(1);
/// How often a line keeps connections open.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

/// Reads the log once for all subscribers.
pub(super) struct Pump {
    service: Service,
    hub: Arc<Hub>,
    run: u64,
    /// The last row that was told.
    n: u64,
    /// What was applied at the end of the log when that was read last.
    seen: Vector,
    /// Whether the last page was not the end of the log: then `seen` is older than `n`.
    is_within: bool,
    /// When memories came last that the log does not tell of.
    gap_at: Option<f64>,
    health: Health,
}

impl Pump {
    pub(super) async fn new(service: Service, hub: Arc<Hub>, run: u64, head: FeedHead) -> Self {
        let health = Health::of(&service).await;
        let FeedHead { n, seen, gap_at } = head;
        Pump { service, hub, run, n, seen, is_within: false, gap_at, health }
    }

    /// Runs for as long as the node does.
    pub(super) async fn run(mut self, mut commits: watch::Receiver<u64>) {
        let shutdown = self.service.parts.shutdown.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = Due::new(&self.service);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = commits.changed() => if changed.is_err() { break },
                _ = tick.tick() => self.look_around(&mut due).await,
            }
            if let Err(error) = self.tell_changes().await {
                tracing::debug!(%error, "changes wait to be told");
            }
        }
        self.hub.close();
    }

    /// Tells everything that is in the log and was not told.
    async fn tell_changes(&mut self) -> Result<()> {
        loop {
            let (after, now) = (self.n, crate::clock::now_seconds());
            let seen = (!self.is_within).then(|| self.seen.clone());
            let page = self
                .service
                .read(move |reader| reader.feed_page(after, seen, PAGE_COUNT, now))
                .await?;
            let is_end = page.is_end;
            self.tell(page, now);
            if is_end {
                return Ok(());
            }
        }
    }

    /// Every event but the last says what was seen before all of them: who got only some of them
    /// is told the others again. The place in this log is exact for each.
    fn tell(&mut self, page: FeedPage, now: f64) {
        let FeedPage { changes, is_end, seen, gap_at } = page;
        if gap_at != self.gap_at {
            self.gap_at = gap_at;
            metrics().event_reset();
            let reset = feed::greeting(&self.service, Replay::Reset, None);
            self.hub.publish(vec![reset]);
        }
        self.is_within = !is_end;
        let Some(last) = changes.last().map(|change| change.n) else { return };
        self.n = last;
        let before =
            if is_end { std::mem::replace(&mut self.seen, seen) } else { self.seen.clone() };
        let mut id = EventId { run: self.run, n: 0, at_s: now as u64, seen: before };
        let spans: Vec<Span> = changes.iter().filter_map(|change| self.span(change)).collect();
        let events = changes.into_iter().map(|change: Change| {
            id.n = change.n;
            if is_end && change.n == last {
                id.seen = self.seen.clone();
            }
            Event::of_change(change, id.to_string())
        });
        let events: Vec<Event> = events.collect();
        metrics().told(events.len());
        self.hub.publish(events);
        drop(spans);
    }

    /// The span of telling a change that belongs to a trace, for as long as it is held.
    fn span(&self, change: &Change) -> Option<Span> {
        let traceparent = self.service.parts.store.traceparent_of(&change.dot)?;
        let span = info_span!(
            target: telemetry::SPAN,
            parent: None,
            "send events",
            otel.kind = "producer",
            messaging.operation.type = "send",
            messaging.destination.name = "events",
            memnode.subscriber_count = self.hub.subscriber_count(),
        );
        telemetry::join(&span, &traceparent);
        span.in_scope(|| {});
        Some(span)
    }

    async fn look_around(&mut self, due: &mut Due) {
        let mut events = Vec::new();
        let now = crate::clock::now_seconds();
        for notice in self.health.news(&self.service).await {
            events.push(Event::of_notice(&notice, now));
        }
        let at = Instant::now();
        if due.heartbeat <= at {
            due.heartbeat = at + self.service.parts.events.heartbeat;
            let beat = Notice::Heartbeat {
                active_connections: self.hub.subscriber_count(),
                server_status: self.health.status(),
            };
            events.push(Event::of_notice(&beat, now));
        }
        if due.comment <= at {
            due.comment = at + COMMENT_INTERVAL;
            events.push(Event::comment());
        }
        self.hub.publish(events);
    }
}

/// When the next of each is due.
struct Due {
    heartbeat: Instant,
    comment: Instant,
}

impl Due {
    fn new(service: &Service) -> Self {
        let now = Instant::now();
        Due { heartbeat: now + service.parts.events.heartbeat, comment: now + COMMENT_INTERVAL }
    }
}
