//! What happens, as it happens: server-sent events, and tickets for callers without headers.

mod sse;
mod ticket;
mod watcher;

pub use sse::*;
pub use ticket::*;
