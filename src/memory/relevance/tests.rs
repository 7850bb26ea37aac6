//! What memories are worth, next to each other.

use serde_json::Map;

use super::question::Question;
use super::{Corpus, Match, Relevance};
use crate::memory::{ContentHash, Memory, Namespace};

/// A memory of noon on the first of March 2026.
pub(in crate::memory) fn memory(content: &str) -> Memory {
    Memory {
        content: content.to_owned(),
        content_hash: ContentHash::of(content),
        tags: Vec::new(),
        memory_type: None,
        metadata: Map::new(),
        created_at: 1_772_366_400.0,
        updated_at: 1_772_366_400.0,
        namespace: Namespace::default(),
        origin: "a".to_owned(),
        version: String::new(),
    }
}

/// Judges memories where every word of the query is in 10 of 1,000.
fn judge(query: &str, memories: &[&Memory]) -> Vec<Match> {
    let now = "2026-03-10T12:00:00+00:00[UTC]".parse().expect("a time");
    let question = Question::read(query, &now);
    let corpus = Corpus { count: 1_000, average_words: 8.0 };
    let found = vec![10; question.terms.len()];
    let relevance = Relevance::new(&question, corpus, &found, &[]);
    memories.iter().map(|memory| relevance.of(memory)).collect()
}

/// Memories are worth less and less.
fn check_order(query: &str, memories: &[&Memory]) {
    let found = judge(query, memories);
    assert!(found.is_sorted_by(|a, b| a.share > b.share), "{query}: {found:?}");
    assert!(found.iter().all(|one| (0.0..=1.0).contains(&one.share)), "{found:?}");
}

#[test]
fn more_words_in_less_text_are_worth_more() {
    let long = memory(&format!("the printer wants paper {}", "and more words ".repeat(4)));
    check_order(
        "paper for the printer",
        &[
            &memory("The printers want papers"),
            &long,
            &memory("a printer"),
            &memory("nothing of it"),
        ],
    );
    assert_eq!(judge("", &[&long])[0].share, 0.0);
}

#[test]
fn other_forms_of_a_word_count_nearly_as_much() {
    check_order("where did they go", &[&memory("they go"), &memory("they went"), &memory("they")]);
}

#[test]
fn who_speaks_counts_more_than_who_is_spoken_to() {
    check_order(
        "What did Caroline paint?",
        &[
            &memory("Caroline: I painted the lake"),
            &memory("Melanie: I painted the lake, Caroline"),
            &memory("Melanie: I painted the lake"),
            &memory("Melanie: thanks, Caroline"),
        ],
    );
}

#[test]
fn tags_types_and_parts_of_compounds_count() {
    let mut tagged = memory("due on Friday");
    tagged.tags = crate::memory::normalise_tags(["invoice"]).expect("tags");
    let mut typed = memory("due on Friday");
    typed.memory_type = Some("invoice".to_owned());
    check_order("invoice", &[&tagged, &typed, &memory("due on Friday")]);
    check_order("user name", &[&memory("call getUserName"), &memory("call getUser"), &memory("x")]);
    check_order("getUserName", &[&memory("call getUserName"), &memory("the name of a user")]);
}

#[test]
fn phrases_times_and_the_asking_person_are_seen() {
    let said = memory("[user] I believe in second chances");
    let other = memory("[assistant] chances of a second kind");
    let [first, second] =
        judge("what did I say of \"second chances\" in march", &[&said, &other])[..]
    else {
        panic!("two")
    };
    assert!(first.holds_phrases && first.is_own && first.is_in_time);
    assert!(!second.holds_phrases && !second.is_own && second.is_in_time);
    let [plain] = judge("second chances", &[&said])[..] else { panic!("one") };
    assert!(!plain.holds_phrases && !plain.is_own && !plain.is_in_time);
}

#[test]
fn a_word_that_resembles_is_worth_something() {
    let now = "2026-03-10T12:00:00+00:00[UTC]".parse().expect("a time");
    let question = Question::read("melaine", &now);
    let corpus = Corpus { count: 1_000, average_words: 8.0 };
    let similar = [vec!["melani".to_owned()]];
    let relevance = Relevance::new(&question, corpus, &[0], &similar);
    let share = relevance.of(&memory("Melanie is here")).share;
    assert!(share > 0.0 && share < relevance.of(&memory("Melaine is here")).share);
}
