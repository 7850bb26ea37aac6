//! How well the words of a memory answer a query: BM25 (Robertson and Zaragoza 2009) with the
//! speaker of a turn, tags and type beside the text, and what else a query tells.
//!
//! The word index of the file says which memories may answer; here each is judged for itself, so
//! that neither filters nor other candidates change what it is worth.

pub mod irregular;
pub mod question;
pub mod similar;
pub mod speaker;
pub mod stem;
pub mod told;
pub mod words;

use std::collections::HashMap;

use super::Memory;
use super::time_phrase::TimeRange;
use question::Question;
use words::{folded, parts, split};

/// How soon repeats of a word count for less, and how much the length of a text takes away.
/// Measured (docs/evaluation.md): with the usual 1.2 and 0.75 short turns without content win.
const SATURATION: f64 = 0.9;
const LENGTH_SHARE: f64 = 0.4;
/// What it is worth that somebody named in the query speaks, in parts of the most that a word in
/// the text is worth.
const SPEAKER_SHARE: f64 = 0.9;
/// The most that a name is worth, in the same parts: it is said and its bearer speaks.
const NAME_SHARE_MAX: f64 = 1.5;
/// What a name is worth that a turn of somebody else mentions: most often it is an address.
const MENTION_SHARE: f64 = 0.5;
/// How often a tag and a type count as words of the text.
const TAG_COUNT: f64 = 1.0;
const TYPE_COUNT: f64 = 0.5;
/// What another form of a word is worth that shares no stem with it.
const OTHER_FORM: f64 = 0.8;
/// What a word is worth that merely resembles one of the query.
const RESEMBLANCE: f64 = 0.6;

/// What is known of all memories together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corpus {
    /// How many there are.
    pub count: u64,
    /// Words of one, on average.
    pub average_words: f64,
}

/// How a memory answers a query.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Match {
    /// BM25, unbounded.
    pub score: f64,
    /// The share of the most that the query can give, 0 to 1.
    pub share: f64,
    /// Whether every quoted phrase is in the text.
    pub holds_phrases: bool,
    /// Whether the person who asks about themselves speaks.
    pub is_own: bool,
    /// Whether it was made in the time that the query speaks of, or tells so.
    pub is_in_time: bool,
}

/// A query with what its words are worth.
pub struct Relevance<'q> {
    question: &'q Question,
    worth: Vec<f64>,
    /// Terms by stem, and how well the stem resembles each.
    by_stem: HashMap<String, Vec<(usize, f64)>>,
    starts: Starts,
    greatest: f64,
    average_words: f64,
}

impl<'q> Relevance<'q> {
    /// `found_counts` says of each term in how many memories it occurs, in any form; `similar`
    /// gives the stems that resemble it, where it occurs in none.
    pub fn new(
        question: &'q Question,
        corpus: Corpus,
        found_counts: &[u64],
        similar: &[Vec<String>],
    ) -> Self {
        let mut by_stem: HashMap<String, Vec<(usize, f64)>> = HashMap::new();
        let mut worth = Vec::with_capacity(question.terms.len());
        let mut greatest = 0.0;
        for (at, term) in question.terms.iter().enumerate() {
            let found = found_counts.get(at).copied().unwrap_or(0);
            let one = term.weight * rarity(found, corpus.count) * (SATURATION + 1.0);
            worth.push(one);
            greatest += one * if term.is_name { NAME_SHARE_MAX } else { 1.0 };
            by_stem.entry(term.stem.clone()).or_default().push((at, 1.0));
            for form in irregular::other_forms(&term.word) {
                by_stem.entry(stem::stem(form)).or_default().push((at, OTHER_FORM));
            }
            for stem in similar.get(at).into_iter().flatten() {
                by_stem.entry(stem.clone()).or_default().push((at, RESEMBLANCE));
            }
        }
        let starts = Starts::of(by_stem.keys());
        let average_words = corpus.average_words.max(1.0);
        Relevance { question, worth, by_stem, starts, greatest, average_words }
    }

    /// What each term is worth at most.
    pub fn worth(&self) -> &[f64] {
        &self.worth
    }

