//! Taking in what peers wrote: repetitions, orders, poison.

use memnode_cluster::{ClusterId, OpKind, Part, value};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn cursor(seq: u64) -> Position {
    Position { created: "2026-11-22T15:26:24Z".to_owned(), seq }
}

/// An op like the first of `file`, changed.
fn changed(file: &File, change: impl FnOnce(&mut Op)) -> Incoming {
    let mut first = kept(file).remove(0);
    let mut op = *first.op.unwrap();
    change(&mut op);
    first.payload = op.encode().unwrap();
    first.op = Ok(Box::new(op));
    first
}

fn author(text: &str) -> File {
    let mut file = File::new("a");
    file.create(text);
    file
}

#[test]
fn a_batch_is_taken_in_once_together_with_its_cursor() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    for text in ["one", "two", "three"] {
        a.create(text);
    }
    let batch = kept(&a);
    let twice: Vec<Incoming> = batch.iter().chain(&batch).cloned().collect();
    let outcome = b.write(|writer| writer.apply_batch(&twice, Some(&cursor(7)))).unwrap();
    assert_eq!(outcome.applied, vector(&[("a", 1, 3)]));
    assert!(outcome.held.is_empty() && outcome.far_ahead.is_empty());
    assert_eq!(b.reader().replica_start(9.0).unwrap().cursor, Some(cursor(7)));
    let again = b.write(|writer| writer.apply_batch(&batch, Some(&cursor(8)))).unwrap();
    assert_eq!(again, BatchOutcome::default());
    assert_eq!(b.reader().replica_start(9.0).unwrap().cursor, Some(cursor(8)));
    check_equal(&a, &b);
}

#[test]
fn a_name_that_no_write_can_have_is_passed_over() {
    let (a, mut b) = (author("text"), File::new("b"));
    for oseq in [0, u64::MAX] {
        let nameless = Incoming { dot: dot("a", 1, oseq), ..kept(&a).remove(0) };
        assert_eq!(apply(&mut b, &[nameless]), BatchOutcome::default());
    }
    b.check_sound();
}

#[test]
fn another_stream_has_another_cursor() {
    let mut file = File::new("a");
    let other = Position { created: "later".to_owned(), seq: 1 };
    for cursor in [cursor(7), other.clone()] {
        file.write(|writer| writer.apply_batch(&[], Some(&cursor))).unwrap();
    }
    assert_eq!(file.reader().replica_start(9.0).unwrap().cursor, Some(other));
    assert_eq!(file.number("SELECT count(*) FROM cursor"), 1);
}

#[test]
fn what_does_not_decode_is_held_and_the_rest_goes_on() {
    let mut a = author("one");
    a.create("two");
    let mut b = File::new("b");
    let mut batch = kept(&a);
    batch[0].op = Err("it is of another major version".to_owned());
    let outcome = apply(&mut b, &batch);
    assert_eq!(outcome.applied, vector(&[("a", 2, 2)]));
    assert_eq!(outcome.held, vector(&[("a", 1, 1)]));
    assert_eq!(b.reader().held().unwrap(), vector(&[("a", 1, 1)]));
    let found = b.reader().quarantined(10).unwrap();
    assert_eq!((found.len(), &found[0].dot), (1, &dot("a", 1, 1)));
    assert_eq!(found[0].reason, "it is of another major version");
    assert_eq!(found[0].bytes, batch[0].payload.len() as u64);
    b.check_sound();
    let outcome = b.write(|writer| writer.retry_quarantine(None)).unwrap();
    assert_eq!(outcome.applied, vector(&[("a", 1, 1)]));
    assert!(b.reader().held().unwrap().is_empty());
    check_equal(&a, &b);
}

#[test]
fn an_op_that_comes_again_and_applies_leaves_quarantine() {
    let (a, mut b) = (author("one"), File::new("b"));
    let good = kept(&a).remove(0);
    let bad = Incoming { op: Err("unreadable".to_owned()), ..good.clone() };
    apply(&mut b, std::slice::from_ref(&bad));
    assert_eq!(apply(&mut b, &[bad.clone(), good]).applied, vector(&[("a", 1, 1)]));
    assert!(b.reader().quarantined(10).unwrap().is_empty());
    assert!(apply(&mut b, &[bad]).held.is_empty(), "what is in is in");
    check_equal(&a, &b);
}

