//! Black-box tests: real processes, real files, real clients.

mod common;
mod mcp_protocol;
mod rest_history;
mod rest_memories;
mod smoke;
