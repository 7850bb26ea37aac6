//! Messages as they travel: compressed, with a bound on what they may unpack to.

use std::io::Read;

use memnode_cluster::DecodeError;
use memnode_cluster::wire::{self, UNPACKED_BYTES_MAX};

/// The fastest level that still halves text (zstd's own default is 3).
const LEVEL: i32 = 1;

/// Encodes and compresses.
pub(super) fn pack<T: wire::Message>(message: &T) -> Vec<u8> {
    let bytes = wire::to_bytes(message);
    zstd::stream::encode_all(&bytes[..], LEVEL).expect("a vector takes every byte")
}

/// Unpacks and decodes, never more than [`UNPACKED_BYTES_MAX`].
///
/// # Errors
/// Why the bytes are no such message, in words.
pub(super) fn unpack<T: for<'b> wire::Readable<'b>>(bytes: &[u8]) -> Result<T, String> {
    let failed = |error: std::io::Error| error.to_string();
    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(failed)?;
    let mut unpacked = Vec::new();
    decoder.take(UNPACKED_BYTES_MAX as u64 + 1).read_to_end(&mut unpacked).map_err(failed)?;
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
        let bomb = zstd::stream::encode_all(&vec![0; 64 << 20][..], 19).expect("it packs");
        assert!(bomb.len() < 100_000);
        assert!(unpack::<Ask>(&bomb).is_err());
    }
}
