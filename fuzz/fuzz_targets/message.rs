//! Messages of MCP on their way through the bridge: each line becomes one line that is JSON, in
//! whatever parts it comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memnode_fuzz::bridge::{carried, scanned};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let bytes = [bytes, b"\n"].concat();
    let halves = bytes.split_at(bytes.len() / 2);
    let lines = carried([bytes.as_slice()]);
    for line in &lines {
        assert!(!line.contains(&b'\n'));
        serde_json::from_slice::<Value>(line).expect("JSON");
    }
    assert_eq!(lines, carried([halves.0, halves.1]));
    assert_eq!(scanned([bytes.as_slice()]), scanned([halves.0, halves.1]));
});
