//! What a bridge remembers and decides: pure, without IO.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::message::{INVALID_REQUEST, Id, Message, NOT_CARRIED, error_line, parse, to_line};
use super::outbox::{OUTBOX_BYTES_HIGH, Outbox};

/// From this many requests without an answer on, the client is not read.
const REQUEST_COUNT_HIGH: usize = 1_000;
/// The same for the bytes of such requests, which are kept until they are answered.
const REQUEST_BYTES_HIGH: usize = 32 * 1024 * 1024;
/// Servers that may be lost over one request before it is given up: it may be what kills them.
pub(super) const SEND_COUNT_MAX: u32 = 5;
/// Requests of the server that may wait for an answer at once.
const SERVER_REQUEST_COUNT_MAX: usize = 1_000;

/// Where the server finds the key of a call, within `params._meta`.
pub(super) const IDEMPOTENCY_KEY: &str = "memnode/idempotency_key";
/// The requests that reach memories, and so get the bridge's `_meta`.
const METHODS_WITH_META: [&str; 4] =
    ["tools/call", "resources/read", "prompts/get", "completion/complete"];

const TOO_LONG: &str = "a message may have at most 4 MiB";

/// Why a client cannot be carried over to another server.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFailure {
    /// The handshake that the first server accepted.
    #[error("the next server refused the client's handshake: {0}")]
    Refused(String),
    /// The client was told another revision.
    #[error("the next server speaks MCP {found}, the client was promised {promised}")]
    Revision {
        /// What the next server answered.
        found: String,
        /// What the first server answered.
        promised: String,
    },
}

/// How far the present stream is.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Down,
    /// The handshake is being replayed; this is its id.
    Replaying(Id),
    /// Messages pass.
    Up,
}

/// A request that was not answered yet.
struct Pending {
    id: Id,
    line: Vec<u8>,
    is_initialize: bool,
    send_count: u32,
}

/// A handshake that a server has accepted.
struct Handshake {
    request: Map<String, Value>,
    revision: Option<String>,
}

/// One client and the servers it has had.
pub(super) struct Session {
    run_id: String,
    meta: Map<String, Value>,
    /// Lines for the client.
    pub(super) to_client: Outbox,
    /// Lines for the present server.
    pub(super) to_server: Outbox,
    phase: Phase,
    /// Counts streams; part of every id that a server's request has at the client.
    link: u64,
    /// Counts requests: their order, and the end of their keys.
    request_count: u64,
    pending: BTreeMap<u64, Pending>,
    pending_numbers: HashMap<Id, u64>,
    pending_bytes: usize,
    handshake: Option<Handshake>,
    /// The client's `notifications/initialized`.
    initialized: Option<Vec<u8>>,
    /// Requests of the present server that the client has not answered.
    asked: HashSet<Id>,
}

impl Session {
    pub(super) fn new(run_id: String, meta: Map<String, Value>) -> Self {
        Session {
            run_id,
            meta,
            to_client: Outbox::default(),
            to_server: Outbox::default(),
            phase: Phase::Down,
            link: 0,
            request_count: 0,
            pending: BTreeMap::new(),
            pending_numbers: HashMap::new(),
            pending_bytes: 0,
            handshake: None,
            initialized: None,
            asked: HashSet::new(),
        }
    }

    /// Whether every request is answered.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Requests without an answer.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Whether more of the client's messages may be read.
    pub(super) fn has_room(&self) -> bool {
        self.to_client.len() < OUTBOX_BYTES_HIGH
            && self.to_server.len() < OUTBOX_BYTES_HIGH
            && self.pending.len() < REQUEST_COUNT_HIGH
            && self.pending_bytes < REQUEST_BYTES_HIGH
    }

    /// A stream to a server is there.
    pub(super) fn on_link_opened(&mut self) {
        self.link += 1;
        let Some(handshake) = &self.handshake else {
            self.phase = Phase::Up;
            self.send_pending();
            return;
        };
        let id = Id::Text(format!("memnode-initialize-{}", self.link));
        let mut request = handshake.request.clone();
        request.insert("id".to_owned(), id.to_json());
        self.to_server.push(&to_line(&Value::Object(request)));
        self.phase = Phase::Replaying(id);
    }

    /// The stream broke. What the server had asked is void.
    pub(super) fn on_link_lost(&mut self) {
        self.phase = Phase::Down;
        self.to_server.clear();
        for id in std::mem::take(&mut self.asked) {
            let params = json!({
                "requestId": self.id_for_client(&id),
                "reason": "the server went away",
            });
            self.to_client.push(&to_line(&json!({
                "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params,
            })));
        }
    }

