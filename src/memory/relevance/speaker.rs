//! Who speaks in a memory, and which memories are turns of one conversation.

use serde_json::Value;

use crate::memory::Memory;

/// Longest name before a colon, in bytes.
const NAME_BYTES_MAX: usize = 40;
/// Words that such a name may have.
const NAME_WORDS_MAX: usize = 4;
/// Lines that are looked at for names.
const LINE_COUNT_MAX: usize = 400;
/// Where other programs write who speaks.
const SPEAKER_KEYS: [&str; 8] =
    ["speaker", "author", "agent", "sender", "from", "role", "user", "name"];
const SPEAKER_TAGS: [&str; 4] = ["agent:", "speaker:", "author:", "user:"];
/// Where other programs write which conversation a turn belongs to.
const CONVERSATION_KEYS: [&str; 9] = [
    "conversation_id",
    "session_id",
    "thread_id",
    "chat_id",
    "dialogue_id",
    "conversation",
    "session",
    "thread",
    "chat",
];
const CONVERSATION_TAGS: [&str; 3] = ["session:", "conversation:", "thread:"];
/// Roles under which the person speaks whose memories these are.
const OWN_ROLES: [&str; 3] = ["user", "human", "me"];
/// Turns that name no conversation are of one when no more seconds lie between them.
const TURN_SECONDS_MAX: f64 = 3_600.0;

/// A line and who speaks in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'t> {
    /// The name or role before it.
    pub speaker: Option<&'t str>,
    /// What is said.
    pub text: &'t str,
}

/// The lines of a text: `Name: text`, `[role] text`, each perhaps after a date in brackets.
pub fn lines(content: &str) -> impl Iterator<Item = Line<'_>> {
    content.lines().enumerate().map(|(number, line)| {
        if number < LINE_COUNT_MAX { line_of(line) } else { Line { speaker: None, text: line } }
    })
}

fn line_of(line: &str) -> Line<'_> {
    let start = without_date(line.trim_start());
    let named = role(start).or_else(|| name(start));
    named.map_or(Line { speaker: None, text: line }, |(speaker, text)| Line {
        speaker: Some(speaker),
        text,
    })
}

/// Without a date or number in brackets at its start.
fn without_date(line: &str) -> &str {
    let close = match line.chars().next() {
        Some('[') => ']',
        Some('(') => ')',
        _ => return line,
    };
    match line[1..].split_once(close) {
        Some((inner, rest)) if inner.contains(|c: char| c.is_ascii_digit()) => rest.trim_start(),
        _ => line,
    }
}

fn role(line: &str) -> Option<(&str, &str)> {
    let (role, text) = line.strip_prefix('[')?.split_once("] ")?;
    is_name(role, |_| true).then_some((role, text))
}

fn name(line: &str) -> Option<(&str, &str)> {
    let end = line.find(':').filter(|end| *end <= NAME_BYTES_MAX)?;
    let (name, text) = (line[..end].trim_end_matches('*'), &line[end + 1..]);
    let is_said = text.is_empty() || text.starts_with(char::is_whitespace);
    let is_written_large = |word: &str| word.starts_with(char::is_uppercase);
    let is_known = OWN_ROLES.contains(&name) || ["assistant", "system", "ai"].contains(&name);
    (is_said && (is_known || is_name(name, is_written_large))).then_some((name, text))
}

fn is_name(name: &str, is_word: impl Fn(&str) -> bool) -> bool {
    let words: Vec<&str> = name.split_whitespace().collect();
    let is_letter = |c: char| c.is_alphabetic() || "'.-_".contains(c) || c.is_numeric();
    (1..=NAME_WORDS_MAX).contains(&words.len())
        && name.len() <= NAME_BYTES_MAX
        && words.iter().all(|word| is_word(word) && word.chars().all(is_letter))
        && name.contains(char::is_alphabetic)
}

