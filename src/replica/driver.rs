//! The task that feeds the replicator.

use std::sync::Arc;
use std::time::Duration;

use memnode_cluster::replicator::Input;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{Shared, effect};
use crate::store::OwnHead;

/// How often time alone is news.
const TICK: Duration = Duration::from_millis(100);
/// Inputs that are taken in before their effects are carried out.
const ROUND_COUNT_MAX: usize = 64;

/// The reader of the stream, ended with its handle.
#[derive(Default)]
pub(super) struct StreamReader(Option<JoinHandle<()>>);

impl StreamReader {
    pub(super) fn replace(&mut self, handle: JoinHandle<()>) {
        if let Some(old) = self.0.replace(handle) {
            old.abort();
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}

/// Feeds the replicator until the node stops.
pub(super) async fn run(shared: Arc<Shared>, mut inbox: mpsc::Receiver<Input>) {
    let mut committed = shared.store.committed();
    // Whatever was written before counts as news.
    committed.mark_changed();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reader = StreamReader::default();
    let mut wake = None;
    loop {
        let input = tokio::select! {
            () = shared.shutdown.cancelled() => break,
            input = inbox.recv() => input,
            changed = committed.changed() => match changed {
                Ok(()) => {
                    let OwnHead { origin, head } = committed.borrow_and_update().clone();
                    let is_awaited = shared.is_awaited();
                    let committed = |origin| Input::Committed { origin, head, is_awaited };
                    Some(origin.map_or(Input::Tick, committed))
                }
                // The store closed: so does the node.
                Err(_) => break,
            },
            _ = tick.tick() => Some(Input::Tick),
            () = tokio::time::sleep_until(wake.unwrap_or_else(tokio::time::Instant::now)),
                if wake.is_some() => Some(Input::Tick),
        };
        let Some(input) = input else { break };
        let mut effects = Vec::new();
        wake = {
            let mut replicator = shared.replicator.lock();
            effects.extend(replicator.handle(shared.now(), input));
            for _ in 1..ROUND_COUNT_MAX {
                let Ok(input) = inbox.try_recv() else { break };
                effects.extend(replicator.handle(shared.now(), input));
            }
            replicator.wakes_at().map(|at| shared.instant(at))
        };
        for effect in effects {
            effect::carry_out(&shared, effect, &mut reader);
        }
        shared.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}
