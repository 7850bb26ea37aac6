//! The index of a node: the present snapshot, and where its making stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};

use super::kernels::Kernel;
use super::snapshot::Snapshot;

/// Where the making of the index stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Codes are read, or made of vectors: `done` of `total` batches.
    Building {
        /// Batches that are there.
        done: u64,
        /// All of them.
        total: u64,
    },
    /// Searches use it.
    Ready,
    /// It cannot be made, and why; searches look at the vectors.
    Failed(String),
}

/// The snapshot that searches use. Taking it is one count of one reference; a change puts a new one
/// in its place.
#[derive(Debug)]
pub struct Index {
    kernel: Kernel,
    core_count: usize,
    state: RwLock<State>,
    present: RwLock<Option<Arc<Snapshot>>>,
    /// Held by whoever brings the snapshot up to date, so that others wait instead of doing the
    /// same.
    updating: Mutex<()>,
    search_count: AtomicUsize,
}

/// A search that goes on; others see that its core is taken.
#[derive(Debug)]
pub struct Running<'i>(&'i Index);

impl Index {
    /// Without a snapshot, on a machine of so many cores.
    pub fn new(core_count: usize) -> Self {
        Index {
            kernel: Kernel::detect(),
            core_count,
            state: RwLock::new(State::Building { done: 0, total: 0 }),
            present: RwLock::new(None),
            updating: Mutex::new(()),
            search_count: AtomicUsize::new(0),
        }
    }

    /// The loop over codes that fits this machine.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Where its making stands.
    pub fn state(&self) -> State {
        self.state.read().clone()
    }

    /// Notes where its making stands.
    pub fn set_state(&self, state: State) {
        *self.state.write() = state;
    }

    /// The newest snapshot, if there is one.
    pub fn present(&self) -> Option<Arc<Snapshot>> {
        self.present.read().clone()
    }

    /// Waits until nobody else brings the snapshot up to date; call with nothing else held.
    pub fn update(&self) -> MutexGuard<'_, ()> {
        self.updating.lock()
    }

    /// Puts a snapshot in place of the present one, unless that is newer. A snapshot that was built
    /// anew is put there in any case.
    pub fn publish(&self, next: Arc<Snapshot>, is_rebuilt: bool) {
        let mut present = self.present.write();
        let is_newer = present.as_ref().is_none_or(|present| next.head() > present.head());
        if is_rebuilt || is_newer {
            let former = present.replace(next);
            drop(present);
            // What nobody searches any more is freed here, not while others wait.
            drop(former);
        }
    }

    /// Drops the snapshot: it is of vectors that are no more.
    pub fn forget(&self) {
        let former = self.present.write().take();
        drop(former);
    }

    /// Begins a search; says whether another core is free.
    pub fn begin(&self) -> (Running<'_>, bool) {
        let running = self.search_count.fetch_add(1, Ordering::Relaxed) + 1;
        (Running(self), running * 2 <= self.core_count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.search_count.fetch_sub(1, Ordering::Relaxed);
    }
}
