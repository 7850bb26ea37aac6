//! `memnode reembed`: starts, or goes on with, a change of the model, and shows how far it is.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::Call;
use super::exit::Failure;
use super::output::{counted, grouped};
use super::progress::Progress;
use super::wire::{Reembed, ReembedAnswer};
use crate::client::{ApiClient, ClientError, Payload};
use crate::embed::EmbedderChoice;
use crate::node::Need;

/// How often a node is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn run(call: &Call) -> Result<(), Failure> {
    let choice = EmbedderChoice::from(&call.config.embed);
    choice.check_present()?;
    let body = serde_json::to_value(&choice).expect("paths and texts only");
    // The file may be of another model than the configured one: that is why this is run.
    call.with_node(Need::AnyModel, async |client| {
        let Some(total) = start(client, body).await? else {
            return call.output.line(if call.output.json {
                r#"{"state":"done","detail":"the file has the configured model already"}"#
            } else {
                "the file has the configured model already"
            });
        };
        let mut progress = Progress::start(total);
        let ended = follow(client, &mut progress, ASK_EVERY).await;
        progress.finish();
        report(call, ended?)
    })
    .await
}

/// Starts the change, or joins the one that runs; answers how many memories there are, or
/// nothing when there is nothing to change.
async fn start(client: &ApiClient, body: Value) -> Result<Option<u64>, Failure> {
    let started: Result<ReembedAnswer, ClientError> =
        client.json(Method::POST, "/api/reembed", Payload::Json(body)).await;
    let code = started.as_ref().err().and_then(ClientError::code);
    let answer = match code {
        Some("same_model") => return Ok(None),
        Some("reembed_running") => client.json(Method::GET, "/api/reembed", Payload::Empty).await?,
        _ => started?,
    };
    Ok(Some(answer.reembed.map_or(0, |reembed| reembed.total)))
}

/// Asks until it has ended.
async fn follow(
    client: &ApiClient,
    progress: &mut Progress,
    ask_every: Duration,
) -> Result<Reembed, Failure> {
    let mut ticks = tokio::time::interval(ask_every);
    loop {
        ticks.tick().await;
        let answer: ReembedAnswer =
            client.json(Method::GET, "/api/reembed", Payload::Empty).await?;
        let Some(reembed) = answer.reembed else {
            return Err(Failure::Found("the node knows of no change of the model".to_owned()));
        };
        progress.update(reembed.done, || {
            format!("{} of {}", grouped(reembed.done), counted(reembed.total, "memory", "memories"))
        });
        if reembed.state != "running" {
            return Ok(reembed);
        }
    }
}

fn report(call: &Call, ended: Reembed) -> Result<(), Failure> {
    let Reembed { from, to, done, total, state } = ended;
    if call.output.json {
        call.output.document(
            &json!({"from": from, "to": to, "done": done, "total": total, "state": state}),
        )?;
    }
    if state != "done" {
        return Err(Failure::Found(format!("stopped at {done} of {total}: {state}")));
    }
    if call.output.json {
        return Ok(());
    }
    call.output.line(format!("{} embedded with {to}", counted(total, "memory", "memories")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::routing::get;

    use super::*;

    /// What comes of a node that answers these states, one after the other.
    async fn followed(states: &'static [&'static str]) -> Result<Reembed, Failure> {
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = async move || {
            let done = asked.fetch_add(1, Ordering::Relaxed);
            let reembed = json!({"from": "a", "to": "b", "done": done, "total": 2,
                "state": states[done]});
            let known = !states[done].is_empty();
            json!({"reembed": known.then_some(reembed)}).to_string()
        };
        let router = Router::new().route("/api/reembed", get(answer));
        let client = ApiClient::in_process(router);
        follow(&client, &mut Progress::start(2), Duration::from_millis(1)).await
    }

    async fn started(status: u16, body: Value) -> Result<Option<u64>, Failure> {
        let status = hyper::StatusCode::from_u16(status).expect("a status");
        let running = json!({"reembed": {"from": "a", "to": "b", "done": 1, "total": 9,
            "state": "running"}});
        let router = Router::new().route(
            "/api/reembed",
            get(async move || running.to_string()).post(async move || (status, body.to_string())),
        );
        start(&ApiClient::in_process(router), json!({})).await
    }

    #[tokio::test]
    async fn it_is_started_joined_or_not_needed() {
        let answer = json!({"reembed": {"from": "a", "to": "b", "done": 0, "total": 5,
            "state": "running"}});
        assert_eq!(started(202, answer).await.expect("started"), Some(5));
        let running = json!({"code": "reembed_running", "detail": "one runs"});
        assert_eq!(started(409, running).await.expect("joined"), Some(9));
        let same = json!({"code": "same_model", "detail": "it has it"});
        assert_eq!(started(422, same).await.expect("not needed"), None);
        assert!(started(403, json!({"code": "local_only", "detail": "no"})).await.is_err());
    }

    #[tokio::test]
    async fn it_is_followed_to_its_end() {
        let ended = followed(&["running", "running", "done"]).await.expect("it ends");
        assert_eq!((ended.done, &*ended.state), (2, "done"));
        let ended = followed(&["running", "failed: no model"]).await.expect("it ends");
        assert_eq!(ended.state, "failed: no model");
        assert!(followed(&[""]).await.is_err());
    }
}
