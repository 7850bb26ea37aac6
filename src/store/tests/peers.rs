//! Two files that exchange their writes, in whatever order and however often.

use memnode_cluster::replicator::Incoming;
use memnode_cluster::{Op, UpdateValues};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::memory::Memory;

const TEXTS: [&str; 3] = ["alpha", "Alpha ", "beta"];
const TAGS: [&str; 3] = ["one", "two", "three"];

#[derive(Clone, Debug)]
enum Write {
    Create { tags: Vec<&'static str>, kind: &'static str },
    Update { tags: Vec<&'static str>, kind: Option<&'static str>, key: Option<u8> },
    Delete,
}

#[derive(Clone, Debug)]
enum Event {
    /// A write on one of the nodes, so many milliseconds later.
    Write { node: usize, later_ms: u64, text: &'static str, write: Write },
    /// One op of one node, by its place among those that it holds, arrives at the other.
    Deliver { to: usize, place: prop::sample::Index },
}

fn any_tags() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(TAGS.to_vec(), 0..=2)
}

fn any_event() -> impl Strategy<Value = Event> {
    let created = (any_tags(), select(vec!["note", "fact"]))
        .prop_map(|(tags, kind)| Write::Create { tags, kind });
    let kind = select(vec![None, Some("note"), Some("idea")]);
    let updated = (any_tags(), kind, prop::option::of(0_u8..3))
        .prop_map(|(tags, kind, key)| Write::Update { tags, kind, key });
    let write = prop_oneof![4 => created, 3 => updated, 2 => Just(Write::Delete)];
    let later = select(vec![0, 0, 1, 500, 100_000]);
    let written = (0..2_usize, later, select(TEXTS.to_vec()), write)
        .prop_map(|(node, later_ms, text, write)| Event::Write { node, later_ms, text, write });
    let delivered = (0..2_usize, any::<prop::sample::Index>())
        .prop_map(|(to, place)| Event::Deliver { to, place });
    prop_oneof![3 => written, 2 => delivered]
}

/// Carries out what the node's state allows.
fn take(file: &mut File, text: &str, write: &Write) {
    let target = target(text);
    let live = is_live(&file.reader().find(&target.namespace, &target.content_hash).unwrap());
    let owned = |tags: &Vec<&str>| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    match write {
        Write::Create { tags, kind } if !live => {
            let values = CreateValues {
                tags: owned(tags),
                memory_type: Some((*kind).to_owned()),
                created_at: file.now_ms as f64 / 1000.0,
                ..values(text)
            };
            file.write(|writer| {
                writer.create(&target.namespace, &values, OpKind::Create, meaning(text))
            })
            .unwrap();
        }
        Write::Update { tags, kind, key } if live => {
            let metadata = key.map(|key| (key.to_string(), (key > 0).then(|| key.to_string())));
            let values = UpdateValues {
                updated_at: Some(file.now_ms as f64 / 1000.0),
                tags: Some(owned(tags)),
                memory_type: Some(kind.map(str::to_owned)),
                metadata: metadata.into_iter().collect(),
            };
            file.write(|writer| writer.update(&target, &values)).unwrap();
        }
        Write::Delete if live => file.write(|writer| writer.delete(&target)).unwrap(),
        _ => {}
    }
}

/// All ops that a file holds, its own and others'.
fn payloads(file: &File) -> Vec<Vec<u8>> {
    let mut statement =
        file.connection.prepare("SELECT payload FROM op ORDER BY origin_id, oseq").unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap();
    found.collect::<Result<_, _>>().unwrap()
}

fn deliver(file: &mut File, payload: &[u8]) -> bool {
    let op = Op::decode(payload).unwrap();
    let incoming =
        Incoming { dot: op.dot.clone(), payload: payload.to_owned(), op: Ok(Box::new(op)) };
    let outcome = file.write(|writer| writer.apply_batch(&[incoming], None)).unwrap();
    assert!(outcome.held.is_empty(), "{outcome:?}");
    !outcome.applied.is_empty()
}

/// Everything that the other file holds, in its order.
fn deliver_all(to: &mut File, from: &File) {
    for payload in payloads(from) {
        deliver(to, &payload);
    }
}

fn visible(file: &File) -> Vec<Memory> {
    let found = file.reader().list(&everything(), None, 0, 1000).unwrap();
    let mut found: Vec<Memory> = found.into_iter().map(|located| located.memory).collect();
    found.sort_by_key(|memory| memory.content_hash);
    found
}

