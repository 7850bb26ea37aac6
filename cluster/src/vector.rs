//! Sets of dots: what a node has applied, or what an author had seen.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;

use minicbor::decode::{Decoder, Error};
use sha2::{Digest, Sha256};

use crate::cbor::{self, Writer, Written};
use crate::error::DecodeError;
use crate::interval::IntervalSet;
use crate::origin::{Dot, NodeName, Origin};

/// The longest encoded vector that is decoded: what fits one NATS message.
pub const VECTOR_BYTES_MAX: usize = 1 << 20;

/// A set of dots: the writes that a node has applied, or that an author had seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vector {
    /// No set is empty, so that equal vectors have equal bytes.
    origins: BTreeMap<Origin, IntervalSet>,
}

impl Vector {
    /// Adds one dot and says whether it was missing.
    ///
    /// # Panics
    /// For a sequence number of 0 or beyond [`OSEQ_MAX`](crate::OSEQ_MAX).
    pub fn insert(&mut self, dot: &Dot) -> bool {
        match self.origins.get_mut(&dot.origin) {
            Some(known) => known.insert(dot.oseq),
            None => {
                self.insert_range(&dot.origin, dot.oseq, dot.oseq);
                true
            }
        }
    }

    /// Adds `lo..=hi` of one origin.
    ///
    /// # Panics
    /// Unless 1 <= `lo` <= `hi` <= [`OSEQ_MAX`](crate::OSEQ_MAX).
    pub fn insert_range(&mut self, origin: &Origin, lo: u64, hi: u64) {
        self.origins.entry(origin.clone()).or_default().insert_range(lo, hi);
    }

    /// Whether the dot is in the set.
    pub fn contains(&self, dot: &Dot) -> bool {
        self.get(&dot.origin).is_some_and(|known| known.contains(dot.oseq))
    }

    /// The numbers known of one origin.
    pub fn get(&self, origin: &Origin) -> Option<&IntervalSet> {
        self.origins.get(origin)
    }

    /// Adds all of another vector.
    pub fn join(&mut self, other: &Vector) {
        for (origin, theirs) in &other.origins {
            match self.origins.get_mut(origin) {
                Some(known) => known.join(theirs),
                None => {
                    self.origins.insert(origin.clone(), theirs.clone());
                }
            }
        }
    }

    /// The dots of this vector that the other lacks.
    pub fn subtract(&self, other: &Vector) -> Vector {
        let rest = self.origins.iter().map(|(origin, ours)| match other.get(origin) {
            Some(theirs) => (origin.clone(), ours.subtract(theirs)),
            None => (origin.clone(), ours.clone()),
        });
        Vector { origins: rest.filter(|(_, set)| !set.is_empty()).collect() }
    }

    /// Whether every dot of the other is in this vector.
    pub fn covers(&self, other: &Vector) -> bool {
        other.subtract(self).is_empty()
    }

    /// The dots that both vectors hold.
    pub fn intersect(&self, other: &Vector) -> Vector {
        let both = self.origins.iter().filter_map(|(origin, ours)| {
            let both = ours.intersect(other.get(origin)?);
            (!both.is_empty()).then(|| (origin.clone(), both))
        });
        Vector { origins: both.collect() }
    }

    /// Puts what is known of one origin in the place of what was.
    pub fn replace(&mut self, origin: &Origin, known: IntervalSet) {
        if known.is_empty() {
            self.origins.remove(origin);
        } else {
            self.origins.insert(origin.clone(), known);
        }
    }

    /// The origins after one, as many as fit into about `bytes_max` when encoded, at least one;
    /// and whether there are more.
    pub fn page(&self, after: Option<&Origin>, bytes_max: usize) -> (Vector, bool) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = Vector::default();
        let mut bytes = 0;
        for (origin, set) in self.origins.range((start, Bound::Unbounded)) {
            // Nine bytes a number at most, and the name.
            bytes += origin.node.as_str().len() + 16 + 18 * set.interval_count() as usize;
            if bytes > bytes_max && !page.is_empty() {
                return (page, true);
            }
            page.origins.insert(origin.clone(), set.clone());
        }
        (page, false)
    }

    /// How many dots there are.
    pub fn count(&self) -> u64 {
        self.origins.values().map(IntervalSet::count).sum()
    }

    /// The last origin by name and epoch.
    pub fn last_origin(&self) -> Option<&Origin> {
        self.origins.keys().next_back()
    }

    /// Whether there is no dot at all.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Every origin with its numbers, by name and epoch.
    pub fn iter(&self) -> btree_map::Iter<'_, Origin, IntervalSet> {
        self.origins.iter()
    }

    /// 128 bits that equal vectors share.
    pub fn hash(&self) -> [u8; 16] {
        truncated(Sha256::digest(self.encode()).as_slice())
    }

    /// The canonical CBOR: an array of `[node, epoch, lo, hi, lo, hi, …]`, ascending.
    pub fn encode(&self) -> Vec<u8> {
        cbor::to_bytes(|encoder| self.write(encoder))
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// Any [`DecodeError`] but `UnsupportedMajor` and `Invalid`.
    pub fn decode(bytes: &[u8]) -> Result<Vector, DecodeError> {
        cbor::check_size(bytes, VECTOR_BYTES_MAX)?;
        let vector = Vector::read(&mut Decoder::new(bytes))?;
        if vector.encode() == bytes { Ok(vector) } else { Err(DecodeError::NotCanonical) }
    }

    pub(crate) fn write(&self, encoder: &mut Writer<'_>) -> Written {
        encoder.array(self.origins.len() as u64)?;
        for (origin, set) in &self.origins {
            encoder.array(2 + 2 * set.interval_count())?;
            encoder.str(origin.node.as_str())?.u64(origin.epoch)?;
            set.write(encoder)?;
        }
        Ok(())
    }

    /// Reads a vector in any order of its items; whoever calls checks that it was canonical.
    pub(crate) fn read(decoder: &mut Decoder<'_>) -> Result<Vector, DecodeError> {
        let mut origins = BTreeMap::new();
        for _ in 0..cbor::array(decoder)? {
            let len = cbor::array(decoder)?;
            if len < 4 || len % 2 == 1 {
                return Err(Error::message("an origin without whole intervals").into());
            }
            let node = NodeName::new(decoder.str()?)?;
            let origin = Origin { node, epoch: decoder.u64()? };
            origins.insert(origin, IntervalSet::read(decoder, len / 2 - 1)?);
        }
        Ok(Vector { origins })
    }
}

