//! What says which memories are meant: to search, to list, to export, to delete. The first line is
//! the query string, the rest the body. What is taken is within its bounds; what is refused is
//! refused with an answer that is JSON.
#![no_main]

use axum::http::Uri;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use libfuzzer_sys::fuzz_target;
use memnode_fuzz::http::extract::{NamespacesParameters, parse_json, parse_query};
use memnode_fuzz::http::problem::Problem;
use memnode_fuzz::http::search_request::{SearchRequest, TagSearchRequest, TimeSearchRequest};
use memnode_fuzz::http::selection::{ExportParameters, ForgetRequest, ListParameters};
use memnode_fuzz::memory::{Filter, NamespaceSet, PageAt, RESULT_COUNT_MAX, Tag};
use memnode_fuzz::{Error, Result};
use serde_json::Value;

/// 2026-11-22T15:26:24Z.
const NOW: i64 = 1_795_361_184;
/// Tags, and namespaces, that one filter may name.
const NAME_COUNT_MAX: usize = 100;
/// The year 1 and the year 10000: what a time may be.
const SECONDS: std::ops::RangeInclusive<f64> = -62_135_596_800.0 - 86_400.0..=253_402_300_800.0;
/// The last page, with as many memories on each as there may be.
const OFFSET_MAX: u64 = 1_000_000 * RESULT_COUNT_MAX as u64;

fn now(tz: Option<&str>) -> Result<Zoned> {
    let zone = tz.map_or(Ok(TimeZone::UTC), TimeZone::get);
    let zone = zone.map_err(|_| Error::invalid("no time zone").reason("unknown_time_zone"))?;
    Ok(Timestamp::from_second(NOW).expect("a time").to_zoned(zone))
}

fn check<T>(read: std::result::Result<T, Problem>, check: impl FnOnce(T)) {
    match read {
        Ok(taken) => check(taken),
        Err(problem) => {
            let body: Value = serde_json::from_slice(&problem.to_json("/")).expect("JSON");
            assert_eq!(body["status"], problem.status().as_u16());
            assert!((400..500).contains(&problem.status().as_u16()), "{body}");
        }
    }
}

fn check_filter(filter: &Filter) {
    if let NamespaceSet::Only(names) = &filter.namespaces {
        assert!((1..=NAME_COUNT_MAX).contains(&names.len()));
        assert!(names.iter().all(|name| !name.as_str().starts_with('_')), "{names:?}");
    }
    assert!(filter.tags.len() <= NAME_COUNT_MAX);
    for tag in &filter.tags {
        assert_eq!(Tag::new(tag.as_str()).ok().flatten().as_ref(), Some(tag));
    }
    for second in [filter.created.after, filter.created.before].into_iter().flatten() {
        assert!(SECONDS.contains(&second), "{second}");
    }
}

fn check_count(count: usize) {
    assert!((1..=RESULT_COUNT_MAX).contains(&count));
}

fn check_query(uri: &Uri) {
    check(parse_query(uri).and_then(ListParameters::into_query), |(_, limit, list)| {
        assert_eq!(limit, list.limit);
        check_count(limit);
        check_filter(&list.filter);
        match list.at {
            PageAt::Offset(offset) => assert!(offset < OFFSET_MAX),
            PageAt::Cursor(cursor) => assert!(!cursor.is_empty()),
        }
    });
    check(parse_query(uri).and_then(ExportParameters::into_filter), |it| check_filter(&it));
}

fn check_body(bytes: &[u8], query: &NamespacesParameters) {
    let search = parse_json(bytes).and_then(|it: SearchRequest| it.into_query(&now, query));
    check(search, |search| {
        check_count(search.limit);
        check_filter(&search.filter);
        let shares = [search.similarity_threshold, search.quality_weight, search.recency_weight];
        assert!(shares.into_iter().flatten().all(|share| (0.0..=1.0).contains(&share)));
    });
    let tags = parse_json(bytes).and_then(|it: TagSearchRequest| {
        check_count(it.n_results);
        it.filter(&now, query)
    });
    check(tags, |filter| {
        assert!(!filter.tags.is_empty());
        check_filter(&filter);
    });
    let time = parse_json(bytes).and_then(|it: TimeSearchRequest| {
        check_count(it.n_results);
        it.filter(&now, query)
    });
    check(time, |filter| check_filter(&filter));
    let forget = parse_json(bytes).and_then(|it: ForgetRequest| it.into_request(&now, query));
    check(forget, |forget| check_filter(&forget.filter));
}

fuzz_target!(|bytes: &[u8]| {
    let line_end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(line_end);
    let uri = [b"/?", line].concat();
    // What is no address never reaches the program.
    let Ok(uri) = Uri::try_from(uri) else { return };
    check_query(&uri);
    check(parse_query(&uri), |query| check_body(rest.get(1..).unwrap_or_default(), &query));
});
