//! Ctrl-C and SIGTERM: the first asks to stop, the second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};

/// What was asked so far.
pub(super) struct Signals {
    interrupted: Arc<AtomicBool>,
}

impl Signals {
    /// Whether Ctrl-C was pressed.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Starts to listen. The task lives as long as the runtime.
pub(super) fn listen(runtime: &Runtime) -> Result<(CancellationToken, Signals), Failure> {
    let _entered = runtime.enter();
    let open = |kind| signal(kind).map_err(|error| Failure::io("cannot listen to signals", error));
    let (interrupt, terminate) = (open(SignalKind::interrupt())?, open(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let interrupted = Arc::new(AtomicBool::new(false));
    runtime.spawn(watch(interrupt, terminate, stop.clone(), Arc::clone(&interrupted)));
    Ok((stop, Signals { interrupted }))
}

async fn watch(
    mut interrupt: Signal,
    mut terminate: Signal,
    stop: CancellationToken,
    interrupted: Arc<AtomicBool>,
) {
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => false,
        }
    };
    interrupted.store(next().await, Ordering::Relaxed);
    stop.cancel();
    next().await;
    std::process::exit(Exit::Interrupted as i32);
}
