//! What a query asks for: its words and their weight, quoted phrases, operators and times.

use jiff::Zoned;

use super::stem::stem;
use super::words::{folded, is_stop_word, parts, split};
use crate::memory::Tag;
use crate::memory::time_phrase::{self, TimeRange};

/// Words of a query that count; the rest is ignored.
const TERM_COUNT_MAX: usize = 32;
/// Phrases and operators of a query that count.
const PART_COUNT_MAX: usize = 16;
/// What a part of a compound counts beside the whole.
const PART_WEIGHT: f64 = 0.5;
/// What a word of a phrase of time counts: most memories do not write the time down.
const TIME_WEIGHT: f64 = 0.5;
/// Words in which people speak of themselves.
const OWN_WORDS: [&str; 6] = ["i", "my", "me", "mine", "myself", "our"];

/// A word that is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Without case and accents.
    pub word: String,
    /// Without its ending too.
    pub stem: String,
    /// How much it counts, up to 1.
    pub weight: f64,
    /// Whether it is written as names are.
    pub is_name: bool,
}

/// A query, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// The query without its operators.
    pub text: String,
    /// Words, in their order, without repeats.
    pub terms: Vec<Term>,
    /// The words of each quoted phrase.
    pub phrases: Vec<Vec<String>>,
    /// The time that the query speaks of. It is evidence, no condition.
    pub when: Option<TimeRange>,
    /// Whether people ask about themselves.
    pub is_own: bool,
    /// Whether the words matter as they are written: names, code, phrases.
    pub is_literal: bool,
    /// What the operators demand.
    pub demands: Demands,
}

/// Conditions that stand in the text of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demands {
    /// `tag:x`; all of them.
    pub tags: Vec<Tag>,
    /// `type:x`; the last one.
    pub memory_type: Option<String>,
    /// `after:x` and `before:x`.
    pub created: TimeRange,
}

