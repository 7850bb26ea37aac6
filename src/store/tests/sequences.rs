//! Random sequences of writes: whatever happens, every table says the same.

use std::collections::{BTreeMap, BTreeSet};

use memnode_cluster::UpdateValues;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value};

use super::conditions::{
    KEYS, SPACES, TAGS, TIMES, TYPES, any_filter, check_filter, expected, json_values,
};
use super::*;
use crate::memory::{Memory, Tag, TagCount, TypeCount};

const TEXTS: [&str; 6] =
    ["alpha beta", "Alpha BETA ", "beta gamma", "delta", "", "ε\u{301} 'x\"\n"];

/// What a test does to one memory.
#[derive(Clone, Debug)]
enum Step {
    Create {
        created_at: f64,
        shape: Shape,
    },
    Update {
        shape: Shape,
        keeps_time: bool,
    },
    Delete,
    Restore,
    /// A creation and a delete that are undone.
    Fail,
}

#[derive(Clone, Debug)]
struct Shape {
    tags: Vec<&'static str>,
    kind: Option<&'static str>,
    metadata: BTreeMap<&'static str, Value>,
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let metadata = btree_map(select(KEYS.to_vec()), select(json_values()), 0..3);
    (subsequence(TAGS.to_vec(), 0..=3), option::of(select(TYPES.to_vec())), metadata)
        .prop_map(|(tags, kind, metadata)| Shape { tags, kind, metadata })
}

fn any_step() -> impl Strategy<Value = (&'static str, &'static str, Step)> {
    let created = (select(TIMES.to_vec()), any_shape())
        .prop_map(|(created_at, shape)| Step::Create { created_at, shape });
    let updated = (any_shape(), any::<bool>())
        .prop_map(|(shape, keeps_time)| Step::Update { shape, keeps_time });
    let step = prop_oneof![
        5 => created,
        3 => updated,
        2 => Just(Step::Delete),
        1 => Just(Step::Restore),
        1 => Just(Step::Fail),
    ];
    (select(SPACES.to_vec()), select(TEXTS.to_vec()), step)
}

/// What the file should hold.
#[derive(Default)]
struct Model {
    live: BTreeMap<(String, ContentHash), Located>,
    dead: BTreeMap<(String, ContentHash), Memory>,
    writes: u64,
    /// Rows of the change log by kind.
    changes: BTreeMap<&'static str, i64>,
}

impl Model {
    fn all(&self) -> Vec<Located> {
        self.live.values().cloned().collect()
    }

    fn changed(&mut self, kind: &'static str) {
        *self.changes.entry(kind).or_default() += 1;
    }
}