fn check_equal(a: &File, b: &File) {
    assert_eq!(a.reader().digest().unwrap(), b.reader().digest().unwrap());
    assert_eq!(visible(a), visible(b));
    a.check_sound();
    b.check_sound();
}

fn conflicts(file: &File, text: &str) -> Vec<(String, serde_json::Value)> {
    let hash = ContentHash::of(text);
    let history = file.reader().history(&Namespace::default(), &hash).unwrap().unwrap();
    history.losing.into_iter().map(|losing| (losing.field, losing.value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn equal_writes_make_equal_files_whatever_the_road(
        events in vec(any_event(), 1..40),
        order in vec(any::<prop::sample::Index>(), 120),
    ) {
        let mut files = [File::new("a"), File::new("b")];
        for event in events {
            match event {
                Event::Write { node, later_ms, text, write } => {
                    files[node].now_ms += later_ms;
                    take(&mut files[node], text, &write);
                }
                Event::Deliver { to, place } => {
                    let held: Vec<Vec<u8>> = payloads(&files[1 - to]);
                    if !held.is_empty() {
                        deliver(&mut files[to], &held[place.index(held.len())]);
                    }
                }
            }
        }
        let all: Vec<Vec<u8>> = files.iter().flat_map(payloads).collect();
        prop_assume!(!all.is_empty());
        let shuffled = order.iter().map(|place| place.get(&all));
        for payload in shuffled.chain(all.iter().rev()).chain(&all) {
            for file in &mut files {
                deliver(file, payload);
            }
        }
        check_equal(&files[0], &files[1]);
        let mut third = File::new("c");
        for payload in all.iter().rev() {
            deliver(&mut third, payload);
        }
        check_equal(&files[0], &third);
    }
}

fn set_kind(file: &mut File, text: &str, kind: &str) {
    let values =
        UpdateValues { memory_type: Some(Some(kind.to_owned())), ..UpdateValues::default() };
    file.write(|writer| writer.update(&target(text), &values)).unwrap();
}

#[test]
fn concurrent_edits_log_the_loser_on_both_sides_once() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("text");
    deliver_all(&mut b, &a);
    set_kind(&mut a, "text", "from a");
    b.now_ms += 1000;
    set_kind(&mut b, "text", "from b");
    for _ in 0..2 {
        deliver_all(&mut a, &b);
        deliver_all(&mut b, &a);
    }
    check_equal(&a, &b);
    assert_eq!(visible(&a)[0].memory_type.as_deref(), Some("from b"));
    let lost = vec![("type".to_owned(), serde_json::json!("from a"))];
    assert_eq!(conflicts(&a, "text"), lost);
    assert_eq!(conflicts(&b, "text"), lost);
}

#[test]
fn edits_one_after_the_other_are_no_conflict() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("text");
    for round in 0..3 {
        deliver_all(&mut b, &a);
        set_kind(&mut b, "text", &format!("b {round}"));
        deliver_all(&mut a, &b);
        set_kind(&mut a, "text", &format!("a {round}"));
    }
    deliver_all(&mut b, &a);
    check_equal(&a, &b);
    assert_eq!(conflicts(&a, "text"), []);
    assert_eq!(conflicts(&b, "text"), []);
}

#[test]
fn a_delete_beats_an_edit_that_it_did_not_see_and_keeps_what_was() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    let created = a.create("text").memory;
    deliver_all(&mut b, &a);
    a.write(|writer| writer.delete(&target("text"))).unwrap();
    deliver_all(&mut b, &a);
    check_equal(&a, &b);
    for file in [&a, &b] {
        let kept = file.reader().deleted_snapshot(&target("text")).unwrap();
        assert_eq!(kept.as_ref(), Some(&created));
        let known = file.reader().find(&Namespace::default(), &ContentHash::of("text")).unwrap();
        assert!(matches!(known, Known::Deleted));
    }
    assert_eq!(b.number("SELECT count(*) FROM memory_embeddings"), 0);
}

