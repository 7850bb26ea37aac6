//! What comes over NATS: bytes that decode are encoded to bytes that mean the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memnode_cluster::wire::{self, Ack, Ask, Batch, Heartbeat, Reply};
use memnode_cluster::{Op, Record, Vector};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(op) = Op::decode(bytes)
        && let Ok(again) = op.encode()
    {
        let read = Op::decode(&again).expect("what was encoded decodes");
        assert_eq!(read.encode().ok(), Some(again));
    }
    // These only have to say no in an orderly way.
    let _ = Record::decode(bytes);
    let _ = Vector::decode(bytes);
    let _ = wire::from_bytes::<Batch>(bytes);
    let _ = wire::from_bytes::<Heartbeat>(bytes);
    let _ = wire::from_bytes::<Ack>(bytes);
    let _ = wire::from_bytes::<Ask>(bytes);
    let _ = wire::from_bytes::<Reply>(bytes);
});
