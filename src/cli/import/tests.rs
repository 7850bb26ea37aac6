use std::fs;

use axum::Router;
use axum::routing::post;
use clap::Parser;
use serde_json::Value;

use super::super::args::{Cli, Command};
use super::batch::Item;
use super::*;
use crate::client::ApiClient;

fn args(line: &str) -> ImportArgs {
    let words = ["memnode", "import"].into_iter().chain(line.split_whitespace());
    match Cli::try_parse_from(words).expect("valid").command {
        Command::Import(args) => args,
        other => panic!("{other:?} is no import"),
    }
}

async fn read_all(paths: Vec<std::path::PathBuf>) -> Vec<Read> {
    let options = options(&args("x"), "work", false).expect("valid");
    let inputs = paths.into_iter().map(Input::Path).collect();
    let mut reads = source::start(inputs, options).expect("started");
    let mut all = Vec::new();
    while let Some(read) = reads.recv().await {
        all.push(read);
    }
    all
}

#[test]
fn arguments_decide_how_files_are_read() {
    let found = options(&args("x --tag B --extension .MD,txt --no-recursion"), "work", false);
    let found = found.expect("valid");
    assert_eq!(found.extensions, ["md", "txt"]);
    assert_eq!((found.recursive, found.tags.len()), (false, 1));
    assert_eq!((found.namespace, found.namespace_default.as_str()), (None, "work"));
    assert_eq!((found.memory_type.as_deref(), found.record_type), (Some("document"), None));

    let found = options(&args("x --type note"), "work", true).expect("valid");
    assert_eq!(found.namespace.expect("asked for").as_str(), "work");
    assert_eq!(found.record_type.as_deref(), Some("note"));
    assert!(options(&args(&format!("x --tag {}", "t".repeat(101))), "work", false).is_err());
}

#[test]
fn a_source_that_cannot_be_imported_is_refused_at_once() {
    let directory = tempfile::tempdir().expect("directory");
    let database = directory.path().join("x.db");
    fs::write(&database, b"SQLite format 3\0").expect("file");
    assert!(matches!(check_source(&database), Err(Failure::BadInput(_))));
    assert!(matches!(check_source(&directory.path().join("none")), Err(Failure::Io { .. })));
    assert!(check_source(directory.path()).is_ok());
    assert!(check_source(Path::new("-")).is_ok());
}

#[tokio::test]
async fn sources_are_read_in_order_with_their_places() {
    let directory = tempfile::tempdir().expect("directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("file");
        path
    };
    let lines = write("a.jsonl", "{\"content\":\"x\",\"created_at\":1.5}\n{\n");
    let text = write("b.txt", "hello");
    write(".hidden", "");
    let reads = read_all(vec![lines.clone(), text.clone(), directory.path().to_owned()]).await;
    let Read::Item(first) = &reads[0] else { panic!("it is a memory") };
    assert_eq!(first.place, format!("{}:1", lines.display()));
    let line: Value = serde_json::from_str(&first.line).expect("JSON");
    assert_eq!((&line["created_at"], &line["namespace"]), (&json!(1.5), &json!("work")));
    let Read::Problem(problem) = &reads[1] else { panic!("it is a problem") };
    assert!(problem.starts_with(&format!("{}:2: ", lines.display())), "{problem}");
    let Read::Item(second) = &reads[3] else { panic!("it is a memory") };
    assert_eq!((second.bytes_read, &*second.place), (40, &*format!("{}: part 0", text.display())));
    let Some(Read::Skipped(skipped)) = reads.last() else { panic!("it ends with a count") };
    assert_eq!(skipped.hidden, 1);
}

async fn answer_to(body: &'static str) -> batch::Answer {
    let router = Router::new().route("/api/import", post(async move || body));
    let client = ApiClient::in_process(router);
    batch::post(&client, "/api/import", b"{}\n{}\n").await.expect("answered")
}

#[tokio::test]
async fn each_line_of_a_batch_gets_its_result() {
    let answer = answer_to(concat!(
        r#"{"line":1,"status":"stored","content_hash":"ab","code":null,"detail":null}"#,
        "\n",
        r#"{"line":2,"status":"failed","code":"empty_content","detail":"content is empty"}"#,
        "\n",
        r#"{"done":true,"dry_run":false,"lines":2,"stored":1,"code":null,"detail":null}"#,
    ));
    let batch::Answer { results, trouble } = answer.await;
    assert_eq!(results[0].status, ImportStatus::Stored);
    assert_eq!(results[1].detail.as_deref(), Some("content is empty"));
    assert!(trouble.is_none());
}

#[tokio::test]
async fn trouble_of_the_node_is_not_counted_line_by_line() {
    let full = r#""code":"storage_full","detail":"the disk is full""#;
    let stored = r#"{"line":1,"status":"stored"}"#;
    let by_line = format!("{stored}\n{{\"line\":2,\"status\":\"failed\",{full}}}\n");
    let by_summary = format!("{stored}\n{{\"done\":false,{full}}}\n");
    for body in [by_line, by_summary] {
        let batch::Answer { results, trouble } = answer_to(body.leak()).await;
        assert_eq!(results.len(), 1);
        let trouble = trouble.expect("the node broke off");
        assert_eq!(
            (trouble.to_string(), trouble.hint().is_some()),
            ("the disk is full".into(), true)
        );
    }
}

#[test]
fn a_batch_is_bounded_in_count_and_bytes() {
    let item = |bytes: usize| Item { place: String::new(), line: "x".repeat(bytes), bytes_read: 0 };
    let filled = |bytes: usize| {
        let mut batch = Batch::default();
        while !batch.is_full() {
            batch.push(item(bytes));
        }
        batch.items.len()
    };
    assert_eq!((filled(10), filled(600_000), filled(2_000_000)), (64, 2, 1));
}

#[test]
fn the_summary_counts_what_happened() {
    let mut tally = Tally { stored: 1200, there_already: 3, ..Tally::default() };
    assert_eq!(summary(&tally, false, 61), "stored 1,200, already there 3, failed 0, in 1m01s\n");
    tally.skipped = Skipped { hidden: 2, other: 0, binary: 1, special: 0 };
    tally.deleted = 4;
    let expected = "would store 1,200, already there 3, failed 0, in 0s\n\
                    files left out: 2 hidden, 1 binary\n\
                    deleted memories left out: 4\n";
    assert_eq!(summary(&tally, true, 0), expected);
}