impl Demands {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Demands::default()
    }

    /// Takes `key:value`; false when that is no operator with a value that can be read.
    fn take(&mut self, key: &str, value: &str, now: &Zoned) -> bool {
        let instant = || time_phrase::parse_instant(value, now).ok();
        match key {
            "tag" => match Tag::new(value) {
                Ok(Some(tag)) if self.tags.len() < PART_COUNT_MAX => self.tags.push(tag),
                _ => return false,
            },
            "type" => self.memory_type = Some(value.to_owned()),
            "after" => match instant() {
                Some(after) => self.created.after = Some(after),
                None => return false,
            },
            "before" => match instant() {
                Some(before) => self.created.before = Some(before),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

impl Question {
    /// Understands a query as of `now`, in its time zone.
    pub fn read(query: &str, now: &Zoned) -> Self {
        let mut question = Question::default();
        let mut rest = query;
        while let Some(piece) = next_piece(&mut rest) {
            let demanded =
                piece.operator().is_some_and(|(key, value)| question.demands.take(key, value, now));
            if demanded {
                continue;
            }
            if let Some(phrase) = piece.quoted
                && question.phrases.len() < PART_COUNT_MAX
            {
                let words: Vec<String> = split(phrase).map(folded).collect();
                question.phrases.extend(Some(words).filter(|words| words.len() > 1));
                question.is_literal = true;
            }
            question.text.push_str(if question.text.is_empty() { "" } else { " " });
            question.text.push_str(piece.whole);
        }
        if question.demands.is_empty() {
            query.clone_into(&mut question.text);
        }
        question.take_words(now);
        question
    }

    fn take_words(&mut self, now: &Zoned) {
        let told = time_phrase::extract(&self.text, now);
        let without_time = told.as_ref().map(|(_, rest)| rest.as_str());
        let beside_time: Option<Vec<String>> =
            without_time.map(|rest| split(rest).map(folded).collect());
        let mut terms: Vec<Term> = Vec::new();
        for token in self.text.split_whitespace() {
            let is_code = is_code(token);
            self.is_literal |= is_code;
            for (place, word) in split(token).enumerate() {
                let is_first = terms.is_empty() && place == 0;
                let is_name = !is_code && is_written_as_name(word, token, is_first);
                let plain = folded(word);
                self.is_own |= OWN_WORDS.contains(&plain.as_str());
                let of_time = beside_time.as_ref().is_some_and(|beside| !beside.contains(&plain));
                let weight = if of_time { TIME_WEIGHT } else { 1.0 };
                self.is_literal |= is_name && !of_time && !is_stop_word(&plain);
                push(&mut terms, plain, weight, is_name);
                for part in parts(word) {
                    push(&mut terms, folded(part), weight * PART_WEIGHT, false);
                }
            }
        }
        self.when = told.map(|(range, _)| range);
        let has_content = terms.iter().any(|term| !is_stop_word(&term.word));
        if has_content {
            terms.retain(|term| !is_stop_word(&term.word));
        }
        terms.truncate(TERM_COUNT_MAX);
        self.terms = terms;
    }
}

fn push(terms: &mut Vec<Term>, word: String, weight: f64, is_name: bool) {
    // More are dropped later, after the words that do not count.
    let has_room = terms.len() < 8 * TERM_COUNT_MAX;
    let stem = stem(&word);
    if has_room && terms.iter().all(|term| term.stem != stem) {
        terms.push(Term { word, stem, weight, is_name });
    }
}

/// Whether a word starts large where others do not.
fn is_written_as_name(word: &str, token: &str, is_first: bool) -> bool {
    let is_large = word.starts_with(char::is_uppercase) && word.chars().count() > 1;
    let is_owner =
        token.strip_prefix(word).is_some_and(|rest| rest.starts_with(['\'', '\u{2019}']));
    is_large && (!is_first || is_owner)
}

/// Whether a token is code, a path or a number with letters rather than a word.
fn is_code(token: &str) -> bool {
    let token = token.trim_matches(|c: char| !c.is_alphanumeric());
    let joins = ["_", "/", "::", ".", "\\", "->", "@", "#"];
    let is_joined = joins.iter().any(|join| token.contains(join));
    let is_mixed = token.contains(char::is_alphabetic) && token.contains(char::is_numeric);
    let is_compound = !parts(token).is_empty() && token.contains(char::is_alphabetic);
    is_joined || is_mixed || is_compound && split(token).count() == 1
}

/// A piece of a query between spaces, or between quotes.
struct Piece<'q> {
    whole: &'q str,
    quoted: Option<&'q str>,
    /// What stands before the quoted part.
    start: &'q str,
}

impl<'q> Piece<'q> {
    /// Key and value of `key:value` and `key:"value"`.
    fn operator(&self) -> Option<(&'q str, &'q str)> {
        let (key, value) = match self.quoted {
            Some(quoted) => (self.start.strip_suffix(':')?, quoted),
            None => self.whole.split_once(':')?,
        };
        Some((key, value)).filter(|(_, value)| !value.trim().is_empty())
    }
}

/// The next piece; a quote without an end is a character like any other.
fn next_piece<'q>(rest: &mut &'q str) -> Option<Piece<'q>> {
    let text = rest.trim_start();
    if text.is_empty() {
        return None;
    }
    let space = text.find(char::is_whitespace).unwrap_or(text.len());
    let quote = text[..space].find('"').filter(|at| *at == 0 || text[..*at].ends_with(':'));
    let closed = quote.and_then(|at| Some((at, at + 1 + text[at + 1..].find('"')?)));
    let piece = match closed {
        Some((open, close)) => {
            let (start, quoted) = (&text[..open], Some(&text[open + 1..close]));
            Piece { whole: &text[..=close], quoted, start }
        }
        None => Piece { whole: &text[..space], quoted: None, start: "" },
    };
    *rest = &text[piece.whole.len()..];
    Some(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Question {
        let now = "2026-11-22T15:00:00+00:00[UTC]".parse().expect("a time");
        Question::read(query, &now)
    }

    fn check_words(query: &str, expected: &[&str]) {
        let question = read(query);
        let words: Vec<&str> = question.terms.iter().map(|term| term.word.as_str()).collect();
        assert_eq!(words, expected, "{query}");
    }

    #[test]
    fn words_that_say_how_it_is_asked_do_not_count() {
        check_words(
            "When did Caroline go to the support group?",
            &["caroline", "go", "support", "group"],
        );
        check_words("to be or not to be", &["to", "be", "or", "not"]);
        check_words("NOT \"a* OR (b", &["b"]);
        check_words("\u{1f600} \"' ^ :", &[]);
        check_words("painting paintings painted", &["painting"]);
        check_words("getUserName", &["getusername", "get", "user", "name"]);
        assert_eq!(read(&"alpha beta ".repeat(50_000)).terms.len(), 2);
        let many = (0..500).map(|n| format!("w{n}x ")).collect::<String>();
        assert_eq!(read(&many).terms.len(), TERM_COUNT_MAX);
    }

    #[test]
    fn names_and_code_make_a_query_literal() {
        for query in ["what did Melanie paint", "Melanie's dog", "src/store", "user_name", "v2.1"] {
            assert!(read(query).is_literal, "{query}");
        }
        for query in ["What did they paint", "Recent trips", "who paints", "in May 2023"] {
            assert!(!read(query).is_literal, "{query}");
        }
        assert!(read("where did I put my keys").is_own);
        assert!(!read("where did Ann put it").is_own);
    }

    #[test]
    fn operators_are_conditions_when_they_can_be_read() {
        let question = read("tag:Work type:note after:2026-01-01 before:yesterday the plan");
        assert_eq!(question.text, "the plan");
        assert_eq!(question.demands.tags[0].as_str(), "work");
        assert_eq!(question.demands.memory_type.as_deref(), Some("note"));
        assert_eq!(question.demands.created.after, Some(1_767_225_600.0));
        assert!(question.demands.created.before.is_some());
        let quoted = read("tag:\"machine learning\" notes");
        assert_eq!(quoted.demands.tags[0].as_str(), "machine learning");
        for query in ["before:you go", "tag: x", "TAG:x", "after:", "http://a.b", "tag:\"x"] {
            let question = read(query);
            let is_tag = query == "tag:\"x";
            assert_eq!(question.demands.is_empty(), !is_tag, "{query}");
        }
        assert_eq!(read("before:you go").text, "before:you go");
    }

    #[test]
    fn phrases_and_times_are_found() {
        let question = read("who said \"second chances\" last week");
        assert_eq!(question.phrases, [["second", "chances"]]);
        assert!(question.is_literal);
        let when = question.when.expect("a time");
        assert_eq!(when.before.zip(when.after).map(|(b, a)| b - a), Some(7.0 * 86_400.0));
        let weights: Vec<f64> = question.terms.iter().map(|term| term.weight).collect();
        assert_eq!(weights, [1.0, 1.0, 1.0, 0.5, 0.5], "said second chances last week");
        assert!(read("an \"unbalanced quote").phrases.is_empty());
        assert!(read("maybe later").when.is_none());
    }
}
