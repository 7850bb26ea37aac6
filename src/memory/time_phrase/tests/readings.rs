//! Phrases and the ranges they mean.

use super::*;

#[test]
fn days_and_their_parts() {
    for (phrase, expected) in [
        ("today", "2025-06-18 .. 2025-06-19"),
        ("  Today. ", "2025-06-18 .. 2025-06-19"),
        ("today's", "2025-06-18 .. 2025-06-19"),
        ("yesterday", "2025-06-17 .. 2025-06-18"),
        ("YESTERDAY", "2025-06-17 .. 2025-06-18"),
        ("the day before yesterday", "2025-06-16 .. 2025-06-17"),
        ("yesterday morning", "2025-06-17T05:00 .. 2025-06-17T12:00"),
        ("yesterday noon", "2025-06-17T11:30 .. 2025-06-17T12:30"),
        ("yesterday at noon", "2025-06-17T11:30 .. 2025-06-17T12:30"),
        ("yesterday afternoon", "2025-06-17T12:00 .. 2025-06-17T18:00"),
        ("yesterday in the evening", "2025-06-17T18:00 .. 2025-06-17T22:00"),
        ("yesterday night", "2025-06-17T18:00 .. 2025-06-18T05:00"),
        ("last night", "2025-06-17T18:00 .. 2025-06-18T05:00"),
        ("yesterday midnight", "2025-06-16T23:30 .. 2025-06-17T00:30"),
        ("this morning", "2025-06-18T05:00 .. 2025-06-18T12:00"),
        ("today evening", "2025-06-18T18:00 .. 2025-06-18T22:00"),
        ("tonight", "2025-06-18T18:00 .. 2025-06-19T05:00"),
        ("monday morning", "2025-06-16T05:00 .. 2025-06-16T12:00"),
        ("2 days ago in the morning", "2025-06-16T05:00 .. 2025-06-16T12:00"),
        ("christmas morning 2024", "!"),
        ("christmas 2024 morning", "2024-12-25T05:00 .. 2024-12-25T12:00"),
    ] {
        match expected {
            "!" => check_refused(phrase),
            _ => check(WEDNESDAY, phrase, expected),
        }
    }
}

#[test]
fn distances_back() {
    for (phrase, expected) in [
        ("0 days ago", "2025-06-18 .. 2025-06-19"),
        ("1 day ago", "2025-06-17 .. 2025-06-18"),
        ("two days ago", "2025-06-16 .. 2025-06-17"),
        ("twelve days ago", "2025-06-06 .. 2025-06-07"),
        ("a week ago", "2025-06-09 .. 2025-06-16"),
        ("2 weeks ago", "2025-06-02 .. 2025-06-09"),
        ("two weeks' ago", "2025-06-02 .. 2025-06-09"),
        ("3 months ago", "2025-03-01 .. 2025-04-01"),
        ("2 quarters ago", "2024-10-01 .. 2025-01-01"),
        ("a year ago", "2024-01-01 .. 2025-01-01"),
        ("an hour ago", "2025-06-18T14:00 .. 2025-06-18T15:00"),
        ("2 hours ago", "2025-06-18T13:00 .. 2025-06-18T14:00"),
        ("30 minutes ago", "2025-06-18T14:59:30 .. 2025-06-18T15:00:30"),
        ("5 min ago", "2025-06-18T15:24:30 .. 2025-06-18T15:25:30"),
        ("2024 years ago", "0001-01-01 .. 0002-01-01"),
    ] {
        check(WEDNESDAY, phrase, expected);
    }
}

#[test]
fn periods_that_end_now() {
    const NOW: &str = "2025-06-18T15:30:01";
    for (phrase, after) in [
        ("last 3 days", "2025-06-15"),
        ("the past three days", "2025-06-15"),
        ("in the last 3 days", "2025-06-15"),
        ("previous 2 weeks", "2025-06-04"),
        ("over the last 2 months", "2025-04-18"),
        ("past week", "2025-06-11"),
        ("past year", "2024-06-18"),
        ("last hour", "2025-06-18T14:30"),
        ("within the last 24 hours", "2025-06-17T15:30"),
        ("last 90 minutes", "2025-06-18T14:00"),
        ("recent", "2025-06-11"),
        ("recently", "2025-06-11"),
        ("lately", "2025-06-11"),
    ] {
        check(WEDNESDAY, phrase, &format!("{after} .. {NOW}"));
    }
}

