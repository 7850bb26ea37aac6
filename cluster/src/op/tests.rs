//! What an op must be, and how it travels.

use minicbor::Encoder;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::error::DecodeError;
use crate::origin::OSEQ_MAX;
use crate::testing::{any_op, clock, dot, op, part};
use crate::{delete, purge, value};

fn parts(entries: &[(&str, Vec<u8>)]) -> Parts {
    entries.iter().map(|(name, value)| (part(name), value.clone())).collect()
}

/// An op with every field.
fn full() -> Op {
    Op {
        context: [dot("a", 1), dot("b", 7)].into_iter().collect(),
        embedding: Some(Embedding { model: "minilm".to_owned(), vector: vec![0.5, -1.0, 0.0] }),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        ..op(dot("a", 2), 9, parts(&[("body", value::text("x")), ("colour", vec![0x18, 0x01])]))
    }
}

/// The bytes of an op with fields of a newer minor version behind its own.
fn with_fields(op: &Op, fields: &[(u64, &[u8])]) -> Vec<u8> {
    let mut bytes = op.encode().unwrap();
    bytes[0] += u8::try_from(fields.len()).unwrap();
    for (key, value) in fields {
        Encoder::new(&mut bytes).u64(*key).unwrap();
        bytes.extend_from_slice(value);
    }
    bytes
}

fn check_invalid(change: impl FnOnce(&mut Op), expected: Invalid) {
    let mut op = full();
    change(&mut op);
    assert_eq!(op.encode(), Err(expected.clone()));
    if !matches!(expected, Invalid::TooLarge { .. }) {
        assert_eq!(op.validate(), Err(expected));
    }
}

#[test]
fn every_field_survives_the_codec() {
    let op = full();
    assert_eq!(Op::decode(&op.encode().unwrap()).unwrap(), op);
    assert_eq!(op.id(), RecordId::new("default", &[3; 32]));
}

#[test]
fn fields_and_parts_of_a_newer_minor_version_are_sent_on_byte_for_byte() {
    let mut newer = full();
    newer.version.minor = 3;
    let fields: [(u64, &[u8]); 3] =
        [(12, b"\x18\x01"), (13, b"\x9f\x01\xbf\x60\x02\xff\xff"), (500, b"\xf6")];
    let bytes = with_fields(&newer, &fields);
    let decoded = Op::decode(&bytes).unwrap();
    assert_eq!(decoded.version, Version { major: 1, minor: 3 });
    assert!(!decoded.unknown.is_empty());
    assert_eq!(decoded.parts[&part("colour")], [0x18, 0x01]);
    assert_eq!(decoded.encode().unwrap(), bytes);
}

#[test]
fn another_major_version_has_its_own_error() {
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes).map(2).unwrap().u8(0).unwrap();
    Encoder::new(&mut bytes).array(2).unwrap().u8(2).unwrap().u8(0).unwrap();
    bytes.extend(b"whatever follows");
    let refused = Op::decode(&bytes);
    assert!(matches!(refused, Err(DecodeError::UnsupportedMajor { major: 2 })), "{refused:?}");
}

