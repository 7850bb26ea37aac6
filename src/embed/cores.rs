//! Which threads one run of a model uses.
//!
//! A call alone spreads its runs over the cores, for latency. Calls side by side keep to one core
//! each: a small run that is split costs more processor time than it does whole, and threads that
//! wait for their part of it take the core from another call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rten::{RunOptions, ThreadPool};

/// More threads than this gain nothing on texts of a few hundred tokens.
const WIDE_THREADS_MAX: usize = 4;

/// The thread pools of one model.
pub(super) struct Cores {
    calls: AtomicUsize,
    wide: Arc<ThreadPool>,
    /// Single-thread pools that no call uses now.
    narrow: Mutex<Vec<Arc<ThreadPool>>>,
}

/// One call in progress.
pub(super) struct Call<'a> {
    cores: &'a Cores,
}

impl Cores {
    pub(super) fn new() -> Self {
        Cores {
            calls: AtomicUsize::new(0),
            wide: Arc::new(ThreadPool::with_num_threads(count().min(WIDE_THREADS_MAX))),
            narrow: Mutex::new(Vec::new()),
        }
    }

    /// Counts a call until the answer is dropped.
    pub(super) fn enter(&self) -> Call<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Call { cores: self }
    }
}

impl Call<'_> {
    /// Runs `work` with the options that suit the other calls of this moment.
    pub(super) fn run<R>(&self, work: impl FnOnce(RunOptions) -> R) -> R {
        let options = RunOptions::default();
        if self.cores.calls.load(Ordering::Relaxed) == 1 {
            return work(options.with_thread_pool(Some(self.cores.wide.clone())));
        }
        let idle = self.cores.narrow.lock().pop();
        let pool = idle.unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let result = work(options.with_thread_pool(Some(pool.clone())));
        self.cores.narrow.lock().push(pool);
        result
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.cores.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many cores this process may use.
pub(super) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
