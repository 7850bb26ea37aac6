//! The encoding of a record, for the file and for state transfers.
//!
//! Names of origins are written once and referred to by index, since most parts of a memory come
//! from few of them.

use minicbor::decode::{Decoder, Error};

use super::{Record, Register, Stamp};
use crate::cbor;
use crate::clock::Clock;
use crate::error::DecodeError;
use crate::origin::{Dot, NodeName, Origin};
use crate::part::Part;

const FORMAT: u64 = 1;

impl Record {
    /// The canonical CBOR: `[format, [[node, epoch], …], [[part, era, clock, index of the origin,
    /// oseq, value], …]]`.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(None)
    }

    /// The canonical CBOR of the record with another value for its body: for a file that keeps the
    /// text elsewhere.
    pub fn encode_with_body(&self, body: &[u8]) -> Vec<u8> {
        self.encode_with(Some(body))
    }

    fn encode_with(&self, body: Option<&[u8]>) -> Vec<u8> {
        let mut origins: Vec<&Origin> =
            self.parts.values().map(|register| &register.stamp.dot.origin).collect();
        origins.sort_unstable();
        origins.dedup();
        cbor::to_bytes(|encoder| {
            encoder.array(3)?.u64(FORMAT)?.array(origins.len() as u64)?;
            for origin in &origins {
                encoder.array(2)?.str(origin.node.as_str())?.u64(origin.epoch)?;
            }
            encoder.array(self.parts.len() as u64)?;
            for (part, Register { stamp, value }) in &self.parts {
                let index = origins.partition_point(|origin| **origin < stamp.dot.origin);
                encoder.array(6)?.str(&part.name())?;
                encoder.u64(stamp.era.as_u64())?.u64(stamp.clock.as_u64())?;
                let value = body.filter(|_| *part == Part::Body).unwrap_or(value);
                encoder.u64(index as u64)?.u64(stamp.dot.oseq)?.bytes(value)?;
            }
            Ok(())
        })
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// It has no size limit of its own, because a node must be able to read every state it can
    /// come to; memory is bounded by a small multiple of the input.
    ///
    /// # Errors
    /// Any [`DecodeError`] but `TooLarge`; `NotCanonical` also for a record not in normal form.
    pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        cbor::tuple(&mut decoder, 3)?;
        let format = decoder.u64()?;
        if format != FORMAT {
            return Err(DecodeError::UnsupportedMajor { major: format });
        }
        let mut origins = Vec::new();
        for _ in 0..cbor::array(&mut decoder)? {
            cbor::tuple(&mut decoder, 2)?;
            let node = NodeName::new(decoder.str()?)?;
            origins.push(Origin { node, epoch: decoder.u64()? });
        }
        let mut record = Record::default();
        for _ in 0..cbor::array(&mut decoder)? {
            let (part, register) = read_register(&mut decoder, &origins)?;
            record.put(part, register);
        }
        if record.encode() == bytes { Ok(record) } else { Err(DecodeError::NotCanonical) }
    }
}

fn read_register(
    decoder: &mut Decoder<'_>,
    origins: &[Origin],
) -> Result<(Part, Register), DecodeError> {
    cbor::tuple(decoder, 6)?;
    let part = Part::from_name(decoder.str()?);
    let (era, clock) = (Clock::from_u64(decoder.u64()?), Clock::from_u64(decoder.u64()?));
    let origin = usize::try_from(decoder.u64()?).ok().and_then(|index| origins.get(index));
    let origin = origin.ok_or_else(|| Error::message("index of an origin that is not there"))?;
    let dot = Dot { origin: origin.clone(), oseq: decoder.u64()? };
    let stamp = Stamp { era, clock, dot };
    let value = decoder.bytes()?;
    stamp.check()?;
    part.check(value, clock)?;
    Ok((part, Register { stamp, value: value.to_owned() }))
}