#[test]
fn an_op_has_one_encoding() {
    let bytes = full().encode().unwrap();
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Op::decode(&longer), Err(DecodeError::NotCanonical)));
    for fields in [&[(13, &[0][..]), (12, &[0])], &[(12, &[0][..]), (12, &[0])]] {
        let refused = Op::decode(&with_fields(&full(), fields));
        assert!(matches!(refused, Err(DecodeError::NotCanonical)), "{refused:?}");
    }
    for len in 0..bytes.len() {
        assert!(Op::decode(&bytes[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn clocks_and_numbers_outside_their_range_are_refused() {
    check_invalid(|op| op.clock = Clock::ZERO, Invalid::Clock(0));
    check_invalid(|op| op.clock = Clock::POISON, Invalid::Clock(Clock::POISON.as_u64()));
    check_invalid(|op| op.era = op.clock, Invalid::Era);
    check_invalid(|op| op.dot.oseq = 0, Invalid::Sequence(0));
    check_invalid(|op| op.dot.oseq = OSEQ_MAX + 1, Invalid::Sequence(OSEQ_MAX + 1));
}

#[test]
fn texts_and_vectors_outside_their_range_are_refused() {
    for namespace in ["".to_owned(), "n".repeat(257), "a\0".to_owned()] {
        check_invalid(|op| op.namespace = namespace, Invalid::Namespace);
    }
    for traceparent in ["", "00 01", "ü", &"0".repeat(129)] {
        check_invalid(|op| op.traceparent = Some(traceparent.to_owned()), Invalid::Traceparent);
    }
    for (model, vector) in [
        ("", vec![1.0]),
        ("m\n", vec![1.0]),
        ("m", vec![]),
        ("m", vec![f32::NAN]),
        ("m", vec![0.0; EMBEDDING_DIMENSIONS_MAX + 1]),
    ] {
        let embedding = Some(Embedding { model: model.to_owned(), vector });
        check_invalid(|op| op.embedding = embedding, Invalid::Embedding);
    }
    check_invalid(|op| op.parts = parts(&[("body", value::null())]), Invalid::Value(Part::Body));
}

#[test]
fn a_kind_of_op_writes_what_it_says() {
    let with = |kind, parts| move |op: &mut Op| (op.kind, op.parts) = (kind, parts);
    let body = || parts(&[("body", value::text("x"))]);
    check_invalid(with(OpKind::Create, body()), Invalid::MissingPart(Part::Born));
    check_invalid(with(OpKind::Restore, Parts::new()), Invalid::MissingPart(Part::Born));
    check_invalid(with(OpKind::Delete, body()), Invalid::MissingPart(Part::Reset));
    check_invalid(with(OpKind::Purge, delete(clock(9))), Invalid::MissingPart(Part::Erased));
    check_invalid(with(OpKind::Update, purge(clock(9))), Invalid::StrayErase);
    let both = body().into_iter().chain(purge(clock(9))).collect();
    check_invalid(with(OpKind::Purge, both), Invalid::StrayErase);
    for kind in OpKind::ALL {
        assert_eq!(OpKind::from_code(kind.code()), Some(kind));
    }
    assert_eq!(OpKind::from_code(5), None);
}

#[test]
fn the_size_limit_counts_all_but_the_embedding() {
    let text = |len: usize| parts(&[("body", value::text(&"x".repeat(len)))]);
    let mut op = full();
    op.embedding = Some(Embedding { model: "m".repeat(256), vector: vec![1.0; 8192] });
    op.parts = text(OP_BYTES_MAX);
    let Err(Invalid::TooLarge { bytes, bytes_max: OP_BYTES_MAX }) = op.encode() else {
        panic!("an op beyond the limit was encoded");
    };
    op.parts = text(2 * OP_BYTES_MAX - bytes);
    let encoded = op.encode().unwrap();
    assert_eq!(Op::decode(&encoded).unwrap(), op);
    let too_long = vec![0; encoded.len() + 1000];
    assert!(matches!(Op::decode(&too_long), Err(DecodeError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn ops_survive_the_codec(op in any_op()) {
        let bytes = op.encode().unwrap();
        prop_assert_eq!(Op::decode(&bytes).unwrap(), op);
    }

    #[test]
    fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let _refused_or_not = Op::decode(&bytes);
    }

    #[test]
    fn random_fields_never_panic(field in any::<Vec<u8>>()) {
        let bytes = with_fields(&full(), &[(12, &field)]);
        if let Ok(op) = Op::decode(&bytes) {
            prop_assert_eq!(op.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_as_they_stand(
        op in prop_oneof![any_op(), Just(full())],
        damage in vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = op.encode().unwrap();
        for (at, byte) in damage {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        if let Ok(op) = Op::decode(&bytes) {
            prop_assert_eq!(op.encode().unwrap(), bytes);
        }
    }
}
