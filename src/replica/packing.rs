//! Messages as they travel: compressed, with a bound on what they may unpack to.

use std::cell::RefCell;

use memnode_cluster::DecodeError;
use memnode_cluster::wire::{self, UNPACKED_BYTES_MAX};
use zstd::bulk::{Compressor, Decompressor};

/// The fastest level that still halves text (zstd's own default is 3).
const LEVEL: i32 = 1;

thread_local! {
    // Making one costs more than packing a message of one write.
    static COMPRESSOR: RefCell<Compressor<'static>> =
        RefCell::new(Compressor::new(LEVEL).expect("the level exists"));
    static DECOMPRESSOR: RefCell<Decompressor<'static>> =
        RefCell::new(Decompressor::new().expect("a context without a dictionary is made"));
}

/// Encodes and compresses.
pub(super) fn pack<T: wire::Message>(message: &T) -> Vec<u8> {
    let bytes = wire::to_bytes(message);
    // In one piece, so that the tables fit the length and the length stands in the frame.
    COMPRESSOR
        .with_borrow_mut(|compressor| compressor.compress(&bytes))
        .expect("a vector takes every byte")
}

/// Unpacks and decodes, never more than [`UNPACKED_BYTES_MAX`].
///
/// # Errors
/// Why the bytes are no such message, in words.
pub(super) fn unpack<T: for<'b> wire::Readable<'b>>(bytes: &[u8]) -> Result<T, String> {
    let length = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let length = length.ok_or("it is no frame with its length")?;
    let length = usize::try_from(length).ok().filter(|length| *length <= UNPACKED_BYTES_MAX);
    let length = length.ok_or_else(|| format!("it is longer than {UNPACKED_BYTES_MAX} bytes"))?;
    let unpacked = DECOMPRESSOR
        .with_borrow_mut(|decompressor| decompressor.decompress(bytes, length))
        .map_err(|error| error.to_string())?;
    wire::from_bytes(&unpacked).map_err(|error: DecodeError| error.to_string())
}

#[cfg(test)]
mod tests {
    use memnode_cluster::ClusterId;
    use memnode_cluster::wire::{Ask, Request};

    use super::*;

    #[test]
    fn messages_survive_and_bombs_do_not_unpack() {
        let ask = Ask { cluster: ClusterId([1; 16]), request: Request::Groups };
        assert_eq!(unpack::<Ask>(&pack(&ask)), Ok(ask));
        assert!(unpack::<Ask>(b"nonsense").is_err());
        assert!(unpack::<Ask>(b"").is_err());
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], LEVEL).expect("it packs");
        assert!(bomb.len() < 100_000);
        assert!(unpack::<Ask>(&bomb).is_err());
        let endless = zstd::stream::encode_all(&[0; 100][..], LEVEL).expect("it packs");
        assert!(unpack::<Ask>(&endless).is_err(), "no length, no room is made");
    }
}
