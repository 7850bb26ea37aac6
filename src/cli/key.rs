//! `memnode key`: API keys, made, listed, replaced and revoked.

use std::time::Duration;

use clap::Subcommand;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Call;
use super::exit::Failure;
use super::find::{ask, print};
use super::output::table;
use crate::client::Payload;
use crate::config;
use crate::node::Need;

/// The longest time that a key or an old secret may be given: a hundred years.
const TIME_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// What to do about API keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and show it, this once
    Create {
        /// What to call it
        #[arg(value_name = "NAME")]
        name: String,
        /// read, write or admin, perhaps with a namespace, such as read:notes; may be repeated
        /// [default: read and write]
        #[arg(long = "scope", value_name = "SCOPE", verbatim_doc_comment)]
        scopes: Vec<String>,
        /// How long it is good, such as 90d; for ever when left out
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,
        /// What it may do in a minute, such as writes=60, of reads, writes, searches and events;
        /// may be repeated
        #[arg(long = "limit", value_name = "KIND=COUNT", value_parser = limit,
            verbatim_doc_comment)]
        limits: Vec<(String, u32)>,
    },
    /// List the keys, without their secrets
    List,
    /// Revoke a key for good, on all nodes
    Revoke {
        /// The key's id, as the list shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Give a key a new secret and show it, this once
    Rotate {
        /// The key's id, as the list shows it
        #[arg(value_name = "ID")]
        id: String,
        /// How long the old secret stays good, such as 1h; not at all when left out
        #[arg(long, value_name = "TIME", value_parser = time)]
        grace: Option<Duration>,
    },
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    name: String,
    scopes: Vec<String>,
    status: String,
    expires_at_iso: Option<String>,
    last_used_at_iso: Option<String>,
}

#[derive(Deserialize)]
struct Shown {
    key: Key,
    secret: String,
}

pub(super) async fn run(call: &Call, command: KeyCommand) -> Result<(), Failure> {
    let path = "/api/admin/keys";
    match command {
        KeyCommand::Create { name, scopes, expires, limits } => {
            let limits: Map<String, Value> =
                limits.into_iter().map(|(kind, count)| (kind, count.into())).collect();
            let expires = expires.map(|time| time.as_secs());
            let body = json!({"name": name, "scopes": scopes, "expires_in_seconds": expires,
                "limits": limits});
            let answer = send(call, Method::POST, path, Payload::Json(body)).await?;
            print(call, &answer, |made: Shown| shown(&made))
        }
        KeyCommand::List => {
            let answer = send(call, Method::GET, path, Payload::Empty).await?;
            print(call, &answer, |keys: Keys| list(&keys.keys))
        }
        KeyCommand::Revoke { id } => {
            let path = format!("{path}/{}", escaped(&id)?);
            let answer = send(call, Method::DELETE, &path, Payload::Empty).await?;
            print(call, &answer, |key: Key| format!("Revoked the key {} ({})\n", key.id, key.name))
        }
        KeyCommand::Rotate { id, grace } => {
            let path = format!("{path}/{}/rotate", escaped(&id)?);
            let grace = grace.unwrap_or_default().as_secs();
            let body = Payload::Json(json!({"grace_seconds": grace}));
            let answer = send(call, Method::POST, &path, body).await?;
            print(call, &answer, |made: Shown| shown(&made))
        }
    }
}

async fn send(call: &Call, method: Method, path: &str, body: Payload) -> Result<Vec<u8>, Failure> {
    ask(call, Need::StoreOnly, method, path, body).await
}

fn shown(made: &Shown) -> String {
    let Shown { key, secret } = made;
    let until = key.expires_at_iso.as_ref().map(|at| format!(" until {at}")).unwrap_or_default();
    format!(
        "{secret}\n\nThe key {} ({}) may {}{until}. It is shown this once: keep it.\n",
        key.id,
        key.name,
        key.scopes.join(", ")
    )
}

fn list(keys: &[Key]) -> String {
    let dash = || "-".to_owned();
    let head = ["id", "name", "status", "scopes", "expires", "last used here"].map(str::to_owned);
    let rows = keys.iter().map(|key| {
        vec![
            key.id.clone(),
            key.name.clone(),
            key.status.clone(),
            key.scopes.join(","),
            key.expires_at_iso.clone().unwrap_or_else(dash),
            key.last_used_at_iso.clone().unwrap_or_else(dash),
        ]
    });
    let rows: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(rows).collect();
    table(&rows)
}

/// An id as a part of a path; whatever is none names no key.
fn escaped(id: &str) -> Result<&str, Failure> {
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then_some(id).ok_or_else(|| Failure::Usage(format!("`{id}` is not the id of a key")))
}

fn time(text: &str) -> Result<Duration, String> {
    config::duration(text, Duration::from_secs(1)..=TIME_MAX)
        .ok_or_else(|| "it must be a time such as 30s, 12h or 90d".to_owned())
}

fn limit(text: &str) -> Result<(String, u32), String> {
    let kinds = ["reads", "writes", "searches", "events"];
    let parsed = text.split_once('=').and_then(|(kind, count)| {
        let count = count.parse().ok().filter(|count| *count > 0)?;
        kinds.contains(&kind).then(|| (kind.to_owned(), count))
    });
    parsed.ok_or_else(|| {
        format!("it must be one of {} and a count, as in writes=60", kinds.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_limits_are_read_or_refused() {
        assert_eq!(time("90d"), Ok(Duration::from_hours(90 * 24)));
        for text in ["", "0", "soon", "-1d", "101y"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(limit("writes=60"), Ok(("writes".to_owned(), 60)));
        for text in ["writes", "writes=", "writes=0", "walks=1", "writes=many"] {
            assert!(limit(text).is_err(), "{text}");
        }
        assert!(escaped("0f1e").is_ok() && escaped("../x").is_err() && escaped("").is_err());
    }
}
