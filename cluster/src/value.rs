//! The values of parts: one CBOR item each, written here and read here.
//!
//! Replicated state is the bytes. Readers give `None` for bytes that are not exactly one item of
//! the type, so a value never means two things.

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

use crate::cbor;
use crate::clock::Clock;

/// A number of seconds.
pub fn f64(seconds: f64) -> Vec<u8> {
    cbor::to_bytes(|encoder| encoder.f64(seconds)?.ok())
}

/// A text.
pub fn text(text: &str) -> Vec<u8> {
    cbor::to_bytes(|encoder| encoder.str(text)?.ok())
}

/// Nothing: no type, or a removed key.
pub fn null() -> Vec<u8> {
    cbor::to_bytes(|encoder| encoder.null()?.ok())
}

/// Whether a tag is present.
pub fn bool(present: bool) -> Vec<u8> {
    cbor::to_bytes(|encoder| encoder.bool(present)?.ok())
}

/// A clock.
pub fn clock(clock: Clock) -> Vec<u8> {
    cbor::to_bytes(|encoder| encoder.u64(clock.as_u64())?.ok())
}

/// The number in `bytes`.
pub fn read_f64(bytes: &[u8]) -> Option<f64> {
    read(bytes, Decoder::f64)
}

/// The text in `bytes`.
pub fn read_text(bytes: &[u8]) -> Option<&str> {
    read(bytes, Decoder::str)
}

/// The text in `bytes`, or `Some(None)` for null.
pub fn read_text_or_null(bytes: &[u8]) -> Option<Option<&str>> {
    read(bytes, |decoder| match decoder.datatype()? {
        Type::Null => decoder.null().map(|()| None),
        _ => decoder.str().map(Some),
    })
}

/// The truth value in `bytes`.
pub fn read_bool(bytes: &[u8]) -> Option<bool> {
    read(bytes, Decoder::bool)
}

/// The clock in `bytes`.
pub fn read_clock(bytes: &[u8]) -> Option<Clock> {
    read(bytes, Decoder::u64).map(Clock::from_u64)
}

pub(crate) fn is_one_item(bytes: &[u8]) -> bool {
    read(bytes, Decoder::skip).is_some()
}

fn read<'b, T>(
    bytes: &'b [u8],
    item: impl FnOnce(&mut Decoder<'b>) -> Result<T, Error>,
) -> Option<T> {
    let mut decoder = Decoder::new(bytes);
    let item = item(&mut decoder).ok()?;
    (decoder.position() == bytes.len()).then_some(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_they_were_written() {
        assert_eq!(read_f64(&f64(1_795_361_184.179_767)), Some(1_795_361_184.179_767));
        assert_eq!(read_text(&text("a\0ü")), Some("a\0ü"));
        assert_eq!(read_text_or_null(&text("a")), Some(Some("a")));
        assert_eq!(read_text_or_null(&null()), Some(None));
        assert_eq!(read_bool(&bool(true)), Some(true));
        assert_eq!(read_clock(&clock(Clock::POISON)), Some(Clock::POISON));
    }

    #[test]
    fn anything_else_is_not_a_value() {
        assert_eq!(read_text(&[0x61, 0xff]), None, "not UTF-8");
        assert_eq!(read_text(&[0x7f, 0x61, b'a', 0xff]), None, "of indefinite length");
        assert_eq!(read_text(&[0x7b, 0xff, 0, 0, 0, 0, 0, 0, 0]), None, "a length that lies");
        assert_eq!(read_bool(&null()), None);
        assert_eq!(read_f64(&[]), None);
        assert_eq!(read_clock(&[0, 0]), None, "something follows");
        assert!(is_one_item(&[0x82, 0x01, 0x60]) && !is_one_item(&[0x82, 0x01]));
    }
}
