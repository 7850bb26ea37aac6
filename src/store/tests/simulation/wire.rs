//! Ops of this and of later versions as bytes.

use memnode_cluster::{Op, Version};

/// The next minor version: more parts, more fields.
pub(super) const NEXT_MINOR: Version = Version { major: 1, minor: 1 };
/// The next major version; here it differs in its number alone.
pub(super) const NEXT_MAJOR: Version = Version { major: 2, minor: 0 };

/// Where the major version stands in an op: after the head of the map, its first key and the head
/// of the pair.
const MAJOR_AT: usize = 3;
/// A field that version 1.0 does not know, and its value.
const NEWER_FIELD: [u8; 4] = [0x14, 0x82, 0x01, 0x02];

/// Encodes an op; one of the next minor version gets a field more.
pub(super) fn encode(op: &Op) -> Vec<u8> {
    let mut bytes = op.encode().unwrap();
    if op.version == NEXT_MINOR && op.unknown.is_empty() {
        assert!((0xa0..0xb7).contains(&bytes[0]), "a short map");
        bytes[0] += 1;
        bytes.extend(NEWER_FIELD);
    }
    bytes
}

/// Reads an op as a program of a major version does.
pub(super) fn decode(payload: &[u8], major: u64) -> Result<Op, String> {
    let mut known = payload.to_vec();
    let is_next = known.get(MAJOR_AT) == Some(&(NEXT_MAJOR.major as u8));
    if is_next && major == NEXT_MAJOR.major {
        known[MAJOR_AT] = Version::CURRENT.major as u8;
    }
    let mut op = Op::decode(&known).map_err(|error| error.to_string())?;
    if is_next {
        op.version = NEXT_MAJOR;
    }
    Ok(op)
}
