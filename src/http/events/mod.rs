//! What happens, as it happens: server-sent events, WebSockets, and tickets for callers without
//! headers.

mod socket;
mod sse;
mod ticket;
mod watcher;

pub use socket::*;
pub use sse::*;
pub use ticket::*;
