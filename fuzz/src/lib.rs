//! The parts of the program that read texts from outside and need nothing else of it: with these
//! alone, fuzzing builds in a minute instead of ten.
#![allow(unused_imports, reason = "the rest of the program uses what is exported here")]

#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/memory/mod.rs"]
pub mod memory;

pub use error::{Code, Error, Result};
