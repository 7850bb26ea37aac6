//! The parts that a record is made of, and their names.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::error::Invalid;
use crate::value;

/// What one op writes: each part once, with its value as encoded.
pub type Parts = BTreeMap<Part, Vec<u8>>;

/// One independently replicated part of a record.
///
/// Parts are ordered by name, so that versions which know more or fewer names agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// `born`: when the memory was created, in seconds (f64).
    Born,
    /// `body`: the text.
    Body,
    /// `reset`: the clock up to which everything is gone (u64).
    Reset,
    /// `type`: the memory type (text, or null for none).
    MemoryType,
    /// `updated_at`: when the memory was last changed, in seconds (f64).
    UpdatedAt,
    /// `meta.<key>`: serialised JSON (text), or null for a removed key.
    Metadata(String),
    /// `tag.<tag>`: whether the tag is present (bool).
    Tag(String),
    /// `erased`: the clock that starts a new era (u64).
    Erased,
    /// A part that a newer minor version knows: greatest wins, bytes are kept.
    Other(OtherPart),
}

/// The name of a part that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherPart(String);

impl OtherPart {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Part {
    /// The part of that name; [`name`](Self::name) gives the name back.
    pub fn from_name(name: &str) -> Part {
        match name {
            "born" => Part::Born,
            "body" => Part::Body,
            "reset" => Part::Reset,
            "type" => Part::MemoryType,
            "updated_at" => Part::UpdatedAt,
            "erased" => Part::Erased,
            _ => match name.split_once('.') {
                Some(("meta", key)) => Part::Metadata(key.to_owned()),
                Some(("tag", tag)) => Part::Tag(tag.to_owned()),
                _ => Part::Other(OtherPart(name.to_owned())),
            },
        }
    }

    /// The stable name, as in ops, in the file and in digests.
    pub fn name(&self) -> Cow<'_, str> {
        match self.pieces() {
            (prefix, "") => Cow::Borrowed(prefix),
            ("", rest) => Cow::Borrowed(rest),
            (prefix, rest) => Cow::Owned(format!("{prefix}{rest}")),
        }
    }

    fn pieces(&self) -> (&'static str, &str) {
        match self {
            Part::Born => ("born", ""),
            Part::Body => ("body", ""),
            Part::Reset => ("reset", ""),
            Part::MemoryType => ("type", ""),
            Part::UpdatedAt => ("updated_at", ""),
            Part::Metadata(key) => ("meta.", key),
            Part::Tag(tag) => ("tag.", tag),
            Part::Erased => ("erased", ""),
            Part::Other(OtherPart(name)) => ("", name),
        }
    }

    /// Checks a value that is written to this part at `clock`.
    pub(crate) fn check(&self, bytes: &[u8], clock: Clock) -> Result<(), Invalid> {
        let valid = match self {
            Part::Born | Part::UpdatedAt => value::read_f64(bytes).is_some_and(f64::is_finite),
            Part::Body => value::read_text(bytes).is_some(),
            Part::MemoryType | Part::Metadata(_) => value::read_text_or_null(bytes).is_some(),
            Part::Tag(_) => value::read_bool(bytes).is_some(),
            // A delete resets up to its own clock, a creation to the one before.
            Part::Reset => value::read_clock(bytes)
                .is_some_and(|reset| reset == clock || reset == clock.previous()),
            Part::Erased => value::read_clock(bytes) == Some(clock),
            Part::Other(_) => value::is_one_item(bytes),
        };
        if valid { Ok(()) } else { Err(Invalid::Value(self.clone())) }
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Part) -> Ordering {
        let (a, b) = (self.pieces(), other.pieces());
        a.0.bytes().chain(a.1.bytes()).cmp(b.0.bytes().chain(b.1.bytes()))
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Part) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_stable() {
        for (part, name) in [
            (Part::Born, "born"),
            (Part::Body, "body"),
            (Part::Reset, "reset"),
            (Part::MemoryType, "type"),
            (Part::UpdatedAt, "updated_at"),
            (Part::Erased, "erased"),
            (Part::Metadata("a.b".to_owned()), "meta.a.b"),
            (Part::Metadata(String::new()), "meta."),
            (Part::Tag("born".to_owned()), "tag.born"),
            (Part::Other(OtherPart("tag".to_owned())), "tag"),
            (Part::Other(OtherPart("colour.k".to_owned())), "colour.k"),
            (Part::Other(OtherPart(String::new())), ""),
        ] {
            assert_eq!(part.name(), name);
            assert_eq!(Part::from_name(name), part);
        }
    }

    fn check_value(name: &str, value: &[u8], expected: bool) {
        let checked = Part::from_name(name).check(value, Clock::from_u64(7));
        assert_eq!(checked.is_ok(), expected, "{name} = {value:02x?}");
    }

    #[test]
    fn values_have_the_type_of_their_part() {
        let at = |number| value::clock(Clock::from_u64(number));
        for (name, good, bad) in [
            ("born", value::f64(-1.5), value::f64(f64::NAN)),
            ("updated_at", value::f64(0.0), value::f64(f64::INFINITY)),
            ("body", value::text("x"), value::null()),
            ("type", value::null(), value::bool(true)),
            ("meta.k", value::text("{}"), at(1)),
            ("tag.t", value::bool(false), value::null()),
            ("reset", at(7), at(8)),
            ("reset", at(6), at(5)),
            ("erased", at(7), at(6)),
            ("colour", vec![0x82, 0x01, 0x02], vec![0x82, 0x01]),
        ] {
            check_value(name, &good, true);
            check_value(name, &bad, false);
            check_value(name, &[], false);
            check_value(name, &[good, vec![0]].concat(), false);
        }
    }

    proptest! {
        #[test]
        fn parts_are_ordered_by_name(a in any_name(), b in any_name()) {
            let (left, right) = (Part::from_name(&a), Part::from_name(&b));
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            prop_assert_eq!(left.name(), a);
        }
    }

    fn any_name() -> impl Strategy<Value = String> {
        prop_oneof!["(born|body|meta|tag|type|z)?[.a-c]{0,3}", ".{0,4}"]
    }
}
