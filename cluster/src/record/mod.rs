//! One memory as replicated state: a register for each part.

mod codec;

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::error::Invalid;
use crate::origin::{Dot, check_oseq};
use crate::part::Part;
use crate::value;
use crate::vector::truncated;

/// The name of a record: 128 bits of a hash over namespace and content hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub [u8; 16]);

impl RecordId {
    /// The id of the memory with this content hash in this namespace.
    pub fn new(namespace: &str, content_hash: &[u8; 32]) -> RecordId {
        let mut hash = Sha256::new();
        hash.update((namespace.len() as u64).to_be_bytes());
        hash.update(namespace);
        hash.update(content_hash);
        RecordId(truncated(&hash.finalize()))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// When and by whom a register was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The erase clock that the author had seen, zero as a rule.
    pub era: Clock,
    /// The clock of the op.
    pub clock: Clock,
    /// The name of the op.
    pub dot: Dot,
}

/// The value of one part and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// When and by whom.
    pub stamp: Stamp,
    /// One CBOR item, exactly as its author encoded it.
    pub value: Vec<u8>,
}

/// All replicated state of one memory, alive or dead.
///
/// It is always in normal form: every part is of the newest era and later than the last reset, so
/// equal states are equal values. An absent memory is the empty record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub(crate) parts: BTreeMap<Part, Register>,
}

impl Record {
    /// Whether the memory exists for its users: born after the last delete.
    pub fn is_live(&self) -> bool {
        self.born().is_some_and(|born| born.stamp.clock > self.reset_clock())
    }

    /// The register of the creation, if one stands.
    pub fn born(&self) -> Option<&Register> {
        self.get(&Part::Born)
    }

    /// When the memory was created, in seconds since the Unix epoch.
    pub fn created_at(&self) -> Option<f64> {
        self.born().and_then(|born| value::read_f64(&born.value))
    }

    /// The text.
    pub fn content(&self) -> Option<&str> {
        self.get(&Part::Body).and_then(|body| value::read_text(&body.value))
    }

    /// The memory type, if it has one.
    pub fn memory_type(&self) -> Option<&str> {
        let register = self.get(&Part::MemoryType)?;
        value::read_text_or_null(&register.value).flatten()
    }

    /// When the memory was last changed, in seconds since the Unix epoch.
    pub fn updated_at(&self) -> Option<f64> {
        self.get(&Part::UpdatedAt).and_then(|updated| value::read_f64(&updated.value))
    }

    /// The tags that are present, sorted.
    pub fn tags(&self) -> Vec<&str> {
        let mut tags = Vec::new();
        for (part, register) in &self.parts {
            if let Part::Tag(tag) = part
                && value::read_bool(&register.value) == Some(true)
            {
                tags.push(tag.as_str());
            }
        }
        tags
    }

    /// The metadata keys that are present, with their serialised JSON.
    pub fn metadata(&self) -> BTreeMap<&str, &str> {
        let mut metadata = BTreeMap::new();
        for (part, register) in &self.parts {
            if let Part::Metadata(key) = part
                && let Some(Some(json)) = value::read_text_or_null(&register.value)
            {
                metadata.insert(key.as_str(), json);
            }
        }
        metadata
    }

    /// The newest clock of anything in the record, zero when it is empty.
    ///
    /// A local write must be later than this: see [`LocalClock::draw`](crate::LocalClock::draw).
    pub fn newest_clock(&self) -> Clock {
        self.parts.values().map(|register| register.stamp.clock).max().unwrap_or_default()
    }

    /// The newest erase clock that the record knows of, zero as a rule: the era of a local write.
    ///
    /// A write that saw an erasure may arrive before the erasure itself; its era counts.
    pub fn era(&self) -> Clock {
        let erased = self.get(&Part::Erased).map_or(Clock::ZERO, |erased| erased.stamp.clock);
        let others = self.parts.iter().find(|(part, _)| **part != Part::Erased);
        others.map_or(erased, |(_, register)| erased.max(register.stamp.era))
    }

    /// The clock up to which everything is gone, zero when nothing was ever deleted.
    pub fn reset_clock(&self) -> Clock {
        self.get(&Part::Reset).map_or(Clock::ZERO, Register::reset_clock)
    }

    /// The register of one part.
    pub fn get(&self, part: &Part) -> Option<&Register> {
        self.parts.get(part)
    }

    /// Every part, by name.
    pub fn parts(&self) -> btree_map::Iter<'_, Part, Register> {
        self.parts.iter()
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// 128 bits over the id and all replicated state, the same on every node and in every
    /// version.
    pub fn state_hash(&self, id: &RecordId) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(id.0);
        for (part, register) in &self.parts {
            let Stamp { era, clock, dot } = &register.stamp;
            update_sized(&mut hash, part.name().as_bytes());
            update_sized(&mut hash, dot.origin.node.as_str().as_bytes());
            for number in [era.as_u64(), clock.as_u64(), dot.origin.epoch, dot.oseq] {
                hash.update(number.to_be_bytes());
            }
            update_sized(&mut hash, &register.value);
        }
        truncated(&hash.finalize())
    }
}

impl FromIterator<(Part, Register)> for Record {
    /// Joins registers, in whatever order, into a record in normal form.
    fn from_iter<I: IntoIterator<Item = (Part, Register)>>(parts: I) -> Record {
        let mut record = Record::default();
        for (part, register) in parts {
            record.put(part, register);
        }
        record
    }
}

impl Stamp {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if !self.clock.is_valid() {
            return Err(Invalid::Clock(self.clock.as_u64()));
        }
        if self.era >= self.clock {
            return Err(Invalid::Era);
        }
        check_oseq(self.dot.oseq)
    }
}

impl Register {
    /// The clock in a reset; a value that is none resets nothing.
    pub(crate) fn reset_clock(&self) -> Clock {
        value::read_clock(&self.value).unwrap_or(Clock::ZERO)
    }
}

fn update_sized(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests;
