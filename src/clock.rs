//! The time of day; the only caller of `now()`, so that everything else takes time as a value.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z; a clock set before that reads as 0.
pub fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).expect("584 million years fit into 64 bits")
}

/// Seconds since 1970-01-01T00:00:00Z, with the fraction; a clock set before that reads as 0.
pub fn now_seconds() -> f64 {
    since_epoch().as_secs_f64()
}

/// The time of day in the named IANA zone, or in the machine's own zone when none is named.
///
/// # Errors
/// The zone is in no time zone database.
pub fn zoned_now(zone: Option<&str>) -> Result<jiff::Zoned, jiff::Error> {
    let now = jiff::Timestamp::try_from(UNIX_EPOCH + since_epoch())?;
    let zone = match zone {
        Some(name) => jiff::tz::TimeZone::get(name)?,
        None => jiff::tz::TimeZone::system(),
    };
    Ok(now.to_zoned(zone))
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that asks for the time")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_readings_agree() {
        let before = now_ms();
        let seconds = now_seconds();
        let zoned = zoned_now(Some("Asia/Tokyo")).unwrap();
        let after = now_ms();
        let (low, high) = (before as f64 / 1000.0 - 0.001, after as f64 / 1000.0 + 0.001);
        assert!((low..=high).contains(&seconds));
        assert!((before as i64..=after as i64).contains(&zoned.timestamp().as_millisecond()));
        assert_eq!(zoned.offset().seconds(), 9 * 3600);
    }

    #[test]
    fn no_zone_means_the_zone_of_the_machine() {
        let zoned = zoned_now(None).unwrap();
        assert_eq!(*zoned.time_zone(), jiff::tz::TimeZone::system());
    }

    #[test]
    fn an_unknown_zone_is_refused() {
        assert!(zoned_now(Some("Mars/Olympus_Mons")).is_err());
    }
}
