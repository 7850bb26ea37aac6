//! The few rules that all encodings of this crate share.
//!
//! One value has one encoding: lengths are definite, numbers short, keys ascending. Decoders
//! prove it by encoding again, so two nodes can compare bytes instead of meanings. Nothing is
//! ever allocated by a length that was read, only by items that were there.

use std::convert::Infallible;

use minicbor::decode::{Decoder, Error};
use minicbor::encode::Encoder;

use crate::error::DecodeError;

pub(crate) type Writer<'a> = Encoder<&'a mut Vec<u8>>;
pub(crate) type Written = Result<(), minicbor::encode::Error<Infallible>>;

/// Collects what `write` encodes.
pub(crate) fn to_bytes(write: impl FnOnce(&mut Writer<'_>) -> Written) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes)).expect("a vector takes every byte");
    bytes
}

/// The length of a definite array.
pub(crate) fn array(decoder: &mut Decoder<'_>) -> Result<u64, Error> {
    decoder.array()?.ok_or_else(|| Error::message("array of indefinite length"))
}

/// The length of a definite map.
pub(crate) fn map(decoder: &mut Decoder<'_>) -> Result<u64, Error> {
    decoder.map()?.ok_or_else(|| Error::message("map of indefinite length"))
}

/// An array of exactly `len` items.
pub(crate) fn tuple(decoder: &mut Decoder<'_>, len: u64) -> Result<(), Error> {
    if array(decoder)? == len { Ok(()) } else { Err(Error::message("array of another length")) }
}

/// A byte string of exactly `N` bytes.
pub(crate) fn fixed<const N: usize>(decoder: &mut Decoder<'_>) -> Result<[u8; N], Error> {
    decoder.bytes()?.try_into().map_err(|_| Error::message("byte string of another length"))
}

/// Refuses what no node may send before looking at it.
pub(crate) fn check_size(bytes: &[u8], bytes_max: usize) -> Result<(), DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLarge { bytes: bytes.len(), bytes_max });
    }
    Ok(())
}
