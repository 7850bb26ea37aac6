//! Where a text may be cut: after sentences and list items, after words, after characters.

/// The ways to cut a text that is too long, from the kindest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// After a sentence, and before a line that starts a list item or a table row.
    Sentence,
    /// After a line; for code.
    Line,
    /// After white space.
    Word,
    /// After so many characters.
    Char,
}

impl Cut {
    /// What is tried when the parts are still too long.
    pub(super) fn next(self) -> Self {
        match self {
            Cut::Sentence | Cut::Line => Cut::Word,
            Cut::Word | Cut::Char => Cut::Char,
        }
    }

    /// The length in bytes of the first part; never 0 and never inside a character.
    pub(super) fn first_part(self, text: &str, chars_max: usize) -> usize {
        match self {
            Cut::Sentence => sentence_end(text),
            Cut::Line => text.find('\n').map_or(text.len(), |newline| newline + 1),
            Cut::Word => text
                .char_indices()
                .find(|(_, c)| c.is_whitespace())
                .map_or(text.len(), |(at, c)| at + c.len_utf8()),
            Cut::Char => text.char_indices().nth(chars_max).map_or(text.len(), |(at, _)| at),
        }
    }
}

/// The bytes of the first sentence, with the white space after it.
fn sentence_end(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    let mut stopped = false;
    // The dot of a list item's number ends nothing.
    for _ in 0..number_chars(text) {
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        let after = at + c.len_utf8();
        match c {
            '。' | '！' | '？' => return after,
            '.' | '!' | '?' | '…' => stopped = true,
            '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '*' | '_' if stopped => {}
            '\n' if starts_item(&text[after..]) => return after,
            c if c.is_whitespace() && stopped => {
                while chars.peek().is_some_and(|(_, c)| c.is_whitespace()) {
                    chars.next();
                }
                return chars.peek().map_or(text.len(), |(at, _)| *at);
            }
            _ => stopped = false,
        }
    }
    text.len()
}

/// Whether a line starts with the mark of a list item or a table row.
fn starts_item(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    line.starts_with(['|', '•'])
        || ["- ", "* ", "+ "].iter().any(|mark| line.starts_with(mark))
        || number_chars(line) > 0
}

/// The characters of the `12. ` that starts a numbered item; 0 when there is none.
fn number_chars(line: &str) -> usize {
    let text = line.trim_start_matches([' ', '\t']);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let marked = [". ", ") "].iter().any(|mark| text[digits..].starts_with(mark));
    if digits > 0 && marked { line.len() - text.len() + digits + 2 } else { 0 }
}

/// The last `chars_max` characters of a text at most, from the start of a sentence if there is
/// one in it, else of a word.
pub(super) fn tail(text: &str, chars_max: usize) -> &str {
    if chars_max == 0 {
        return "";
    }
    let Some((start, _)) = text.char_indices().nth_back(chars_max - 1) else { return text };
    let window = &text[start..];
    let sentence = Cut::Sentence.first_part(window, 0);
    if !window[sentence..].trim().is_empty() {
        return &window[sentence..];
    }
    let at_word = text[..start].ends_with(char::is_whitespace);
    let word = Cut::Word.first_part(window, 0);
    if at_word || word == window.len() { window } else { &window[word..] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cut: Cut, text: &str, expected: &[&str]) {
        let mut rest = text;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(cut.first_part(rest, 3));
            parts.push(part);
            rest = after;
        }
        assert_eq!(parts, expected);
    }

    #[test]
    fn texts_are_cut_where_they_pause() {
        check(Cut::Sentence, "A b. C \"d.\" E", &["A b. ", "C \"d.\" ", "E"]);
        check(Cut::Sentence, "v1.2 is out!\nGet it", &["v1.2 is out!\n", "Get it"]);
        check(Cut::Sentence, "今日。明日", &["今日。", "明日"]);
        check(Cut::Sentence, "List:\n- a\n  b\n12. c", &["List:\n", "- a\n  b\n", "12. c"]);
        check(Cut::Line, "a b\nc\n", &["a b\n", "c\n"]);
        check(Cut::Word, "ab  c\td", &["ab ", " ", "c\t", "d"]);
        check(Cut::Char, "äöüß", &["äöü", "ß"]);
    }

    #[test]
    fn a_tail_starts_at_a_sentence_or_a_word() {
        for (text, chars_max, expected) in [
            ("One. Two three.", 12, "Two three."),
            ("One. Two three four", 9, "four"),
            ("One. Two three four", 10, "three four"),
            ("今日明日", 2, "明日"),
            ("short", 100, "short"),
            ("short", 0, ""),
        ] {
            assert_eq!(tail(text, chars_max), expected, "{text:?} {chars_max}");
        }
    }
}
