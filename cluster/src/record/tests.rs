//! What a record reads as, hashes to and travels as.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::DecodeError;
use crate::testing::{any_op, any_ops, clock, dot, op, part, record};
use crate::{CreateValues, Parts, create, delete};

const ID: RecordId = RecordId([9; 16]);

fn register(node: &str, at: u64, value: Vec<u8>) -> Register {
    Register { stamp: Stamp { era: Clock::ZERO, clock: clock(at), dot: dot(node, 1) }, value }
}

fn one(name: &str, register: Register) -> Record {
    Record { parts: BTreeMap::from([(part(name), register)]) }
}

#[test]
fn ids_keep_namespace_and_hash_apart() {
    let id = RecordId::new("default", &[1; 32]);
    assert_eq!(id.to_string().len(), 32);
    assert_ne!(id, RecordId::new("defaul", &[1; 32]));
    assert_ne!(id, RecordId::new("default", &[2; 32]));
}

#[test]
fn ids_and_state_hashes_are_the_same_in_every_version() {
    let id = RecordId::new("default", &[1; 32]);
    assert_eq!(id.to_string(), "9bc578adb023f76b96d95955a5f3756a");
    let record = one("meta.k", register("a", 5, value::text("x")));
    let hash = u128::from_be_bytes(record.state_hash(&id));
    assert_eq!(format!("{hash:032x}"), "8034cb17b9faf17c293f8e05f541182c");
}

#[test]
fn a_tombstone_is_small() {
    let at = Clock::from_millis(1_800_000_000_000);
    let dead = record([&op(dot("node-1", 100_000), at.as_u64(), delete(at))]);
    assert!(dead.encode().len() <= 50, "{} bytes", dead.encode().len());
}

#[test]
fn the_state_hash_covers_everything() {
    let base = one("body", register("a", 5, value::text("x")));
    let hash = base.state_hash(&ID);
    let long_header = vec![0x78, 0x01, b'x'];
    for other in [
        one("type", register("a", 5, value::text("x"))),
        one("body", register("a", 5, value::text("y"))),
        one("body", register("a", 5, long_header)),
        one("body", register("b", 5, value::text("x"))),
        one("body", register("a", 6, value::text("x"))),
        Record::default(),
    ] {
        assert_ne!(other.state_hash(&ID), hash, "{other:?}");
    }
    assert_ne!(base.state_hash(&RecordId([8; 16])), hash);
}

fn check_refused(bytes: &[u8]) {
    assert!(Record::decode(bytes).is_err(), "{bytes:02x?}");
}

#[test]
fn registers_that_no_op_can_write_are_refused() {
    check_refused(&one("body", register("a", 0, value::text("x"))).encode());
    check_refused(&one("body", register("a", Clock::POISON.as_u64(), value::text("x"))).encode());
    check_refused(&one("body", register("a", 5, value::null())).encode());
    let mut own_era = register("a", 5, value::text("x"));
    own_era.stamp.era = clock(5);
    check_refused(&one("body", own_era).encode());
}

#[test]
fn a_record_that_is_not_in_normal_form_is_refused() {
    let mut record = one("body", register("a", 5, value::text("x")));
    record.parts.insert(Part::Reset, register("a", 6, value::clock(clock(6))));
    assert!(matches!(Record::decode(&record.encode()), Err(DecodeError::NotCanonical)));
}

#[test]
fn lengths_that_are_not_there_cost_nothing() {
    let huge = |at: usize| {
        let mut bytes = vec![0x83, 0x01, 0x80];
        bytes.truncate(at);
        bytes.extend([0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        bytes
    };
    check_refused(&huge(0));
    check_refused(&huge(2));
    check_refused(&huge(3));
    check_refused(&[0x83, 0x02, 0x80, 0x80]);
}

#[test]
fn an_unknown_part_is_kept_byte_for_byte() {
    let odd = vec![0x9f, 0x18, 0x01, 0xff];
    let record = record([&op(dot("a", 1), 5, Parts::from([(part("colour"), odd.clone())]))]);
    let decoded = Record::decode(&record.encode()).unwrap();
    assert_eq!(decoded.get(&part("colour")).unwrap().value, odd);
}

#[test]
fn a_live_record_reads_as_it_was_written() {
    let values = CreateValues { content: "text".to_owned(), ..CreateValues::default() };
    let parts = create(&Record::default(), clock(5), &values);
    let record = record([&op(dot("a", 1), 5, parts)]);
    assert!(record.is_live());
    assert_eq!(record.content(), Some("text"));
    assert_eq!(record.memory_type(), None);
    assert_eq!(record.born().map(|born| &born.stamp.dot), Some(&dot("a", 1)));
    assert_eq!((record.newest_clock(), record.era()), (clock(5), Clock::ZERO));
    assert!(!record.is_empty());
}

proptest! {
    #[test]
    fn it_survives_the_codec(ops in any_ops()) {
        let record = record(&ops);
        let decoded = Record::decode(&record.encode()).unwrap();
        prop_assert_eq!(decoded.state_hash(&ID), record.state_hash(&ID));
        prop_assert_eq!(&decoded, &record);
        let parts = record.parts().map(|(part, register)| (part.clone(), register.clone()));
        prop_assert_eq!(parts.collect::<Record>(), decoded);
    }

    #[test]
    fn different_records_have_different_bytes_and_hashes(a in any_op(), b in any_op()) {
        let (a, b) = (record([&a]), record([&b]));
        prop_assert_eq!(a == b, a.encode() == b.encode());
        prop_assert_eq!(a == b, a.state_hash(&ID) == b.state_hash(&ID));
    }

    #[test]
    fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let _refused_or_not = Record::decode(&bytes);
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_as_they_stand(
        ops in any_ops(),
        damage in vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = record(&ops).encode();
        for (at, byte) in damage {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }
}
