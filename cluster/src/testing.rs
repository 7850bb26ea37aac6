//! Shorthand and generators for the tests of this crate.
//!
//! The generated worlds are crowded on purpose: few clocks, nodes, parts and values, so that ties,
//! resets and erasures meet in almost every case.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{
    Clock, ClusterId, Dot, NodeName, Op, OpKind, Origin, Part, Parts, Record, UnknownFields,
    Vector, Version, value,
};

pub(crate) fn clock(number: u64) -> Clock {
    Clock::from_u64(number)
}

pub(crate) fn origin(node: &str, epoch: u64) -> Origin {
    Origin { node: NodeName::new(node).unwrap(), epoch }
}

/// The dot `oseq` of the first run of `node`.
pub(crate) fn dot(node: &str, oseq: u64) -> Dot {
    Dot { origin: origin(node, 1), oseq }
}

pub(crate) fn part(name: &str) -> Part {
    Part::from_name(name)
}

/// An update of era 0 at `at` by `dot`.
pub(crate) fn op(dot: Dot, at: u64, parts: Parts) -> Op {
    Op {
        version: Version::CURRENT,
        cluster: ClusterId([7; 16]),
        namespace: "default".to_owned(),
        content_hash: [3; 32],
        dot,
        clock: clock(at),
        era: Clock::ZERO,
        context: Vector::default(),
        kind: OpKind::Update,
        parts,
        embedding: None,
        traceparent: None,
        unknown: UnknownFields::default(),
    }
}

/// The record that the ops make in this order.
pub(crate) fn record<'a>(ops: impl IntoIterator<Item = &'a Op>) -> Record {
    let mut record = Record::default();
    for op in ops {
        record.apply(op);
    }
    record
}

pub(crate) fn any_dot() -> impl Strategy<Value = Dot> {
    (select(vec!["a", "b", "c"]), 1..3u64, 1..6u64)
        .prop_map(|(node, epoch, oseq)| Dot { origin: origin(node, epoch), oseq })
}

pub(crate) fn any_vector() -> impl Strategy<Value = Vector> {
    vec(any_dot(), 0..12).prop_map(Vector::from_iter)
}

/// Any valid op on one record. Dots repeat with other content, as after a machine snapshot that
/// was rolled back: even then all nodes must agree.
pub(crate) fn any_op() -> impl Strategy<Value = Op> {
    (any_dot(), 1..12u64, any_vector()).prop_flat_map(|(dot, at, context)| {
        let eras = [0, 0, 0, 2, 4, 7].into_iter().filter(|era| *era < at).collect::<Vec<u64>>();
        let purge = Just((OpKind::Purge, crate::purge(clock(at))));
        let update = vec(any_entry(at), 1..5)
            .prop_map(|entries| (OpKind::Update, entries.into_iter().collect()));
        (select(eras), prop_oneof![1 => purge.boxed(), 9 => update.boxed()]).prop_map(
            move |(era, (kind, parts))| Op {
                era: clock(era),
                context: context.clone(),
                kind,
                ..op(dot.clone(), at, parts)
            },
        )
    })
}

pub(crate) fn any_ops() -> impl Strategy<Value = Vec<Op>> {
    vec(any_op(), 0..10)
}

/// A part other than `erased`, with a value for an op at `at`.
fn any_entry(at: u64) -> impl Strategy<Value = (Part, Vec<u8>)> {
    let seconds = (0..3u8).prop_map(|number| value::f64(number.into()));
    let text = select(vec!["x", "y"]).prop_map(value::text);
    let text_or_null = prop_oneof![text.clone(), Just(value::null())];
    let reset = select(vec![at, at - 1]).prop_map(|reset| value::clock(clock(reset)));
    let presence = any::<bool>().prop_map(value::bool);
    prop_oneof![
        named(vec!["born", "updated_at"], seconds),
        named(vec!["body"], text.clone()),
        named(vec!["type", "meta.k", "meta.l"], text_or_null),
        named(vec!["tag.t", "tag.u"], presence),
        named(vec!["reset"], reset),
        named(vec!["colour", "zone.k"], text),
    ]
}

fn named(
    names: Vec<&'static str>,
    values: impl Strategy<Value = Vec<u8>> + 'static,
) -> BoxedStrategy<(Part, Vec<u8>)> {
    (select(names).prop_map(part), values).boxed()
}
