//! What handlers take: everything here is checked before a handler runs and fails as a problem.

mod ack;
mod conditional;
mod fields;
mod json;
mod namespace;
mod parameters;
mod principal;
pub mod schemas;
mod write;

pub use ack::{ACK, Ack, POSITION};
pub use conditional::{IfMatch, IfNoneMatch, etag};
pub use fields::{Tags, fraction, fraction_or_none, result_count};
pub use json::{Json, media_type, parse_any, parse_json, parse_value, read_body, refuse_codings};
pub use namespace::{Asked, NamespaceParameters, NamespacesParameters, one, set};
pub use parameters::{ANY, BucketPath, KeyPath, MemoryPath, Query, header_parameter, within};
pub use principal::authenticate_parts;
pub use write::{Once, Sender, WriteJson, once};
