//! `/api/ws`: the same events over a WebSocket, with a filter that can change on the way.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::watcher::{FilterParameters, Watcher, filter};
use crate::auth::Principal;
use crate::events::{Event, EventKind, Filter};
use crate::http::AppState;
use crate::http::extract::{Asked, Query, Tags, set};
use crate::http::problem::{Input, Problem};
use crate::memory::{EventId, NamespaceSet};
use crate::service::{Feed, News, Service};

/// Longest message of a client, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Longest message that is read to its end, so that the client learns why it was refused.
const READ_BYTES_MAX: usize = 256 * 1024;
/// How long a client may take to take one message in.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may stay silent; it answers every ping.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Listen over a WebSocket
///
/// Every event is a text message `{"event", "id", "data"}`. The client may send
/// `{"type": "subscribe", "namespace", "tags", "events", "last_event_id"}`, which sets what it
/// listens to, `{"type": "unsubscribe"}`, and `{"type": "ping"}`. What is none of these is answered
/// with `{"type": "error", "code", "detail"}`, and the connection is closed.
#[utoipa::path(get, path = "/api/ws", tag = "events", params(FilterParameters),
    responses(
        (status = 101, description = "The connection is a WebSocket now."),
        (status = 426, description = "The request does not ask for a WebSocket."),
    ))]
pub async fn socket(
    State(state): State<AppState>,
    Watcher(who): Watcher,
    Query(parameters): Query<FilterParameters>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "websocket_required",
            format!("this address speaks WebSocket (RFC 6455): {}", rejection.body_text()),
        )
    })?;
    let (filter, last) = (parameters.filter()?, parameters.last(&headers)?);
    let feed = state.service.watch(&who, filter, last).await.map_err(Problem::query)?;
    let upgrade = upgrade.max_message_size(READ_BYTES_MAX).max_frame_size(READ_BYTES_MAX);
    let (service, authenticator) = (state.service, state.authenticator);
    Ok(upgrade.on_upgrade(async move |socket| {
        let heard = Instant::now();
        let ended = {
            let who = who.clone();
            async move { authenticator.ended(&who).await }
        };
        Conversation { socket, service, who, feed: Some(feed), heard }.run(ended).await;
    }))
}

/// A client and what it listens to.
struct Conversation {
    socket: WebSocket,
    service: Service,
    who: Principal,
    /// `None` while it does not want any events.
    feed: Option<Feed>,
    /// When the client was heard last.
    heard: Instant,
}

/// What ends a conversation: how it is closed, and what is said before.
struct End {
    code: u16,
    reason: &'static str,
    said: Option<Value>,
}

impl End {
    fn silent(code: u16, reason: &'static str) -> Self {
        End { code, reason, said: None }
    }

    fn fault(close: u16, code: &str, detail: &str) -> Self {
        let said = json!({"type": "error", "code": code, "detail": detail});
        End { code: close, reason: "the message was not understood", said: Some(said) }
    }
}

/// A message of a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    Subscribe {
        namespace: Option<String>,
        store: Option<String>,
        #[serde(default)]
        tags: Tags,
        #[serde(default)]
        events: Vec<String>,
        last_event_id: Option<String>,
    },
    Unsubscribe {},
    Ping {},
}