#[test]
fn this_and_last_units() {
    for (phrase, expected) in [
        ("this day", "2025-06-18 .. 2025-06-19"),
        ("last day", "2025-06-17 .. 2025-06-18"),
        ("this week", "2025-06-16 .. 2025-06-23"),
        ("last week", "2025-06-09 .. 2025-06-16"),
        ("last week's", "2025-06-09 .. 2025-06-16"),
        ("the previous week", "2025-06-09 .. 2025-06-16"),
        ("the week before last", "2025-06-02 .. 2025-06-09"),
        ("the week before last week", "2025-06-02 .. 2025-06-09"),
        ("this month", "2025-06-01 .. 2025-07-01"),
        ("last month", "2025-05-01 .. 2025-06-01"),
        ("this quarter", "2025-04-01 .. 2025-07-01"),
        ("last quarter", "2025-01-01 .. 2025-04-01"),
        ("this year", "2025-01-01 .. 2026-01-01"),
        ("last year", "2024-01-01 .. 2025-01-01"),
        ("this season", "2025-06-01 .. 2025-09-01"),
        ("last season", "2025-03-01 .. 2025-06-01"),
        ("3 seasons ago", "2024-09-01 .. 2024-12-01"),
        ("last weekend", "2025-06-14 .. 2025-06-16"),
        ("this weekend", "2025-06-21 .. 2025-06-23"),
        ("over the weekend", "2025-06-14 .. 2025-06-16"),
    ] {
        check(WEDNESDAY, phrase, expected);
    }
    check("2025-03-31T12:00[UTC]", "last month", "2025-02-01 .. 2025-03-01");
    check("2025-06-16T00:00[UTC]", "this week", "2025-06-16 .. 2025-06-23");
    check("2025-06-22T23:59:59[UTC]", "this week", "2025-06-16 .. 2025-06-23");
    check("2025-06-22T12:00[UTC]", "weekend", "2025-06-21 .. 2025-06-23");
    check("2025-02-10T12:00[UTC]", "this season", "2024-12-01 .. 2025-03-01");
    check("2025-12-10T12:00[UTC]", "this season", "2025-12-01 .. 2026-03-01");
}

#[test]
fn weekdays_are_the_latest_that_have_begun() {
    for (phrase, expected) in [
        ("monday", "2025-06-16 .. 2025-06-17"),
        ("on tuesday", "2025-06-17 .. 2025-06-18"),
        ("wednesday", "2025-06-18 .. 2025-06-19"),
        ("thursday", "2025-06-12 .. 2025-06-13"),
        ("last monday", "2025-06-16 .. 2025-06-17"),
        ("last wednesday", "2025-06-11 .. 2025-06-12"),
        ("last friday", "2025-06-13 .. 2025-06-14"),
        ("this friday", "2025-06-20 .. 2025-06-21"),
        ("sun", "2025-06-15 .. 2025-06-16"),
        ("monday last week", "2025-06-09 .. 2025-06-10"),
        ("tuesday of this week", "2025-06-17 .. 2025-06-18"),
        ("monday, june 16", "2025-06-16 .. 2025-06-17"),
        ("monday 2025-06-16", "2025-06-16 .. 2025-06-17"),
        ("mon, 3 march 2025", "2025-03-03 .. 2025-03-04"),
    ] {
        check(WEDNESDAY, phrase, expected);
    }
}

