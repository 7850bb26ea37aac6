//! Commands that only look: search, list, get, history, tags, stats.

use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::args::{ListArgs, ScopeArgs, SearchArgs};
use super::exit::Failure;
use super::output::{counted, grouped, size, table};
use super::{Call, show, wire};
use crate::client::{ClientError, Payload, path_with_query};
use crate::node::Need;

pub(super) async fn search(call: &Call, args: SearchArgs) -> Result<(), Failure> {
    let (_, namespace) = call.namespaces(&args.scope);
    let (path, body) = search_request(&args, namespace)?;
    let need = if path == "/api/search" { Need::Model } else { Need::StoreOnly };
    let answer = ask(call, need, Method::POST, path, Payload::Json(body)).await?;
    print(call, &answer, |found: wire::Found| show::found(&found, &call.output))
}

/// Which search it is: by meaning or words, by tag, or by time alone.
fn search_request(
    args: &SearchArgs,
    namespace: Option<String>,
) -> Result<(&'static str, Value), Failure> {
    let query = args.query.join(" ");
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| {
        if !value.is_null() {
            body.insert(key.to_owned(), value);
        }
    };
    set("n_results", json!(args.limit));
    set("namespace", json!(namespace));
    if !query.is_empty() {
        set("query", json!(query));
        set("mode", json!(args.mode.map(super::args::Mode::name)));
        set("similarity_threshold", json!(args.min_score));
        set("memory_type", json!(args.memory_type));
        if !args.tags.tags.is_empty() {
            set("tags", json!(args.tags.tags));
            set("tag_match", json!(if args.tags.all_tags { "all" } else { "any" }));
        }
        set("time_filter", json!(args.time.time));
        set("after", json!(args.time.after));
        set("before", json!(args.time.before));
        return Ok(("/api/search", Value::Object(body)));
    }
    let needs_query = args.mode.is_some()
        || args.min_score.is_some()
        || args.memory_type.is_some()
        || args.time.after.is_some()
        || args.time.before.is_some();
    match (&args.time.time, args.tags.tags.is_empty()) {
        (time, false) if !needs_query => {
            set("tags", json!(args.tags.tags));
            set("match_all", json!(args.tags.all_tags));
            set("time_filter", json!(time));
            Ok(("/api/search/by-tag", Value::Object(body)))
        }
        (Some(phrase), true) if !needs_query => {
            set("query", json!(phrase));
            Ok(("/api/search/by-time", Value::Object(body)))
        }
        _ => Err(Failure::Usage(
            "nothing to search for: give a QUERY; without one only --tag and --time search".into(),
        )),
    }
}

pub(super) async fn list(call: &Call, args: ListArgs) -> Result<(), Failure> {
    let path = path_with_query(
        "/api/memories",
        &[
            ("page_size", Some(args.limit.to_string())),
            ("page", args.page.map(|page| page.to_string())),
            ("cursor", args.cursor),
            ("tag", (!args.tags.tags.is_empty()).then(|| comma_list(&args.tags.tags))),
            ("tag_match", args.tags.all_tags.then(|| "all".to_owned())),
            ("memory_type", args.memory_type),
            call.namespaces(&args.scope),
        ],
    );
    let answer = look(call, &path).await?;
    print(call, &answer, |page: wire::Page| show::page(&page, &call.output))
}

pub(super) async fn get(call: &Call, hash: &str) -> Result<(), Failure> {
    let path = path_with_query(&format!("/api/memories/{hash}"), &[call.namespace()]);
    let answer = look(call, &path).await?;
    print(call, &answer, |memory: wire::Memory| show::memory(&memory, &call.output))
}

pub(super) async fn history(call: &Call, hash: &str) -> Result<(), Failure> {
    let path = path_with_query(&format!("/api/memories/{hash}/history"), &[call.namespace()]);
    let answer = look(call, &path).await?;
    print(call, &answer, |history: wire::History| show::history(&history, &call.output))
}

pub(super) async fn tags(call: &Call, args: &ScopeArgs) -> Result<(), Failure> {
    let answer = look(call, &path_with_query("/api/tags", &[call.namespaces(args)])).await?;
    print(call, &answer, |tags: wire::Tags| show::tags(&tags.tags))
}

