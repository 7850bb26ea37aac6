//! How names, vectors and records stand in messages: in their own encodings, as byte strings.

use minicbor::decode::{Decode, Decoder, Error};
use minicbor::encode::{self, Encode, Encoder, Write};

use crate::cbor;
use crate::clock::Clock;
use crate::op::ClusterId;
use crate::origin::{Dot, NodeName, Origin};
use crate::record::{Record, RecordId};
use crate::vector::Vector;

type Encoded<W> = Result<(), encode::Error<<W as Write>::Error>>;

impl<C> Encode<C> for NodeName {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        encoder.str(self.as_str())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for NodeName {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        NodeName::new(decoder.str()?).map_err(Error::custom)
    }
}

impl<C> Encode<C> for Origin {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        encoder.array(2)?.str(self.node.as_str())?.u64(self.epoch)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Origin {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, Error> {
        cbor::tuple(decoder, 2)?;
        Ok(Origin { node: NodeName::decode(decoder, context)?, epoch: decoder.u64()? })
    }
}

impl<C> Encode<C> for Dot {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        encoder.array(3)?.str(self.origin.node.as_str())?;
        encoder.u64(self.origin.epoch)?.u64(self.oseq)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Dot {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, Error> {
        cbor::tuple(decoder, 3)?;
        let node = NodeName::decode(decoder, context)?;
        let origin = Origin { node, epoch: decoder.u64()? };
        let oseq = decoder.u64()?;
        crate::origin::check_oseq(oseq).map_err(Error::custom)?;
        Ok(Dot { origin, oseq })
    }
}

impl<C> Encode<C> for Vector {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        encoder.bytes(&Vector::encode(self))?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Vector {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Vector::decode(decoder.bytes()?).map_err(Error::custom)
    }
}

impl<C> Encode<C> for Record {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        encoder.bytes(&Record::encode(self))?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Record {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Record::decode(decoder.bytes()?).map_err(Error::custom)
    }
}

impl<C> Encode<C> for Clock {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        encoder.u64(self.as_u64())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Clock {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(Clock::from_u64(decoder.u64()?))
    }
}

impl<C> Encode<C> for ClusterId {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        encoder.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ClusterId {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(ClusterId(cbor::fixed(decoder)?))
    }
}

impl<C> Encode<C> for RecordId {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Encoded<W> {
        encoder.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RecordId {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(RecordId(cbor::fixed(decoder)?))
    }
}

/// Hashes of 128 bits as byte strings.
pub(super) mod hash {
    use super::*;

    /// For `#[cbor(with)]`.
    pub(crate) fn encode<C, W: Write>(
        hash: &[u8; 16],
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        encoder.bytes(hash)?.ok()
    }

    /// For `#[cbor(with)]`.
    pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<[u8; 16], Error> {
        cbor::fixed(decoder)
    }
}
