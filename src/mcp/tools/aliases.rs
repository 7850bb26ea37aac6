//! Older names of the tools, and what their arguments are called now.

use serde_json::{Value, json};

use super::search::TIME_FROM_QUERY;
use super::{Arguments, ToolName};

/// How many results a tool gave that had no bound of its own.
const ALL_RESULTS: usize = 100;

/// The tool that a name stands for, with its arguments as they are called now.
pub(in crate::mcp) fn resolve(
    name: &str,
    mut arguments: Arguments,
) -> Option<(ToolName, Arguments)> {
    take_store(&mut arguments);
    if let Some(tool) = ToolName::ALL.into_iter().find(|tool| tool.name() == name) {
        return Some((tool, arguments));
    }
    let a = &mut arguments;
    let tool = match name {
        "store_memory" => ToolName::Store,
        "retrieve_memory" => {
            rename(a, "n_results", "limit");
            set_default(a, "limit", json!(5));
            ToolName::Search
        }
        "recall_memory" => {
            rename(a, "n_results", "limit");
            set_default(a, "limit", json!(5));
            set_default(a, TIME_FROM_QUERY, json!(true));
            ToolName::Search
        }
        "debug_retrieve" => {
            rename(a, "n_results", "limit");
            set_default(a, "limit", json!(5));
            set_default(a, "include_debug", json!(true));
            ToolName::Search
        }
        "exact_match_retrieve" => {
            rename(a, "content", "query");
            set_default(a, "mode", json!("exact"));
            set_default(a, "limit", json!(ALL_RESULTS));
            ToolName::Search
        }
        "search_by_tag" => {
            rename(a, "tag", "tags");
            rename(a, "n_results", "limit");
            set_default(a, "limit", json!(ALL_RESULTS));
            ToolName::Search
        }
        "recall_by_timeframe" => {
            take_timeframe(a);
            rename(a, "n_results", "limit");
            set_default(a, "limit", json!(5));
            ToolName::Search
        }
        "list_memories" => {
            rename(a, "tag", "tags");
            ToolName::List
        }
        "delete_memory" => ToolName::Delete,
        "delete_by_tag" | "delete_by_tags" => {
            rename(a, "tag", "tags");
            ToolName::Delete
        }
        "delete_by_all_tags" => {
            a.insert("tag_match".to_owned(), json!("all"));
            ToolName::Delete
        }
        "delete_by_timeframe" => {
            take_timeframe(a);
            rename(a, "tag", "tags");
            ToolName::Delete
        }
        "delete_before_date" => {
            rename(a, "before_date", "before");
            rename(a, "tag", "tags");
            ToolName::Delete
        }
        "check_database_health" => ToolName::Health,
        "cleanup_duplicates" => ToolName::Cleanup,
        "update_memory_metadata" => ToolName::Update,
        "ingest_document" | "ingest_directory" => ToolName::Ingest,
        _ => return None,
    };
    Some((tool, arguments))
}

/// `store` is what version 12 of mcp-memory-service calls a namespace; `all` means every one.
fn take_store(arguments: &mut Arguments) {
    if arguments.get("store") == Some(&json!("all")) {
        arguments.insert("store".to_owned(), json!("*"));
    }
    rename(arguments, "store", "namespace");
}

/// Whole days from the first to the last.
fn take_timeframe(arguments: &mut Arguments) {
    let start = arguments.remove("start_date");
    let end = arguments.remove("end_date");
    let phrase = match (start, end) {
        (Some(Value::String(start)), Some(Value::String(end))) => {
            format!("between {start} and {end}")
        }
        (Some(Value::String(start)), None | Some(Value::Null)) => start,
        // What is missing or no text is refused with the other arguments, by name.
        (start, end) => {
            arguments.extend(start.map(|value| ("time_expr".to_owned(), value)));
            arguments.extend(end.map(|value| ("time_expr".to_owned(), value)));
            return;
        }
    };
    set_default(arguments, "time_expr", Value::String(phrase));
}

