//! Messages come back as they were sent; what is none is refused.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use proptest::prelude::*;

use super::*;
use crate::testing::{any_vector, dot, origin, record};
use crate::{ClusterId, IntervalSet, NodeName, OSEQ_MAX, Origin, RecordId, Vector, value};

fn check<T>(message: T)
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug,
{
    let bytes = to_bytes(&message);
    assert_eq!(from_bytes::<T>(&bytes).expect("it was just written"), message);
    let cut = bytes.get(..bytes.len() - 1).expect("no message is empty");
    assert!(from_bytes::<T>(cut).is_err());
}

fn batch(lo: u64, count: usize) -> Batch {
    Batch {
        cluster: ClusterId([1; 16]),
        run: 7,
        origin: origin("a", 2),
        lo,
        ops: vec![ByteVec::from(vec![1, 2]); count],
        wants_ack: true,
    }
}

#[test]
fn every_request_and_reply_survives() {
    let id = RecordId([9; 16]);
    let root = Root([3; 16]);
    for request in [
        Request::Range(Range { origin: origin("a", 1), intervals: vec![(1, 2), (5, 5)] }),
        Request::Vector { after: Some(origin("a", u64::MAX)) },
        Request::Vector { after: None },
        Request::Groups,
        Request::Buckets { group: 63 },
        Request::Hashes { bucket: 4095, after: Some(id) },
        Request::Records { ids: vec![id] },
        Request::BucketRecords { first: 0, last: 7, after: None },
        Request::Snapshot,
    ] {
        check(Ask { cluster: ClusterId([1; 16]), request });
    }
    let tagged = crate::testing::op(
        dot("a", 1),
        5,
        [(crate::testing::part("tag.t"), value::bool(true))].into_iter().collect(),
    );
    let records = vec![TransferRecord {
        namespace: "default".to_owned(),
        content_hash: [4; 32],
        record: record([&tagged]),
        embedding: Some(TransferEmbedding {
            model: "m".to_owned(),
            numbers: ByteVec::from(vec![0, 0, 128, 63]),
        }),
    }];
    let embedding = records[0].embedding.as_ref().and_then(TransferEmbedding::to_embedding);
    assert_eq!(embedding.map(|embedding| embedding.vector), Some(vec![1.0]));
    for reply in [
        Reply::Range {
            ops: vec![Held { oseq: 3, payload: ByteVec::from(vec![0; 3]) }],
            pruned: vec![(1, 2)],
            not_held: vec![],
        },
        Reply::Vector { page: Vector::from_iter([dot("a", 1)]), more: true },
        Reply::Groups { groups: vec![root; 64] },
        Reply::Buckets { buckets: vec![(root, 3)] },
        Reply::Hashes { hashes: vec![(id, root)], more: false },
        Reply::Records { records, more: true },
        Reply::Snapshot {
            object: Some(SnapshotObject {
                name: "a-1".to_owned(),
                bytes: 5,
                sha256: [6; 32],
                record_count: 7,
            }),
        },
        Reply::Snapshot { object: None },
        Reply::Refused { reason: "another cluster".to_owned() },
    ] {
        check(reply);
    }
}

#[test]
fn unknown_keys_of_a_newer_version_are_passed_over() {
    #[derive(Encode)]
    #[cbor(map)]
    struct NewerAck {
        #[n(0)]
        cluster: ClusterId,
        #[n(1)]
        node: NodeName,
        #[n(2)]
        run: u64,
        #[n(3)]
        applied: Vector,
        #[n(17)]
        more: String,
    }
    let node = NodeName::new("a").expect("a name");
    let applied = Vector::from_iter([dot("a", 1)]);
    let newer = NewerAck {
        cluster: ClusterId([1; 16]),
        node: node.clone(),
        run: 1,
        applied: applied.clone(),
        more: "news".to_owned(),
    };
    let read: Ack = from_bytes(&to_bytes(&newer)).expect("it is an ack and more");
    assert_eq!(read, Ack { cluster: ClusterId([1; 16]), node, run: 1, applied });
}

#[test]
fn a_batch_knows_its_last_number() {
    assert_eq!(batch(5, 3).hi(), Some(7));
    assert_eq!(batch(5, 0).hi(), None);
    assert_eq!(batch(0, 1).hi(), None);
    assert_eq!(batch(OSEQ_MAX, 1).hi(), Some(OSEQ_MAX));
    assert_eq!(batch(OSEQ_MAX, 2).hi(), None);
    check(batch(1, 2));
}

#[test]
fn wanted_ranges_are_bounded_and_in_order() {
    let wanted = |intervals: &[(u64, u64)]| {
        Range { origin: origin("a", 1), intervals: intervals.to_vec() }.wanted()
    };
    assert_eq!(wanted(&[(1, 2), (5, 5)]).map(|set| set.count()), Some(3));
    for refused in [&[(0, 1)][..], &[(2, 1)], &[(1, 3), (2, 4)], &[(1, 501)], &[(1, u64::MAX)]] {
        assert_eq!(wanted(refused), None, "{refused:?}");
    }
    let mut many = IntervalSet::default();
    many.insert_range(3, 10_000);
    let range = Range::new(&origin("a", 1), &many);
    assert_eq!(range.wanted().map(|set| (set.first(), set.count())), Some((Some(3), 500)));
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    assert!(from_bytes::<Ask>(&vec![0; UNPACKED_BYTES_MAX + 1]).is_err());
}

proptest! {
    #[test]
    fn heartbeats_survive(recent in any_vector(), held in any_vector(), run: u64) {
        check(Heartbeat {
            cluster: ClusterId([1; 16]),
            node: NodeName::new("n").expect("a name"),
            run,
            vector_hash: recent.hash(),
            root: (run % 2 == 0).then_some(Root([2; 16])),
            recent,
            held,
            clock_ms: 1,
            change_head: 2,
            software: "0.1.0".to_owned(),
            embedder: "m".to_owned(),
            disk_percent: Some(40),
            record_count: 3,
            outbox_count: 4,
        });
    }

    #[test]
    fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        let _refused_or_not = from_bytes::<Reply>(&bytes);
        let _refused_or_not = from_bytes::<Heartbeat>(&bytes);
    }
}

#[test]
fn origins_beyond_the_rules_are_refused() {
    let mut bytes = to_bytes(&Origin { node: NodeName::new("a").expect("a name"), epoch: 1 });
    assert!(from_bytes::<Origin>(&bytes).is_ok());
    let name = bytes.iter().position(|byte| *byte == b'a').expect("the name is there");
    bytes[name] = b'~';
    assert!(from_bytes::<Origin>(&bytes).is_err());
}
