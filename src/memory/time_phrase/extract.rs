//! Finds the phrase inside a longer text. Here a wrong find hides memories from the one who asks,
//! so a word that is often something else counts only when the words around it speak of time.

use jiff::Zoned;

use super::calendar::Name;
use super::cursor::Cursor;
use super::grammar::{self, LEADS};
use super::lexer::{self, Token};
use super::meaning::{Period, Phrase, Query, Which};
use super::words;
use super::{TimeRange, resolve};

/// Words after which a phrase means another time than its own: "next friday", "by monday",
/// "more than a year ago", "least recently".
const FOREIGN_BEFORE: [&str; 14] = [
    "next",
    "coming",
    "upcoming",
    "following",
    "every",
    "each",
    "by",
    "than",
    "over",
    "under",
    "beyond",
    "most",
    "more",
    "least",
];

/// Words that stand alone as often for something else: "spring framework", "ask April".
const NEEDS_LEAD: [&str; 32] = [
    "april", "june", "august", "march", "may", "jan", "feb", "mar", "apr", "jun", "jul", "aug",
    "sept", "sep", "oct", "nov", "dec", "mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri",
    "sat", "sun", "spring", "summer", "autumn", "fall", "winter",
];

/// Months that are verbs: "this may fail", "step 3 may fail".
const VERBS: [&str; 2] = ["may", "march"];

/// The phrase of most words (the first of equals), and the text without it.
pub(super) fn extract(text: &str, now: &Zoned) -> Option<(TimeRange, String)> {
    let tokens = lexer::tokens(text);
    let mut best: Option<(TimeRange, &[Token])> = None;
    let mut at = 0;
    while at < tokens.len() {
        let Some((query, rest)) = grammar::query(Cursor { rest: &tokens[at..] }) else {
            at += 1;
            continue;
        };
        let end = tokens.len() - rest.rest.len();
        let found = &tokens[at..end];
        if means_another_time(&tokens, at, end, query) || may_not_be_time(found, query) {
            at = end;
        } else if let Some(range) = resolve::range(query, now) {
            if best.is_none_or(|(_, best)| best.len() < found.len()) {
                best = Some((range, found));
            }
            at = end;
        } else {
            at += 1;
        }
    }
    let (range, found) = best?;
    let (first, last) = (found.first()?, found.last()?);
    Some((range, without(text, first.span.start, last.span.end)))
}

/// Whether the words around `tokens[start..end]` change what it means.
fn means_another_time(tokens: &[Token], start: usize, end: usize, query: Query) -> bool {
    let word_before = |back: usize| tokens.get(start.checked_sub(back)?)?.word();
    let is_unit = |word: &str| words::units(word).is_some();
    let previous = word_before(1);
    let after_unit = previous.is_some_and(is_unit);
    let starts_with_from = tokens[start].word() == Some("from");
    let next = tokens.get(end).and_then(Token::word);

    previous.is_some_and(|word| FOREIGN_BEFORE.contains(&word))
        || next == Some("next")
        || match query {
            // "a week before christmas", "two days from monday".
            Query::Before(_) | Query::After(_) => after_unit,
            Query::In(_) if starts_with_from => after_unit,
            // "a year and two months ago", "2 hours, 5 minutes ago", "2 hours 5 minutes ago".
            Query::In(Phrase { period: Period::Ago { .. }, .. }) => {
                let joined = previous.is_none_or(|word| word == "and");
                after_unit || joined && word_before(2).is_some_and(is_unit)
            }
            _ => false,
        }
}

/// Whether what was found may as well not speak of time.
fn may_not_be_time(found: &[Token], query: Query) -> bool {
    let first = found.first().and_then(Token::word).unwrap_or_default();
    let Query::In(Phrase { period: Period::Named { name, which }, part: None, .. }) = query else {
        return false;
    };
    if LEADS.contains(&first) {
        return false;
    }
    let mut after_article = found.iter().filter_map(Token::word).filter(|&word| word != "the");
    let (first, second) = (after_article.next().unwrap_or_default(), after_article.next());
    let is_single = second.is_none();
    let is_verb = found.len() == 2 && second.is_some_and(|word| VERBS.contains(&word));
    match which {
        Which::Latest => {
            is_single && (NEEDS_LEAD.contains(&first) || first.contains('/'))
                || matches!(name, Name::Holiday(_))
                || is_verb && words::small_number(first).is_some()
        }
        Which::This => is_verb,
        Which::Of(_) => is_single && words::year(first).is_some(),
        Which::Last => false,
    }
}

/// `text` without the bytes from `start` to `end` and without the gap they would leave.
fn without(text: &str, start: usize, end: usize) -> String {
    const JOINTS: [char; 3] = [',', ';', ':'];
    let left = text[..start].trim();
    let right = text[end..].trim();
    let right = if left.is_empty() { right.trim_start_matches(JOINTS).trim_start() } else { right };
    let ends = right.is_empty() || right.starts_with(['.', '?', '!', ',', ';', ':']);
    let left = if ends { left.trim_end_matches(JOINTS).trim_end() } else { left };
    let gap = if ends || left.is_empty() { "" } else { " " };
    format!("{left}{gap}{right}")
}
