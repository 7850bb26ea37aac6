//! What is looked for in the word index, as an expression that it accepts.

/// What is looked for in the word index.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'w> {
    /// One word, in any form of it.
    Word(&'w str),
    /// A stem, as a part of compounds.
    Part(&'w str),
    /// Every one of some words.
    Every(&'w [&'w str]),
    /// Some words in just this order.
    Phrase(&'w [String]),
}

impl Wanted<'_> {
    /// A stem as it is; else an FTS5 expression in which no character of a word is an operator.
    pub(super) fn expression(&self) -> String {
        match self {
            Wanted::Word(word) => quoted(word),
            Wanted::Part(stem) => (*stem).to_owned(),
            Wanted::Every(words) => {
                words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" AND ")
            }
            Wanted::Phrase(words) => quoted(&words.join(" ")),
        }
    }
}

/// As a string of FTS5 (fts5.html, section 3.1). It reads an expression up to the first NUL, so
/// that is a border between words like any other.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\0', " ").replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_word_is_an_operator() {
        assert_eq!(Wanted::Word("a\"b").expression(), "\"a\"\"b\"");
        assert_eq!(Wanted::Every(&["NOT", "b"]).expression(), "\"NOT\" AND \"b\"");
        let phrase = ["second".to_owned(), "NEAR".to_owned()];
        assert_eq!(Wanted::Phrase(&phrase).expression(), "\"second NEAR\"");
        assert_eq!(Wanted::Word("a\0b").expression(), "\"a b\"");
    }
}
