//! The laws of the join, on generated ops.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::creation;
use super::*;
use crate::testing::{any_op, any_ops, dot, op, record};
use crate::{Parts, RecordId};

const ID: RecordId = RecordId([9; 16]);

/// The join as its definition in the module documentation, from the set of all registers.
fn model(ops: &[Op]) -> BTreeMap<Part, Register> {
    let all: Vec<(Part, Register)> = ops
        .iter()
        .flat_map(|op| {
            let register = |value: &Vec<u8>| Register { stamp: op.stamp(), value: value.clone() };
            op.parts.iter().map(move |(part, value)| (part.clone(), register(value)))
        })
        .collect();
    let erase_clock = |(part, register): &(Part, Register)| match part {
        Part::Erased => register.stamp.clock,
        _ => register.stamp.era,
    };
    let era = all.iter().map(erase_clock).max().unwrap_or_default();
    let of_era =
        |(part, register): &&(Part, Register)| *part == Part::Erased || register.stamp.era == era;
    let resets = all.iter().filter(of_era).filter(|(part, _)| *part == Part::Reset);
    let reset = resets.map(|(_, register)| register.reset_clock()).max().unwrap_or_default();
    let mut record: BTreeMap<Part, Register> = BTreeMap::new();
    for (part, register) in all.iter().filter(of_era) {
        let is_marker = matches!(part, Part::Erased | Part::Reset);
        if !is_marker && register.stamp.clock <= reset {
            continue;
        }
        let present = record.entry(part.clone()).or_insert_with(|| register.clone());
        if compare(part, register, present).is_gt() {
            *present = register.clone();
        }
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_record_is_the_defined_function_of_the_set_of_ops(ops in any_ops()) {
        prop_assert_eq!(record(&ops).parts, model(&ops));
    }

    #[test]
    fn any_order_and_any_repetition_give_one_state(
        (ops, shuffled) in any_ops().prop_flat_map(|ops| {
            let doubled = [ops.clone(), ops.clone()].concat();
            (Just(ops), Just(doubled).prop_shuffle())
        })
    ) {
        let (once, again) = (record(&ops), record(&shuffled));
        prop_assert_eq!(once.state_hash(&ID), again.state_hash(&ID));
        prop_assert_eq!(once, again);
    }

    #[test]
    fn merge_is_commutative(a in any_ops(), b in any_ops()) {
        let (a, b) = (record(&a), record(&b));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        prop_assert_eq!(ab.state_hash(&ID), ba.state_hash(&ID));
        prop_assert_eq!(ab, ba);
    }

    #[test]
    fn merge_is_associative(a in any_ops(), b in any_ops(), c in any_ops()) {
        let (a, b, c) = (record(&a), record(&b), record(&c));
        let (mut left, mut bc) = (a.clone(), b.clone());
        left.merge(&b);
        left.merge(&c);
        bc.merge(&c);
        let mut right = a;
        right.merge(&bc);
        prop_assert_eq!(left, right);
    }

    #[test]
    fn merge_is_idempotent_and_says_so(ops in any_ops()) {
        let mut record = record(&ops);
        let before = record.clone();
        prop_assert_eq!(record.merge(&before), Outcome::default());
        prop_assert_eq!(&record, &before);
        for op in &ops {
            prop_assert!(!record.apply(op).is_changed());
        }
        prop_assert_eq!(record, before);
    }

    #[test]
    fn merging_states_is_applying_all_ops(a in any_ops(), b in any_ops()) {
        let mut merged = record(&a);
        merged.merge(&record(&b));
        prop_assert_eq!(merged, record(a.iter().chain(&b)));
    }

    #[test]
    fn the_outcome_names_every_part_that_changed(ops in any_ops(), last in any_op()) {
        let before = record(&ops);
        let mut after = before.clone();
        let outcome = after.apply(&last);
        let parts = before.parts().chain(after.parts()).map(|(part, _)| part);
        for part in parts.filter(|part| before.get(part) != after.get(part)) {
            prop_assert!(outcome.changed.contains(part), "{:?}", part);
        }
        prop_assert_eq!(outcome.is_changed(), before != after);
    }

    #[test]
    fn a_write_later_than_the_newest_clock_takes_effect(ops in any_ops(), name in "[a-z]{1,8}") {
        let mut record = record(&ops);
        let at = record.newest_clock().next();
        let parts = Parts::from([(Part::Tag(name.clone()), value::bool(true))]);
        record.apply(&Op { era: record.era(), ..op(dot("a", 9), at.as_u64(), parts) });
        prop_assert!(record.tags().contains(&name.as_str()));
        prop_assert_eq!(record.newest_clock(), at);
    }

    #[test]
    fn the_newest_clock_of_an_era_never_falls(ops in any_ops(), last in any_op()) {
        let before = record(&ops);
        let mut after = before.clone();
        after.apply(&last);
        prop_assert!(after.era() >= before.era());
        if after.era() == before.era() {
            prop_assert!(after.newest_clock() >= before.newest_clock());
        }
    }

    #[test]
    fn a_creation_lives_and_shows_only_its_own(ops in any_ops()) {
        let mut record = record(&ops);
        let was_deleted = record.get(&Part::Reset).is_some() && !record.is_live();
        let at = record.newest_clock().next();
        record.apply(&creation("a", at.as_u64(), &record, &["new"]));
        prop_assert!(record.is_live());
        prop_assert_eq!(record.content(), Some("text"));
        if was_deleted {
            prop_assert_eq!(record.tags(), ["new"]);
            prop_assert!(record.metadata().is_empty());
        }
    }
}
