//! What the black-box tests share: real processes, a plain HTTP client, waiting on conditions.
#![allow(dead_code, reason = "every test module uses a part of it")]

pub mod client;
pub mod embedder;
pub mod node;
pub mod python;
pub mod raw;
pub mod rest;
pub mod window;

use std::time::{Duration, Instant};

/// How long a condition may take to come true on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value.
///
/// # Panics
/// When it does not within [`DEADLINE`], naming `what`.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < until, "{what}: not within {DEADLINE:?}");
        std::thread::park_timeout(INTERVAL);
    }
}

/// Whether a test may be skipped for want of a tool: never on CI, where everything must run.
///
/// # Panics
/// On CI.
#[allow(clippy::disallowed_methods, reason = "a test may look at where it runs")]
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "on CI nothing may be skipped: {why}");
    eprintln!("skipped: {why}");
}
