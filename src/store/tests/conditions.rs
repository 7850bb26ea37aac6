//! Filters against a model that is nothing but a list.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;
use crate::memory::time_phrase::TimeRange;
use crate::memory::{Memory, PageEnd, Tag, TagMatch};

pub(super) const SPACES: [&str; 2] = ["default", "other"];
pub(super) const TAGS: [&str; 4] = ["one", "two", "three \"quoted\"", "vier-ü"];
pub(super) const TYPES: [&str; 3] = ["note", "Ding", "it's"];
pub(super) const KEYS: [&str; 4] = ["k", "a.b", "quo\"te", "ключ"];
pub(super) const TIMES: [f64; 6] = [-5.25, 0.0, 1000.0, 1000.5, 1_000.500_000_1, 2e9];

/// Values of every JSON type, with those among them that SQL likes to confuse.
pub(super) fn json_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1.5),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("1"),
        json!("true"),
        json!("null"),
        json!("a 'quoted' \"text\" ü\u{1f600}\n"),
        json!([]),
        json!([1, "a", null]),
        json!({}),
        json!({"b": 1, "a": {"x": [true]}}),
        json!("{}"),
    ]
}

pub(super) fn any_filter() -> impl Strategy<Value = Filter> {
    let spaces = prop_oneof![
        Just(NamespaceSet::All),
        subsequence(SPACES.to_vec(), 1..=2)
            .prop_map(|names| NamespaceSet::Only(names.into_iter().map(space).collect())),
        Just(space("nobody").into()),
    ];
    let some_tags = select(vec!["one", "two", "three \"quoted\"", "vier-ü", "unknown"]);
    let tags = vec(some_tags, 0..3).prop_map(|names| {
        names.into_iter().map(|name| Tag::new(name).unwrap().unwrap()).collect::<Vec<Tag>>()
    });
    let tag_match = select(vec![TagMatch::Any, TagMatch::All]);
    let kind = select(vec![None, None, Some("note"), Some("it's"), Some("unknown"), Some("")]);
    let bound = || select(vec![None, None, Some(0.0), Some(1000.0), Some(1000.5), Some(3e9)]);
    let metadata = vec((select(KEYS.to_vec()), select(json_values())), 0..2);
    (spaces, tags, tag_match, kind, (bound(), bound()), metadata).prop_map(
        |(namespaces, tags, tag_match, kind, (after, before), metadata)| Filter {
            namespaces,
            tags,
            tag_match,
            memory_type: kind.map(str::to_owned),
            created: TimeRange { after, before },
            metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        },
    )
}

/// What a filter says, without SQL.
fn is_left(filter: &Filter, memory: &Memory) -> bool {
    let in_space = match &filter.namespaces {
        NamespaceSet::All => true,
        NamespaceSet::Only(names) => names.contains(&memory.namespace),
    };
    let carries = |tag: &Tag| memory.tags.contains(tag);
    let tagged = match filter.tag_match {
        TagMatch::Any => filter.tags.is_empty() || filter.tags.iter().any(carries),
        TagMatch::All => filter.tags.iter().all(carries),
    };
    let typed = filter.memory_type.is_none() || filter.memory_type == memory.memory_type;
    let TimeRange { after, before } = filter.created;
    let timely = after.is_none_or(|after| memory.created_at >= after)
        && before.is_none_or(|before| memory.created_at < before);
    let has = |(key, value): (&String, &Value)| memory.metadata.get(key) == Some(value);
    in_space && tagged && typed && timely && filter.metadata.iter().all(has)
}

/// The memories that a filter leaves, newest first.
pub(super) fn expected(filter: &Filter, all: &[Located]) -> Vec<Located> {
    let mut left: Vec<Located> =
        all.iter().filter(|located| is_left(filter, &located.memory)).cloned().collect();
    left.sort_by(|a, b| {
        let times = b.memory.created_at.total_cmp(&a.memory.created_at);
        times.then(b.row.cmp(&a.row))
    });
    left
}

fn memories(found: &[Located]) -> Vec<(i64, &Memory)> {
    found.iter().map(|located| (located.row, &located.memory)).collect()
}

/// Holds every way of asking against the model.
pub(super) fn check_filter(
    reader: &Reader<'_>,
    filter: &Filter,
    all: &[Located],
    limit: usize,
) -> Result<(), TestCaseError> {
    let expected = expected(filter, all);
    let found = reader.list(filter, None, 0, 1000).unwrap();
    prop_assert_eq!(memories(&found), memories(&expected), "{:?}", filter);
    prop_assert_eq!(reader.count(filter).unwrap(), expected.len() as u64, "{:?}", filter);
    let mut rows: Vec<i64> = expected.iter().map(|located| located.row).collect();
    let mut by_cursor = Vec::new();
    let mut by_offset = Vec::new();
    for page in expected.chunks(limit).map(<[Located]>::len).chain([0]) {
        let end = by_cursor
            .last()
            .map(|last: &Located| PageEnd { created_at: last.memory.created_at, row: last.row });
        let next = reader.list(filter, end, 0, limit).unwrap();
        prop_assert_eq!(next.len(), page, "{:?}", filter);
        by_cursor.extend(next);
        by_offset.extend(reader.list(filter, None, by_offset.len() as u64, limit).unwrap());
    }
    prop_assert_eq!(memories(&by_cursor), memories(&expected), "{:?}", filter);
    prop_assert_eq!(memories(&by_offset), memories(&expected), "{:?}", filter);
    rows.sort_unstable();
    prop_assert_eq!(reader.rows(filter).unwrap(), rows.clone(), "{:?}", filter);
    let mut exported = Vec::new();
    loop {
        let after = exported.last().copied().unwrap_or_default();
        let page = reader.after_row(filter, after, limit).unwrap();
        if page.is_empty() {
            break;
        }
        exported.extend(page.iter().map(|located| located.row));
    }
    prop_assert_eq!(exported, rows, "{:?}", filter);
    Ok(())
}
