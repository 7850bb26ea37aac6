//! How a limit stands, in the header fields of an answer.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::limit::Standing;

/// What is left of a quota (draft-ietf-httpapi-ratelimit-headers).
pub const RATE_LIMIT: &str = "ratelimit";
/// The quota (the same).
pub const RATE_LIMIT_POLICY: &str = "ratelimit-policy";

/// Writes how a bucket stands into the header fields of an answer.
pub fn add_fields(headers: &mut HeaderMap, standing: &Standing) {
    let Standing { name, rate, remaining, full_after } = standing;
    let window = rate.period.mul_f64(f64::from(rate.burst.get()) / f64::from(rate.count.get()));
    let policy = format!("\"{name}\";q={};w={}", rate.burst, seconds(window));
    let left = format!("\"{name}\";r={remaining};t={}", seconds(*full_after));
    for (field, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
        let value = HeaderValue::from_str(&value).expect("names of limits are visible ASCII");
        headers.insert(HeaderName::from_static(field), value);
    }
}

/// Whole seconds, rounded up.
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
