//! memnode: long-term memory for AI agents that you host yourself.
#![deny(unsafe_code)]

pub mod auth;
pub mod clock;
pub mod config;
pub mod embed;
pub mod error;
pub mod memory;
pub mod store;

pub use error::{Code, Error, Result};
