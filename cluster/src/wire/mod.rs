//! What nodes say to each other beside the ops themselves.
//!
//! Messages are CBOR maps with numbered keys, so that a newer minor version may add some and an
//! older one passes over them. They are no replicated state and need no canonical form. Every
//! message names its cluster: subjects are only as unique as the names that people choose.

mod codec;
mod cut;
mod message;
mod request;

pub use cut::{Stretch, cut};
pub use message::{Ack, Batch, Heartbeat, Root};
pub use request::{
    Ask, Held, RANGE_COUNT_MAX, RECORD_PAGE_BYTES_MAX, Range, Reply, Request, SnapshotObject,
    TransferEmbedding, TransferRecord,
};

use minicbor::{Decode, Encode};

use crate::cbor;
use crate::error::DecodeError;

/// The longest message: half of what a NATS server takes by default.
pub const MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// The longest message after unpacking: many texts that resemble each other.
pub const UNPACKED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What can be sent.
pub trait Message: Encode<()> {}

impl<T: Encode<()>> Message for T {}

/// What can be read.
pub trait Readable<'b>: Decode<'b, ()> {}

impl<'b, T: Decode<'b, ()>> Readable<'b> for T {}

/// Encodes a message.
pub fn to_bytes<T: Message>(message: &T) -> Vec<u8> {
    minicbor::to_vec(message).expect("a vector takes every byte")
}

/// Reads what [`to_bytes`] wrote, in this or in another minor version.
///
/// # Errors
/// `TooLarge` beyond [`UNPACKED_BYTES_MAX`], `Malformed` for what is no such message.
pub fn from_bytes<'b, T: Readable<'b>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    cbor::check_size(bytes, UNPACKED_BYTES_MAX)?;
    Ok(minicbor::decode(bytes)?)
}

#[cfg(test)]
mod tests;
