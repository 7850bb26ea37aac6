//! The rows of the protocol's table of parts, and its rule of conflicts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::*;
use crate::testing::{clock, dot, op, part, record};
use crate::{CreateValues, OpKind, Parts, UpdateValues, create, delete, purge, update};

/// Applies the ops in every order, each order also with every op twice, and gives the one record.
fn join(ops: &[Op]) -> Record {
    let expected = record(ops);
    for order in permutations(ops) {
        assert_eq!(record(&order), expected, "in the order {order:?}");
        assert_eq!(record(order.iter().chain(&order)), expected, "twice in the order {order:?}");
    }
    expected
}

fn permutations(ops: &[Op]) -> Vec<Vec<Op>> {
    if ops.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in ops.iter().enumerate() {
        let rest: Vec<Op> = [&ops[..index], &ops[index + 1..]].concat();
        for mut order in permutations(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

fn write(node: &str, at: u64, name: &str, value: Vec<u8>) -> Op {
    op(dot(node, at), at, Parts::from([(part(name), value)]))
}

fn deletion(node: &str, at: u64) -> Op {
    Op { kind: OpKind::Delete, ..op(dot(node, at), at, delete(clock(at))) }
}

fn erasure(node: &str, at: u64) -> Op {
    Op { kind: OpKind::Purge, ..op(dot(node, at), at, purge(clock(at))) }
}

pub(super) fn creation(node: &str, at: u64, seen: &Record, tags: &[&str]) -> Op {
    let values = CreateValues {
        created_at: at as f64,
        updated_at: at as f64,
        content: "text".to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..CreateValues::default()
    };
    let parts = create(seen, clock(at), &values);
    Op { kind: OpKind::Create, era: seen.era(), ..op(dot(node, at), at, parts) }
}

fn text(record: &Record, name: &str) -> Option<String> {
    let register = record.get(&part(name))?;
    value::read_text(&register.value).map(str::to_owned)
}

#[test]
fn the_greatest_birth_and_body_win() {
    let ops = [
        write("b", 5, "born", value::f64(1.0)),
        write("a", 6, "born", value::f64(2.0)),
        write("a", 4, "body", value::text("Text")),
        write("b", 4, "body", value::text("text")),
    ];
    let record = join(&ops);
    assert_eq!(record.created_at(), Some(2.0), "the later one");
    assert_eq!(record.content(), Some("text"), "with equal clocks the greater origin");
}

#[test]
fn one_dot_with_two_values_is_a_contradiction() {
    let ops = [write("a", 4, "body", value::text("x")), write("a", 4, "body", value::text("y"))];
    for (first, second) in [(&ops[0], &ops[1]), (&ops[1], &ops[0])] {
        let mut one = record([first]);
        assert!(one.apply(first).contradictions.is_empty(), "the same again");
        let found = one.clone().merge(&record([second])).contradictions;
        assert_eq!(found, one.apply(second).contradictions);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [dot("a", 4)]);
    }
    let mut other = record([&ops[0]]);
    let later = write("a", 5, "body", value::text("y"));
    assert!(other.apply(&later).contradictions.is_empty(), "another dot");
}

#[test]
fn equal_stamps_are_decided_by_the_hash_of_the_value() {
    let ops = [write("a", 4, "body", value::text("x")), write("a", 4, "body", value::text("y"))];
    let greater = ops.iter().max_by_key(|op| Sha256::digest(&op.parts[&Part::Body]));
    assert_eq!(join(&ops), record(greater));
}

#[test]
fn the_greatest_delete_counts_and_equal_is_dead() {
    let empty = Record::default();
    let birth = creation("a", 5, &empty, &[]);
    assert!(join(&[birth.clone(), deletion("b", 4)]).is_live(), "deleted before it was born");
    assert!(!join(&[birth.clone(), deletion("b", 5)]).is_live(), "equal is dead");
    let dead = join(&[birth, deletion("b", 8), deletion("c", 6)]);
    assert!(!dead.is_live());
    assert_eq!(dead.reset_clock(), clock(8));
    assert_eq!(dead.parts().count(), 1, "a tombstone is one register");
}

#[test]
fn type_time_and_keys_go_to_the_greatest_and_null_removes() {
    let ops = [
        write("a", 3, "type", value::text("note")),
        write("a", 5, "type", value::null()),
        write("a", 6, "updated_at", value::f64(6.0)),
        write("b", 7, "updated_at", value::f64(1.0)),
        write("a", 4, "meta.k", value::text("1")),
    ];
    let mut seen = join(&ops);
    assert_eq!((seen.memory_type(), seen.updated_at()), (None, Some(1.0)));
    assert_eq!(seen.metadata(), BTreeMap::from([("k", "1")]));
    seen.apply(&write("b", 8, "meta.k", value::null()));
    assert_eq!(seen.metadata(), BTreeMap::new());
    assert!(seen.get(&part("meta.k")).is_some(), "a removal is a value");
}

#[test]
fn a_tag_goes_to_the_greatest_and_to_present_when_clocks_are_equal() {
    for (added_at, removed_at, expected) in [(4, 5, false), (5, 4, true), (5, 5, true)] {
        for (adder, remover) in [("a", "b"), ("b", "a")] {
            let added = write(adder, added_at, "tag.t", value::bool(true));
            let removed = write(remover, removed_at, "tag.t", value::bool(false));
            let tags = join(&[added, removed]).tags().len();
            assert_eq!(tags == 1, expected, "added {added_at}, removed {removed_at}");
        }
    }
}

#[test]
fn an_erasure_takes_the_older_era_however_late_its_writes_are() {
    let seen = record([&erasure("a", 5)]);
    let late = write("b", 9, "tag.t", value::bool(true));
    let reborn = creation("c", 7, &seen, &["u"]);
    let ops = [creation("a", 2, &Record::default(), &[]), erasure("a", 5), late, reborn];
    let record = join(&ops);
    assert!(record.is_live());
    assert_eq!(record.tags(), ["u"]);
    assert_eq!(record.era(), clock(5));
}

#[test]
fn a_delete_that_had_not_seen_the_erasure_does_not_reach_beyond_it() {
    let reborn = creation("c", 7, &record([&erasure("a", 5)]), &[]);
    assert!(join(&[erasure("a", 5), deletion("b", 9), reborn]).is_live());
}

#[test]
fn of_two_erasures_the_later_clock_counts_whatever_their_eras() {
    let second = Op { era: clock(5), ..erasure("b", 7) };
    let record = join(&[erasure("a", 9), erasure("c", 5), second]);
    assert_eq!(record.era(), clock(9));
    assert_eq!(record.parts().count(), 1);
}

#[test]
fn writes_at_or_before_a_reset_are_gone_and_newer_ones_stay_while_dead() {
    let ops = [
        creation("a", 2, &Record::default(), &["old"]),
        deletion("b", 5),
        write("a", 5, "tag.equal", value::bool(true)),
        write("a", 6, "tag.new", value::bool(true)),
        write("c", 6, "colour", value::text("red")),
        write("c", 4, "zone", value::text("north")),
    ];
    let record = join(&ops);
    assert!(!record.is_live());
    assert_eq!(record.tags(), ["new"]);
    assert_eq!(text(&record, "colour").as_deref(), Some("red"), "unknown parts follow the rule");
    assert_eq!(text(&record, "zone"), None);
}

#[test]
fn a_creation_keeps_no_tags_of_a_former_life() {
    let first = creation("a", 2, &Record::default(), &["old"]);
    let deleted = deletion("b", 5);
    // Concurrent to the delete, so it outlives it in the dead record.
    let edit = write("a", 8, "tag.stray", value::bool(true));
    let dead = record([&first, &deleted, &edit]);
    assert_eq!(dead.tags(), ["stray"]);
    let second = creation("c", 10, &dead, &["new"]);
    let alive = join(&[first, deleted, edit, second]);
    assert!(alive.is_live());
    assert_eq!(alive.tags(), ["new"]);
    assert_eq!(alive.created_at(), Some(10.0));
}

#[test]
fn an_edit_beats_what_its_author_saw() {
    let hour = 3_600_000;
    let now = 1_800_000_000_000;
    let mut ahead = crate::LocalClock::resume(Clock::ZERO, now + hour);
    let mut behind = crate::LocalClock::resume(Clock::ZERO, now - hour);
    let birth = ahead.draw(now + hour, Clock::ZERO).unwrap();
    let mut seen = record([&creation("z", birth.as_u64(), &Record::default(), &["old"])]);
    for round in 0..3 {
        let at = behind.draw(now - hour, seen.newest_clock()).unwrap();
        let tags = vec![format!("round {round}")];
        let values = UpdateValues { tags: Some(tags.clone()), ..UpdateValues::default() };
        let parts = update(&seen, &values);
        seen.apply(&op(dot("a", round + 1), at.as_u64(), parts));
        assert_eq!(seen.tags(), tags);
    }
}

#[test]
fn two_concurrent_creations_unite() {
    let empty = Record::default();
    let ops = [creation("a", 4, &empty, &["red"]), creation("b", 5, &empty, &["blue"])];
    let record = join(&ops);
    assert_eq!(record.tags(), ["blue", "red"]);
    assert_eq!(record.created_at(), Some(5.0));
}

#[test]
fn a_creation_that_has_not_seen_a_later_delete_stays_dead() {
    let empty = Record::default();
    let ops = [creation("a", 2, &empty, &[]), deletion("a", 9), creation("b", 7, &empty, &[])];
    assert!(!join(&ops).is_live());
}

#[test]
fn an_op_that_no_node_would_take_is_not_applied() {
    let op = write("a", 1, "tag.t", value::text("yes"));
    assert!(std::panic::catch_unwind(|| record([&op])).is_err());
}

fn seen(dots: &[Dot]) -> Vector {
    dots.iter().cloned().collect()
}

/// Applies both ops in both orders and says whether the loss is a conflict, which it must be in
/// both or in none.
fn check_conflict(loser: &Op, winner: &Op, expected: bool) {
    for (first, second) in [(loser, winner), (winner, loser)] {
        let mut record = record([first]);
        let outcome = record.apply(second);
        let context_of = |dot: &Dot| (*dot == winner.dot).then_some(Cow::Borrowed(&winner.context));
        let conflicts = outcome.conflicts(context_of);
        let losers: Vec<_> = conflicts.iter().map(|conflict| &conflict.loser.stamp.dot).collect();
        let all = if expected { vec![&loser.dot] } else { vec![] };
        assert_eq!(losers, all, "{} then {}", first.dot, second.dot);
    }
}

#[test]
fn a_loss_is_a_conflict_unless_the_winner_knew_the_loser() {
    let loser = write("a", 4, "body", value::text("x"));
    let body = value::text("y");
    let winner = |context| Op { context, ..write("b", 6, "body", body.clone()) };
    check_conflict(&loser, &winner(seen(&[])), true);
    check_conflict(&loser, &winner(seen(&[dot("a", 3)])), true);
    check_conflict(&loser, &winner(seen(&[dot("a", 4)])), false);
    check_conflict(&loser, &write("a", 6, "body", body.clone()), false);
    check_conflict(&loser, &write("b", 6, "body", value::text("x")), false);
}

#[test]
fn an_edit_lost_to_a_delete_is_a_conflict_unless_the_delete_knew_it() {
    let edit = write("a", 4, "meta.k", value::text("1"));
    let delete = |context| Op { context, ..deletion("b", 6) };
    check_conflict(&edit, &delete(seen(&[])), true);
    check_conflict(&edit, &delete(seen(&[dot("a", 4)])), false);
    check_conflict(&deletion("a", 5), &delete(seen(&[])), false);
}

#[test]
fn what_the_next_life_repeats_is_not_lost() {
    let dead = record([&deletion("b", 3)]);
    let next = creation("b", 6, &dead, &["kept"]);
    assert_eq!(value::read_clock(&next.parts[&Part::Reset]), Some(clock(5)));
    check_conflict(&write("a", 4, "tag.kept", value::bool(true)), &next, false);
    check_conflict(&write("a", 4, "tag.other", value::bool(true)), &next, true);
    check_conflict(&write("a", 4, "body", value::text("Text")), &next, true);
}

#[test]
fn what_an_erasure_takes_leaves_no_conflict() {
    check_conflict(&write("a", 4, "body", value::text("x")), &erasure("b", 6), false);
}

#[test]
fn a_loss_to_a_pruned_op_is_a_conflict() {
    let (loser, winner) =
        (write("a", 4, "type", value::null()), write("b", 5, "type", value::text("n")));
    let outcome = record([&winner]).apply(&loser);
    assert_eq!(outcome.conflicts(|_| None).len(), 1);
}

#[test]
fn an_origin_that_a_context_leaves_out_was_seen_if_it_was_silent_for_long() {
    let day = 24 * 3600 * 1000;
    let written = |at: u64, node| {
        let at = Clock::from_millis(at * day).as_u64();
        op(dot(node, 1), at, Parts::from([(part("body"), value::text(node))]))
    };
    check_conflict(&written(100, "a"), &written(129, "b"), true);
    check_conflict(&written(100, "a"), &written(131, "b"), false);
}

#[test]
fn in_a_transfer_a_loss_is_a_conflict_unless_both_sides_had_the_loser() {
    let loser = write("a", 4, "body", value::text("x"));
    let winner = write("b", 6, "body", value::text("y"));
    for (mut here, there) in [(&loser, &winner), (&winner, &loser)].map(|(a, b)| (record([a]), b)) {
        let outcome = here.merge(&record([there]));
        let both = seen(&[loser.dot.clone(), winner.dot.clone()]);
        let one = seen(std::slice::from_ref(&winner.dot));
        assert_eq!(outcome.conflicts_in_transfer(&both, &both).len(), 0);
        assert_eq!(outcome.conflicts_in_transfer(&both, &one).len(), 1);
        assert_eq!(outcome.conflicts_in_transfer(&one, &both).len(), 1);
    }
}
