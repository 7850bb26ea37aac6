//! What can be seen of a running node from outside: metrics, traces and logs.
//!
//! One per process, as the log is: what happens is recorded where it happens ([`metrics()`]), what
//! is so is read off the node when somebody asks ([`publish`]), spans are those of `tracing` with
//! [`SPAN`] as their target. `/metrics` and the collector get the same instruments. Knows nothing
//! of memories: labels come from short fixed lists and from the roster of nodes, never from text.

mod client;
mod export;
pub mod gauges;
mod meters;
mod metrics;
mod span;

pub use export::{Identity, LogLayer, StartError, Telemetry};
pub use gauges::{Gauge, Reading, publish};
pub use meters::{TEXT_FORMAT, text};
pub use metrics::{BUDGETS, InFlight, Metrics, metrics};
pub use span::{
    SPAN, TRACEPARENT, Traceparent, attribute, child_span, failed, is_traced, join, trace_id,
    traceparent, traceparent_of,
};
