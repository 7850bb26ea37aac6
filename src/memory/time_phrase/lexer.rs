//! Cuts text into whole words that remember where they stood; knows nothing about time.

use std::ops::Range;

/// A word, or a mark that ends a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// The bytes of the text that the token covers.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A lower-case word or number, without the marks around it.
    Word(String),
    /// A comma, which dates such as "march 3, 2025" contain.
    Comma,
    /// Any other mark, which no phrase contains.
    Break,
}

/// The words of `text`. What is glued together stays together, so "yesterday-ish" is one word.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chunk_start = 0;
    for (at, mark) in text.char_indices() {
        let kind = match mark {
            _ if mark.is_whitespace() => None,
            ',' if !is_inside_number(text, at) => Some(Kind::Comma),
            _ if is_break(mark) => Some(Kind::Break),
            _ => continue,
        };
        push_chunk(&mut tokens, text, chunk_start..at);
        chunk_start = at + mark.len_utf8();
        tokens.extend(kind.map(|kind| Token { kind, span: at..chunk_start }));
    }
    push_chunk(&mut tokens, text, chunk_start..text.len());
    tokens
}

/// Without the marks at both ends, which carry no meaning there.
pub(super) fn without_outer_marks(mut tokens: &[Token]) -> &[Token] {
    while let [first, rest @ ..] = tokens
        && !first.is_word()
    {
        tokens = rest;
    }
    while let [rest @ .., last] = tokens
        && !last.is_word()
    {
        tokens = rest;
    }
    tokens
}

impl Token {
    /// The word, or nothing for a mark.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            Kind::Comma | Kind::Break => None,
        }
    }

    fn is_word(&self) -> bool {
        self.word().is_some()
    }
}

/// "1,000 days" must not read as "000 days".
fn is_inside_number(text: &str, comma: usize) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    digit(comma.checked_sub(1).and_then(|before| bytes.get(before))) && digit(bytes.get(comma + 1))
}

fn is_break(mark: char) -> bool {
    matches!(mark, ';' | '?' | '!' | '(' | ')' | '[' | ']' | '{' | '}')
        || matches!(mark, '"' | '“' | '”' | '«' | '»' | '—' | '–' | '…')
}

fn push_chunk(tokens: &mut Vec<Token>, text: &str, span: Range<usize>) {
    const QUOTES: [char; 5] = ['\'', '’', '‘', '`', '*'];
    let chunk = &text[span.clone()];
    let start = span.start + (chunk.len() - chunk.trim_start_matches(QUOTES).len());
    let quoted = text[start..span.end].trim_end_matches(QUOTES);
    let bare = quoted.trim_end_matches(['.', ':']).trim_end_matches(QUOTES);
    if bare.is_empty() {
        return;
    }
    let end = start + bare.len();
    let mut word = bare.to_lowercase().replace('’', "'");
    let possessive = take_possessive(&mut word);
    // "new year's eve" goes on after its possessive, "last week's report" does not.
    let goes_on = matches!(word.as_str(), "year" | "valentine");
    tokens.push(Token { kind: Kind::Word(word), span: start..end });
    if bare.len() < quoted.len() || possessive && !goes_on {
        tokens.push(Token { kind: Kind::Break, span: end..end });
    }
}

fn take_possessive(word: &mut String) -> bool {
    let Some(owner) = word.strip_suffix("'s") else { return false };
    if owner.is_empty() || !owner.chars().all(char::is_alphabetic) {
        return false;
    }
    word.truncate(owner.len());
    true
}
