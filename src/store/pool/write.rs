//! The thread that owns the writing connection: group commit, and work that needs it alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::super::error::StoreError;
use super::super::replication::erasure;
use super::super::replication::start::{OwnHead, own_head};
use super::super::writer::{Writer, WriterState};
use super::StoreState;
use crate::telemetry::{self, InFlight, metrics};

/// Most writes that share one commit.
const GROUP_COUNT_MAX: usize = 256;
/// Longest time that a commit waits for more writes of its group.
const GROUP_TIME_MAX: Duration = Duration::from_millis(20);
/// How often a full disk is tried again.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// How often the write-ahead log of an erasure is tried to be emptied while reads need it.
const CLEAN_UP_INTERVAL: Duration = Duration::from_secs(1);

/// One write on its way through the writer thread.
trait Job: Send {
    /// Runs inside the group's transaction; an error undoes this job alone.
    fn run(&mut self, writer: &mut Writer<'_>) -> Result<(), StoreError>;
    /// Answers the caller once the group is committed, or was not.
    fn finish(self: Box<Self>, group: Result<(), StoreError>);
}

/// Work that needs the connection for itself, outside any transaction.
type Alone = Box<dyn FnOnce(&Connection, &mut WriterState) -> Result<(), StoreError> + Send>;

/// What waits for the thread.
enum Task {
    /// A write that may share its commit with others.
    Write(Box<dyn Job>),
    /// Work that shares nothing.
    Alone(Alone),
}

struct Write<T, F> {
    work: Option<F>,
    /// Until its turn comes.
    waiting: Option<InFlight>,
    /// The span that waits for it.
    traceparent: Option<String>,
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
        self.waiting = None;
        writer.trace(self.traceparent.take());
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
pub(in super::super) struct WriterPool {
    queue: Mutex<Option<SyncSender<Task>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    state: Arc<Mutex<StoreState>>,
    committed: watch::Receiver<OwnHead>,
    changes: watch::Receiver<u64>,
}

impl WriterPool {
    /// Starts the thread.
    pub(in super::super) fn start(
        connection: Connection,
        writer: WriterState,
        queue_count_max: usize,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(queue_count_max);
        let state = Arc::new(Mutex::new(StoreState::Ok));
        let shared = Arc::clone(&state);
        let (head, committed) = watch::channel(OwnHead::default());
        let (commits, changes) = watch::channel(0);
        let thread =
            std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
                Loop { connection, writer, state: shared, head, commits }.run(&receiver)
            })?;
        Ok(WriterPool {
            queue: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            state,
            committed,
            changes,
        })
    }

    pub(in super::super) fn committed(&self) -> watch::Receiver<OwnHead> {
        self.committed.clone()
    }

