//! Black-box tests: real processes, real files, real clients.

mod common;
mod crash_power;
mod crash_trace;
mod mcp_protocol;
mod peer_client;
mod peer_file;
mod rest_access;
mod rest_batch;
mod rest_conditional;
mod rest_dedup;
mod rest_filters;
mod rest_forget;
mod rest_health;
mod rest_history;
mod rest_input;
mod rest_lists;
mod rest_load;
mod rest_memories;
mod rest_model;
mod rest_protocol;
mod rest_search;
mod rest_transfer;
mod smoke;
