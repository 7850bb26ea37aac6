//! Which threads one run of a model uses.
//!
//! A run alone spreads over the cores, for latency; runs side by side keep to one core each,
//! because splitting a small run costs a third more CPU than it does whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rten::{RunOptions, ThreadPool};

/// More threads than this gain nothing on texts of a few hundred tokens.
const WIDE_THREADS_MAX: usize = 4;

/// Below this many tokens a run is over before a second thread has woken up.
const WIDE_TOKENS_MIN: usize = 32;

/// The thread pools of one model.
pub(super) struct Cores {
    running: AtomicUsize,
    wide: Arc<ThreadPool>,
    /// Single-thread pools that no run uses now.
    narrow: Mutex<Vec<Arc<ThreadPool>>>,
}

impl Cores {
    pub(super) fn new() -> Self {
        Cores {
            running: AtomicUsize::new(0),
            wide: Arc::new(ThreadPool::with_num_threads(count().min(WIDE_THREADS_MAX))),
            narrow: Mutex::new(Vec::new()),
        }
    }

    /// Runs `work` with the options that suit `tokens` and the other runs going on now.
    pub(super) fn run<R>(&self, tokens: usize, work: impl FnOnce(RunOptions) -> R) -> R {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let _running = Running(&self.running);
        let options = RunOptions::default();
        if before == 0 && tokens >= WIDE_TOKENS_MIN {
            return work(options.with_thread_pool(Some(self.wide.clone())));
        }
        let idle = self.narrow.lock().pop();
        let pool = idle.unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let result = work(options.with_thread_pool(Some(pool.clone())));
        self.narrow.lock().push(pool);
        result
    }
}

/// How many cores this process may use.
pub(super) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Takes one from the count of runs, also when the run panics.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
