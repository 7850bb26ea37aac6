//! What holds for every text at every time.

use proptest::prelude::*;

use super::*;

const ZONES: &[&str] =
    &["UTC", "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "America/Santiago"];

const WORDS: &[&str] = &[
    "a",
    "an",
    "the",
    "of",
    "in",
    "on",
    "at",
    "from",
    "to",
    "and",
    "between",
    "since",
    "until",
    "before",
    "after",
    "last",
    "this",
    "past",
    "next",
    "ago",
    "day",
    "days",
    "weeks",
    "month",
    "quarters",
    "year",
    "seasons",
    "hours",
    "minutes",
    "half",
    "first",
    "second",
    "4th",
    "quarter",
    "q1",
    "q4",
    "monday",
    "sun",
    "march",
    "may",
    "february",
    "29",
    "30",
    "31",
    "1",
    "0",
    "two",
    "999999",
    "4294967295",
    "0001",
    "2024",
    "2025",
    "9999",
    "2/29",
    "12/31/9999",
    "0001-01-01",
    "9999-12-31",
    "9999-12-31t23:59:59z",
    "2025-03-09t02:30",
    "10:00",
    ",",
    "today",
    "yesterday",
    "tonight",
    "night",
    "midnight",
    "noon",
    "morning",
    "recently",
    "winter",
    "christmas",
    "eve",
    "easter",
    "new",
    "years",
    "year's",
    "thanksgiving",
    "weekend",
    "🎉",
];

fn any_now() -> impl Strategy<Value = Zoned> {
    let seconds = prop_oneof![
        0..4_000_000_000_i64,
        jiff::Timestamp::MIN.as_second()..=jiff::Timestamp::MAX.as_second(),
    ];
    (seconds, prop::sample::select(ZONES)).prop_map(|(seconds, zone)| {
        jiff::Timestamp::from_second(seconds).unwrap().in_tz(zone).unwrap()
    })
}

fn any_words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS), 0..8).prop_map(|words| words.join(" "))
}

fn assert_ordered(range: TimeRange) {
    for end in [range.after, range.before].into_iter().flatten() {
        assert!(end.is_finite());
    }
    if let (Some(after), Some(before)) = (range.after, range.before) {
        assert!(after <= before, "{after} > {before}");
    }
}

fn all_entries(text: &str, now: &Zoned) {
    let _ = parse(text, now).map(assert_ordered);
    if let Some((range, rest)) = extract(text, now) {
        assert_ordered(range);
        assert!(rest.len() < text.len());
    }
    assert!(parse_instant(text, now).map_or(true, f64::is_finite));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_panics_and_ranges_are_ordered(text in any::<String>(), now in any_now()) {
        all_entries(&text, &now);
    }

    #[test]
    fn no_words_panic_and_ranges_are_ordered(text in any_words(), now in any_now()) {
        all_entries(&text, &now);
    }

    #[test]
    fn a_letter_glued_to_a_word_makes_it_another_word(
        word in prop::sample::select(vec![
            "today", "yesterday", "tonight", "recently", "lately", "may", "march", "monday",
            "friday", "summer", "christmas", "easter", "2024", "2025-03-01", "3/1/2025", "q1",
        ]),
        letter in "[a-rt-zé_-]",
        in_front: bool,
    ) {
        let glued = if in_front { format!("{letter}{word}") } else { format!("{word}{letter}") };
        let now = at(WEDNESDAY);
        prop_assert!(parse(word, &now).is_ok());
        prop_assert!(parse(&glued, &now).is_err(), "'{}' was read", glued);
        prop_assert_eq!(extract(&format!("see {glued} there"), &now), None);
    }

    #[test]
    fn a_phrase_is_found_whole_among_other_words(
        phrase in prop::sample::select(vec![
            "yesterday", "last week", "in may", "since march 3", "two days ago", "q1 2024",
            "between monday and friday", "the week before last", "new year's eve 2023",
        ]),
        left in "[bcdfgjkp]{1,8}",
        right in "[bcdfgjkp]{1,8}",
    ) {
        let now = at(WEDNESDAY);
        let found = extract(&format!("{left} {phrase} {right}"), &now);
        let expected = parse(phrase, &now).unwrap();
        prop_assert_eq!(found, Some((expected, format!("{left} {right}"))));
    }
}