impl FromIterator<Dot> for Vector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Vector {
        let mut vector = Vector::default();
        for dot in dots {
            vector.insert(&dot);
        }
        vector
    }
}

pub(crate) fn truncated(hash: &[u8]) -> [u8; 16] {
    *hash.first_chunk().expect("a SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::origin::OSEQ_MAX;
    use crate::testing::{any_dot, any_vector, dot, origin};

    fn check_refused(write: impl FnOnce(&mut Writer<'_>) -> Written) {
        let bytes = cbor::to_bytes(write);
        assert!(Vector::decode(&bytes).is_err(), "{bytes:02x?}");
    }

    #[test]
    fn it_knows_what_the_other_lacks() {
        let mut ours = Vector::from_iter([dot("a", 1), dot("a", 2), dot("b", 1)]);
        let theirs = Vector::from_iter([dot("a", 1), dot("c", 7)]);
        assert_eq!(ours.subtract(&theirs), Vector::from_iter([dot("a", 2), dot("b", 1)]));
        assert!(!ours.covers(&theirs));
        ours.join(&theirs);
        assert!(ours.covers(&theirs));
        assert_eq!(ours.get(&origin("c", 1)).map(IntervalSet::head), Some(7));
        assert_eq!(ours.get(&origin("c", 2)), None, "another run is another origin");
    }

    #[test]
    fn only_the_canonical_encoding_is_read() {
        check_refused(|e| e.array(1)?.array(2)?.str("a")?.u64(1)?.ok());
        check_refused(|e| e.array(1)?.array(4)?.str("a")?.u64(1)?.u64(0)?.u64(1)?.ok());
        check_refused(|e| e.array(1)?.array(4)?.str("a")?.u64(1)?.u64(2)?.u64(1)?.ok());
        check_refused(|e| e.array(1)?.array(4)?.str("a")?.u64(1)?.u64(1)?.u64(OSEQ_MAX + 1)?.ok());
        check_refused(|e| e.array(1)?.array(4)?.str("a~")?.u64(1)?.u64(1)?.u64(1)?.ok());
        check_refused(|e| e.array(0)?.u8(0)?.ok());
        check_refused(|e| e.begin_array()?.end()?.ok());
        check_refused(|e| e.array(u64::MAX)?.ok());
        let entry = |e: &mut Writer<'_>, node| -> Written {
            e.array(4)?.str(node)?.u64(1)?.u64(1)?.u64(1)?.ok()
        };
        check_refused(|e| entry(e.array(2)?, "b").and_then(|()| entry(e, "a")));
        check_refused(|e| entry(e.array(2)?, "a").and_then(|()| entry(e, "a")));
        let touching = [1, 1, 2, 2];
        check_refused(|e| {
            e.array(1)?.array(6)?.str("a")?.u64(1)?;
            touching.iter().try_for_each(|number| e.u64(*number)?.ok())
        });
    }

    #[test]
    fn a_vector_beyond_one_message_is_refused() {
        let bytes = vec![0; VECTOR_BYTES_MAX + 1];
        assert!(matches!(Vector::decode(&bytes), Err(DecodeError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn it_survives_the_codec(vector in any_vector()) {
            let decoded = Vector::decode(&vector.encode()).unwrap();
            prop_assert_eq!(decoded.hash(), vector.hash());
            prop_assert_eq!(decoded, vector);
        }

        #[test]
        fn its_pages_make_the_whole(vector in any_vector(), bytes_max in 0..200usize) {
            let (mut joined, mut after, mut pages) = (Vector::default(), None, 0);
            loop {
                let (page, more) = vector.page(after.as_ref(), bytes_max);
                joined.join(&page);
                pages += 1;
                prop_assert!(pages <= 10);
                after = page.last_origin().cloned();
                if !more {
                    break;
                }
            }
            prop_assert_eq!(joined, vector);
        }

        #[test]
        fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _refused_or_not = Vector::decode(&bytes);
        }

        #[test]
        fn it_is_a_set_of_dots(a in any_vector(), b in any_vector(), dot in any_dot()) {
            let mut joined = a.clone();
            joined.join(&b);
            prop_assert_eq!(joined.contains(&dot), a.contains(&dot) || b.contains(&dot));
            prop_assert_eq!(a.subtract(&b).contains(&dot), a.contains(&dot) && !b.contains(&dot));
            prop_assert!(joined.covers(&a) && joined.covers(&b));
            prop_assert_eq!(a.intersect(&b).contains(&dot), a.contains(&dot) && b.contains(&dot));
            prop_assert_eq!(a.intersect(&b).encode(), b.intersect(&a).encode());
            prop_assert_eq!(joined.insert(&dot), !a.contains(&dot) && !b.contains(&dot));
        }
    }
}
