//! Phrases inside longer queries.

use super::*;

#[test]
fn phrases_are_found_inside_queries() {
    const LAST_WEEK: &str = "2025-06-09 .. 2025-06-16";
    const MAY: &str = "2025-05-01 .. 2025-06-01";
    const YESTERDAY: &str = "2025-06-17 .. 2025-06-18";
    for (query, span, rest) in [
        ("what did I decide last week about auth", LAST_WEEK, "what did I decide about auth"),
        ("Last week, what did I decide?", LAST_WEEK, "what did I decide?"),
        ("what did I decide, last week?", LAST_WEEK, "what did I decide?"),
        ("last week's notes", LAST_WEEK, "notes"),
        ("last week", LAST_WEEK, ""),
        ("Überblick vom Team: yesterday", YESTERDAY, "Überblick vom Team"),
        ("decisions in May on auth", MAY, "decisions on auth"),
        ("what may have failed yesterday", YESTERDAY, "what may have failed"),
        ("yesterday, then all of last week", LAST_WEEK, "yesterday, then all of"),
        ("what happened in the last 3 days", "2025-06-15 .. 2025-06-18T15:30:01", "what happened"),
        ("auth between march and may please", "2025-03-01 .. 2025-06-01", "auth please"),
        ("logs since monday", "2025-06-16 .. *", "logs"),
        ("notes from monday on auth", "2025-06-16 .. 2025-06-17", "notes on auth"),
        ("notes from monday onwards", "2025-06-16 .. *", "notes"),
        ("we met on 3 may in Rome", "2025-05-03 .. 2025-05-04", "we met in Rome"),
        ("we met may 3", "2025-05-03 .. 2025-05-04", "we met"),
        ("plans of last may", "2025-05-01 .. 2025-06-01", "plans of"),
        ("notes on christmas eve", "2024-12-24 .. 2024-12-25", "notes"),
        ("review of march 3, 2024", "2024-03-03 .. 2024-03-04", "review of"),
        ("the week before last, please", "2025-06-02 .. 2025-06-09", "please"),
    ] {
        check_extract(query, Some((span, rest)));
    }
}

#[test]
fn words_that_mean_another_time_or_none_are_left_alone() {
    for query in [
        "",
        "how does auth work",
        "what may fail",
        "maybe the mayor of marchfield",
        "march on",
        "this may be a bug",
        "step 3 may fail",
        "what did April say",
        "the most recent decision",
        "least recently used cache",
        "spring framework and fall back",
        "christmas gift ideas",
        "new year resolutions",
        "it works 24/7",
        "use 1/2 of it",
        "error 2024 of the parser",
        "ports from 8080 to 9090",
        "plans for next friday",
        "every monday",
        "due by friday",
        "older than last week",
        "more than two days ago",
        "over a year ago",
        "a year and two months ago",
        "2 hours, 5 minutes ago",
        "2 hours 5 minutes ago",
        "a week before last christmas",
        "the week before last year",
        "the day after thanksgiving",
        "two days from monday",
        "march 3 next year",
        "1,000 days ago",
        "yesterday-ish",
        "we shipped it last, week by week",
        "is this the last? week three",
    ] {
        check_extract(query, None);
    }
}