/// Keeps what is there under the new name already.
fn rename(arguments: &mut Arguments, from: &str, to: &str) {
    if let Some(value) = arguments.remove(from) {
        set_default(arguments, to, value);
    }
}

fn set_default(arguments: &mut Arguments, name: &str, value: Value) {
    arguments.entry(name).or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, arguments: Value, tool: ToolName, expected: Value) {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let (found, arguments) = resolve(name, arguments).expect(name);
        assert_eq!((found, Value::Object(arguments)), (tool, expected), "{name}");
    }

    #[test]
    fn present_names_keep_their_arguments() {
        for tool in ToolName::ALL {
            check(tool.name(), json!({"a": 1}), tool, json!({"a": 1}));
        }
        assert!(resolve("memory_fly", Arguments::new()).is_none());
        assert!(resolve("", Arguments::new()).is_none());
    }

    #[test]
    fn store_is_another_word_for_namespace() {
        let tool = ToolName::Search;
        check("memory_search", json!({"store": "docs"}), tool, json!({"namespace": "docs"}));
        check("memory_search", json!({"store": "all"}), tool, json!({"namespace": "*"}));
        let both = json!({"store": "a", "namespace": "b"});
        check("memory_search", both, tool, json!({"namespace": "b"}));
    }

    #[test]
    fn older_searches_keep_their_meaning() {
        let tool = ToolName::Search;
        let query = json!({"query": "q"});
        check("retrieve_memory", query.clone(), tool, json!({"query": "q", "limit": 5}));
        let given = json!({"query": "q", "n_results": 7});
        check("retrieve_memory", given, tool, json!({"query": "q", "limit": 7}));
        let expected = json!({"query": "q", "limit": 5, "time_from_query": true});
        check("recall_memory", query.clone(), tool, expected);
        let expected = json!({"query": "q", "limit": 5, "include_debug": true});
        check("debug_retrieve", query, tool, expected);
        let expected = json!({"query": "x", "mode": "exact", "limit": 100});
        check("exact_match_retrieve", json!({"content": "x"}), tool, expected);
        let tags = json!({"tags": ["a"]});
        check("search_by_tag", tags, tool, json!({"tags": ["a"], "limit": 100}));
        let frame = json!({"start_date": "2024-01-01", "end_date": "2024-01-31"});
        let expected = json!({"time_expr": "between 2024-01-01 and 2024-01-31", "limit": 5});
        check("recall_by_timeframe", frame, tool, expected);
    }

    #[test]
    fn older_deletions_keep_their_meaning() {
        let tool = ToolName::Delete;
        check("delete_memory", json!({"content_hash": "h"}), tool, json!({"content_hash": "h"}));
        check("delete_by_tag", json!({"tag": "a"}), tool, json!({"tags": "a"}));
        check("delete_by_tags", json!({"tags": ["a"]}), tool, json!({"tags": ["a"]}));
        let expected = json!({"tags": ["a"], "tag_match": "all"});
        check("delete_by_all_tags", json!({"tags": ["a"]}), tool, expected);
        let frame = json!({"start_date": "2024-01-01", "tag": "a"});
        let expected = json!({"time_expr": "2024-01-01", "tags": "a"});
        check("delete_by_timeframe", frame, tool, expected);
        check("delete_by_timeframe", json!({"end_date": 7}), tool, json!({"time_expr": 7}));
        let expected = json!({"before": "2024-01-01"});
        check("delete_before_date", json!({"before_date": "2024-01-01"}), tool, expected);
    }

    #[test]
    fn every_other_older_name_is_known() {
        let none = || json!({});
        check("store_memory", none(), ToolName::Store, none());
        check("list_memories", json!({"tag": "a"}), ToolName::List, json!({"tags": "a"}));
        check("check_database_health", none(), ToolName::Health, none());
        check("cleanup_duplicates", none(), ToolName::Cleanup, none());
        check("update_memory_metadata", none(), ToolName::Update, none());
        check("ingest_document", none(), ToolName::Ingest, none());
        check("ingest_directory", none(), ToolName::Ingest, none());
    }
}