    /// Takes one line of the client.
    pub(super) fn on_client_line(&mut self, line: &[u8]) {
        match parse(line) {
            Err(refusal) => self.to_client.push(&refusal.to_line()),
            Ok(Message::Request(id, method, message)) => {
                self.on_client_request(id, &method, message, line);
            }
            Ok(Message::Notification(method, message)) => {
                self.on_client_notification(&method, &message, line);
            }
            Ok(Message::Response(id, message)) => self.on_client_response(id, message),
        }
    }

    /// Refuses a line of the client that was too long to be kept.
    pub(super) fn on_client_line_too_long(&mut self, id: Value) {
        self.to_client.push(&error_line(&id, INVALID_REQUEST, TOO_LONG));
    }

    fn on_client_request(
        &mut self,
        id: Id,
        method: &str,
        mut message: Map<String, Value>,
        line: &[u8],
    ) {
        if self.pending_numbers.contains_key(&id) {
            let reason = "a request with this id is not answered yet";
            self.to_client.push(&error_line(&id.to_json(), INVALID_REQUEST, reason));
            return;
        }
        let number = self.request_count;
        self.request_count += 1;
        let line = if METHODS_WITH_META.contains(&method) {
            self.add_meta(&mut message, method, number);
            to_line(&Value::Object(message))
        } else {
            line.to_vec()
        };
        self.pending_bytes += line.len();
        self.pending_numbers.insert(id.clone(), number);
        let is_initialize = method == "initialize";
        self.pending.insert(number, Pending { id, line, is_initialize, send_count: 0 });
        if self.phase == Phase::Up {
            self.send(number);
        }
    }

    /// Adds what the bridge knows of its client, and the key that makes a call safe to repeat.
    fn add_meta(&self, message: &mut Map<String, Value>, method: &str, number: u64) {
        let Value::Object(params) = message.entry("params").or_insert_with(|| json!({})) else {
            unreachable!("a request's params are an object or absent");
        };
        let Value::Object(meta) = params.entry("_meta").or_insert_with(|| json!({})) else {
            unreachable!("a request's _meta is an object or absent");
        };
        for (key, value) in &self.meta {
            meta.entry(key.as_str()).or_insert_with(|| value.clone());
        }
        if method == "tools/call" {
            let key = format!("{}-{number}", self.run_id);
            meta.entry(IDEMPOTENCY_KEY).or_insert(Value::String(key));
        }
    }

    fn on_client_notification(&mut self, method: &str, message: &Map<String, Value>, line: &[u8]) {
        match method {
            "notifications/initialized" => self.initialized = Some(line.to_vec()),
            "notifications/cancelled" => self.forget_cancelled(message),
            _ => {}
        }
        if self.phase == Phase::Up {
            self.to_server.push(line);
        }
    }

    /// A cancelled request gets no answer, so it is not sent again either.
    fn forget_cancelled(&mut self, message: &Map<String, Value>) {
        let Some(id) = cancelled_id(message) else { return };
        let is_initialize = self
            .pending_numbers
            .get(&id)
            .and_then(|number| self.pending.get(number))
            .is_some_and(|pending| pending.is_initialize);
        if !is_initialize {
            self.take_pending(&id);
        }
    }

    /// Passes an answer on, unless the server that asked is gone.
    fn on_client_response(&mut self, id: Option<Id>, mut message: Map<String, Value>) {
        let Some(Id::Text(text)) = id else { return };
        let prefix = self.id_prefix();
        let asked = text.strip_prefix(&prefix).and_then(|id| serde_json::from_str(id).ok());
        let Some(id) = asked.as_ref().and_then(Id::from_json) else { return };
        if self.asked.remove(&id) {
            message.insert("id".to_owned(), id.to_json());
            self.to_server.push(&to_line(&Value::Object(message)));
        }
    }

    /// Takes one line of the server.
    ///
    /// # Errors
    /// When the server does not carry on where the last one stopped.
    pub(super) fn on_server_line(&mut self, line: &[u8]) -> Result<(), ReplayFailure> {
        match parse(line) {
            Err(refusal) => {
                tracing::warn!(reason = refusal.detail, "dropped a line of the server");
                Ok(())
            }
            Ok(Message::Request(id, _, message)) => {
                self.on_server_request(id, message);
                Ok(())
            }
            Ok(Message::Notification(method, message)) => {
                self.on_server_notification(&method, message, line);
                Ok(())
            }
            Ok(Message::Response(id, message)) => self.on_server_response(id, &message, line),
        }
    }

    /// Answers in place of a server whose answer was too long to be kept.
    pub(super) fn on_server_line_too_long(&mut self, id: Value) {
        let Some(id) = Id::from_json(&id) else {
            tracing::warn!("dropped a message of the server: {TOO_LONG}");
            return;
        };
        if self.take_pending(&id).is_some() {
            let detail = "the answer has more than 4 MiB; ask for fewer results";
            self.to_client.push(&error_line(&id.to_json(), NOT_CARRIED, detail));
        }
    }

