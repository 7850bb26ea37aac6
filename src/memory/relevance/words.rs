//! A text as words, cut where the word index cuts it: at everything that is no letter or digit.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::stem::stem;

/// Longest word that is looked for, in characters.
const WORD_CHARS_MAX: usize = 64;
/// Parts of one compound that count.
const PART_COUNT_MAX: usize = 8;

/// Parts of the compounds of one text that are kept.
const PART_STEM_COUNT_MAX: usize = 500;

/// Words of a question that say how it is put, not what it is about.
const STOP_WORDS: &[&str] = &[
    "a", "about", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "being",
    "but", "by", "can", "could", "d", "did", "do", "does", "doing", "done", "for", "from", "had",
    "has", "have", "having", "he", "her", "hers", "him", "his", "how", "i", "if", "in", "into",
    "is", "it", "its", "just", "ll", "m", "me", "my", "no", "nor", "not", "of", "on", "or", "our",
    "ours", "re", "s", "she", "should", "so", "some", "such", "t", "than", "that", "the", "their",
    "theirs", "them", "then", "there", "these", "they", "this", "those", "to", "too", "us", "ve",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why",
    "will", "with", "would", "you", "your", "yours",
];

/// The words of a text, as they stand in it.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .filter(|word| !word.is_empty())
}

/// A word without case and accents, as the word index keeps it before its ending goes.
pub fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word.chars().take(WORD_CHARS_MAX).map(|c| c.to_ascii_lowercase()).collect();
    }
    let plain = word.nfd().filter(|c| !is_combining_mark(*c));
    plain.flat_map(char::to_lowercase).nfc().take(WORD_CHARS_MAX).collect()
}

/// The stem of a word as it stands in a text.
pub fn stem_of(word: &str) -> String {
    stem(&folded(word))
}

/// Whether a folded word says how a question is put.
pub fn is_stop_word(folded: &str) -> bool {
    STOP_WORDS.contains(&folded)
}

/// The parts of a compound: `getUserName` is get, user and name, `HTTPServer2` is http, server
/// and 2. Nothing for a plain word, or one that is merely written large.
pub fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    let mut chars = word.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_is_lower = chars.peek().is_some_and(|(_, next)| next.is_lowercase());
        let is_border = before.is_some_and(|before| {
            before.is_lowercase() && c.is_uppercase()
                || before.is_uppercase() && c.is_uppercase() && next_is_lower
                || before.is_alphabetic() != c.is_alphabetic()
        });
        if is_border {
            parts.push(&word[start..at]);
            start = at;
        }
        before = Some(c);
    }
    if start == 0 {
        return Vec::new();
    }
    parts.push(&word[start..]);
    parts.truncate(PART_COUNT_MAX);
    parts
}

/// Whether a word may be a compound that [`parts`] takes apart.
pub fn may_be_compound(word: &str) -> bool {
    word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The stems of the parts of the compounds of a text that are worth looking for, each once.
pub fn part_stems(text: &str) -> BTreeSet<String> {
    let parts = split(text).filter(|word| may_be_compound(word)).flat_map(parts);
    let is_word = |part: &&str| part.len() > 1 && part.starts_with(char::is_alphabetic);
    let folded = parts.filter(is_word).map(folded).filter(|part| !is_stop_word(part));
    folded.map(|part| stem(&part)).take(PART_STEM_COUNT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_folded_as_the_index_does_it() {
        let words: Vec<&str> =
            split("NOT \"a* OR (b) x-y_z/c.rs \u{1f600} \u{3b1}\u{301}!").collect();
        assert_eq!(words, ["NOT", "a", "OR", "b", "x", "y", "z", "c", "rs", "\u{3b1}\u{301}"]);
        for (word, expected) in
            [("Caf\u{e9}", "cafe"), ("STRASSE", "strasse"), ("\u{17d}i\u{17e}ek", "zizek")]
        {
            assert_eq!(folded(word), expected);
        }
        assert_eq!(folded(&"x".repeat(100)).len(), 64);
        assert_eq!(stem_of("Paintings"), "paint");
    }

    #[test]
    fn compounds_fall_apart_and_words_do_not() {
        for (word, expected) in [
            ("getUserName", &["get", "User", "Name"][..]),
            ("HTTPServer2", &["HTTP", "Server", "2"]),
            ("v2", &["v", "2"]),
            ("Caroline", &[]),
            ("NASA", &[]),
            ("word", &[]),
            ("", &[]),
        ] {
            assert_eq!(parts(word), expected, "{word}");
        }
        assert!(is_stop_word("what") && !is_stop_word("paint"));
    }

    #[test]
    fn parts_of_compounds_are_kept_once_and_as_stems() {
        let stems: Vec<String> =
            part_stems("getUserNames isReady2 UserNAMES v2 x86 plain NASA user_id")
                .into_iter()
                .collect();
        assert_eq!(stems, ["get", "name", "readi", "user"]);
        let many: String = (0..600).map(|n| format!("x{}Y ", "ab".repeat(n + 1))).collect();
        assert!(part_stems(&many).len() <= PART_STEM_COUNT_MAX);
    }
}
