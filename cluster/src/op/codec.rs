//! The encoding of an op: a CBOR map with ascending unsigned keys, the protocol version first.
//!
//! A newer minor version may add keys and parts: both are kept and sent on byte for byte. Anything
//! else that changes is a new major version, which is refused as such.

use minicbor::decode::{Decoder, Error};

use super::{
    ClusterId, EMBEDDING_DIMENSIONS_MAX, EMBEDDING_MODEL_BYTES_MAX, Embedding, OP_BYTES_MAX, Op,
    OpKind, UnknownFields, Version,
};
use crate::cbor::{self, Writer, Written};
use crate::clock::Clock;
use crate::error::{DecodeError, Invalid};
use crate::origin::{Dot, NodeName, Origin};
use crate::part::{Part, Parts};
use crate::vector::Vector;

/// Key, array, two length prefixes of at most 5 bytes, with room to spare.
const EMBEDDING_BYTES_MAX: usize = 4 * EMBEDDING_DIMENSIONS_MAX + EMBEDDING_MODEL_BYTES_MAX + 16;

/// The keys of the map. Those up to `PARTS` are always there.
mod key {
    pub(super) const VERSION: u64 = 0;
    pub(super) const CLUSTER: u64 = 1;
    pub(super) const NAMESPACE: u64 = 2;
    pub(super) const CONTENT_HASH: u64 = 3;
    pub(super) const DOT: u64 = 4;
    pub(super) const CLOCK: u64 = 5;
    pub(super) const ERA: u64 = 6;
    pub(super) const CONTEXT: u64 = 7;
    pub(super) const KIND: u64 = 8;
    pub(super) const PARTS: u64 = 9;
    pub(super) const EMBEDDING: u64 = 10;
    pub(super) const TRACEPARENT: u64 = 11;
    pub(super) const REQUIRED_COUNT: u64 = PARTS + 1;
}

impl Op {
    /// The canonical CBOR.
    ///
    /// # Errors
    /// [`Invalid`] for an op that other nodes would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, Invalid> {
        self.validate()?;
        let bytes = self.to_bytes();
        let embedding = self.embedding.as_ref();
        let stowed = embedding.map_or(0, |e| cbor::to_bytes(|encoder| e.write(encoder)).len());
        let counted = bytes.len() - stowed;
        if counted > OP_BYTES_MAX {
            return Err(Invalid::TooLarge { bytes: counted, bytes_max: OP_BYTES_MAX });
        }
        Ok(bytes)
    }

    /// Reads what [`encode`](Self::encode) wrote, on this or another node.
    ///
    /// # Errors
    /// Any [`DecodeError`]; `UnsupportedMajor` before anything but the version was looked at.
    pub fn decode(bytes: &[u8]) -> Result<Op, DecodeError> {
        cbor::check_size(bytes, OP_BYTES_MAX + EMBEDDING_BYTES_MAX)?;
        let mut decoder = Decoder::new(bytes);
        let field_count = cbor::map(&mut decoder)?;
        let version = read_version(&mut decoder)?;
        let op = read_fields(&mut decoder, version, field_count)?;
        if op.encode()? == bytes { Ok(op) } else { Err(DecodeError::NotCanonical) }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let field_count = key::REQUIRED_COUNT
            + u64::from(self.embedding.is_some())
            + u64::from(self.traceparent.is_some())
            + self.unknown.0.len() as u64;
        let mut bytes = cbor::to_bytes(|encoder| {
            encoder.map(field_count)?;
            self.write_required(encoder)?;
            self.write_optional(encoder)
        });
        for (key, value) in &self.unknown.0 {
            bytes.extend(cbor::to_bytes(|encoder| encoder.u64(*key)?.ok()));
            bytes.extend(value);
        }
        bytes
    }

    fn write_required(&self, encoder: &mut Writer<'_>) -> Written {
        let Version { major, minor } = self.version;
        let Dot { origin, oseq } = &self.dot;
        encoder.u64(key::VERSION)?.array(2)?.u64(major)?.u64(minor)?;
        encoder.u64(key::CLUSTER)?.bytes(&self.cluster.0)?;
        encoder.u64(key::NAMESPACE)?.str(&self.namespace)?;
        encoder.u64(key::CONTENT_HASH)?.bytes(&self.content_hash)?;
        encoder.u64(key::DOT)?.array(3)?.str(origin.node.as_str())?;
        encoder.u64(origin.epoch)?.u64(*oseq)?;
        encoder.u64(key::CLOCK)?.u64(self.clock.as_u64())?;
        encoder.u64(key::ERA)?.u64(self.era.as_u64())?.u64(key::CONTEXT)?;
        self.context.write(encoder)?;
        encoder.u64(key::KIND)?.u8(self.kind.code())?;
        encoder.u64(key::PARTS)?.map(self.parts.len() as u64)?;
        for (part, value) in &self.parts {
            encoder.str(&part.name())?.bytes(value)?;
        }
        Ok(())
    }

    fn write_optional(&self, encoder: &mut Writer<'_>) -> Written {
        if let Some(embedding) = &self.embedding {
            encoder.u64(key::EMBEDDING)?;
            embedding.write(encoder)?;
        }
        if let Some(traceparent) = &self.traceparent {
            encoder.u64(key::TRACEPARENT)?.str(traceparent)?;
        }
        Ok(())
    }
}

