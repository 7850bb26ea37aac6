//! Commands that change what is there: update, delete, restore.

use std::io::{self, BufRead, Write};

use hyper::Method;
use serde_json::{Map, Value, json};

use super::add::{metadata, read_stdin};
use super::args::{DeleteArgs, UpdateArgs};
use super::exit::Failure;
use super::find::{ask, print, read};
use super::output::counted;
use super::wire::{Forgotten, Memory, Outcome};
use super::{Call, can_ask, show};
use crate::client::{ApiClient, Payload, path_with_query};
use crate::node::Need;

pub(super) async fn update(call: &Call, args: UpdateArgs) -> Result<(), Failure> {
    // Only a new text needs a new vector.
    let need = if args.content.is_some() { Need::Model } else { Need::StoreOnly };
    let path = path_with_query(&format!("/api/memories/{}", args.hash), &[call.namespace()]);
    let body = Payload::Json(patch(args, read_stdin)?);
    let answer = ask(call, need, Method::PUT, &path, body).await?;
    print(call, &answer, |outcome: Outcome| {
        format!("{} {}\n", outcome.message, outcome.content_hash.unwrap_or_default())
    })
}

/// The parts to change; only those that are given.
fn patch(
    args: UpdateArgs,
    read_stdin: impl FnOnce() -> Result<String, Failure>,
) -> Result<Value, Failure> {
    let mut patch = Map::new();
    match args.content {
        Some(dash) if dash == "-" => drop(patch.insert("content".into(), read_stdin()?.into())),
        Some(text) => drop(patch.insert("content".into(), text.into())),
        None => {}
    }
    if args.no_tags || !args.tags.is_empty() {
        patch.insert("tags".into(), json!(args.tags));
    }
    if args.no_type || args.memory_type.is_some() {
        patch.insert("memory_type".into(), json!(args.memory_type));
    }
    let mut changes = metadata(&args.metadata)?;
    changes.extend(args.remove_metadata.into_iter().map(|key| (key, Value::Null)));
    if !changes.is_empty() {
        patch.insert("metadata".into(), Value::Object(changes));
    }
    if patch.is_empty() {
        return Err(Failure::Usage("nothing to change: give --content, --tag, --type, …".into()));
    }
    Ok(Value::Object(patch))
}

pub(super) async fn restore(call: &Call, hash: &str) -> Result<(), Failure> {
    let path = path_with_query(&format!("/api/memories/{hash}/restore"), &[call.namespace()]);
    let answer = ask(call, Need::Model, Method::POST, &path, Payload::Empty).await?;
    print(call, &answer, |memory: Memory| show::memory(&memory, &call.output))
}

pub(super) async fn delete(call: &Call, args: DeleteArgs) -> Result<(), Failure> {
    if !args.hashes.is_empty() {
        return delete_each(call, &args).await;
    }
    let conditions = conditions(&args, &call.config.node.namespace)?;
    if !args.dry_run && !args.yes && !can_ask() {
        return Err(Failure::Usage(
            "deleting by tag, type or time needs --yes where nobody can be asked; \
             --dry-run shows what it would delete"
                .into(),
        ));
    }
    call.with_node(Need::StoreOnly, async |client| {
        delete_where(call, client, &args, conditions).await
    })
    .await
}

async fn delete_each(call: &Call, args: &DeleteArgs) -> Result<(), Failure> {
    if args.dry_run {
        return Err(Failure::Usage("--dry-run is for deleting by tag, type or time".into()));
    }
    call.with_node(Need::StoreOnly, async |client| {
        for hash in &args.hashes {
            let path = path_with_query(&format!("/api/memories/{hash}"), &[call.namespace()]);
            let response = client.request(Method::DELETE, &path, Payload::Empty).await?;
            let answer = response.bytes().await?;
            print(call, &answer, |outcome: Outcome| format!("{}\n", outcome.message))?;
        }
        Ok(())
    })
    .await
}