#[test]
fn months_and_dates() {
    for (phrase, expected) in [
        ("march", "2025-03-01 .. 2025-04-01"),
        ("june", "2025-06-01 .. 2025-07-01"),
        ("july", "2024-07-01 .. 2024-08-01"),
        ("in may", "2025-05-01 .. 2025-06-01"),
        ("last june", "2024-06-01 .. 2024-07-01"),
        ("last may", "2025-05-01 .. 2025-06-01"),
        ("this july", "2025-07-01 .. 2025-08-01"),
        ("march 2024", "2024-03-01 .. 2024-04-01"),
        ("march, 2024", "2024-03-01 .. 2024-04-01"),
        ("march of last year", "2024-03-01 .. 2024-04-01"),
        ("sept 2024", "2024-09-01 .. 2024-10-01"),
        ("march 3", "2025-03-03 .. 2025-03-04"),
        ("March 3rd, 2024", "2024-03-03 .. 2024-03-04"),
        ("3 march 2024", "2024-03-03 .. 2024-03-04"),
        ("the 3rd of march", "2025-03-03 .. 2025-03-04"),
        ("december 31", "2024-12-31 .. 2025-01-01"),
        ("february 29", "2024-02-29 .. 2024-03-01"),
        ("2025-03-01", "2025-03-01 .. 2025-03-02"),
        ("2024-02-29", "2024-02-29 .. 2024-03-01"),
        ("2025-03", "2025-03-01 .. 2025-04-01"),
        ("3/1/2025", "2025-03-01 .. 2025-03-02"),
        ("03/01/2025", "2025-03-01 .. 2025-03-02"),
        ("6/18", "2025-06-18 .. 2025-06-19"),
        ("6/19", "2024-06-19 .. 2024-06-20"),
        ("2024", "2024-01-01 .. 2025-01-01"),
        ("in 2024", "2024-01-01 .. 2025-01-01"),
        ("0001-01-01", "0001-01-01 .. 0001-01-02"),
        ("9999-12-01", "9999-12-01 .. 9999-12-02"),
    ] {
        check(WEDNESDAY, phrase, expected);
    }
    check("2103-06-18T12:00[UTC]", "february 29", "2096-02-29 .. 2096-03-01");
}

#[test]
fn written_times() {
    for (phrase, expected) in [
        ("2025-03-01T10:00", "2025-03-01T10:00Z .. 2025-03-01T10:01Z"),
        ("2025-03-01 10:00:05", "2025-03-01T10:00:05Z .. 2025-03-01T10:00:06Z"),
        ("2025-03-01T10:00:00Z", "2025-03-01T10:00:00Z .. 2025-03-01T10:00:01Z"),
        ("2025-03-01T10:00:00.5Z", "2025-03-01T10:00:00.5Z .. 2025-03-01T10:00:01.5Z"),
        ("2025-03-01T10:00:00+02:00", "2025-03-01T08:00:00Z .. 2025-03-01T08:00:01Z"),
        ("2025-03-01t10:00-05:00", "2025-03-01T15:00Z .. 2025-03-01T15:01Z"),
        (
            "between 2025-03-01T10:00Z and 2025-03-01T11:00Z",
            "2025-03-01T10:00Z .. 2025-03-01T11:00Z",
        ),
        ("since 2025-03-01T10:00Z", "2025-03-01T10:00Z .. *"),
    ] {
        check(WEDNESDAY, phrase, expected);
    }
}