pub(super) async fn stats(call: &Call) -> Result<(), Failure> {
    let answer = look(call, "/api/health/detailed").await?;
    print(call, &answer, |health: Value| stats_text(&health))
}

/// What the file holds, as rows.
fn stats_text(health: &Value) -> String {
    let storage = &health["storage"];
    let number = |key: &str| storage[key].as_u64().unwrap_or_default();
    let text = |key: &str| storage[key].as_str().unwrap_or("-").to_owned();
    let rows = [
        ("memories", counted(number("total_memories"), "memory", "memories")),
        ("this week", grouped(number("memories_this_week"))),
        ("tags", grouped(number("unique_tags"))),
        ("file", size(number("database_size_bytes"))),
        (
            "model",
            format!("{}, {} dimensions", text("embedding_model"), number("embedding_dimension")),
        ),
        ("state", text("status")),
    ];
    table(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}

/// Tags as one query value; a comma inside of one becomes what it becomes everywhere.
pub(super) fn comma_list(tags: &[String]) -> String {
    tags.iter().map(|tag| tag.replace(',', "-")).collect::<Vec<_>>().join(",")
}

/// The answer to a call that needs no model.
async fn look(call: &Call, path: &str) -> Result<Vec<u8>, Failure> {
    ask(call, Need::StoreOnly, Method::GET, path, Payload::Empty).await
}

/// The answer to one call, as it came.
pub(super) async fn ask(
    call: &Call,
    need: Need,
    method: Method,
    path: &str,
    payload: Payload,
) -> Result<Vec<u8>, Failure> {
    call.with_node(need, async |client| {
        Ok(client.request(method, path, payload).await?.bytes().await?)
    })
    .await
}

/// Prints an answer as it came, or as text for people.
pub(super) fn print<T: DeserializeOwned>(
    call: &Call,
    answer: &[u8],
    text: impl FnOnce(T) -> String,
) -> Result<(), Failure> {
    if call.output.json {
        return call.output.line(String::from_utf8_lossy(answer));
    }
    call.output.write(text(read(answer)?).as_bytes())
}

/// The parts of an answer that are shown.
pub(super) fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer)
        .map_err(|error| ClientError::Unreadable { reason: error.to_string() }.into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Cli, Command};
    use super::*;

    fn check(line: &str, expected: Option<(&str, Value)>) {
        let words = ["memnode", "search"].into_iter().chain(line.split(' '));
        let cli = Cli::try_parse_from(words.filter(|word| !word.is_empty())).expect("valid");
        let Command::Search(args) = cli.command else { panic!("it is a search") };
        let found = search_request(&args, Some("n".to_owned())).ok();
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn what_is_given_decides_which_search_it_is() {
        check(
            "a query --mode keyword --tag x --all-tags --after 2020 -n 3",
            Some((
                "/api/search",
                json!({"query": "a query", "mode": "keyword", "tags": ["x"], "tag_match": "all",
                    "after": "2020", "n_results": 3, "namespace": "n"}),
            )),
        );
        check("q", Some(("/api/search", json!({"query": "q", "n_results": 10, "namespace": "n"}))));
        check(
            "--tag x --tag y --time yesterday",
            Some((
                "/api/search/by-tag",
                json!({"tags": ["x", "y"], "match_all": false, "time_filter": "yesterday",
                    "n_results": 10, "namespace": "n"}),
            )),
        );
        check(
            "--time yesterday",
            Some((
                "/api/search/by-time",
                json!({"query": "yesterday", "n_results": 10, "namespace": "n"}),
            )),
        );
    }

    #[test]
    fn a_condition_that_would_be_ignored_is_refused() {
        for line in ["", "--mode keyword", "--tag x --type note", "--time today --min-score 0.5"] {
            check(line, None);
        }
    }

    #[test]
    fn stats_are_rows() {
        let health = json!({"storage": {"total_memories": 1200, "unique_tags": 3,
            "memories_this_week": 7, "database_size_bytes": 2048, "embedding_model": "m",
            "embedding_dimension": 384, "status": "healthy"}});
        let text = stats_text(&health);
        assert!(text.contains("memories   1,200 memories\n"), "{text}");
        assert!(text.contains("model      m, 384 dimensions\n"), "{text}");
    }
}
