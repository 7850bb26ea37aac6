//! Memories and results as people read them.

use serde_json::Value;

use super::output::{Output, counted, grouped, harmless, table};
use super::wire::{Found, History, Hit, Memory, Page, TagCount};

/// Most lines of a text in a list.
const PREVIEW_LINES_MAX: usize = 3;
/// Most characters of one of them.
const PREVIEW_CHARS_MAX: usize = 96;

/// The answer to a search, best first.
pub(super) fn found(found: &Found, output: &Output) -> String {
    if found.results.is_empty() {
        return "nothing found\n".to_owned();
    }
    let mut text = String::new();
    for (position, hit) in found.results.iter().enumerate() {
        let number = format!("{:>2}.", position + 1);
        let score = score(hit).map(|score| format!("{score:.3}"));
        text.push_str(&entry(&hit.memory, &number, score, output));
        text.push('\n');
    }
    let summary = format!(
        "{}, {}, {:.0} ms",
        counted(found.results.len() as u64, "result", "results"),
        found.search_type,
        found.processing_time_ms
    );
    text + &output.style.dim(&summary) + "\n"
}

/// The similarity, or what else the order comes from.
fn score(hit: &Hit) -> Option<f64> {
    let total = || hit.score.as_ref()?.get("total")?.as_f64();
    hit.similarity_score.or_else(total)
}

/// A page, newest first.
pub(super) fn page(page: &Page, output: &Output) -> String {
    if page.memories.is_empty() {
        return "no memories\n".to_owned();
    }
    let mut text = String::new();
    for memory in &page.memories {
        text.push_str(&entry(memory, " •", None, output));
        text.push('\n');
    }
    let mut summary =
        format!("{} of {}", page.memories.len(), counted(page.total, "memory", "memories"));
    if page.has_more {
        summary.push_str(&match &page.next_cursor {
            Some(cursor) => format!("; more with --cursor {cursor}"),
            None => format!("; more with --page {}", page.page + 1),
        });
    }
    text + &output.style.dim(&summary) + "\n"
}

/// The first lines of a text, and under them what is known of it.
fn entry(memory: &Memory, mark: &str, score: Option<String>, output: &Output) -> String {
    let style = output.style;
    let lines = preview(&memory.content);
    let indent = " ".repeat(mark.chars().count() + 1);
    let mut facts: Vec<String> = score.map(|score| style.green(&score)).into_iter().collect();
    facts.push(output.time(memory.created_at));
    facts.extend(memory.memory_type.as_deref().map(harmless));
    facts.extend(memory.tags.iter().map(|tag| style.cyan(&format!("#{}", harmless(tag)))));
    if memory.namespace != "default" {
        facts.push(format!("in {}", memory.namespace));
    }
    let mut text = String::new();
    for (position, line) in lines.iter().enumerate() {
        let start = if position == 0 { format!("{} ", style.bold(mark)) } else { indent.clone() };
        text.push_str(&format!("{start}{line}\n"));
    }
    text.push_str(&format!("{indent}{}\n", facts.join("  ")));
    text.push_str(&format!("{indent}{}\n", style.dim(&memory.content_hash)));
    text
}

/// The first lines that hold anything, shortened.
fn preview(content: &str) -> Vec<String> {
    let content = harmless(content);
    let mut lines = content.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut shown: Vec<String> = lines.by_ref().take(PREVIEW_LINES_MAX).map(shortened).collect();
    if lines.next().is_some()
        && let Some(last) = shown.last_mut()
        && !last.ends_with('…')
    {
        last.push_str(" …");
    }
    shown
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(PREVIEW_CHARS_MAX) {
        None => line.to_owned(),
        Some((end, _)) => {
            let cut = line[..end].rfind(' ').filter(|at| at * 2 > end).unwrap_or(end);
            format!("{}…", line[..cut].trim_end())
        }
    }
}

/// One memory in full.
pub(super) fn memory(memory: &Memory, output: &Output) -> String {
    let mut rows = vec![("hash", memory.content_hash.clone())];
    rows.push(("namespace", memory.namespace.clone()));
    rows.push(("created", output.time(memory.created_at)));
    if memory.updated_at > memory.created_at {
        rows.push(("updated", output.time(memory.updated_at)));
    }
    rows.extend(memory.memory_type.clone().map(|kind| ("type", kind)));
    if !memory.tags.is_empty() {
        rows.push(("tags", memory.tags.join(", ")));
    }
    rows.push(("origin", memory.origin.clone()));
    let metadata = memory.metadata.iter().map(|(key, value)| (key.as_str(), plain(value)));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .chain(metadata)
        .map(|(name, value)| vec![harmless(name), harmless(&value)])
        .collect();
    format!("{}\n{}\n", output.style.dim(table(&rows).trim_end()), harmless(&memory.content))
}

/// A JSON value without the quotes around a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Tags and how often each is used.
pub(super) fn tags(tags: &[TagCount]) -> String {
    if tags.is_empty() {
        return "no tags\n".to_owned();
    }
    let rows: Vec<Vec<String>> =
        tags.iter().map(|tag| vec![harmless(&tag.tag), grouped(tag.count)]).collect();
    table(&rows)
}

