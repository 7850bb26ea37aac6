//! Buckets against the clock of the machine, with rates so low that no test run refills one.

use std::net::IpAddr;

use super::*;
use crate::config::{ConnectionLimit, RateLimit, ToolLimits};

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn limits(writes: &str, caller_count_max: usize) -> Limits {
    Limits::new(LimitsConfig {
        reads: RateLimit::Off,
        writes: RateLimit::At(rate(writes)),
        searches: RateLimit::At(rate("1/h burst 2")),
        events: RateLimit::Off,
        failures: RateLimit::At(rate("1/h burst 2")),
        connections: ConnectionLimit::Off,
        tools: ToolLimits([("memory_ingest".to_owned(), rate("1/h"))].into()),
        caller_count_max: caller_count_max.try_into().unwrap(),
    })
}

fn named(name: &str) -> Caller {
    Caller::Named(name.into())
}

fn at(address: &str) -> Caller {
    Caller::at(address.parse::<IpAddr>().unwrap())
}

const USUAL: OwnRates = OwnRates { reads: None, writes: None, searches: None, events: None };

#[test]
fn a_batch_costs_as_much_as_its_parts() {
    let limits = limits("1/h burst 10", 16);
    let standing = limits.take(&named("a"), &USUAL, Budget::Writes, 7).unwrap().unwrap();
    assert_eq!((standing.remaining, &*standing.name), (3, "writes"));
    let exceeded = limits.take(&named("a"), &USUAL, Budget::Writes, 4).unwrap_err();
    assert_eq!(exceeded.standing.remaining, 0);
    // One is missing, and comes back within an hour.
    let seconds = exceeded.retry_after.as_secs();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    // The refused one took nothing.
    assert!(limits.take(&named("a"), &USUAL, Budget::Writes, 3).is_ok());
    assert!(limits.take(&named("a"), &USUAL, Budget::Writes, 1).is_err());
}

#[test]
fn more_than_a_bucket_holds_takes_the_whole_of_it() {
    let limits = limits("1/h burst 10", 16);
    let standing = limits.take(&named("a"), &USUAL, Budget::Writes, 1_000).unwrap().unwrap();
    assert_eq!(standing.remaining, 0);
    assert!(limits.take(&named("a"), &USUAL, Budget::Writes, 1).is_err());
}

#[test]
fn callers_and_budgets_do_not_share() {
    let limits = limits("1/h burst 1", 16);
    for caller in [named("a"), named("b"), at("10.0.0.1"), at("10.0.0.2"), at("2001:db8::1")] {
        assert!(limits.take(&caller, &USUAL, Budget::Writes, 1).is_ok(), "{caller:?}");
        assert!(limits.take(&caller, &USUAL, Budget::Writes, 1).is_err(), "{caller:?}");
        assert!(limits.take(&caller, &USUAL, Budget::Searches, 1).is_ok(), "{caller:?}");
        assert_eq!(limits.take(&caller, &USUAL, Budget::Reads, 1_000_000), Ok(None));
    }
}

#[test]
fn a_site_of_ipv6_is_one_caller_and_mapped_ipv4_is_ipv4() {
    assert_eq!(at("2001:db8:0:1::1"), at("2001:db8:0:1:ffff::2"));
    assert_ne!(at("2001:db8:0:1::1"), at("2001:db8:0:2::1"));
    assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
}

#[test]
fn rates_of_a_key_stand_in_place_of_the_usual_ones() {
    let limits = limits("1/h burst 1", 16);
    let own = OwnRates { writes: Some(rate("1/h burst 3")), ..USUAL };
    let took = (0..5).filter(|_| limits.take(&named("a"), &own, Budget::Writes, 1).is_ok());
    assert_eq!(took.count(), 3);
    let own = OwnRates { reads: Some(rate("1/h burst 1")), ..USUAL };
    assert!(limits.take(&named("a"), &own, Budget::Reads, 1).is_ok());
    assert!(limits.take(&named("a"), &own, Budget::Reads, 1).is_err());
}

#[test]
fn a_tool_may_have_a_limit_of_its_own() {
    let limits = limits("1/h", 16);
    assert_eq!(limits.take_tool(&named("a"), "memory_store"), Ok(None));
    assert!(limits.take_tool(&named("a"), "memory_ingest").is_ok());
    let exceeded = limits.take_tool(&named("a"), "memory_ingest").unwrap_err();
    let error = Error::from(&exceeded);
    assert_eq!(error.code, Code::RateLimited);
    assert!(error.detail.contains("memory_ingest"), "{}", error.detail);
    assert!(limits.take_tool(&named("b"), "memory_ingest").is_ok());
}

#[test]
fn wrong_credentials_close_the_door_for_a_while() {
    let limits = limits("1/h", 16);
    let caller = at("10.0.0.1");
    for _ in 0..2 {
        assert!(limits.check(&caller, Budget::Failures).is_ok());
        assert!(limits.take(&caller, &USUAL, Budget::Failures, 1).is_ok());
    }
    assert!(limits.check(&caller, Budget::Failures).is_ok());
    assert!(limits.take(&caller, &USUAL, Budget::Failures, 1).is_err());
    assert!(limits.check(&caller, Budget::Failures).is_err());
    assert!(limits.check(&at("10.0.0.2"), Budget::Failures).is_ok());
}

#[test]
fn the_table_has_an_end_and_the_oldest_goes_first() {
    let limits = limits("1/h burst 1", 16);
    let room = 16 * Budget::ALL.len();
    for number in 0..room {
        assert!(limits.take(&named(&number.to_string()), &USUAL, Budget::Writes, 1).is_ok());
    }
    // Heard of again, the first is not the oldest any more.
    assert!(limits.take(&named("0"), &USUAL, Budget::Writes, 1).is_err());
    assert!(limits.take(&named("one more"), &USUAL, Budget::Writes, 1).is_ok());
    assert_eq!(limits.bucket_count(), room);
    assert!(limits.take(&named("0"), &USUAL, Budget::Writes, 1).is_err());
    assert!(limits.take(&named("1"), &USUAL, Budget::Writes, 1).is_ok(), "it was forgotten");
}
