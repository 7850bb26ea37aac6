//! Black-box tests: real processes, real files, real clients.

mod common;
mod mcp_protocol;
mod smoke;