    pub(in super::super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    pub(in super::super) fn state(&self) -> StoreState {
        self.state.lock().clone()
    }

    /// Takes no more writes: a read met damage, which a write could only make worse.
    pub(in super::super) fn distrust(&self, cause: &StoreError) {
        let mut state = self.state.lock();
        if *state == StoreState::Ok {
            tracing::error!(error = %cause, "the database is damaged: it takes no more writes");
            *state = StoreState::ReadOnly(cause.to_string());
        }
    }

    /// Runs `work` in a transaction and answers after the commit is on disk.
    pub(in super::super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let (waiting, traceparent) = (Some(metrics().write_waits()), telemetry::traceparent());
        let job = Box::new(Write { work: Some(work), waiting, traceparent, result: None, reply });
        self.enqueue(Task::Write(job))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` on the writing connection, outside any transaction and with no other write at
    /// the same time. What it changes must be on disk when it returns.
    pub(in super::super) async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Task::Alone(Box::new(move |connection, state| {
            let result = work(connection);
            state.forget();
            let told = result.as_ref().err().map_or(Ok(()), |error| Err(copy(error)));
            // A caller that went away needs no answer.
            let _ = reply.send(result);
            told
        })))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn enqueue(&self, task: Task) -> Result<(), StoreError> {
        match self.state() {
            StoreState::Ok => {}
            StoreState::Full => return Err(StoreError::Full),
            StoreState::ReadOnly(reason) => return Err(StoreError::ReadOnly(reason)),
        }
        let queue = self.queue.lock().clone().ok_or(StoreError::Closed)?;
        queue.try_send(task).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::QueueFull,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// Finishes what is queued, then closes the connection.
    pub(in super::super) fn close(&self) {
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
    /// Counts commits.
    commits: watch::Sender<u64>,
}

impl Loop {
    fn run(mut self, queue: &Receiver<Task>) {
        loop {
            let state = self.state.lock().clone();
            let first = if state == StoreState::Full {
                queue.recv_timeout(PROBE_INTERVAL)
            } else if self.writer.has_erased {
                queue.recv_timeout(CLEAN_UP_INTERVAL)
            } else {
                queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match (first, state) {
                // What was queued before the damage was met must not write into it either.
                (Ok(Task::Write(job)), StoreState::ReadOnly(reason)) => {
                    job.finish(Err(StoreError::ReadOnly(reason)));
                }
                // Dropping it tells the caller.
                (Ok(Task::Alone(_)), StoreState::ReadOnly(_)) => {}
                (Ok(task), _) => self.take(task, queue),
                (Err(RecvTimeoutError::Timeout), StoreState::Full) => self.probe(),
                (Err(RecvTimeoutError::Timeout), _) => self.clean_up(),
                (Err(RecvTimeoutError::Disconnected), _) => break,
            }
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the write-ahead log was not folded in at closing");
        }
    }

    fn take(&mut self, task: Task, queue: &Receiver<Task>) {
        let alone = match task {
            Task::Write(job) => self.group(job, queue),
            Task::Alone(work) => Some(work),
        };
        if let Some(work) = alone {
            let ran = catch_unwind(AssertUnwindSafe(|| work(&self.connection, &mut self.writer)));
            if let Ok(Err(error)) = ran {
                self.roll_back(&error);
            }
            self.commits.send_modify(|count| *count += 1);
        }
    }

    /// Runs the first job and those that wait behind it in one transaction, then answers all.
    /// Gives the work that waits behind them and needs the connection alone.
    fn group(&mut self, first: Box<dyn Job>, queue: &Receiver<Task>) -> Option<Alone> {
        let started = Instant::now();
        let mut done: Vec<Box<dyn Job>> = Vec::new();
        let mut outcome = self.begin();
        let (mut next, mut alone) = (Some(first), None);
        while let Some(mut job) = next.take() {
            outcome = match outcome {
                Ok(()) if done.is_empty() => self.run_first(job.as_mut()),
                Ok(()) => self.run_next(job.as_mut()),
                Err(error) => Err(error),
            };
            done.push(job);
            if outcome.is_ok() && done.len() < GROUP_COUNT_MAX && started.elapsed() < GROUP_TIME_MAX
            {
                match queue.try_recv() {
                    Ok(Task::Write(job)) => next = Some(job),
                    Ok(Task::Alone(work)) => alone = Some(work),
                    Err(_) => {}
                }
            }
        }
        self.end(outcome, done, started);
        alone
    }

    /// Commits a group, or not, and answers all of it.
    fn end(&mut self, outcome: Result<(), StoreError>, done: Vec<Box<dyn Job>>, started: Instant) {
        if let Err(error) = outcome.and_then(|()| self.commit()) {
            self.roll_back(&error);
            for job in done {
                job.finish(Err(copy(&error)));
            }
            return;
        }
        metrics().committed(done.len(), started.elapsed());
        self.commits.send_modify(|count| *count += 1);
        self.tell_head();
        // Whoever is told that a text is erased may look for it.
        self.clean_up();
        for job in done {
            job.finish(Ok(()));
        }
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

    /// After an erasure: empties the write-ahead log, as soon as no read needs it.
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

    /// The first job of a group. Nothing is before it that its failure must leave, so it needs no
    /// savepoint, for which SQLite copies every page that is written and walks the copies at the
    /// end of every statement: a quarter of the time of a batch of 500. `Err` means that the group
    /// cannot go on.
    fn run_first(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        let Err(failed) = self.run_job(job) else { return Ok(()) };
        if self.is_over(&failed) {
            return Err(failed);
        }
        self.writer.forget();
        Ok(self.connection.execute_batch("ROLLBACK; BEGIN IMMEDIATE")?)
    }

    /// Another job, in a savepoint of its own. `Err` means that the group cannot go on.
    fn run_next(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        self.connection.execute_batch("SAVEPOINT job")?;
        let Err(failed) = self.run_job(job) else {
            return Ok(self.connection.execute_batch("RELEASE job")?);
        };
        if self.is_over(&failed) {
            return Err(failed);
        }
        self.writer.forget();
        Ok(self.connection.execute_batch("ROLLBACK TO job; RELEASE job")?)
    }

    fn run_job(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        let now_ms = crate::clock::now_ms();
        let mut writer = Writer::new(&self.connection, &mut self.writer, now_ms);
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mut writer)));
        ran.unwrap_or(Err(StoreError::Closed))
    }

    /// Whether a failure ends the transaction: on a full disk and the like SQLite may have rolled
    /// back everything by itself.
    fn is_over(&self, failed: &StoreError) -> bool {
        self.connection.is_autocommit()
            || matches!(failed, StoreError::Full | StoreError::ReadOnly(_))
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