fn check_held(op: Incoming, reason: &str) {
    let mut file = File::new("b");
    let outcome = apply(&mut file, std::slice::from_ref(&op));
    assert_eq!((outcome.applied.count(), outcome.held.count()), (0, 1), "{reason}");
    let found = file.reader().quarantined(10).unwrap();
    assert!(found[0].reason.contains(reason), "{:?} does not say {reason}", found[0].reason);
    assert!(visible(&file).is_empty());
    assert_eq!(file.number("SELECT count(*) FROM memory"), 0);
    let retried = file.write(|writer| writer.retry_quarantine(Some(&op.dot))).unwrap();
    assert!(retried.applied.is_empty() || reason == "another cluster");
    file.check_sound();
}

#[test]
fn what_our_own_callers_could_not_write_is_held() {
    let a = author("text");
    let set = |part: Part, value: Vec<u8>| {
        changed(&a, |op| {
            op.parts.insert(part, value);
        })
    };
    let tag = |name: &str| set(Part::Tag(name.to_owned()), value::bool(true));
    check_held(tag("Upper"), "not written as tags are");
    check_held(tag(&"x".repeat(101)), "longer than");
    check_held(tag("a\u{1}"), "control");
    let many = changed(&a, |op| {
        op.parts.extend((0..101).map(|n| (Part::Tag(format!("t{n}")), value::bool(true))));
    });
    check_held(many, "at most 100");
    check_held(set(Part::Body, value::text(&"x".repeat(97 * 1024))), "content has");
    check_held(set(Part::Body, value::text("a\0b")), "NUL");
    check_held(set(Part::Body, value::text(" ")), "empty");
    check_held(set(Part::MemoryType, value::text(&"t".repeat(101))), "memory_type");
    check_held(set(Part::Born, value::f64(1e18)), "years 1 to 9999");
    check_held(set(Part::Metadata("k".to_owned()), value::text("{")), "not JSON");
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    check_held(set(Part::Metadata("k".to_owned()), value::text(&deep)), "nested");
    let large = format!("\"{}\"", "x".repeat(40_000));
    check_held(set(Part::Metadata("k".to_owned()), value::text(&large)), "metadata has");
    check_held(changed(&a, |op| op.namespace = "Upper".to_owned()), "namespace");
    check_held(changed(&a, |op| op.namespace = "_Upper".to_owned()), "namespace");
    check_held(changed(&a, |op| op.cluster = ClusterId([9; 16])), "another cluster");
    let renamed = changed(&a, |op| op.dot.oseq = 5);
    check_held(renamed, "calls itself");
}

#[test]
fn a_failing_file_takes_in_nothing_of_a_batch() {
    let mut a = author("one");
    a.create("two");
    let mut b = File::new("b");
    b.connection.execute_batch("ALTER TABLE conflict RENAME TO gone").unwrap();
    b.connection.execute_batch("ALTER TABLE applied RENAME TO lost").unwrap();
    let batch = kept(&a);
    let failed = b.write(|writer| writer.atomically(|writer| writer.apply_batch(&batch, None)));
    assert!(matches!(failed, Err(StoreError::Sqlite(_))));
    assert_eq!(b.number("SELECT count(*) FROM memory"), 0);
    b.connection.execute_batch("ALTER TABLE lost RENAME TO applied").unwrap();
    b.connection.execute_batch("ALTER TABLE gone RENAME TO conflict").unwrap();
    follow(&mut b, &a);
    check_equal(&a, &b);
}

#[test]
fn clocks_far_ahead_are_told_and_not_followed() {
    let mut a = File::new("a");
    a.now_ms += 3_600_000;
    a.create("text");
    let mut b = File::new("b");
    assert_eq!(follow(&mut b, &a).far_ahead, [NodeName::new("a").unwrap()]);
    b.create("mine");
    let clock: i64 = b.number("SELECT value FROM meta WHERE key = 'clock'");
    assert!(memnode_cluster::Clock::from_u64(clock.cast_unsigned()).millis() <= b.now_ms + 60_000);
}

#[test]
fn one_dot_with_two_values_is_told() {
    let (a, mut b) = (author("text"), File::new("b"));
    follow(&mut b, &a);
    let twin = changed(&a, |op| {
        op.parts.insert(Part::MemoryType, value::text("other"));
    });
    let mut c = File::new("c");
    apply(&mut c, &[twin]);
    let outcome = join(&mut b, &all_records(&c), &c.reader().vector().unwrap());
    assert_eq!(outcome.contradictions, [dot("a", 1, 1)]);
}

