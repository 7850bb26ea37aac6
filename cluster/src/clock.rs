//! Hybrid logical time: milliseconds since the Unix epoch and a counter in one number.
//!
//! [`Clock`] is a point in that time, [`LocalClock`] the one that a node writes with. The time of
//! day is always an argument.
//!
//! # How a node's own clock moves
//!
//! Two wishes pull against each other. An edit must beat what its author saw, even a record whose
//! author lived years ahead; and one such record must not carry a node's other writes into the
//! future with it. So a draw computes two values:
//!
//! - `base = max(now, own + 1)`, what the write would get on an empty record;
//! - `drawn = max(base, newest in the record + 1)`, what it gets.
//!
//! The own clock then becomes `drawn` when that is at most now + 60 s, else only `base`. It grows
//! with every draw either way. Writes of one origin to *one* record still grow strictly when the
//! own clock stays behind, because the record itself remembers the last one: `newest` is at least
//! the clock of the write before. Two writes to *different* records may then share a clock, which
//! nothing compares.

/// How far ahead of the time of day a node's own clock may be led by others.
pub const SKEW_MILLIS_MAX: u64 = 60_000;

const COUNTER_BITS: u32 = 16;
const MILLIS_MAX: u64 = (1 << 48) - 1;
/// 2100-01-01T00:00:00Z. A clock from there on is a fault, not a time.
const POISON_MILLIS: u64 = 4_102_444_800_000;

/// A point in hybrid logical time: 48 bits of Unix milliseconds, 16 bits of counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clock(u64);

impl Clock {
    /// Before every write.
    pub const ZERO: Clock = Clock(0);
    /// 2100-01-01: no write may carry this clock or a later one.
    pub const POISON: Clock = Clock(POISON_MILLIS << COUNTER_BITS);

    /// The first clock of a millisecond; times beyond 48 bits become the last one.
    pub const fn from_millis(millis: u64) -> Clock {
        let millis = if millis > MILLIS_MAX { MILLIS_MAX } else { millis };
        Clock(millis << COUNTER_BITS)
    }

    /// The clock that [`as_u64`](Self::as_u64) gave.
    pub const fn from_u64(clock: u64) -> Clock {
        Clock(clock)
    }

    /// The clock as one number, in the order of time.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// Position within the millisecond.
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The smallest later clock; a full counter spills into the next millisecond.
    pub const fn next(self) -> Clock {
        Clock(self.0.saturating_add(1))
    }

    /// The greatest earlier clock.
    pub const fn previous(self) -> Clock {
        Clock(self.0.saturating_sub(1))
    }

    /// Whether a write may carry this clock: later than zero, before 2100-01-01.
    pub fn is_valid(self) -> bool {
        self > Clock::ZERO && self < Clock::POISON
    }
}

/// The write would need a clock at or after 2100-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the write would need a clock at or after 2100-01-01")]
pub struct ClockExhausted;

/// What became of a clock seen elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The own clock is now at or past it.
    Followed,
    /// It is more than 60 s ahead of the time of day: followed no further than that.
    TooFarAhead,
}

/// The clock that one node writes with.
#[derive(Clone, Debug)]
pub struct LocalClock {
    own: Clock,
}

impl LocalClock {
    /// Goes on from the clock that an earlier run left, or from now if that is too far ahead.
    pub fn resume(persisted: Clock, now_ms: u64) -> LocalClock {
        let mut clock = LocalClock { own: persisted };
        clock.tick(now_ms);
        clock
    }

    /// Falls back to now when the own clock is more than 60 s ahead, as after a corrected time of
    /// day.
    ///
    /// Writes after it still beat what they touch, see the rule of [`draw`](Self::draw).
    pub fn tick(&mut self, now_ms: u64) {
        if self.own > limit(now_ms) {
            self.own = Clock::from_millis(now_ms);
        }
    }

    /// Follows a clock seen elsewhere, at most to 60 s from now.
    pub fn observe(&mut self, remote: Clock, now_ms: u64) -> Observed {
        let limit = limit(now_ms);
        self.own = self.own.max(remote.min(limit));
        if remote > limit { Observed::TooFarAhead } else { Observed::Followed }
    }

    /// The clock for a local write to a record whose newest clock is `newest_in_record`.
    ///
    /// It is later than every clock this drew for an ordinary record since the last fall back,
    /// and later than everything in the record.
    ///
    /// # Errors
    /// [`ClockExhausted`] when no clock before 2100-01-01 is left; the own clock stays.
    pub fn draw(&mut self, now_ms: u64, newest_in_record: Clock) -> Result<Clock, ClockExhausted> {
        let base = self.own.next().max(Clock::from_millis(now_ms));
        let drawn = base.max(newest_in_record.next());
        if drawn >= Clock::POISON {
            return Err(ClockExhausted);
        }
        self.own = if drawn <= limit(now_ms) { drawn } else { base };
        Ok(drawn)
    }

    /// The own clock, to be kept for the next start.
    pub fn last(&self) -> Clock {
        self.own
    }
}

