//! What a write of a peer must satisfy beyond the protocol: the bounds that our own callers are
//! held to, so that everything in the file can be shown again.

use memnode_cluster::{Op, Part, Record, value};
use serde_json::Value;

use super::super::record::is_reserved;
use super::seal::{self, Seal};
use crate::memory::{
    METADATA_BYTES_MAX, Namespace, TAG_COUNT_MAX, Tag, validate_content, validate_memory_type,
    validate_metadata_value, validate_time,
};

/// Longest name of a reserved namespace.
const RESERVED_NAME_BYTES_MAX: usize = 64;

/// Why something is refused, in words.
type Checked = Result<(), String>;

/// Checks an op; `seal` proves what the cluster says of API keys.
pub(super) fn check_op(op: &Op, seal: Option<&Seal>) -> Checked {
    check_namespace(&op.namespace)?;
    if is_reserved(&op.namespace) {
        return seal::check_op(op, seal);
    }
    let present = |(part, bytes): &(&Part, &Vec<u8>)| {
        matches!(part, Part::Tag(_)) && value::read_bool(bytes) == Some(true)
    };
    let tags = op.parts.iter().filter(present).count();
    if tags > TAG_COUNT_MAX {
        return Err(format!("it adds {tags} tags; at most {TAG_COUNT_MAX} are allowed"));
    }
    check_parts(op.parts.iter().map(|(part, bytes)| (part, bytes.as_slice())))
}

/// Checks a whole record, which may have more tags and keys than one write could give it. A forged
/// API key is taken in, as both sides must end with the same, and is good for nothing.
pub(super) fn check_record(namespace: &str, record: &Record) -> Checked {
    check_namespace(namespace)?;
    if is_reserved(namespace) {
        return Ok(());
    }
    for (part, register) in record.parts() {
        check_part(part, &register.value)?;
    }
    Ok(())
}

fn check_parts<'a>(parts: impl Iterator<Item = (&'a Part, &'a [u8])>) -> Checked {
    let mut metadata_bytes = 0;
    for (part, bytes) in parts {
        check_part(part, bytes)?;
        if let Part::Metadata(key) = part {
            metadata_bytes += key.len() + bytes.len();
        }
    }
    // The service adds keys of its own to what a caller gave.
    if metadata_bytes > 2 * METADATA_BYTES_MAX {
        return Err(format!("its metadata has {metadata_bytes} bytes"));
    }
    Ok(())
}

fn check_part(part: &Part, bytes: &[u8]) -> Checked {
    match part {
        Part::Born | Part::UpdatedAt => {
            validate_time(value::read_f64(bytes).unwrap_or(f64::NAN)).map_err(|e| e.detail)
        }
        Part::Body => {
            validate_content(value::read_text(bytes).unwrap_or_default()).map_err(|e| e.detail)
        }
        Part::MemoryType => {
            let memory_type = value::read_text_or_null(bytes).flatten();
            validate_memory_type(memory_type).map_err(|e| e.detail)
        }
        Part::Tag(name) => match Tag::new(name) {
            Ok(Some(tag)) if tag.as_str() == name => Ok(()),
            Ok(_) => Err("a tag is not written as tags are".to_owned()),
            Err(error) => Err(error.detail),
        },
        Part::Metadata(key) => {
            let json = value::read_text_or_null(bytes).flatten().unwrap_or("null");
            let value: Value = serde_json::from_str(json)
                .map_err(|_| "a metadata value is not JSON".to_owned())?;
            validate_metadata_value(key, &value).map_err(|e| e.detail)
        }
        Part::Reset | Part::Erased | Part::Other(_) => Ok(()),
    }
}

fn check_namespace(name: &str) -> Checked {
    let is_name = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if is_reserved(name) {
        let is_valid = name.len() <= RESERVED_NAME_BYTES_MAX && name.bytes().all(is_name);
        return if is_valid { Ok(()) } else { Err("its namespace is not valid".to_owned()) };
    }
    name.parse::<Namespace>().map(drop).map_err(|error| error.detail)
}