impl Embedding {
    fn write(&self, encoder: &mut Writer<'_>) -> Written {
        let bytes: Vec<u8> = self.vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        encoder.array(2)?.str(&self.model)?.bytes(&bytes)?.ok()
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Embedding, Error> {
        cbor::tuple(decoder, 2)?;
        let model = decoder.str()?.to_owned();
        let (numbers, rest) = decoder.bytes()?.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Error::message("a vector of broken numbers"));
        }
        Ok(Embedding { model, vector: numbers.iter().map(|n| f32::from_le_bytes(*n)).collect() })
    }
}

fn read_version(decoder: &mut Decoder<'_>) -> Result<Version, DecodeError> {
    expect(decoder, key::VERSION)?;
    cbor::tuple(decoder, 2)?;
    let version = Version { major: decoder.u64()?, minor: decoder.u64()? };
    if version.major != Version::CURRENT.major {
        return Err(DecodeError::UnsupportedMajor { major: version.major });
    }
    Ok(version)
}

/// Reads the fields in their canonical order; whoever calls checks what a map may hide.
fn read_fields(
    decoder: &mut Decoder<'_>,
    version: Version,
    field_count: u64,
) -> Result<Op, DecodeError> {
    expect(decoder, key::CLUSTER)?;
    let cluster = ClusterId(cbor::fixed(decoder)?);
    expect(decoder, key::NAMESPACE)?;
    let namespace = decoder.str()?.to_owned();
    expect(decoder, key::CONTENT_HASH)?;
    let content_hash = cbor::fixed(decoder)?;
    expect(decoder, key::DOT)?;
    let dot = read_dot(decoder)?;
    expect(decoder, key::CLOCK)?;
    let clock = Clock::from_u64(decoder.u64()?);
    expect(decoder, key::ERA)?;
    let era = Clock::from_u64(decoder.u64()?);
    expect(decoder, key::CONTEXT)?;
    let context = Vector::read(decoder)?;
    expect(decoder, key::KIND)?;
    let kind = OpKind::from_code(decoder.u8()?).ok_or_else(|| Error::message("kind of op"))?;
    expect(decoder, key::PARTS)?;
    let parts = read_parts(decoder)?;
    let mut op = Op {
        version,
        cluster,
        namespace,
        content_hash,
        dot,
        clock,
        era,
        context,
        kind,
        parts,
        embedding: None,
        traceparent: None,
        unknown: UnknownFields::default(),
    };
    for _ in key::REQUIRED_COUNT..field_count {
        read_optional(decoder, &mut op)?;
    }
    Ok(op)
}

fn read_optional(decoder: &mut Decoder<'_>, op: &mut Op) -> Result<(), Error> {
    match decoder.u64()? {
        key::EMBEDDING => op.embedding = Some(Embedding::read(decoder)?),
        key::TRACEPARENT => op.traceparent = Some(decoder.str()?.to_owned()),
        unknown => {
            let start = decoder.position();
            decoder.skip()?;
            let value = decoder.input()[start..decoder.position()].to_owned();
            op.unknown.0.insert(unknown, value);
        }
    }
    Ok(())
}

fn read_dot(decoder: &mut Decoder<'_>) -> Result<Dot, DecodeError> {
    cbor::tuple(decoder, 3)?;
    let node = NodeName::new(decoder.str()?)?;
    let origin = Origin { node, epoch: decoder.u64()? };
    Ok(Dot { origin, oseq: decoder.u64()? })
}

fn read_parts(decoder: &mut Decoder<'_>) -> Result<Parts, Error> {
    let mut parts = Parts::new();
    for _ in 0..cbor::map(decoder)? {
        parts.insert(Part::from_name(decoder.str()?), decoder.bytes()?.to_owned());
    }
    Ok(parts)
}

fn expect(decoder: &mut Decoder<'_>, key: u64) -> Result<(), Error> {
    if decoder.u64()? == key { Ok(()) } else { Err(Error::message("a field is missing")) }
}
