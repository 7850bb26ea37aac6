//! Phrases that are refused.

use super::*;

#[test]
fn what_is_not_understood_is_refused() {
    for phrase in [
        "",
        "   ",
        "?!",
        "maybe",
        "marchmallow",
        "mayday",
        "monday's child",
        "mondays",
        "5",
        "-5",
        "5 days",
        "ago",
        "days ago",
        "last",
        "this",
        "in",
        "the",
        "since",
        "between",
        "between monday",
        "between monday and",
        "from",
        "the week before last friday",
        "the week before last year",
        "between monday and maybe",
        "since since monday",
        "in since monday",
        "next friday",
        "tomorrow",
        "yesterday-ish",
        "yesterdayish",
        "yesterday 🎉",
        "yesterday🎉",
        "🎉",
        "yesterday yesterday",
        "yesterday and today",
        "last weeks",
        "last few days",
        "last -3 days",
        "last a day",
        "1.5 hours ago",
        ".5 hours ago",
        "1,000 days ago",
        "thirteen days ago",
        "over a year ago",
        "99999999999 years ago",
        "4294967295 years ago",
        "4294967295 hours ago",
        "99999999999999999999999999 days ago",
        "2025 years ago",
        "last 100000 months",
        "last week morning",
        "2025-13-01",
        "2025-02-30",
        "2025-2-3",
        "2025-02-29",
        "0000-01-01",
        "10000-01-01",
        "2025-03-01T25:00",
        "2025-03-01T10",
        "2025-03-01T",
        "2025-03T10:00",
        "13/1/2025",
        "25/12",
        "1/2/3/4",
        "3/1/25",
        "24/7",
        "february 30",
        "february 29 2025",
        "march 32",
        "march 3nd",
        "march 0000",
        "tuesday, june 16",
        "monday 2024",
        "q0",
        "q5",
        "fifth quarter",
        "third half of 2024",
        "first half",
        "between today and yesterday",
        "between 2025-03-01T10:00Z and 2025-03-01T10:00Z",
        "between 2025 and 2024",
        "１２ days ago",
        "y\u{e9}sterday",
        "\0",
    ] {
        check_refused(phrase);
    }
}

#[test]
fn only_bounded_phrases_are_read() {
    let padded = |chars: usize| format!("{:>chars$}", "today");
    check(WEDNESDAY, &padded(PHRASE_CHARS_MAX), "2025-06-18 .. 2025-06-19");
    check_refused(&padded(PHRASE_CHARS_MAX + 1));
    check_refused(&"yesterday ".repeat(100_000));
    assert!(parse_instant(&"9".repeat(1_000), &at(WEDNESDAY)).is_err());
    let long = parse(&"é".repeat(1_000), &at(WEDNESDAY)).unwrap_err();
    assert!(long.to_string().chars().count() < PHRASE_CHARS_MAX + 50);
    let query = |chars: usize| format!("{:>chars$}", "auth last week");
    check_extract(&query(QUERY_CHARS_MAX), Some(("2025-06-09 .. 2025-06-16", "auth")));
    check_extract(&query(QUERY_CHARS_MAX + 1), None);
}

#[test]
fn the_refusal_says_what_clients_expect() {
    let refused = parse("Maybe", &at(WEDNESDAY)).unwrap_err();
    assert_eq!(refused.to_string(), "Could not parse time query: 'Maybe'");
    let error = crate::Error::from(refused);
    assert_eq!((error.code, error.reason), (crate::Code::InvalidInput, "unreadable_time_phrase"));
}