    fn on_server_request(&mut self, id: Id, mut message: Map<String, Value>) {
        if self.asked.len() >= SERVER_REQUEST_COUNT_MAX {
            let detail = "1000 requests wait for the client's answer";
            self.to_server.push(&error_line(&id.to_json(), NOT_CARRIED, detail));
            return;
        }
        message.insert("id".to_owned(), self.id_for_client(&id));
        self.asked.insert(id);
        self.to_client.push(&to_line(&Value::Object(message)));
    }

    fn on_server_notification(
        &mut self,
        method: &str,
        mut message: Map<String, Value>,
        line: &[u8],
    ) {
        let cancelled = (method == "notifications/cancelled").then(|| cancelled_id(&message));
        match cancelled.flatten() {
            Some(id) if self.asked.remove(&id) => {
                let shown = self.id_for_client(&id);
                if let Some(Value::Object(params)) = message.get_mut("params") {
                    params.insert("requestId".to_owned(), shown);
                }
                self.to_client.push(&to_line(&Value::Object(message)));
            }
            _ => self.to_client.push(line),
        }
    }

    fn on_server_response(
        &mut self,
        id: Option<Id>,
        message: &Map<String, Value>,
        line: &[u8],
    ) -> Result<(), ReplayFailure> {
        if let (Phase::Replaying(expected), Some(id)) = (&self.phase, &id)
            && expected == id
        {
            return self.on_replayed(message);
        }
        let Some(id) = id else {
            tracing::warn!("the server could not read a message: {}", error_text(message));
            return Ok(());
        };
        // An answer that nobody waits for is one to a cancelled request.
        if let Some(pending) = self.take_pending(&id) {
            if pending.is_initialize {
                self.keep_handshake(&pending.line, message);
            }
            self.to_client.push(line);
        }
        Ok(())
    }

    fn keep_handshake(&mut self, request: &[u8], answer: &Map<String, Value>) {
        let Some(result) = answer.get("result") else { return };
        if let Ok(Message::Request(_, _, request)) = parse(request) {
            let revision = revision_of(result);
            self.handshake = Some(Handshake { request, revision });
        }
    }

    fn on_replayed(&mut self, answer: &Map<String, Value>) -> Result<(), ReplayFailure> {
        let Some(result) = answer.get("result") else {
            return Err(ReplayFailure::Refused(error_text(answer)));
        };
        let promised = self.handshake.as_ref().and_then(|handshake| handshake.revision.clone());
        let found = revision_of(result);
        if found != promised {
            let [found, promised] = [found, promised].map(Option::unwrap_or_default);
            return Err(ReplayFailure::Revision { found, promised });
        }
        if let Some(line) = &self.initialized {
            self.to_server.push(line);
        }
        self.phase = Phase::Up;
        self.send_pending();
        Ok(())
    }

    fn send_pending(&mut self) {
        let numbers: Vec<u64> = self.pending.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.send(number));
    }

    fn send(&mut self, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        if pending.send_count < SEND_COUNT_MAX {
            pending.send_count += 1;
            self.to_server.push(&pending.line);
            return;
        }
        let id = pending.id.clone();
        self.take_pending(&id);
        let detail = format!("the server was lost {SEND_COUNT_MAX} times before it answered");
        self.to_client.push(&error_line(&id.to_json(), NOT_CARRIED, &detail));
    }

    fn take_pending(&mut self, id: &Id) -> Option<Pending> {
        let number = self.pending_numbers.remove(id)?;
        let pending = self.pending.remove(&number)?;
        self.pending_bytes -= pending.line.len();
        Some(pending)
    }

    /// An id that no other server's request has.
    fn id_for_client(&self, id: &Id) -> Value {
        Value::String(format!("{}{id}", self.id_prefix()))
    }

    fn id_prefix(&self) -> String {
        format!("memnode-{}-", self.link)
    }
}

fn cancelled_id(message: &Map<String, Value>) -> Option<Id> {
    Id::from_json(message.get("params")?.get("requestId")?)
}

fn revision_of(result: &Value) -> Option<String> {
    result.get("protocolVersion").and_then(Value::as_str).map(str::to_owned)
}

fn error_text(answer: &Map<String, Value>) -> String {
    let message = answer.get("error").and_then(|error| error.get("message"));
    message.and_then(Value::as_str).unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_not_read_while_too_many_of_its_requests_wait() {
        let mut session = Session::new("run".to_owned(), Map::new());
        for id in 0..REQUEST_COUNT_HIGH {
            assert!(session.has_room(), "{id}");
            let request = json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
            session.on_client_line(request.to_string().as_bytes());
        }
        assert!(!session.has_room());
        session.on_link_opened();
        session.to_server.clear();
        let answer = json!({"jsonrpc": "2.0", "id": 5, "result": {}});
        session.on_server_line(answer.to_string().as_bytes()).expect("nothing is replayed");
        assert!(session.has_room());
    }
}
