//! The author's side: which parts an op writes, given the record as the author sees it.
//!
//! Ops carry deltas only. That is what lets two nodes edit different parts of one memory and keep
//! both edits.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Clock;
use crate::part::{Part, Parts};
use crate::record::Record;
use crate::value;

/// A whole new memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateValues {
    /// When it was created, in seconds since the Unix epoch; finite.
    pub created_at: f64,
    /// When it was last changed, in seconds since the Unix epoch; finite.
    pub updated_at: f64,
    /// Its text.
    pub content: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its type, if any.
    pub memory_type: Option<String>,
    /// Its metadata: serialised JSON by key.
    pub metadata: BTreeMap<String, String>,
}

/// A change to a memory; what is `None` or not listed stays.
///
/// There is no `created_at`: writing it would bring a memory back that another node deletes at
/// the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateValues {
    /// When the change was made, in seconds since the Unix epoch; finite.
    pub updated_at: Option<f64>,
    /// The whole new set of tags.
    pub tags: Option<Vec<String>>,
    /// The new type, or `Some(None)` to remove it.
    pub memory_type: Option<Option<String>>,
    /// New serialised JSON by key, or `None` to remove the key.
    pub metadata: BTreeMap<String, Option<String>>,
}

/// The parts of a creation: all of them.
///
/// Over a deleted memory it also resets everything up to the clock before its own. What the
/// former life left behind, a tag set while the record was dead for instance, then cannot show
/// through, whichever arrives first.
pub fn create(record: &Record, clock: Clock, values: &CreateValues) -> Parts {
    let mut parts = Parts::from([
        (Part::Born, value::f64(values.created_at)),
        (Part::UpdatedAt, value::f64(values.updated_at)),
        (Part::Body, value::text(&values.content)),
        (Part::MemoryType, text_or_null(values.memory_type.as_deref())),
    ]);
    parts.extend(values.tags.iter().map(|tag| (Part::Tag(tag.clone()), value::bool(true))));
    for (key, json) in &values.metadata {
        parts.insert(Part::Metadata(key.clone()), value::text(json));
    }
    // Without a reset nothing was ever deleted in this era: what lies there are early arrivals of
    // another node's creation, which merges with this one.
    if record.get(&Part::Reset).is_some() && !record.is_live() {
        parts.insert(Part::Reset, value::clock(clock.previous()));
    }
    parts
}

/// The parts of an update: those that differ from the record, and the time if it is given.
pub fn update(record: &Record, values: &UpdateValues) -> Parts {
    let mut parts = Parts::new();
    if let Some(updated_at) = values.updated_at {
        parts.insert(Part::UpdatedAt, value::f64(updated_at));
    }
    if let Some(tags) = &values.tags {
        parts.extend(changed_tags(record, tags));
    }
    if let Some(memory_type) = &values.memory_type
        && memory_type.as_deref() != record.memory_type()
    {
        parts.insert(Part::MemoryType, text_or_null(memory_type.as_deref()));
    }
    let present = record.metadata();
    for (key, json) in &values.metadata {
        if json.as_deref() != present.get(key.as_str()).copied() {
            parts.insert(Part::Metadata(key.clone()), text_or_null(json.as_deref()));
        }
    }
    parts
}

/// The part of a delete.
pub fn delete(clock: Clock) -> Parts {
    Parts::from([(Part::Reset, value::clock(clock))])
}

/// The part of an erasure.
pub fn purge(clock: Clock) -> Parts {
    Parts::from([(Part::Erased, value::clock(clock))])
}

fn changed_tags(record: &Record, tags: &[String]) -> Parts {
    let wanted: BTreeSet<&str> = tags.iter().map(String::as_str).collect();
    let present: BTreeSet<&str> = record.tags().into_iter().collect();
    let tag = |tag: &&str, present| (Part::Tag((*tag).to_owned()), value::bool(present));
    let added = wanted.difference(&present).map(|name| tag(name, true));
    let removed = present.difference(&wanted).map(|name| tag(name, false));
    added.chain(removed).collect()
}

fn text_or_null(text: Option<&str>) -> Vec<u8> {
    text.map_or_else(value::null, value::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{clock, dot, op, part, record};

    fn values() -> CreateValues {
        CreateValues {
            created_at: 1.0,
            updated_at: 2.0,
            content: "text".to_owned(),
            tags: vec!["b".to_owned(), "a".to_owned(), "a".to_owned()],
            memory_type: Some("note".to_owned()),
            metadata: BTreeMap::from([("k".to_owned(), "1".to_owned())]),
        }
    }

    fn created() -> Record {
        record([&op(dot("a", 1), 1, create(&Record::default(), clock(1), &values()))])
    }

    fn check_update(values: UpdateValues, expected: &[(&str, Vec<u8>)]) {
        let expected: Parts =
            expected.iter().map(|(name, value)| (part(name), value.clone())).collect();
        assert_eq!(update(&created(), &values), expected);
    }

    #[test]
    fn a_creation_writes_every_part() {
        let record = created();
        assert_eq!((record.created_at(), record.updated_at()), (Some(1.0), Some(2.0)));
        assert_eq!((record.content(), record.memory_type()), (Some("text"), Some("note")));
        assert_eq!(record.tags(), ["a", "b"]);
        assert_eq!(record.metadata(), BTreeMap::from([("k", "1")]));
        let bare = create(&record, clock(2), &CreateValues::default());
        assert_eq!(bare[&Part::MemoryType], value::null());
    }

    #[test]
    fn only_a_creation_over_a_deleted_memory_resets() {
        let reset = |record: &Record| {
            let parts = create(record, clock(9), &values());
            parts.get(&Part::Reset).map(|value| value::read_clock(value).unwrap())
        };
        let live = created();
        let mut dead = live.clone();
        dead.apply(&op(dot("a", 2), 2, delete(clock(2))));
        let early =
            record([&op(dot("b", 1), 1, Parts::from([(part("tag.t"), value::bool(true))]))]);
        assert_eq!(reset(&Record::default()), None);
        assert_eq!(reset(&live), None);
        assert_eq!(reset(&early), None, "nobody deleted it");
        assert_eq!(reset(&dead), Some(clock(8)));
    }

    #[test]
    fn an_update_writes_what_differs_and_nothing_else() {
        let none = UpdateValues::default();
        check_update(none.clone(), &[]);
        check_update(
            UpdateValues { updated_at: Some(3.0), ..none.clone() },
            &[("updated_at", value::f64(3.0))],
        );
        check_update(
            UpdateValues { tags: Some(vec!["b".to_owned(), "c".to_owned()]), ..none.clone() },
            &[("tag.a", value::bool(false)), ("tag.c", value::bool(true))],
        );
        let same = Some(Some("note".to_owned()));
        check_update(UpdateValues { memory_type: same, ..none.clone() }, &[]);
        check_update(
            UpdateValues { memory_type: Some(None), ..none.clone() },
            &[("type", value::null())],
        );
        let patch = [("k", None), ("l", Some("2")), ("absent", None)];
        let metadata = patch.map(|(key, json)| (key.to_owned(), json.map(str::to_owned))).into();
        check_update(
            UpdateValues { metadata, ..none },
            &[("meta.k", value::null()), ("meta.l", value::text("2"))],
        );
    }

    #[test]
    fn deletes_and_erasures_carry_their_clock() {
        assert_eq!(delete(clock(5)), Parts::from([(Part::Reset, value::clock(clock(5)))]));
        assert_eq!(purge(clock(5)), Parts::from([(Part::Erased, value::clock(clock(5)))]));
    }
}
