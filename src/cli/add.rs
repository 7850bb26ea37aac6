//! `memnode add`, and how texts and metadata are read from arguments.

use std::io::{self, IsTerminal, Read};

use hyper::Method;
use serde_json::{Map, Value, json};

use super::Call;
use super::args::AddArgs;
use super::exit::Failure;
use super::wire::Outcome;
use crate::client::Payload;
use crate::memory::CONTENT_BYTES_MAX;
use crate::node::Need;

pub(super) async fn run(call: &Call, args: AddArgs) -> Result<(), Failure> {
    let content = content(&args.text)?;
    let body = json!({
        "content": content,
        "tags": args.labels.tags,
        "memory_type": args.labels.memory_type,
        "metadata": metadata(&args.metadata)?,
        "namespace": call.config.node.namespace,
        "restore_deleted": args.restore_deleted,
    });
    let answer = call
        .with_node(Need::Model, async |client| {
            let response = client.request(Method::POST, "/api/memories", Payload::Json(body));
            Ok(response.await?.bytes().await?)
        })
        .await?;
    if call.output.json {
        return call.output.line(String::from_utf8_lossy(&answer));
    }
    let outcome: Outcome = super::find::read(&answer)?;
    let style = call.output.style;
    call.output.line(match (outcome.success, outcome.content_hash) {
        (true, Some(hash)) => format!("{} {hash}", style.green("stored")),
        (true, None) => style.green("stored"),
        (false, _) => format!("{} {}", style.yellow("not stored:"), outcome.message),
    })
}

/// The text of a memory: the words of the command line, or standard input.
fn content(words: &[String]) -> Result<String, Failure> {
    match words {
        [dash] if dash == "-" => read_stdin(),
        [] if io::stdin().is_terminal() => {
            Err(Failure::Usage("no text: give it as arguments, or `-` for standard input".into()))
        }
        [] => read_stdin(),
        words => Ok(words.join(" ")),
    }
}

/// All of standard input, as one text.
pub(super) fn read_stdin() -> Result<String, Failure> {
    read_text(io::stdin().lock())
}

fn read_text(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // One byte more than a memory holds shows that there is too much.
    let bytes_max = CONTENT_BYTES_MAX as u64 + 1;
    input
        .take(bytes_max)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io("cannot read standard input", error))?;
    if bytes.len() as u64 == bytes_max {
        return Err(Failure::BadInput(format!(
            "standard input holds more than the {CONTENT_BYTES_MAX} bytes of one memory; \
             `memnode import -` cuts it into parts"
        )));
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::BadInput("standard input is not UTF-8; convert it with `iconv -t utf-8`".into())
    })
}

/// Metadata from `KEY=VALUE`, whose value is a text, and from JSON objects.
pub(super) fn metadata(arguments: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut metadata = Map::new();
    for argument in arguments {
        if argument.trim_start().starts_with('{') {
            let object: Map<String, Value> = serde_json::from_str(argument).map_err(|error| {
                Failure::Usage(format!("the metadata {argument:?} is no JSON object: {error}"))
            })?;
            metadata.extend(object);
            continue;
        }
        match argument.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                metadata.insert(key.trim().to_owned(), Value::from(value));
            }
            _ => {
                let problem = format!("the metadata {argument:?} is neither KEY=VALUE nor JSON");
                return Err(Failure::Usage(problem));
            }
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_from_pairs_and_objects() {
        let arguments = ["a=1", "b = x=y", r#"{"c":[1],"a":2}"#, "d="].map(str::to_owned);
        let expected = json!({"a": 2, "b": " x=y", "c": [1], "d": ""});
        assert_eq!(Value::Object(metadata(&arguments).expect("valid")), expected);
        for wrong in ["a", "=x", "{", "{\"a\":1", "[1]"] {
            assert!(metadata(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_joined_and_input_is_bounded_and_utf_8() {
        assert_eq!(content(&["a".into(), "b  c".into()]).expect("text"), "a b  c");
        assert_eq!(read_text("é\n".as_bytes()).expect("text"), "é\n");
        assert!(read_text([0xff].as_slice()).is_err());
        assert!(read_text(vec![b'x'; CONTENT_BYTES_MAX].as_slice()).is_ok());
        assert!(read_text(vec![b'x'; CONTENT_BYTES_MAX + 1].as_slice()).is_err());
    }
}
