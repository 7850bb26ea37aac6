//! Time phrases: a range that was read does not end before it begins.
#![no_main]

use jiff::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use memnode_fuzz::memory::time_phrase::{extract, parse, parse_instant};

/// 2026-11-22T15:26:24Z.
const NOW: i64 = 1_795_361_184;

fuzz_target!(|text: &str| {
    let now = Timestamp::from_second(NOW).expect("a time").to_zoned(TimeZone::UTC);
    let ranges = [parse(text, &now).ok(), extract(text, &now).map(|(range, _)| range)];
    for range in ranges.into_iter().flatten() {
        if let (Some(after), Some(before)) = (range.after, range.before) {
            assert!(after < before, "{text:?}: {range:?}");
        }
    }
    // It only has to say no in an orderly way.
    let _ = parse_instant(text, &now);
});