/// The past of a memory: its parts now, its writes, and what lost.
pub(super) fn history(history: &History, output: &Output) -> String {
    let style = output.style;
    let clock = |clock_ms: u64| output.time(clock_ms as f64 / 1000.0);
    let value = |value: &Value| shortened(&harmless(&plain(value)).replace('\n', " "));
    let mut text = if history.live { String::new() } else { style.red("deleted\n") };
    let mut section = |title: &str, rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            text.push_str(&format!("{}\n{}", style.bold(title), table(&rows)));
        }
    };
    let fields = history.fields.iter().map(|part| {
        vec![clock(part.clock_ms), part.origin.clone(), harmless(&part.field), value(&part.value)]
    });
    section("now", fields.collect());
    let entries = history.entries.iter().map(|entry| {
        let changed = harmless(&entry.changed.join(", "));
        vec![output.time(entry.at), entry.origin.clone(), entry.kind.clone(), changed]
    });
    section("writes", entries.collect());
    let losing = history.losing.iter().map(|lost| {
        vec![clock(lost.clock_ms), lost.origin.clone(), harmless(&lost.field), value(&lost.value)]
    });
    section("lost to concurrent writes", losing.collect());
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::output::Style;
    use super::*;

    fn plain_output() -> Output {
        Output { json: false, style: Style::new(false), zone: jiff::tz::TimeZone::UTC }
    }

    fn sample(content: &str) -> Value {
        json!({"content": content, "content_hash": "ab", "tags": ["x", "y"], "memory_type": "note",
            "metadata": {"k": "v", "n": [1]}, "created_at": 0.0, "updated_at": 60.0,
            "namespace": "work", "origin": "n1", "version": "1"})
    }

    #[test]
    fn a_result_shows_its_score_its_first_lines_and_what_is_known() {
        let answer = json!({"results": [
                {"memory": sample("first\n\nsecond\nthird\nfourth"), "similarity_score": 0.8765},
                {"memory": sample("b"), "similarity_score": null, "score": {"total": 2.5}}],
            "search_type": "semantic", "processing_time_ms": 3.4});
        let answer = serde_json::from_value(answer).expect("an answer");
        let expected = " 1. first\n    second\n    third …\n    \
                        0.876  1970-01-01 00:00  note  #x  #y  in work\n    ab\n\n \
                        2. b\n    2.500  1970-01-01 00:00  note  #x  #y  in work\n    ab\n\n\
                        2 results, semantic, 3 ms\n";
        assert_eq!(found(&answer, &plain_output()), expected);
        let none = json!({"results": [], "search_type": "tag", "processing_time_ms": 1});
        let none = serde_json::from_value(none).expect("an answer");
        assert_eq!(found(&none, &plain_output()), "nothing found\n");
    }

    #[test]
    fn a_page_says_how_to_get_the_next() {
        let answer = json!({"memories": [sample("a")], "total": 2000, "page": 3, "page_size": 1,
            "has_more": true, "next_cursor": null});
        let shown = page(&serde_json::from_value(answer).expect("a page"), &plain_output());
        assert!(shown.starts_with(" • a\n"), "{shown}");
        assert!(shown.ends_with("1 of 2,000 memories; more with --page 4\n"), "{shown}");
    }

    #[test]
    fn a_memory_is_shown_in_full_and_cannot_steer_the_terminal() {
        let text = memory(
            &serde_json::from_value(sample("a\x1b[2J\nb")).expect("a memory"),
            &plain_output(),
        );
        assert!(text.ends_with("\n\na\u{fffd}[2J\nb\n") || text.ends_with("\na\u{fffd}[2J\nb\n"));
        for row in ["hash       ab", "tags       x, y", "k          v", "n          [1]"] {
            assert!(text.contains(row), "{text}");
        }
        assert!(text.contains("updated    1970-01-01 00:01"), "{text}");
    }

    #[test]
    fn long_lines_are_cut_between_words() {
        let line = "word ".repeat(40);
        let shown = preview(&line);
        assert_eq!(shown.len(), 1);
        assert!(shown[0].ends_with("word…") && shown[0].chars().count() <= 97, "{shown:?}");
        assert_eq!(preview(&"x".repeat(200))[0].chars().count(), 97);
        assert_eq!(preview(" \n "), Vec::<String>::new());
    }

    #[test]
    fn history_shows_parts_writes_and_losers() {
        let past = json!({"content_hash": "ab", "namespace": "default", "live": false,
            "fields": [{"field": "type", "value": "note", "clock_ms": 0, "origin": "n1"}],
            "entries": [{"kind": "stored", "at": 0, "origin": "n1", "changed": ["body"]}],
            "losing": [{"field": "type", "value": null, "clock_ms": 0, "origin": "n2",
                "winner": "n1:1"}]});
        let shown = history(&serde_json::from_value(past).expect("a history"), &plain_output());
        let expected = "deleted\nnow\n1970-01-01 00:00  n1  type  note\n\
                        writes\n1970-01-01 00:00  n1  stored  body\n\
                        lost to concurrent writes\n1970-01-01 00:00  n2  type  null\n";
        assert_eq!(shown, expected);
    }
}