/// Names of those who speak in a memory, from its text, tags and metadata.
pub fn speakers(memory: &Memory) -> Vec<&str> {
    let mut found: Vec<&str> = lines(&memory.content).filter_map(|line| line.speaker).collect();
    let strip = |tag| SPEAKER_TAGS.iter().find_map(|start| str::strip_prefix(tag, start));
    found.extend(memory.tags.iter().filter_map(|tag| strip(tag.as_str())));
    found.extend(SPEAKER_KEYS.iter().filter_map(|key| memory.metadata.get(*key)?.as_str()));
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether the person whose memories these are speaks in one.
pub fn is_own(speakers: &[&str]) -> bool {
    speakers.iter().any(|name| OWN_ROLES.contains(&name.to_lowercase().as_str()))
}

/// What a memory says of the conversation that it belongs to.
fn conversation(memory: &Memory) -> Option<String> {
    let named = CONVERSATION_KEYS.iter().find_map(|key| match memory.metadata.get(*key)? {
        Value::String(name) if !name.is_empty() => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    named.or_else(|| {
        let strip = |tag| CONVERSATION_TAGS.iter().find_map(|start| str::strip_prefix(tag, start));
        memory.tags.iter().find_map(|tag| strip(tag.as_str())).map(str::to_owned)
    })
}

/// Whether a memory may be a turn of a conversation.
pub fn may_be_turn(memory: &Memory) -> bool {
    conversation(memory).is_some()
        || lines(&memory.content).next().is_some_and(|line| line.speaker.is_some())
}

/// Whether two memories that follow each other belong to one conversation: both say so, or neither
/// says anything and both are what different people said, shortly after each other.
pub fn are_one_conversation(one: &Memory, other: &Memory) -> bool {
    match (conversation(one), conversation(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => {
            let first = |memory| lines(memory).next().and_then(|line| line.speaker);
            let (before, after) = (first(&one.content), first(&other.content));
            let is_near = (one.created_at - other.created_at).abs() <= TURN_SECONDS_MAX;
            is_near && before.is_some() && after.is_some() && before != after
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::relevance::tests::memory;

    #[test]
    fn names_and_roles_before_a_text_are_speakers() {
        let check = |line: &str, speaker: Option<&str>, text: &str| {
            assert_eq!(line_of(line), Line { speaker, text }, "{line}");
        };
        check("Caroline: I went", Some("Caroline"), " I went");
        check("[user] I went", Some("user"), "I went");
        check("user: hello", Some("user"), " hello");
        check("(1:56 pm on 8 May, 2023) Mary Ann O'Neil: hi", Some("Mary Ann O'Neil"), " hi");
        check("[2023-05-08] **Jon**: hi", None, "[2023-05-08] **Jon**: hi");
        check("it is 12:30 now", None, "it is 12:30 now");
        check("see https://example.org", None, "see https://example.org");
        check("the plan: go", None, "the plan: go");
        check("[2] [assistant] ok", Some("assistant"), "ok");
        check("std::mem", None, "std::mem");
        check("", None, "");
    }

    #[test]
    fn tags_and_metadata_name_speakers_too() {
        let mut one = memory("Ann: hi\nBob: hello");
        one.metadata.insert("speaker".to_owned(), json!("Ann"));
        one.tags = crate::memory::normalise_tags(["agent:planner", "x"]).expect("tags");
        assert_eq!(speakers(&one), ["Ann", "Bob", "planner"]);
        assert!(is_own(&["User"]) && !is_own(&["assistant"]));
    }

    #[test]
    fn turns_are_of_one_conversation_when_they_say_so_or_look_it() {
        let (ann, bob) = (memory("Ann: hi"), memory("Bob: hello"));
        assert!(are_one_conversation(&ann, &bob));
        assert!(!are_one_conversation(&ann, &ann), "one person, no conversation");
        assert!(!are_one_conversation(&ann, &memory("hello")));
        let in_session = |content: &str, session: &str| {
            let mut turn = memory(content);
            turn.metadata.insert("session_id".to_owned(), json!(session));
            turn
        };
        assert!(are_one_conversation(&in_session("a", "1"), &in_session("b", "1")));
        assert!(!are_one_conversation(&in_session("Ann: a", "1"), &in_session("Bob: b", "2")));
        assert!(!are_one_conversation(&ann, &in_session("Bob: b", "2")));
        let mut late = bob;
        late.created_at += 2.0 * TURN_SECONDS_MAX;
        assert!(!are_one_conversation(&ann, &late));
    }
}
