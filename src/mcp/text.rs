//! The wording of text results, as clients of mcp-memory-service read it.

use super::view::MemoryView;

/// One numbered entry.
pub(super) fn entry(number: usize, memory: &MemoryView) -> String {
    let tags = match &memory.tags[..] {
        [] => String::new(),
        tags => format!(" [{}]", tags.join(", ")),
    };
    format!(
        "{number}. {}\n   Hash: {}\n   Created: {}{tags}",
        memory.content, memory.content_hash, memory.created_at_iso,
    )
}

/// How many of the entries fit, and the text with those.
///
/// Entries are kept whole. The first one is kept whatever its length: an answer without any
/// would look like nothing was found.
pub(super) fn cut(header: &str, entries: &[String], chars_max: Option<usize>) -> (usize, String) {
    let chars_max = chars_max.unwrap_or(usize::MAX);
    let mut chars = header.chars().count();
    let mut shown = 0;
    for entry in entries {
        chars = chars.saturating_add(2 + entry.chars().count());
        if shown > 0 && chars > chars_max {
            break;
        }
        shown += 1;
    }
    let mut text = header.to_owned();
    if shown < entries.len() {
        text.push_str(&format!(
            "\n[!] RESPONSE TRUNCATED: showing {shown} of {} results; narrow the search or raise \
             max_response_chars",
            entries.len()
        ));
    }
    for entry in &entries[..shown] {
        text.push_str("\n\n");
        text.push_str(entry);
    }
    (shown, text)
}

/// `1 memory`, `2 memories`.
pub(super) fn memories(count: usize) -> String {
    match count {
        1 => "1 memory".to_owned(),
        count => format!("{count} memories"),
    }
}

/// The first characters of a text on one line, for overviews.
pub(super) fn preview(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars_max {
        return line;
    }
    line.chars().take(chars_max).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_hash_and_its_time() {
        let mut memory = super::super::tests::memory("Rust is fast", &["lang", "rust"]);
        let expected = format!(
            "2. Rust is fast\n   Hash: {}\n   Created: 2026-11-22T15:26:24.179767Z [lang, rust]",
            memory.content_hash
        );
        assert_eq!(entry(2, &memory.clone()), expected);
        memory.tags.clear();
        assert!(entry(1, &memory).ends_with("179767Z"));
    }

    fn check(chars_max: Option<usize>, shown: usize, text: &str) {
        let entries = ["1. aaaa", "2. bb", "3. cc"].map(str::to_owned);
        assert_eq!(cut("Found 3", &entries, chars_max), (shown, text.to_owned()), "{chars_max:?}");
    }

    #[test]
    fn a_long_answer_is_cut_between_entries() {
        check(None, 3, "Found 3\n\n1. aaaa\n\n2. bb\n\n3. cc");
        check(Some(30), 3, "Found 3\n\n1. aaaa\n\n2. bb\n\n3. cc");
        let cut = |shown: usize, entries: &str| {
            format!(
                "Found 3\n[!] RESPONSE TRUNCATED: showing {shown} of 3 results; narrow the search \
                 or raise max_response_chars{entries}"
            )
        };
        check(Some(29), 2, &cut(2, "\n\n1. aaaa\n\n2. bb"));
        check(Some(22), 1, &cut(1, "\n\n1. aaaa"));
        check(Some(1), 1, &cut(1, "\n\n1. aaaa"));
    }

    #[test]
    fn a_preview_is_one_short_line() {
        assert_eq!(preview("a\n  b", 10), "a b");
        assert_eq!(preview("abcdef", 3), "abc…");
    }
}