#[test]
fn a_write_of_a_copy_of_this_run_makes_this_run_another() {
    let mut file = author("text");
    let twin = changed(&file, |op| {
        op.dot.oseq = 2;
        op.kind = OpKind::Update;
    });
    let twin = Incoming { dot: dot("a", 1, 2), ..twin };
    apply(&mut file, &[twin]);
    file.create("mine");
    let vector = file.reader().vector().unwrap();
    assert_eq!(vector.get(&origin("a", 1)).unwrap().head(), 2);
    assert_eq!(vector.count(), 3);
    assert_eq!(vector.iter().count(), 2, "another epoch");
    file.check_sound();
}

#[test]
fn contexts_list_what_was_seen_whatever_was_undone() {
    let (mut a, mut b) = (author("one"), File::new("b"));
    let last_context = |file: &File| {
        let last = file.connection.query_row(
            "SELECT payload FROM op JOIN origin USING (origin_id) WHERE node = 'b'
             ORDER BY oseq DESC LIMIT 1",
            [],
            |row| row.get::<_, Vec<u8>>(0),
        );
        Op::decode(&last.unwrap()).unwrap().context
    };
    b.create("first");
    assert_eq!(last_context(&b), Vector::default());
    follow(&mut b, &a);
    b.create("second");
    assert_eq!(last_context(&b), vector(&[("a", 1, 1), ("b", 1, 1)]));
    let undone = b.write(|writer| {
        writer.atomically(|writer| {
            create(writer, "undone")?;
            Err::<(), _>(crate::Error::invalid("on purpose").into())
        })
    });
    assert!(undone.is_err());
    b.create("third");
    assert_eq!(last_context(&b), vector(&[("a", 1, 1), ("b", 1, 2)]));
    let month_ms = 31 * 24 * 3_600_000;
    b.now_ms += month_ms;
    b.create("later");
    assert_eq!(last_context(&b), vector(&[("b", 1, 3)]), "all else changed long ago");
    a.now_ms += month_ms;
    a.create("two");
    follow(&mut b, &a);
    b.create("last");
    assert_eq!(last_context(&b), vector(&[("a", 1, 2), ("b", 1, 4)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_of_any_cut_order_and_repetition_make_equal_files(
        steps in proptest::collection::vec((0..3_usize, 0..4_u8), 1..30),
        order in proptest::collection::vec(any::<Index>(), 0..60),
        cut in 1..7_usize,
    ) {
        let texts = ["alpha", "beta", "gamma"];
        let mut files = [File::new("a"), File::new("b")];
        for (number, (text, step)) in steps.into_iter().enumerate() {
            let file = &mut files[number % 2];
            let text = texts[text];
            let known = file.reader().find(&Namespace::default(), &ContentHash::of(text)).unwrap();
            match (step, is_live(&known)) {
                (0, true) => delete(file, text),
                (3, _) => drop(file.write(|writer| writer.purge(&target(text))).unwrap()),
                (_, true) => update(file, text, &number.to_string()),
                (_, false) => drop(file.create(text)),
            }
        }
        let all: Vec<Incoming> = files.iter().flat_map(kept).collect();
        let mut third = File::new("c");
        let picked = order.iter().map(|place| place.get(&all).clone());
        let shuffled: Vec<Incoming> = picked.chain(all.iter().rev().cloned()).collect();
        for batch in shuffled.chunks(cut) {
            apply(&mut third, batch);
        }
        for file in &mut files {
            apply(file, &all);
        }
        // An erasure takes payloads away before they were exchanged; only then dots may be missing.
        let (a, b) = (files[0].reader().vector().unwrap(), files[1].reader().vector().unwrap());
        if a == b {
            check_equal(&files[0], &files[1]);
        }
        if third.reader().vector().unwrap() == a {
            check_equal(&third, &files[0]);
        }
        let (first, rest) = files.split_at_mut(1);
        join_both(&mut first[0], &mut rest[0]);
        check_equal(&first[0], &rest[0]);
        join_both(&mut first[0], &mut third);
        join_both(&mut first[0], &mut rest[0]);
        check_equal(&first[0], &third);
        check_equal(&first[0], &rest[0]);
    }
}

/// A transfer in both directions, from the states before it.
fn join_both(a: &mut File, b: &mut File) {
    let (ours, theirs) = (all_records(a), all_records(b));
    let (left, right) = (a.reader().vector().unwrap(), b.reader().vector().unwrap());
    assert!(join(a, &theirs, &right).refused.is_empty());
    assert!(join(b, &ours, &left).refused.is_empty());
}
