//! Live events: who subscribes, where a subscriber goes on, and what is announced.

mod cut;
mod feed;
mod health;
mod pump;
mod search;

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::Service;
use crate::auth::{Access, Principal};
use crate::events::{Event, Filter, Hub, Notice, Replay};
use crate::memory::EventId;
use crate::store::{Reader, Resume};
use crate::telemetry::metrics;
use crate::{Code, Error, Result};

pub use feed::{Feed, News};

/// Most subscribers at a time.
const SUBSCRIBER_COUNT_MAX: u64 = 20_000;
/// Descriptors that subscribers leave to everything else.
const DESCRIPTOR_COUNT_LEFT: u64 = 256;

/// The ring of events and the run of the log that its ids name.
pub(super) struct Live {
    hub: Arc<Hub>,
    run: u64,
}

/// The events of a node, which nobody makes before somebody asks for them.
pub(super) type LiveCell = Arc<OnceCell<Live>>;

/// Cuts a filter down to what its owner may hear of.
fn allowed(who: &Principal, filter: Filter) -> Result<Filter> {
    Ok(Filter {
        namespaces: who.readable(&filter.namespaces)?,
        hears_node: who.require_everywhere(Access::Read).is_ok(),
        ..filter
    })
}

impl Service {
    /// Subscribes to events from now on, or from where `last` says. `filter.namespaces` is cut
    /// down to what the caller may read. Says how the stream begins.
    ///
    /// # Errors
    /// `Forbidden`; `Unavailable` when there are too many subscribers; those of the file.
    pub async fn watch(
        &self,
        who: &Principal,
        filter: Filter,
        last: Option<EventId>,
    ) -> Result<Feed> {
        let filter = allowed(who, filter)?;
        let live = self.live().await?;
        let seat = live.hub.seat(subscriber_count_max()).ok_or_else(|| {
            Error::new(Code::Unavailable, "too many subscribers: try again later, or elsewhere")
                .reason("too_many_subscribers")
        })?;
        let (replay, start) = match last {
            None => (Replay::Fresh, feed::Start::Now),
            Some(id) => {
                let asked = id.clone();
                match self.read(move |reader: &Reader<'_>| reader.feed_resume(&asked)).await? {
                    Resume::After(n) => (Replay::Resumed, feed::Start::After(n, id)),
                    Resume::Missing(n) => (Replay::Resumed, feed::Start::Missing(n, id)),
                    Resume::Reset => {
                        metrics().event_reset();
                        (Replay::Reset, feed::Start::Now)
                    }
                }
            }
        };
        Ok(Feed::new(self.clone(), live.run, seat, filter, replay, start))
    }

    /// Tells the subscribers of this node of something that is no change of a memory.
    pub fn announce(&self, notice: &Notice) {
        let Some(live) = self.live.get() else { return };
        if live.hub.subscriber_count() > 0 {
            live.hub.publish(vec![Event::of_notice(notice, crate::clock::now_seconds())]);
        }
    }

    /// How many subscribe, and the last row of the log that they were told of; `None` when nobody
    /// has subscribed yet.
    pub(super) fn told(&self) -> Option<(u64, u64)> {
        let live = self.live.get()?;
        Some((live.hub.subscriber_count(), live.hub.end().0.n))
    }

    /// The ring; the first who asks starts to fill it.
    async fn live(&self) -> Result<&Live> {
        self.live.get_or_try_init(|| self.start_live()).await
    }

    async fn start_live(&self) -> Result<Live> {
        let commits = self.parts.store.changes();
        let mut run = rand::random();
        if let Err(error) = self.parts.store.write(move |writer| writer.begin_feed(run)).await {
            // Without a place in the log, ids still tell what was seen.
            tracing::warn!(%error, "the file does not note that events are told");
            run = 0;
        }
        let now = crate::clock::now_seconds();
        let head = self.read(move |reader| reader.feed_head(now)).await?;
        let id = EventId { run, n: head.n, at_s: now as u64, seen: head.seen.clone() };
        let hub = Hub::new(head.n, id.to_string());
        let pump = pump::Pump::new(self.clone(), Arc::clone(&hub), run, head).await;
        self.parts.tasks.spawn(pump.run(commits));
        Ok(Live { hub, run })
    }
}

/// Each subscriber takes a descriptor, and a node without any left could not even read its file.
fn subscriber_count_max() -> u64 {
    let descriptors = crate::machine::descriptor_count_max().unwrap_or(u64::MAX);
    SUBSCRIBER_COUNT_MAX.min(descriptors.saturating_sub(DESCRIPTOR_COUNT_LEFT))
}
