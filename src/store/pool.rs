//! The threads that own the connections: one writer with group commit, several readers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::error::StoreError;
use super::open::open_reader;
use super::reader::Reader;
use super::replication::erasure;
use super::replication::start::{OwnHead, own_head};
use super::writer::{Writer, WriterState};

/// Most writes that share one commit.
const GROUP_COUNT_MAX: usize = 256;
/// Longest time that a commit waits for more writes of its group.
const GROUP_TIME_MAX: Duration = Duration::from_millis(20);
/// How often a full disk is tried again.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// Reads that may wait for a free reader.
const READ_QUEUE_COUNT_MAX: usize = 1024;
/// SQLite instructions between two looks at a read's deadline.
const DEADLINE_CHECK_INSTRUCTIONS: i32 = 10_000;

/// Whether the file takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It does.
    Ok,
    /// The disk is full; tried again every ten seconds.
    Full,
    /// Damage or an IO error: reads only, until a restart.
    ReadOnly(String),
}

/// One write on its way through the writer thread.
trait Job: Send {
    /// Runs inside the group's transaction; an error undoes this job alone.
    fn run(&mut self, writer: &mut Writer<'_>) -> Result<(), StoreError>;
    /// Answers the caller once the group is committed, or was not.
    fn finish(self: Box<Self>, group: Result<(), StoreError>);
}

struct Write<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: FnOnce(&mut Writer<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, writer: &mut Writer<'_>) -> Result<(), StoreError> {
        let work = self.work.take().expect("a job runs once");
        match work(writer) {
            Ok(value) => {
                self.result = Some(Ok(value));
                Ok(())
            }
            Err(error) => {
                let group = copy(&error);
                self.result = Some(Err(error));
                Err(group)
            }
        }
    }

    fn finish(self: Box<Self>, group: Result<(), StoreError>) {
        let answer = match (group, self.result) {
            (Err(error), Some(Ok(_)) | None) => Err(error),
            (_, Some(result)) => result,
            (Ok(()), None) => Err(StoreError::Closed),
        };
        // A caller that went away needs no answer; its write is durable all the same.
        let _ = self.reply.send(answer);
    }
}

/// An error to tell several callers; only what matters to them is kept.
fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full => StoreError::Full,
        StoreError::Deadline => StoreError::Deadline,
        error if error.is_fatal() => StoreError::ReadOnly(error.to_string()),
        StoreError::ReadOnly(reason) => StoreError::ReadOnly(reason.clone()),
        other => StoreError::Refused(crate::Error::internal("the write failed", other.to_string())),
    }
}

/// The writer thread's handle.
pub(super) struct WriterPool {
    queue: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    state: Arc<Mutex<StoreState>>,
    committed: watch::Receiver<OwnHead>,
}

impl WriterPool {
    /// Starts the thread.
    pub(super) fn start(
        connection: Connection,
        writer: WriterState,
        queue_count_max: usize,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(queue_count_max);
        let state = Arc::new(Mutex::new(StoreState::Ok));
        let shared = Arc::clone(&state);
        let (head, committed) = watch::channel(OwnHead::default());
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Loop { connection, writer, state: shared, head }.run(&receiver))?;
        Ok(WriterPool {
            queue: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            state,
            committed,
        })
    }

    pub(super) fn committed(&self) -> watch::Receiver<OwnHead> {
        self.committed.clone()
    }

    pub(super) fn state(&self) -> StoreState {
        self.state.lock().clone()
    }

    /// Takes no more writes: a read met damage, which a write could only make worse.
    pub(super) fn distrust(&self, cause: &StoreError) {
        let mut state = self.state.lock();
        if *state == StoreState::Ok {
            tracing::error!(error = %cause, "the database is damaged: it takes no more writes");
            *state = StoreState::ReadOnly(cause.to_string());
        }
    }

    /// Runs `work` in a transaction and answers after the commit is on disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.state() {
            StoreState::Ok => {}
            StoreState::Full => return Err(StoreError::Full),
            StoreState::ReadOnly(reason) => return Err(StoreError::ReadOnly(reason)),
        }
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { work: Some(work), result: None, reply });
        let queue = self.queue.lock().clone().ok_or(StoreError::Closed)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::QueueFull,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        drop(queue);
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Finishes what is queued, then closes the connection.
    pub(super) fn close(&self) {
        self.queue.lock().take();
        if let Some(thread) = self.thread.lock().take() {
            // The thread answers panics itself, so there is nothing more to learn from joining.
            let _ = thread.join();
        }
    }
}

/// What the writer thread owns.
struct Loop {
    connection: Connection,
    writer: WriterState,
    state: Arc<Mutex<StoreState>>,
    head: watch::Sender<OwnHead>,
}

