//! `memnode watch`: what happens on a node, line by line as it happens.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::Call;
use super::exit::Failure;
use super::output::harmless;
use crate::client::{ApiClient, ClientError, Feed, path_with_query};
use crate::node;

/// The first pause before a lost node is called again; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What to watch.
#[derive(Args, Debug)]
pub(super) struct WatchArgs {
    /// Another node, such as http://node-2:8000; default: the one on this machine's file
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Certificates (PEM) of who vouches for a node of https; default: whom this system trusts
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(super) ca: Option<PathBuf>,
    /// Only memories of this namespace; may be repeated; default: all
    #[arg(long = "in", value_name = "NAMESPACE")]
    pub(super) namespaces: Vec<String>,
    /// Only memories with this tag; may be repeated
    #[arg(short, long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// Only this kind of event, such as memory_stored; may be repeated
    #[arg(short, long = "event", value_name = "EVENT")]
    pub(super) events: Vec<String>,
}

/// An event as the node tells it.
#[derive(Deserialize)]
struct Event {
    event: String,
    id: Option<String>,
    #[serde(default)]
    data: Value,
}

/// Prints events until the user has seen enough. A node that goes away is called again, and what
/// it told meanwhile is not missed; one that was never there is a failure.
pub(super) async fn run(call: &Call, args: WatchArgs) -> Result<(), Failure> {
    let mut last_id: Option<String> = None;
    let mut feed = call.until_stopped(open(call, &args, None)).await?;
    loop {
        let lost = call.until_stopped(print_all(call, &mut feed, &mut last_id)).await?;
        note(call, &format!("{lost}; calling again"));
        feed = call.until_stopped(open_again(call, &args, last_id.as_deref())).await?;
        note(call, "connected again");
    }
}

async fn open(call: &Call, args: &WatchArgs, last_id: Option<&str>) -> Result<Feed, Failure> {
    let client = match &args.url {
        Some(url) => {
            let key = call.config.auth.api_key.as_ref().map(|key| key.expose().to_owned());
            ApiClient::tcp(url, key, args.ca.as_deref())?
        }
        None => {
            let path = &call.config.store.path;
            let owner = node::owner(path).ok_or_else(|| {
                Failure::NotRunning(format!(
                    "no node runs on {}: start `memnode serve`, or name one with --url",
                    path.display()
                ))
            })?;
            ApiClient::unix(owner.socket)
        }
    };
    let list = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
    let query = [
        ("namespace", list(&args.namespaces)),
        ("tag", list(&args.tags)),
        ("event", list(&args.events)),
        ("last_event_id", last_id.map(str::to_owned)),
    ];
    Ok(client.feed(&path_with_query("/api/ws", &query)).await?)
}

/// Calls until the node answers; a node that says no is not asked again.
async fn open_again(call: &Call, args: &WatchArgs, last_id: Option<&str>) -> Result<Feed, Failure> {
    let mut pause = PAUSE_MIN;
    loop {
        // Many who lost the same node do not all come back at once.
        tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
        match open(call, args, last_id).await {
            Ok(feed) => return Ok(feed),
            Err(Failure::Client(ClientError::Refused(refusal)))
                if refusal.status.is_client_error() =>
            {
                return Err(Failure::Client(ClientError::Refused(refusal)));
            }
            Err(failure) => tracing::debug!("the node is not back yet: {}", failure.sentence()),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Prints what comes until the node goes away; says how that was.
async fn print_all(
    call: &Call,
    feed: &mut Feed,
    last_id: &mut Option<String>,
) -> Result<String, Failure> {
    loop {
        let text = match feed.next().await {
            Ok(Some(text)) => text,
            Ok(None) => return Ok("the node ended the connection".to_owned()),
            Err(error) => return Ok(error.to_string()),
        };
        let event: Event = serde_json::from_str(&text)
            .map_err(|_| Failure::BadInput("the node sent what is no event".to_owned()))?;
        if event.event != "position" {
            print(call, &text, &event)?;
        }
        if event.id.is_some() {
            *last_id = event.id;
        }
    }
}

fn print(call: &Call, text: &str, event: &Event) -> Result<(), Failure> {
    if call.output.json {
        return call.output.line(text);
    }
    match line(call, event) {
        Some(line) => call.output.line(line),
        None => Ok(()),
    }
}

/// An event for people; `None` for what only programs need.
fn line(call: &Call, Event { event, data, .. }: &Event) -> Option<String> {
    let style = call.output.style;
    let text = |key: &str| harmless(data[key].as_str().unwrap_or_default()).replace('\n', " ");
    let time = text("timestamp");
    let time = time.get(11..23).unwrap_or(&time);
    let what = match event.as_str() {
        "heartbeat" => return None,
        "connection_established" if data["replay"]["status"] == "resumed" => return None,
        "connection_established" => text("message"),
        "memory_stored" | "memory_updated" | "memory_deleted" => memory_line(data, text),
        "search_completed" => format!("\"{}\": {}", text("query"), text("message")),
        _ => text("message"),
    };
    let name = match event.as_str() {
        "memory_stored" => style.green("stored "),
        "memory_updated" => style.yellow("updated"),
        "memory_deleted" => style.red("deleted"),
        other => style.cyan(&harmless(other).replace('_', " ")),
    };
    Some(format!("{}  {name}  {what}", style.dim(time)))
}

fn memory_line(data: &Value, text: impl Fn(&str) -> String) -> String {
    let hash = text("content_hash");
    let mut line = format!("{}  {}", hash.get(..12).unwrap_or(&hash), text("origin"));
    let namespace = text("namespace");
    if namespace != "default" {
        line.push_str(&format!("  [{namespace}]"));
    }
    let tags = data["tags"].as_array().into_iter().flatten();
    let tags: Vec<&str> = tags.filter_map(Value::as_str).collect();
    if !tags.is_empty() {
        line.push_str(&format!("  #{}", harmless(&tags.join(" #"))));
    }
    let preview = text("content_preview");
    if !preview.is_empty() {
        line.push_str(&format!("  {preview}"));
    }
    line
}

fn note(call: &Call, text: &str) {
    if !call.output.json {
        eprintln!("memnode: {}", harmless(text));
    }
}
