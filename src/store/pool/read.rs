//! The threads that read: each owns a connection, all share one queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::error::StoreError;
use super::super::open::open_reader;
use super::super::reader::Reader;
use crate::telemetry::metrics;

/// Reads that may wait for a free reader.
const READ_QUEUE_COUNT_MAX: usize = 1024;
/// SQLite instructions between two looks at what ends a read.
const DEADLINE_CHECK_INSTRUCTIONS: i32 = 10_000;

/// When a running read is to end before it is done.
struct Limit {
    deadline: Instant,
    /// Set when nobody waits for the answer any more.
    is_abandoned: Arc<AtomicBool>,
}

impl Limit {
    fn is_over(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed) || Instant::now() > self.deadline
    }
}

/// Lives as long as somebody waits for an answer.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Read = Box<dyn FnOnce(&Connection, &Mutex<Option<Limit>>) + Send>;

/// The reader threads' handle.
pub(in super::super) struct ReaderPool {
    queue: Mutex<Option<SyncSender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Set when the pool closes: reads that still run end as if their deadline had passed.
    closing: Arc<AtomicBool>,
}

impl ReaderPool {
    /// Opens the connections and starts the threads.
    pub(in super::super) fn start(path: &Path, count: usize) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel::<Read>(READ_QUEUE_COUNT_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        let closing = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let connection = open_reader(path)?;
            let (receiver, closing) = (Arc::clone(&receiver), Arc::clone(&closing));
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || read_loop(connection, &receiver, closing))
                .map_err(|error| StoreError::Damaged(error.to_string()))?;
            threads.push(thread);
        }
        Ok(ReaderPool { queue: Mutex::new(Some(sender)), threads: Mutex::new(threads), closing })
    }

    /// Runs `work` on a snapshot of the file, interrupted at the deadline, or when the caller goes
    /// away.
    pub(in super::super) async fn read<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let queued = metrics().read_waits();
        let waiting = Waiting(Arc::default());
        let is_abandoned = Arc::clone(&waiting.0);
        let limit_of_read = Limit { deadline: Instant::now() + deadline, is_abandoned };
        let job: Read = Box::new(move |connection, limit| {
            drop(queued);
            if reply.is_closed() {
                return;
            }
            *limit.lock() = Some(limit_of_read);
            let result = in_snapshot(connection, work);
            *limit.lock() = None;
            // A caller that went away needs no answer.
            let _ = reply.send(result);
        });
        let queue = self.queue.lock().clone().ok_or(StoreError::Closed)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::QueueFull,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        drop(queue);
        let answer = answer.await;
        drop(waiting);
        answer.map_err(|_| StoreError::Closed)?
    }

    pub(in super::super) fn close(&self) {
        self.queue.lock().take();
        self.closing.store(true, Ordering::Relaxed);
        for thread in self.threads.lock().drain(..) {
            // A reader that panicked has answered `Closed` already.
            let _ = thread.join();
        }
    }
}

/// All statements of one read see the same state.
fn in_snapshot<T>(
    connection: &Connection,
    work: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.execute_batch("BEGIN")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(&Reader::new(connection))));
    if !connection.is_autocommit() {
        connection.execute_batch("COMMIT")?;
    }
    result.unwrap_or(Err(StoreError::Closed))
}

fn read_loop(mut connection: Connection, queue: &Mutex<Receiver<Read>>, closing: Arc<AtomicBool>) {
    let limit = Arc::new(Mutex::new(None::<Limit>));
    let watched = Arc::clone(&limit);
    let interrupt = move || {
        closing.load(Ordering::Relaxed) || watched.lock().as_ref().is_some_and(Limit::is_over)
    };
    if let Err(error) = connection.progress_handler(DEADLINE_CHECK_INSTRUCTIONS, Some(interrupt)) {
        tracing::error!(%error, "reads run without a deadline");
    }
    loop {
        // Waiting readers take turns holding the lock; whoever holds it gets the next read.
        let next = queue.lock().recv();
        match next {
            Ok(work) => work(&connection, &limit),
            Err(_) => return,
        }
    }
}