impl Loop {
    fn run(mut self, queue: &Receiver<Box<dyn Job>>) {
        loop {
            let state = self.state.lock().clone();
            let first = if state == StoreState::Full {
                queue.recv_timeout(PROBE_INTERVAL)
            } else {
                queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match (first, state) {
                // What was queued before the damage was met must not write into it either.
                (Ok(job), StoreState::ReadOnly(reason)) => {
                    job.finish(Err(StoreError::ReadOnly(reason)));
                }
                (Ok(job), _) => self.group(job, queue),
                (Err(RecvTimeoutError::Timeout), _) => self.probe(),
                (Err(RecvTimeoutError::Disconnected), _) => break,
            }
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the write-ahead log was not folded in at closing");
        }
    }

    /// Runs the first job and those that wait behind it in one transaction, then answers all.
    fn group(&mut self, first: Box<dyn Job>, queue: &Receiver<Box<dyn Job>>) {
        let started = Instant::now();
        let mut done: Vec<Box<dyn Job>> = Vec::new();
        let mut outcome = self.begin();
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            if outcome.is_ok() {
                outcome = self.run_one(job.as_mut());
            }
            done.push(job);
            if outcome.is_ok() && done.len() < GROUP_COUNT_MAX && started.elapsed() < GROUP_TIME_MAX
            {
                next = queue.try_recv().ok();
            }
        }
        if let Err(error) = outcome.and_then(|()| self.commit()) {
            self.roll_back(&error);
            for job in done {
                job.finish(Err(copy(&error)));
            }
            return;
        }
        self.tell_head();
        for job in done {
            job.finish(Ok(()));
        }
        self.clean_up();
    }

    /// Tells how far own writes go now.
    fn tell_head(&mut self) {
        if !self.writer.take_drawn() {
            return;
        }
        match own_head(&self.connection, &self.writer) {
            Ok(head) => {
                self.head.send_replace(head);
            }
            Err(error) => tracing::warn!(%error, "the number of the last write is not known"),
        }
    }

    /// After an erasure: empties the write-ahead log, now or after a later commit.
    fn clean_up(&mut self) {
        if self.writer.has_erased {
            match erasure::after(&self.connection) {
                Ok(is_empty) => self.writer.has_erased = !is_empty,
                Err(error) => tracing::warn!(%error, "the write-ahead log was not emptied"),
            }
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    /// One job in its savepoint. `Err` means that the whole group cannot go on.
    fn run_one(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        self.connection.execute_batch("SAVEPOINT job")?;
        let now_ms = crate::clock::now_ms();
        let mut writer = Writer::new(&self.connection, &mut self.writer, now_ms);
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mut writer)));
        let failed = match ran {
            Ok(Ok(())) => return Ok(self.connection.execute_batch("RELEASE job")?),
            Ok(Err(error)) => error,
            Err(_) => StoreError::Closed,
        };
        // On a full disk and the like SQLite may have rolled back everything by itself.
        let is_over = self.connection.is_autocommit();
        if is_over || matches!(failed, StoreError::Full | StoreError::ReadOnly(_)) {
            return Err(failed);
        }
        self.writer.forget();
        Ok(self.connection.execute_batch("ROLLBACK TO job; RELEASE job")?)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    fn roll_back(&mut self, cause: &StoreError) {
        self.writer.forget();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
        let next = match cause {
            StoreError::Full => StoreState::Full,
            StoreError::ReadOnly(reason) => StoreState::ReadOnly(reason.clone()),
            error if error.is_fatal() => StoreState::ReadOnly(error.to_string()),
            _ => return,
        };
        let mut state = self.state.lock();
        if *state != next {
            tracing::error!(error = %cause, "the database stopped taking writes");
            *state = next;
        }
    }

    /// Writes and removes a page; success means that there is room again.
    fn probe(&mut self) {
        let probe = "BEGIN IMMEDIATE;
             INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', zeroblob(65536));
             COMMIT;
             DELETE FROM meta WHERE key = 'probe';";
        match self.connection.execute_batch(probe).map_err(StoreError::from) {
            Ok(()) => {
                tracing::info!("the disk has room again: writes resume");
                *self.state.lock() = StoreState::Ok;
            }
            Err(error) => self.roll_back(&error),
        }
    }
}

type Read = Box<dyn FnOnce(&Connection, &Mutex<Option<Instant>>) + Send>;

/// The reader threads' handle.
pub(super) struct ReaderPool {
    queue: Mutex<Option<SyncSender<Read>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Set when the pool closes: reads that still run end as if their deadline had passed.
    closing: Arc<AtomicBool>,
}

impl ReaderPool {
    /// Opens the connections and starts the threads.
    pub(super) fn start(path: &Path, count: usize) -> Result<Self, StoreError> {
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

    /// Runs `work` on a snapshot of the file, interrupted at the deadline.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let until = Instant::now() + deadline;
        let job: Read = Box::new(move |connection, limit| {
            if reply.is_closed() {
                return;
            }
            *limit.lock() = Some(until);
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
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) fn close(&self) {
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
    let limit = Arc::new(Mutex::new(None::<Instant>));
    let watched = Arc::clone(&limit);
    let interrupt = move || {
        closing.load(Ordering::Relaxed)
            || watched.lock().is_some_and(|until| Instant::now() > until)
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