fn owned(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

fn sorted(tags: &[&str]) -> Vec<Tag> {
    crate::memory::normalise_tags(tags.iter().copied()).unwrap()
}

fn json(metadata: &BTreeMap<&str, Value>) -> BTreeMap<String, String> {
    metadata.iter().map(|(key, value)| ((*key).to_owned(), value.to_string())).collect()
}

/// Carries a step out on both sides, unless the file's state forbids it.
fn take(file: &mut File, model: &mut Model, name: &str, text: &str, step: Step) {
    let target = Target { namespace: space(name), content_hash: ContentHash::of(text) };
    let key = (name.to_owned(), target.content_hash);
    let known = file.reader().find(&target.namespace, &target.content_hash).unwrap();
    match (&known, model.live.get(&key), model.dead.get(&key)) {
        (Known::Live(found), Some(expected), _) => assert_eq!(found.memory, expected.memory),
        (Known::Deleted, None, Some(_)) | (Known::Never, None, None) => {}
        other => panic!("{other:?}"),
    }
    match (step, is_live(&known)) {
        (Step::Create { created_at, shape }, false) => {
            let values = CreateValues {
                created_at,
                updated_at: created_at,
                content: text.to_owned(),
                tags: owned(&shape.tags),
                memory_type: shape.kind.map(str::to_owned),
                metadata: json(&shape.metadata),
            };
            let located = put(file, model, &target, &values, OpKind::Create);
            assert_eq!(located.memory.created_at, created_at);
            assert_eq!(located.memory.updated_at, created_at);
            check_shape(&located.memory, &shape, &BTreeMap::new());
        }
        (Step::Update { shape, keeps_time }, true) => {
            update(file, model, &target, &shape, keeps_time);
        }
        (Step::Delete, true) => {
            file.write(|writer| writer.delete(&target)).unwrap();
            let was = model.live.remove(&key).unwrap().memory;
            let kept = file.reader().deleted_snapshot(&target).unwrap();
            assert_eq!(kept.as_ref(), Some(&was));
            model.dead.insert(key, was);
            model.writes += 1;
            model.changed("deleted");
        }
        (Step::Restore, false) if model.dead.contains_key(&key) => {
            let was = file.reader().deleted_snapshot(&target).unwrap().expect("it was kept");
            let values = CreateValues {
                created_at: was.created_at,
                updated_at: was.updated_at,
                content: was.content.clone(),
                tags: was.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
                memory_type: was.memory_type.clone(),
                metadata: was.metadata.iter().map(|(k, v)| (k.clone(), v.to_string())).collect(),
            };
            let located = put(file, model, &target, &values, OpKind::Restore);
            assert_ne!(located.memory.version, was.version);
            assert_eq!(Memory { version: was.version.clone(), ..located.memory }, was);
        }
        (Step::Fail, live) => {
            let failed = file.write(|writer| {
                writer.atomically(|writer| {
                    if !live {
                        let values = CreateValues { content: text.to_owned(), ..values("") };
                        let space = &target.namespace;
                        writer.create(space, &values, OpKind::Create, meaning(text))?;
                    }
                    writer.delete(&target)?;
                    Err::<(), _>(crate::Error::invalid("on purpose").into())
                })
            });
            assert!(failed.is_err());
        }
        _ => {}
    }
}

fn put(
    file: &mut File,
    model: &mut Model,
    target: &Target,
    values: &CreateValues,
    kind: OpKind,
) -> Located {
    let text = values.content.clone();
    let located = file
        .write(|writer| writer.create(&target.namespace, values, kind, meaning(&text)))
        .unwrap();
    assert_eq!(located.memory.content, text);
    assert_eq!(file.reader().deleted_snapshot(target).unwrap(), None);
    let vector = file.reader().embedding(located.row).unwrap().expect("a live memory has a vector");
    assert_eq!(vector, direction(&text, DIMENSION));
    let key = (target.namespace.to_string(), target.content_hash);
    model.dead.remove(&key);
    model.live.insert(key, located.clone());
    model.writes += 1;
    model.changed("stored");
    located
}

fn update(file: &mut File, model: &mut Model, target: &Target, shape: &Shape, keeps_time: bool) {
    let key = (target.namespace.to_string(), target.content_hash);
    let before = model.live[&key].clone();
    let patch: BTreeMap<String, Option<String>> = shape
        .metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (!value.is_null()).then(|| value.to_string())))
        .collect();
    let at = (file.now_ms + 1) as f64 / 1000.0;
    let values = UpdateValues {
        updated_at: (!keeps_time).then_some(at),
        tags: Some(owned(&shape.tags)),
        memory_type: Some(shape.kind.map(str::to_owned)),
        metadata: patch,
    };
    let located = file.write(|writer| writer.update(target, &values)).unwrap();
    assert_eq!(located.row, before.row);
    assert_eq!(located.memory.content, before.memory.content);
    assert_eq!(located.memory.created_at, before.memory.created_at);
    let updated_at = if keeps_time { before.memory.updated_at } else { at };
    assert_eq!(located.memory.updated_at, updated_at);
    let mut kept = before.memory.metadata.clone();
    kept.retain(|key, _| !shape.metadata.contains_key(key.as_str()));
    let given: BTreeMap<&str, Value> = shape
        .metadata
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (*key, value.clone()))
        .collect();
    let shape = Shape { metadata: given, ..shape.clone() };
    check_shape(&located.memory, &shape, &kept.into_iter().collect());
    // A version changes with the registers, not with what they show: a key set to null anew.
    let is_same = Memory { version: String::new(), ..located.memory.clone() }
        == Memory { version: String::new(), ..before.memory.clone() };
    assert!(is_same || located.memory.version != before.memory.version);
    if located.memory.version != before.memory.version {
        model.changed("updated");
    }
    model.live.insert(key, located);
    model.writes += 1;
}