async fn delete_where(
    call: &Call,
    client: &ApiClient,
    args: &DeleteArgs,
    conditions: Map<String, Value>,
) -> Result<(), Failure> {
    let send = async |dry_run: bool| -> Result<Vec<u8>, Failure> {
        let mut body = conditions.clone();
        body.insert("dry_run".into(), dry_run.into());
        let body = Payload::Json(Value::Object(body));
        Ok(client.request(Method::POST, "/api/memories/delete", body).await?.bytes().await?)
    };
    if !args.dry_run && !args.yes {
        let found: Forgotten = read(&send(true).await?)?;
        let count = found.content_hashes.len() as u64;
        if count > 0 && !confirm(count)? {
            return call.output.line("nothing deleted");
        }
    }
    let answer = send(args.dry_run).await?;
    print(call, &answer, |forgotten: Forgotten| deleted_text(&forgotten, args.dry_run))
}

fn deleted_text(forgotten: &Forgotten, dry_run: bool) -> String {
    let count = counted(forgotten.content_hashes.len() as u64, "memory", "memories");
    if !dry_run {
        return format!("deleted {count}\n");
    }
    let mut text: String =
        forgotten.content_hashes.iter().map(|hash| format!("{hash}\n")).collect();
    text.push_str(&format!("would delete {count}\n"));
    text
}

/// Asks on the terminal; anything but a yes is a no.
fn confirm(count: u64) -> Result<bool, Failure> {
    let failed = |error| Failure::io("cannot ask", error);
    let question = format!("delete {}? [y/N] ", counted(count, "memory", "memories"));
    io::stderr().write_all(question.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Which memories to delete; at least one condition.
fn conditions(args: &DeleteArgs, namespace: &str) -> Result<Map<String, Value>, Failure> {
    let mut conditions = Map::new();
    if !args.tags.tags.is_empty() {
        conditions.insert("tags".into(), json!(args.tags.tags));
        let tag_match = if args.tags.all_tags { "all" } else { "any" };
        conditions.insert("tag_match".into(), tag_match.into());
    }
    let texts = [
        ("memory_type", &args.memory_type),
        ("time_filter", &args.time.time),
        ("after", &args.time.after),
        ("before", &args.time.before),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            conditions.insert(name.into(), json!(text));
        }
    }
    if conditions.is_empty() {
        return Err(Failure::Usage(
            "nothing named: give hashes, or at least one of --tag, --type, --time, --after, \
             --before"
                .into(),
        ));
    }
    conditions.insert("namespace".into(), namespace.into());
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Cli, Command};
    use super::*;

    fn parse(line: &str) -> Command {
        let words = std::iter::once("memnode").chain(line.split_whitespace());
        Cli::try_parse_from(words).expect("valid").command
    }

    fn check_patch(arguments: &str, expected: Option<Value>) {
        let line = format!("update {} {arguments}", "a".repeat(64));
        let Command::Update(args) = parse(&line) else { panic!("it is an update") };
        assert_eq!(patch(args, || Ok("from stdin".into())).ok(), expected, "{arguments}");
    }

    fn check_conditions(arguments: &str, expected: Option<Value>) {
        let Command::Delete(args) = parse(&format!("delete {arguments}")) else {
            panic!("it is a delete")
        };
        assert_eq!(conditions(&args, "n").ok().map(Value::Object), expected, "{arguments}");
    }

    #[test]
    fn only_given_parts_are_changed() {
        check_patch("--tag a --tag b", Some(json!({"tags": ["a", "b"]})));
        check_patch("--no-tags --no-type", Some(json!({"tags": [], "memory_type": null})));
        check_patch(
            "-m k=v --remove-metadata old --type t",
            Some(json!({"metadata": {"k": "v", "old": null}, "memory_type": "t"})),
        );
        check_patch("--content -", Some(json!({"content": "from stdin"})));
        check_patch("", None);
        check_patch("-m nonsense", None);
    }

    #[test]
    fn deleting_needs_a_condition() {
        check_conditions("--yes", None);
        check_conditions(
            "--tag a --all-tags --before 2020",
            Some(json!({"tags": ["a"], "tag_match": "all", "before": "2020", "namespace": "n"})),
        );
        check_conditions("--type t", Some(json!({"memory_type": "t", "namespace": "n"})));
    }

    #[test]
    fn a_dry_run_lists_what_it_would_delete() {
        let forgotten = Forgotten { content_hashes: vec!["ab".into()] };
        assert_eq!(deleted_text(&forgotten, true), "ab\nwould delete 1 memory\n");
        assert_eq!(deleted_text(&forgotten, false), "deleted 1 memory\n");
    }
}