#[test]
fn seasons_holidays_quarters_and_halves() {
    for (phrase, expected) in [
        ("spring", "2025-03-01 .. 2025-06-01"),
        ("summer", "2025-06-01 .. 2025-09-01"),
        ("last summer", "2024-06-01 .. 2024-09-01"),
        ("this summer", "2025-06-01 .. 2025-09-01"),
        ("summer 2024", "2024-06-01 .. 2024-09-01"),
        ("the summer of 2024", "2024-06-01 .. 2024-09-01"),
        ("fall", "2024-09-01 .. 2024-12-01"),
        ("last winter", "2024-12-01 .. 2025-03-01"),
        ("winter 2023", "2023-12-01 .. 2024-03-01"),
        ("christmas", "2024-12-25 .. 2024-12-26"),
        ("christmas eve", "2024-12-24 .. 2024-12-25"),
        ("last christmas", "2024-12-25 .. 2024-12-26"),
        ("christmas of last year", "2024-12-25 .. 2024-12-26"),
        ("this christmas", "2025-12-25 .. 2025-12-26"),
        ("new year", "2025-01-01 .. 2025-01-02"),
        ("new year's day 2024", "2024-01-01 .. 2024-01-02"),
        ("new year's eve", "2024-12-31 .. 2025-01-01"),
        ("New Year’s Eve 2023", "2023-12-31 .. 2024-01-01"),
        ("valentine", "2025-02-14 .. 2025-02-15"),
        ("valentine's day", "2025-02-14 .. 2025-02-15"),
        ("valentines day 2024", "2024-02-14 .. 2024-02-15"),
        ("halloween", "2024-10-31 .. 2024-11-01"),
        ("thanksgiving", "2024-11-28 .. 2024-11-29"),
        ("thanksgiving 2023", "2023-11-23 .. 2023-11-24"),
        ("black friday", "2024-11-29 .. 2024-11-30"),
        ("easter", "2025-04-20 .. 2025-04-21"),
        ("easter 2024", "2024-03-31 .. 2024-04-01"),
        ("easter 1818", "1818-03-22 .. 1818-03-23"),
        ("easter monday 2000", "2000-04-24 .. 2000-04-25"),
        ("good friday", "2025-04-18 .. 2025-04-19"),
        ("first half of 2024", "2024-01-01 .. 2024-07-01"),
        ("the second half of last year", "2024-07-01 .. 2025-01-01"),
        ("1st half of the year", "2025-01-01 .. 2025-07-01"),
        ("1st quarter", "2025-01-01 .. 2025-04-01"),
        ("fourth quarter", "2024-10-01 .. 2025-01-01"),
        ("the second quarter of 2024", "2024-04-01 .. 2024-07-01"),
        ("Q1", "2025-01-01 .. 2025-04-01"),
        ("q3", "2024-07-01 .. 2024-10-01"),
        ("q3 2023", "2023-07-01 .. 2023-10-01"),
        ("Q4 of 2024", "2024-10-01 .. 2025-01-01"),
        ("last q2", "2024-04-01 .. 2024-07-01"),
    ] {
        check(WEDNESDAY, phrase, expected);
    }
    check("2025-12-25T00:00[UTC]", "christmas", "2025-12-25 .. 2025-12-26");
    check("2025-12-25T00:00[UTC]", "last christmas", "2024-12-25 .. 2024-12-26");
    check("2026-01-10T00:00[UTC]", "this winter", "2025-12-01 .. 2026-03-01");
    check("2026-01-10T00:00[UTC]", "last winter", "2024-12-01 .. 2025-03-01");
}

#[test]
fn limits_and_ranges() {
    for (phrase, expected) in [
        ("since yesterday", "2025-06-17 .. *"),
        ("since march", "2025-03-01 .. *"),
        ("since 2 hours ago", "2025-06-18T13:30 .. *"),
        ("before march 3", "* .. 2025-03-03"),
        ("before 2024", "* .. 2024-01-01"),
        ("after march", "2025-04-01 .. *"),
        ("until friday", "* .. 2025-06-14"),
        ("till last week", "* .. 2025-06-16"),
        ("between 2025-03-01 and 2025-03-05", "2025-03-01 .. 2025-03-06"),
        ("from 3/1/2025 to 3/5/2025", "2025-03-01 .. 2025-03-06"),
        ("between last week and today", "2025-06-09 .. 2025-06-19"),
        ("between 3 days ago and yesterday", "2025-06-15 .. 2025-06-18"),
        ("from march to may", "2025-03-01 .. 2025-06-01"),
        ("from march to may 2024", "2024-03-01 .. 2024-06-01"),
        ("between november and february", "2024-11-01 .. 2025-03-01"),
        ("between monday and friday", "2025-06-16 .. 2025-06-21"),
        ("between christmas and new year", "2024-12-25 .. 2025-01-02"),
        ("from christmas 2023 to new year", "2023-12-25 .. 2025-01-02"),
        ("between 2023 and 2024", "2023-01-01 .. 2025-01-01"),
        ("between 3 hours ago and 1 hour ago", "2025-06-18T12:30 .. 2025-06-18T14:30"),
        ("from today to this week", "2025-06-18 .. 2025-06-23"),
    ] {
        check(WEDNESDAY, phrase, expected);
    }
    check("2025-01-10T12:00[UTC]", "from november to march", "2024-11-01 .. 2025-04-01");
}