fn check_shape(memory: &Memory, shape: &Shape, kept: &BTreeMap<String, Value>) {
    assert_eq!(memory.tags, sorted(&shape.tags));
    assert_eq!(memory.memory_type.as_deref(), shape.kind);
    let mut metadata: Map<String, Value> = kept.clone().into_iter().collect();
    metadata.extend(shape.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    assert_eq!(memory.metadata, metadata);
}

/// Everything that is kept in step, against the model.
fn check_tables(file: &File, model: &Model) {
    let all = model.all();
    file.check_sound();
    let reader = file.reader();
    assert_eq!(reader.live_count().unwrap(), all.len() as u64);
    check_counts(&reader, &all);
    check_log(file, model);
    check_words(&reader, &all);
    let digest = reader.digest().unwrap();
    assert_eq!(digest.count(), (model.live.len() + model.dead.len()) as u64);
    let applied: Vec<(u64, u64)> = digest.vector.iter().flat_map(|(_, set)| set.iter()).collect();
    let expected = if model.writes == 0 { Vec::new() } else { vec![(1, model.writes)] };
    assert_eq!(applied, expected);
    let kept = file.number("SELECT count(*) FROM op");
    assert_eq!(kept, i64::try_from(model.writes).unwrap());
    let vectors = file.number("SELECT count(*) FROM memory_embeddings");
    assert_eq!(vectors, i64::try_from(all.len()).unwrap());
    let snapshots = file.number("SELECT count(*) FROM deleted");
    assert_eq!(snapshots, i64::try_from(model.dead.len()).unwrap());
}

fn check_counts(reader: &Reader<'_>, all: &[Located]) {
    let mut tags: BTreeMap<Tag, u64> = BTreeMap::new();
    let mut types: BTreeMap<Option<String>, u64> = BTreeMap::new();
    let mut spaces: BTreeMap<String, u64> = BTreeMap::new();
    for Located { memory, .. } in all {
        memory.tags.iter().for_each(|tag| *tags.entry(tag.clone()).or_default() += 1);
        *types.entry(memory.memory_type.clone()).or_default() += 1;
        *spaces.entry(memory.namespace.to_string()).or_default() += 1;
    }
    let found = reader.tags(&NamespaceSet::All).unwrap();
    assert!(found.is_sorted_by_key(|tag| (std::cmp::Reverse(tag.count), tag.tag.clone())));
    let found: BTreeSet<(String, u64)> =
        found.into_iter().map(|TagCount { tag, count }| (tag, count)).collect();
    assert_eq!(found, tags.iter().map(|(tag, count)| (tag.to_string(), *count)).collect());
    let found = reader.types(&NamespaceSet::All).unwrap();
    let found: BTreeMap<Option<String>, u64> =
        found.into_iter().map(|TypeCount { memory_type, count }| (memory_type, count)).collect();
    assert_eq!(found, types);
    let stats = reader.stats(&NamespaceSet::All, 1000.5).unwrap();
    assert_eq!(stats.total_memories, all.len() as u64);
    assert_eq!(stats.unique_tags, tags.len() as u64);
    assert_eq!(stats.namespaces, spaces.into_iter().collect::<Vec<_>>());
    let recent = all.iter().filter(|located| located.memory.created_at >= 1000.5).count();
    assert_eq!(stats.memories_this_week, recent as u64);
    assert_eq!((stats.embedding_model.as_str(), stats.embedding_dimension), (MODEL, DIMENSION));
}

fn check_log(file: &File, model: &Model) {
    for kind in ["stored", "updated", "deleted"] {
        let found = file.number(&format!("SELECT count(*) FROM change_log WHERE kind = '{kind}'"));
        assert_eq!(found, model.changes.get(kind).copied().unwrap_or_default(), "{kind}");
    }
    for (name, hash) in model.live.keys().chain(model.dead.keys()) {
        let history = file.reader().history(&space(name), hash).unwrap().expect("it was seen");
        assert_eq!(history.live, model.live.contains_key(&(name.clone(), *hash)));
        assert_eq!(history.entries.first().map(|entry| entry.kind.as_str()), Some("stored"));
        assert!(history.losing.is_empty());
    }
}

fn check_words(reader: &Reader<'_>, all: &[Located]) {
    for word in ["alpha", "beta", "delta", "one", "quoted", "nothing"] {
        let found: BTreeSet<i64> = holding(reader, &[word]).unwrap().into_iter().collect();
        let has = |located: &&Located| {
            let memory = &located.memory;
            let mut texts = memory.tags.iter().map(Tag::as_str).chain([memory.content.as_str()]);
            texts.any(|text| text.to_lowercase().contains(word))
        };
        let rows: BTreeSet<i64> = all.iter().filter(has).map(|located| located.row).collect();
        assert_eq!(found, rows, "{word}");
    }
    let phrase = "ALPHA b";
    let found = reader.containing(&everything(), phrase, 100).unwrap();
    let mut texts = expected(&everything(), all);
    texts.retain(|located| located.memory.content.to_lowercase().contains("alpha b"));
    let rows = |found: &[Located]| found.iter().map(|located| located.row).collect::<Vec<_>>();
    assert_eq!(rows(&found), rows(&texts));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_written_every_table_agrees_with_a_list(
        steps in vec(any_step(), 1..50),
        filters in vec(any_filter(), 24),
        limit in 1_usize..4,
    ) {
        let mut file = File::new("node-1");
        let mut model = Model::default();
        let half = steps.len() / 2;
        for (number, (name, text, step)) in steps.into_iter().enumerate() {
            take(&mut file, &mut model, name, text, step);
            if number == half {
                check_tables(&file, &model);
            }
        }
        check_tables(&file, &model);
        let all = model.all();
        for filter in &filters {
            check_filter(&file.reader(), filter, &all, limit)?;
        }
    }
}

/// The only difference is in a part that a list does not show.
#[test]
fn an_update_that_changes_nothing_changes_no_version() {
    let mut file = File::new("node-1");
    let before = file.create("text");
    let nothing = UpdateValues::default();
    let after = file.write(|writer| writer.update(&target("text"), &nothing)).unwrap();
    assert_eq!(after.memory, before.memory);
    assert_eq!(file.number("SELECT count(*) FROM change_log"), 1);
    file.check_sound();
}
