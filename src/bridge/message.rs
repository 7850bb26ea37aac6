//! JSON-RPC messages, looked at just closely enough to route them.

use std::fmt;

use serde_json::{Map, Value, json};

/// The text is not JSON.
pub(super) const PARSE_ERROR: i64 = -32700;
/// The JSON is no JSON-RPC message.
pub(super) const INVALID_REQUEST: i64 = -32600;
/// The parameters have the wrong shape.
pub(super) const INVALID_PARAMS: i64 = -32602;
/// The request cannot be carried now.
pub(super) const NOT_CARRIED: i64 = -32000;

/// What pairs a response with its request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Id {
    /// A whole number, also one written as `1.0`.
    Number(i64),
    /// A string.
    Text(String),
}

impl Id {
    /// `None` for what may not be an id.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Id::Text(text.clone())),
            Value::Number(number) => {
                number.as_i64().or_else(|| whole(number.as_f64()?)).map(Id::Number)
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// As it is written in a message.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Id::Number(number) => json!(number),
            Id::Text(text) => json!(text),
        }
    }
}

fn whole(number: f64) -> Option<i64> {
    // Beyond 2^53 a double no longer names one whole number.
    let exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    exact.then_some(number as i64)
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

/// One message by its kind, with all of its members.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// Wants a response.
    Request(Id, String, Map<String, Value>),
    /// Wants none.
    Notification(String, Map<String, Value>),
    /// Answers a request; an error may have no id.
    Response(Option<Id>, Map<String, Value>),
}

/// Why a line is no message that can be carried.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    /// The id of the message as far as it has one, else `Null`.
    pub(super) id: Value,
    /// A JSON-RPC error code.
    pub(super) code: i64,
    /// A sentence for people.
    pub(super) detail: String,
}

impl Refusal {
    /// The response that says so.
    pub(super) fn to_line(&self) -> Vec<u8> {
        error_line(&self.id, self.code, &self.detail)
    }
}

/// An error response.
pub(super) fn error_line(id: &Value, code: i64, detail: &str) -> Vec<u8> {
    let error = json!({"code": code, "message": detail});
    to_line(&json!({"jsonrpc": "2.0", "id": id, "error": error}))
}

/// A message as one line, without its end.
pub(super) fn to_line(message: &Value) -> Vec<u8> {
    // The text of a `Value` holds no raw line break.
    message.to_string().into_bytes()
}

/// Reads one line.
pub(super) fn parse(line: &[u8]) -> Result<Message, Refusal> {
    let refuse = |id: &Value, code, detail: &str| {
        // An id of the wrong type is echoed all the same: the client may know it again.
        Err(Refusal { id: id.clone(), code, detail: detail.to_owned() })
    };
    let message: Value = match serde_json::from_slice(line) {
        Ok(message) => message,
        Err(error) => {
            return refuse(&Value::Null, PARSE_ERROR, &format!("the message is not JSON: {error}"));
        }
    };
    let mut message = match message {
        Value::Object(members) => members,
        Value::Array(_) => {
            return refuse(&Value::Null, INVALID_REQUEST, "batches of messages are not supported");
        }
        _ => return refuse(&Value::Null, INVALID_REQUEST, "a message is a JSON object"),
    };
    let given_id = message.get("id").cloned();
    let shown_id = given_id.clone().unwrap_or_default();
    if message.get("jsonrpc") != Some(&json!("2.0")) {
        return refuse(&shown_id, INVALID_REQUEST, "`jsonrpc` must be \"2.0\"");
    }
    let id = given_id.as_ref().and_then(Id::from_json);
    let Some(method) = message.get("method") else {
        if !message.contains_key("result") && !message.contains_key("error") {
            return refuse(&shown_id, INVALID_REQUEST, "a message has a method or a result");
        }
        return Ok(Message::Response(id, message));
    };
    let Value::String(method) = method.clone() else {
        return refuse(&shown_id, INVALID_REQUEST, "`method` must be a string");
    };
    if message.get("params").is_some_and(Value::is_null) {
        message.remove("params");
    }
    if let Some(problem) = params_problem(message.get("params")) {
        return refuse(&shown_id, INVALID_PARAMS, problem);
    }
    match (given_id, id) {
        (None, _) => Ok(Message::Notification(method, message)),
        (Some(_), Some(id)) => Ok(Message::Request(id, method, message)),
        (Some(_), None) => {
            refuse(&shown_id, INVALID_REQUEST, "`id` must be a string or a whole number")
        }
    }
}

fn params_problem(params: Option<&Value>) -> Option<&'static str> {
    match params {
        None => None,
        Some(Value::Object(params)) => match params.get("_meta") {
            None | Some(Value::Object(_)) => None,
            Some(_) => Some("`params._meta` must be an object"),
        },
        Some(_) => Some("`params` must be an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<&str, (i64, Value)>) {
        let found = parse(line.as_bytes()).map(|message| match message {
            Message::Request(id, method, _) => format!("request {id} {method}"),
            Message::Notification(method, _) => format!("notification {method}"),
            Message::Response(id, _) => format!("response {id:?}"),
        });
        let found = found.map_err(|refusal| (refusal.code, refusal.id));
        assert_eq!(found, expected.map(str::to_owned), "{line}");
    }

    #[test]
    fn messages_are_told_apart() {
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Ok("request 1 ping"));
        check(r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, Ok("request 1 ping"));
        check(r#"{"jsonrpc":"2.0","id":"a","method":"m","params":{}}"#, Ok("request \"a\" m"));
        check(r#"{"jsonrpc":"2.0","id":"a","method":"m","params":null}"#, Ok("request \"a\" m"));
        check(r#"{"jsonrpc":"2.0","method":"n"}"#, Ok("notification n"));
        check(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Ok("response Some(Number(1))"));
        check(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, Ok("response None"));
    }

    #[test]
    fn what_is_no_message_is_refused_under_its_id() {
        check("{", Err((PARSE_ERROR, Value::Null)));
        check("\u{0}", Err((PARSE_ERROR, Value::Null)));
        check(&"[".repeat(10_000), Err((PARSE_ERROR, Value::Null)));
        check("[]", Err((INVALID_REQUEST, Value::Null)));
        check("7", Err((INVALID_REQUEST, Value::Null)));
        check(r#"{"id":4,"method":"ping"}"#, Err((INVALID_REQUEST, json!(4))));
        check(r#"{"jsonrpc":"2.0","id":4}"#, Err((INVALID_REQUEST, json!(4))));
        check(r#"{"jsonrpc":"2.0","id":4,"method":5}"#, Err((INVALID_REQUEST, json!(4))));
        check(r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, Err((INVALID_REQUEST, json!(1.5))));
        check(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, Err((INVALID_REQUEST, Value::Null)));
        let list = r#"{"jsonrpc":"2.0","id":4,"method":"m","params":[1]}"#;
        check(list, Err((INVALID_PARAMS, json!(4))));
        let meta = r#"{"jsonrpc":"2.0","id":4,"method":"m","params":{"_meta":1}}"#;
        check(meta, Err((INVALID_PARAMS, json!(4))));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        let refusal = parse(b"{\"a\":\"\xff\"}").expect_err("not UTF-8");
        assert_eq!(refusal.code, PARSE_ERROR);
    }
}