impl Conversation {
    /// Whatever opened the conversation may end before it: a key is revoked, a token expires.
    async fn run(mut self, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        let end = loop {
            let step = tokio::select! {
                message = self.socket.recv() => self.hear(message).await,
                news = news_of(&mut self.feed) => self.tell(news).await,
                () = &mut ended => Err(End::silent(close_code::POLICY, "the credential has ended")),
            };
            if let Err(end) = step {
                break end;
            }
        };
        if let Some(said) = end.said {
            // A client that went away needs no reason.
            let _ = self.say(said).await;
        }
        let close = CloseFrame { code: end.code, reason: end.reason.into() };
        // The same.
        let _ = self.send(Message::Close(Some(close))).await;
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.heard = Instant::now();
        match message {
            Some(Ok(Message::Text(text))) if text.len() > MESSAGE_BYTES_MAX => Err(too_large()),
            Some(Ok(Message::Text(text))) => {
                let order = serde_json::from_str(&text).map_err(|error| {
                    End::fault(close_code::INVALID, "invalid_message", &error.to_string())
                })?;
                self.obey(order).await
            }
            Some(Ok(Message::Binary(_))) => Err(End::fault(
                close_code::UNSUPPORTED,
                "invalid_message",
                "messages are JSON in text frames",
            )),
            // The library answers pings itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Close(_))) | None => Err(End::silent(close_code::NORMAL, "")),
            Some(Err(error)) if error.to_string().contains("too long") => Err(too_large()),
            Some(Err(_)) => Err(End::silent(close_code::PROTOCOL, "the connection broke")),
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Ping {} => self.say(json!({"type": "pong"})).await,
            Order::Unsubscribe {} => {
                self.feed = None;
                self.say(json!({"type": "unsubscribed"})).await
            }
            Order::Subscribe { namespace, store, tags, events, last_event_id } => {
                let asked = Asked::new(Input::Query, namespace.as_deref(), store.as_deref());
                let is_named = namespace.is_some() || store.is_some();
                let wanted = (|| {
                    let namespaces = if is_named { set(&[asked])? } else { NamespaceSet::All };
                    let kinds = events.iter().map(String::as_str);
                    let last = last_event_id.as_deref().map(str::parse).transpose();
                    Ok((filter(namespaces, tags.0, kinds)?, last.map_err(Problem::query)?))
                })();
                let (filter, last) = wanted.map_err(|problem: Problem| refused(&problem))?;
                let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.name()).collect();
                let said = json!({"type": "subscribed", "tags": filter.tags, "events": kinds});
                self.subscribe(filter, last).await?;
                self.say(said).await
            }
        }
    }

    /// Without an id a subscription goes on where it is, with another filter.
    async fn subscribe(&mut self, filter: Filter, last: Option<EventId>) -> Result<(), End> {
        let changed = match (&mut self.feed, &last) {
            (Some(feed), None) => feed.set_filter(&self.who, filter),
            _ => match self.service.watch(&self.who, filter, last).await {
                Ok(feed) => {
                    self.feed = Some(feed);
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        changed.map_err(|error| refused(&Problem::query(error)))
    }

    async fn tell(&mut self, news: Option<News>) -> Result<(), End> {
        let event = match news {
            Some(News::Event(event)) => event,
            Some(News::Position(id)) => {
                return self.say(json!({"event": "position", "id": id})).await;
            }
            None => return Err(End::silent(close_code::AGAIN, "come back with the last id")),
        };
        let message = match event.kind() {
            EventKind::Comment if self.heard.elapsed() > SILENCE_MAX => {
                return Err(End::silent(close_code::POLICY, "no pong came"));
            }
            EventKind::Comment => Message::Ping(Default::default()),
            _ => Message::text(text_of(&event)),
        };
        self.send(message).await
    }

    async fn say(&mut self, value: Value) -> Result<(), End> {
        self.send(Message::text(value.to_string())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.socket.send(message)).await;
        let gone = || End::silent(close_code::AGAIN, "the client does not read");
        sent.map_err(|_| gone())?.map_err(|_| gone())
    }
}

/// What comes next for a client; nothing ever for one that does not listen.
async fn news_of(feed: &mut Option<Feed>) -> Option<News> {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}

/// An event as a message; its data is JSON already.
fn text_of(event: &Event) -> String {
    let (name, data) = (event.kind().name(), event.data());
    match event.id() {
        Some(id) => format!(r#"{{"event":"{name}","id":"{id}","data":{data}}}"#),
        None => format!(r#"{{"event":"{name}","data":{data}}}"#),
    }
}

fn refused(problem: &Problem) -> End {
    End::fault(close_code::POLICY, problem.code(), problem.text())
}

fn too_large() -> End {
    let detail = format!("a message has at most {MESSAGE_BYTES_MAX} bytes");
    End::fault(close_code::SIZE, "message_too_large", &detail)
}