fn limit(now_ms: u64) -> Clock {
    Clock::from_millis(now_ms.saturating_add(SKEW_MILLIS_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const HOUR: u64 = 3_600_000;

    fn at(millis: u64) -> Clock {
        Clock::from_millis(millis)
    }

    #[test]
    fn a_clock_is_milliseconds_and_a_counter() {
        let clock = at(NOW).next().next();
        assert_eq!((clock.millis(), clock.counter()), (NOW, 2));
        assert_eq!(Clock::from_u64(clock.as_u64()), clock);
        assert_eq!(clock.previous(), at(NOW).next());
        assert_eq!(Clock::from_u64((NOW << 16) | 0xffff).next(), at(NOW + 1));
        assert_eq!(at(u64::MAX).millis(), (1 << 48) - 1);
    }

    #[test]
    fn only_clocks_after_zero_and_before_2100_are_valid() {
        assert!(!Clock::ZERO.is_valid());
        assert!(Clock::ZERO.next().is_valid());
        assert!(Clock::POISON.previous().is_valid());
        assert!(!Clock::POISON.is_valid());
    }

    #[test]
    fn a_start_falls_back_only_from_beyond_a_minute_ahead() {
        let limit = at(NOW + SKEW_MILLIS_MAX);
        for (persisted, expected) in [
            (Clock::ZERO, Clock::ZERO),
            (at(NOW - HOUR), at(NOW - HOUR)),
            (limit, limit),
            (limit.next(), at(NOW)),
            (at(NOW + HOUR), at(NOW)),
        ] {
            assert_eq!(LocalClock::resume(persisted, NOW).last(), expected);
        }
    }

    #[test]
    fn remote_clocks_are_followed_to_a_minute_ahead() {
        let limit = at(NOW + SKEW_MILLIS_MAX);
        for (remote, seen, expected) in [
            (at(NOW - HOUR), Observed::Followed, at(NOW)),
            (at(NOW + 5), Observed::Followed, at(NOW + 5)),
            (limit, Observed::Followed, limit),
            (limit.next(), Observed::TooFarAhead, limit),
            (Clock::from_u64(u64::MAX), Observed::TooFarAhead, limit),
        ] {
            let mut clock = LocalClock::resume(at(NOW), NOW);
            assert_eq!(clock.observe(remote, NOW), seen);
            assert_eq!(clock.last(), expected);
        }
    }

    #[test]
    fn a_record_from_the_future_is_beaten_but_not_followed() {
        let mut clock = LocalClock::resume(Clock::ZERO, NOW);
        let newest = at(NOW + 365 * 24 * HOUR);
        let first = clock.draw(NOW, newest).unwrap();
        assert_eq!(first, newest.next());
        assert_eq!(clock.draw(NOW, first).unwrap(), first.next(), "the same record again");
        let elsewhere = clock.draw(NOW, Clock::ZERO).unwrap();
        assert!(elsewhere > at(NOW) && elsewhere < at(NOW + 1), "another record");
        assert_eq!(clock.last(), elsewhere);
    }

    #[test]
    fn no_write_reaches_2100() {
        let last_valid = Clock::POISON.previous();
        let mut clock = LocalClock::resume(Clock::ZERO, NOW);
        assert_eq!(clock.draw(NOW, last_valid.previous()), Ok(last_valid));
        let before = clock.last();
        assert_eq!(clock.draw(NOW, last_valid), Err(ClockExhausted));
        assert_eq!(clock.draw(NOW, Clock::from_u64(u64::MAX)), Err(ClockExhausted));
        assert_eq!(clock.draw(Clock::POISON.millis(), Clock::ZERO), Err(ClockExhausted));
        assert_eq!(clock.last(), before);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Draw { newest: u64 },
        Redraw,
        Observe { remote: u64 },
        Tick,
    }

    /// Milliseconds around now, hours away at most, a year ahead now and then.
    fn any_millis() -> impl Strategy<Value = u64> {
        prop_oneof![8 => NOW - 5 * HOUR..NOW + 5 * HOUR, 1 => Just(NOW + 9_000 * HOUR)]
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any_millis().prop_map(|newest| Step::Draw { newest }),
            Just(Step::Redraw),
            any_millis().prop_map(|remote| Step::Observe { remote }),
            Just(Step::Tick),
        ]
    }

    proptest! {
        #[test]
        fn the_laws_hold_while_the_time_of_day_jumps_by_hours(
            steps in vec((any_millis(), any_step()), 1..40),
        ) {
            let mut clock = LocalClock::resume(Clock::ZERO, NOW);
            // The newest clock of one record, written by this node only.
            let mut record = Clock::ZERO;
            for (now, step) in steps {
                let before = clock.last();
                let ceiling = before.next().max(limit(now));
                match step {
                    Step::Draw { newest } => {
                        let drawn = clock.draw(now, at(newest)).unwrap();
                        prop_assert!(drawn > at(newest) && drawn > before && drawn >= at(now));
                        prop_assert!(clock.last() > before);
                    }
                    Step::Redraw => {
                        let drawn = clock.draw(now, record).unwrap();
                        prop_assert!(drawn > record && drawn > before);
                        record = drawn;
                    }
                    Step::Observe { remote } => {
                        clock.observe(at(remote), now);
                        prop_assert!(clock.last() >= before);
                        prop_assert!(clock.last() >= at(remote).min(limit(now)));
                    }
                    Step::Tick => {
                        clock.tick(now);
                        prop_assert!(clock.last() <= limit(now));
                    }
                }
                prop_assert!(clock.last() <= ceiling, "others never lead it beyond a minute");
            }
        }
    }
}