#[test]
fn a_replicated_write_keeps_its_dot_and_draws_none() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("text");
    let payload = payloads(&a).remove(0);
    assert!(deliver(&mut b, &payload));
    assert!(!deliver(&mut b, &payload), "the second time it is ignored");
    assert!(!deliver(&mut a, &payload), "and so is an echo");
    assert_eq!(b.number("SELECT count(*) FROM origin WHERE node = 'b'"), 0);
    assert_eq!(b.number("SELECT max(head) FROM origin"), 0);
    assert_eq!(payloads(&b), [payload]);
    let found = visible(&b).remove(0);
    assert_eq!(found.origin, "a");
    assert_eq!(b.reader().embedding(1).unwrap(), Some(direction("text", DIMENSION)));
    assert_eq!(b.number("SELECT count(*) FROM change_log WHERE kind = 'stored'"), 1);
}

#[test]
fn each_run_of_a_file_numbers_its_writes_from_one() {
    let mut file = File::new("a");
    file.create("one");
    file.create("two");
    file.reopen("a", 2);
    file.create("three");
    file.reopen("a", 3);
    let digest = file.reader().digest().unwrap();
    let found: Vec<(u64, Vec<(u64, u64)>)> =
        digest.vector.iter().map(|(origin, set)| (origin.epoch, set.iter().collect())).collect();
    assert_eq!(found, [(1, vec![(1, 2)]), (2, vec![(1, 1)])]);
    file.check_sound();
}

/// An edit beats what its author saw, even from a machine whose clock is an hour behind.
#[test]
fn an_edit_beats_what_its_author_saw_whatever_the_clocks() {
    let (mut ahead, mut behind) = (File::new("a"), File::new("b"));
    ahead.now_ms += 3_600_000;
    ahead.create("text");
    deliver_all(&mut behind, &ahead);
    set_kind(&mut behind, "text", "mine");
    deliver_all(&mut ahead, &behind);
    check_equal(&ahead, &behind);
    assert_eq!(visible(&ahead)[0].memory_type.as_deref(), Some("mine"));
    assert_eq!(conflicts(&ahead, "text"), []);
}

/// Reserved namespaces travel like others and are shown to nobody.
#[test]
fn a_reserved_namespace_is_hidden_wherever_it_came_from() {
    let mut file = File::new("b");
    let other = {
        let mut other = File::new("a");
        other.create("secret");
        payloads(&other).remove(0)
    };
    let mut op = Op::decode(&other).unwrap();
    op.namespace = "_keys".to_owned();
    deliver(&mut file, &op.encode().unwrap());
    let mut delete = op.clone();
    delete.dot.oseq = 2;
    delete.clock = op.clock.next();
    delete.kind = OpKind::Delete;
    delete.parts = memnode_cluster::delete(delete.clock);
    delete.embedding = None;
    let check_hidden = |file: &File| {
        let reader = file.reader();
        let tagged =
            Filter { tags: crate::memory::normalise_tags(["all"]).unwrap(), ..everything() };
        for filter in [everything(), tagged] {
            assert_eq!(reader.count(&filter).unwrap(), 0, "{filter:?}");
            assert!(reader.list(&filter, None, 0, 10).unwrap().is_empty());
            assert!(reader.rows(&filter).unwrap().is_empty());
            assert!(holding(&reader, &["secret"]).unwrap().is_empty());
        }
        assert!(reader.tags(&NamespaceSet::All).unwrap().is_empty());
        assert!(reader.types(&NamespaceSet::All).unwrap().is_empty());
        assert_eq!(reader.stats(&NamespaceSet::All, 0.0).unwrap().total_memories, 0);
        file.check_sound();
    };
    check_hidden(&file);
    deliver(&mut file, &delete.encode().unwrap());
    check_hidden(&file);
    assert_eq!(file.number("SELECT count(*) FROM memory WHERE live = 1"), 0);
}

#[test]
fn a_transaction_of_new_memories_makes_one_segment_of_the_word_index() {
    let segments = |file: &File| file.number("SELECT count(DISTINCT segid) FROM memory_fts_idx");
    let (mut one, mut other) = (File::new("a"), File::new("b"));
    let written = one.write(|writer| {
        (0..200).try_for_each(|number| create(writer, &format!("word{number}")).map(drop))
    });
    written.unwrap();
    assert_eq!(segments(&one), 1, "a statement kept a journal of its own: see migration 9");
    let incoming: Vec<Incoming> = payloads(&one)
        .into_iter()
        .map(|payload| {
            let op = Box::new(Op::decode(&payload).unwrap());
            Incoming { dot: op.dot.clone(), payload, op: Ok(op) }
        })
        .collect();
    other.write(|writer| writer.apply_batch(&incoming, None)).unwrap();
    assert_eq!(segments(&other), 1, "received writes, too");
    check_equal(&one, &other);
}