#[test]
fn days_have_23_or_25_hours_when_clocks_change() {
    for (now, phrase, expected) in [
        (AFTER_SPRING_CHANGE, "yesterday", "2025-03-09T05:00Z .. 2025-03-10T04:00Z"),
        (AFTER_SPRING_CHANGE, "2 days ago", "2025-03-08T05:00Z .. 2025-03-09T05:00Z"),
        (AFTER_SPRING_CHANGE, "last week", "2025-03-03T05:00Z .. 2025-03-10T04:00Z"),
        (AFTER_SPRING_CHANGE, "this month", "2025-03-01T05:00Z .. 2025-04-01T04:00Z"),
        (AFTER_SPRING_CHANGE, "yesterday morning", "2025-03-09T09:00Z .. 2025-03-09T16:00Z"),
        (AFTER_SPRING_CHANGE, "last 24 hours", "2025-03-09T16:00Z .. 2025-03-10T16:00:01Z"),
        (AFTER_SPRING_CHANGE, "last 2 days", "2025-03-08T05:00Z .. 2025-03-10T16:00:01Z"),
        // Skipped by the clocks: the instant after the gap.
        (AFTER_SPRING_CHANGE, "since 2025-03-09T02:30", "2025-03-09T07:30Z .. *"),
        (AFTER_AUTUMN_CHANGE, "yesterday", "2025-11-02T04:00Z .. 2025-11-03T05:00Z"),
        (AFTER_AUTUMN_CHANGE, "24 hours ago", "2025-11-02T16:30Z .. 2025-11-02T17:30Z"),
        (AFTER_AUTUMN_CHANGE, "saturday night", "2025-11-01T22:00Z .. 2025-11-02T10:00Z"),
        // Repeated by the clocks: the first.
        (AFTER_AUTUMN_CHANGE, "since 2025-11-02T01:30", "2025-11-02T05:30Z .. *"),
        (AFTER_AUTUMN_CHANGE, "last halloween", "2025-10-31T04:00Z .. 2025-11-01T04:00Z"),
    ] {
        check(now, phrase, expected);
    }
    // In Chile the clocks skip midnight, so that day starts at 01:00.
    check(
        "2025-09-08T12:00[America/Santiago]",
        "yesterday",
        "2025-09-07T04:00Z .. 2025-09-08T03:00Z",
    );
}

#[test]
fn an_instant_is_the_start_of_what_it_names() {
    let now = at(WEDNESDAY);
    for (text, instant) in [
        ("2025-03-01", "2025-03-01"),
        ("2025-03-01T10:00", "2025-03-01T10:00"),
        ("2025-03-01T10:00:00+02:00", "2025-03-01T08:00Z"),
        ("last week", "2025-06-09"),
        ("2 hours ago", "2025-06-18T13:30"),
        ("0", "1970-01-01"),
        ("2024", "1970-01-01T00:33:44"),
        ("-86400", "1969-12-31"),
        (" 1750204800.5 ", "2025-06-18T00:00:00.5"),
        ("1.7502048e9", "2025-06-18"),
    ] {
        assert_eq!(parse_instant(text, &now).ok(), end(instant, &now), "'{text}'");
    }
    for text in [
        "",
        "nan",
        "inf",
        "-inf",
        "infinity",
        "1e400",
        "1750204800000",
        "1_000",
        "0x10",
        "--5",
        "since may",
        "before may",
        "between march and may",
        "maybe",
    ] {
        assert!(parse_instant(text, &now).is_err(), "'{text}'");
    }
}
