//! What the black-box tests share: real processes, a plain HTTP client, waiting on conditions.
#![allow(dead_code, reason = "every test module uses a part of it")]

pub mod browser;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod collector;
pub mod damage;
pub mod disk;
pub mod embedder;
pub mod events;
pub mod history;
pub mod https;
pub mod nats;
pub mod node;
pub mod prometheus;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod rest;
pub mod socket;
pub mod stream;
pub mod trial;
pub mod window;
pub mod writers;

use std::time::{Duration, Instant};

/// How long a condition may take to come true on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value.
///
/// # Panics
/// When it does not within [`DEADLINE`], naming `what`.
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, INTERVAL, condition)
        .unwrap_or_else(|| panic!("{what}: not within {DEADLINE:?}"))
}

/// Looks at a condition this often until it gives a value; `None` when it does not in time.
pub fn within<T>(
    deadline: Duration,
    interval: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Option<T> {
    let until = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::park_timeout(interval);
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
