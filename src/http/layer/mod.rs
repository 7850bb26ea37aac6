//! Middleware: each file is one function around every request of the routes it is put on.

pub mod access;
pub mod after;
pub mod audit;
pub mod authenticate;
pub mod authorize;
pub mod client;
pub mod deadline;
pub mod drain;
pub mod limit;
pub mod problems;
pub mod trace;