    /// Judges one memory.
    pub fn of(&self, memory: &Memory) -> Match {
        let speakers = speaker::speakers(memory);
        let mut counts = vec![0.0; self.worth.len()];
        let mut word_count = 0;
        for line in speaker::lines(&memory.content) {
            for word in split(line.text) {
                word_count += 1;
                self.count(word, 1.0, &mut counts);
            }
        }
        let tags = memory.tags.iter().flat_map(|tag| split(tag.as_str()));
        tags.for_each(|word| self.count(word, TAG_COUNT, &mut counts));
        let kind = memory.memory_type.as_deref().unwrap_or_default();
        split(kind).for_each(|word| self.count(word, TYPE_COUNT, &mut counts));
        let mut speaks = vec![0.0; self.worth.len()];
        let names = speakers.iter().flat_map(|name| split(name));
        names.for_each(|word| self.count(word, 1.0, &mut speaks));

        let length = 1.0 - LENGTH_SHARE + LENGTH_SHARE * f64::from(word_count) / self.average_words;
        let is_turn = !speakers.is_empty();
        let of_term = |at: usize| {
            let said = counts[at] / (counts[at] + SATURATION * length);
            let is_mention = is_turn && self.question.terms[at].is_name;
            let said = if is_mention { said * MENTION_SHARE } else { said };
            let speaks = if speaks[at] > 0.0 { SPEAKER_SHARE * speaks[at].min(1.0) } else { 0.0 };
            self.worth[at] * (said + speaks).min(NAME_SHARE_MAX)
        };
        let score: f64 = (0..counts.len()).map(of_term).sum();
        Match {
            score,
            share: if self.greatest > 0.0 { (score / self.greatest).min(1.0) } else { 0.0 },
            holds_phrases: !self.question.phrases.is_empty() && self.holds_phrases(memory),
            is_own: self.question.is_own && speaker::is_own(&speakers),
            is_in_time: self.question.when.is_some_and(|when| is_of(when, memory)),
        }
    }

    /// Counts a word for the terms that it, or a part of it, stands for.
    fn count(&self, word: &str, times: f64, counts: &mut [f64]) {
        self.count_one(word, times, counts);
        if words::may_be_compound(word) {
            parts(word).into_iter().for_each(|part| self.count_one(part, times, counts));
        }
    }

    fn count_one(&self, word: &str, times: f64, counts: &mut [f64]) {
        if !self.starts.may_hold(word) {
            return;
        }
        for (at, resemblance) in self.by_stem.get(&words::stem_of(word)).into_iter().flatten() {
            counts[*at] += times * resemblance;
        }
    }

    fn holds_phrases(&self, memory: &Memory) -> bool {
        let text: Vec<String> = split(&memory.content).map(folded).collect();
        let holds = |phrase: &Vec<String>| text.windows(phrase.len()).any(|words| words == phrase);
        self.question.phrases.iter().all(holds)
    }
}

/// Inverse document frequency, never below 0 (Lucene's form of BM25).
fn rarity(found: u64, count: u64) -> f64 {
    let (found, count) = (found as f64, count.max(found) as f64);
    (1.0 + (count - found + 0.5) / (found + 0.5)).ln()
}

/// Whether a memory was made in a time, or tells that it is of that time.
fn is_of(range: TimeRange, memory: &Memory) -> bool {
    holds(range, memory.created_at) || told::told_at(memory).is_some_and(|told| holds(range, told))
}

fn holds(range: TimeRange, time: f64) -> bool {
    range.after.is_none_or(|after| time >= after) && range.before.is_none_or(|before| time < before)
}

/// The first two bytes of stems: most words of a text are told apart by them.
struct Starts {
    first: [bool; 256],
    second: [bool; 256],
}

impl Starts {
    fn of<'s>(stems: impl Iterator<Item = &'s String>) -> Self {
        let mut starts = Starts { first: [false; 256], second: [false; 256] };
        for stem in stems {
            let bytes = stem.as_bytes();
            starts.first[usize::from(bytes.first().copied().unwrap_or(0))] = true;
            // A stem of one letter may have lost its second.
            match bytes.get(1) {
                Some(second) if bytes.len() > 2 => starts.second[usize::from(*second)] = true,
                _ => starts.second = [true; 256],
            }
        }
        starts
    }

    /// Whether a word may have one of the stems; always true beyond ASCII.
    fn may_hold(&self, word: &str) -> bool {
        let bytes = word.as_bytes();
        let lower = |at: usize| bytes.get(at).map(|byte| usize::from(byte.to_ascii_lowercase()));
        !word.is_ascii()
            || lower(0).is_none_or(|first| self.first[first])
                && lower(1).is_none_or(|second| self.second[second])
    }
}

#[cfg(test)]
pub(super) mod tests;
