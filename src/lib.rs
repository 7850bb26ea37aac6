//! memnode: long-term memory for AI agents that you host yourself, on as many machines as you like.
#![deny(unsafe_code)]

pub mod auth;
pub mod bridge;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod embed;
pub mod error;
pub mod events;
pub mod http;
pub mod index;
pub mod ingest;
pub mod limit;
pub mod machine;
pub mod mcp;
pub mod memory;
pub mod node;
pub mod replica;
pub mod rerank;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod webhook;

pub use error::{Code, Error, Result};
