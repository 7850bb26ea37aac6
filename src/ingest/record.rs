//! One memory as other programs and our own export write it.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{IngestOptions, LineProblem};
use crate::Error;
use crate::memory::{Namespace, NewMemory, normalise_tags};

/// The keys that are read; all others are left aside, as exports carry many.
#[derive(Deserialize)]
struct Record {
    content: String,
    #[serde(default)]
    tags: Option<Tags>,
    #[serde(default)]
    memory_type: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "seconds")]
    created_at: Option<f64>,
    #[serde(default, deserialize_with = "seconds")]
    created_at_iso: Option<f64>,
    #[serde(default, deserialize_with = "seconds")]
    updated_at: Option<f64>,
    #[serde(default, deserialize_with = "seconds")]
    updated_at_iso: Option<f64>,
    #[serde(default)]
    namespace: Option<Namespace>,
    /// The older name of `namespace`; exports carry both.
    #[serde(default)]
    store: Option<Namespace>,
}

/// A list, or `"a, b"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Text(String),
}

/// An object, or the JSON text of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Metadata {
    Object(Map<String, Value>),
    Text(String),
}

/// A number, or a text of a number or of an ISO date-time (UTC when it names no offset).
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let wrong = || serde::de::Error::custom("a time is neither seconds nor an ISO date-time");
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Number(number) => number.as_f64().map(Some).ok_or_else(wrong),
        Value::String(text) => parse_seconds(text.trim()).map(Some).ok_or_else(wrong),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

fn parse_seconds(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    let timestamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })?;
    // Microseconds of the years 1 to 9999 are exact in neither type; 1e-6 s is what is kept.
    Some(timestamp.as_microsecond() as f64 / 1e6)
}

/// Reads one JSON object and holds it to the rules of a memory.
pub(super) fn parse(json: &[u8], options: &IngestOptions) -> Result<NewMemory, LineProblem> {
    let text = std::str::from_utf8(json).map_err(|_| LineProblem::NotUtf8)?;
    let record: Record = serde_json::from_str(text)?;
    let mut texts = match record.tags {
        Some(Tags::List(tags)) => tags,
        Some(Tags::Text(text)) => text.split(',').map(str::to_owned).collect(),
        None => Vec::new(),
    };
    texts.extend(options.tags.iter().map(|tag| tag.as_str().to_owned()));
    let metadata = match record.metadata {
        Some(Metadata::Object(map)) => map,
        Some(Metadata::Text(text)) if text.trim().is_empty() => Map::new(),
        Some(Metadata::Text(text)) => serde_json::from_str(&text)?,
        None => Map::new(),
    };
    let memory = NewMemory {
        content: record.content,
        tags: normalise_tags(texts.iter().map(String::as_str))?,
        memory_type: record.memory_type.or_else(|| options.record_type.clone()),
        metadata,
        namespace: options
            .namespace
            .clone()
            .or(record.namespace)
            .or(record.store)
            .unwrap_or_else(|| options.namespace_default.clone()),
        created_at: record.created_at.or(record.created_at_iso),
        updated_at: record.updated_at.or(record.updated_at_iso),
        restore_deleted: false,
    };
    memory.validate().map_err(|error: Error| LineProblem::Refused(error))?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<NewMemory, String> {
        parse(json.as_bytes(), &IngestOptions::default()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_keys_of_an_export_are_read_in_any_order() {
        let memory = read(
            r#"{"origin":"n1","updated_at_iso":"1970-01-01T00:00:02Z","namespace":"work",
                "metadata":{"a":[1]},"created_at":1.5,
                "memory_type":"note","tags":["B","a"],"content_hash":"x","content":"Text",
                "store":"work","created_at_iso":"2020-01-01T00:00:00Z"}"#,
        )
        .expect("readable");
        assert_eq!(memory.content, "Text");
        assert_eq!(memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(memory.memory_type.as_deref(), Some("note"));
        assert_eq!((memory.created_at, memory.updated_at), (Some(1.5), Some(2.0)));
        assert_eq!(memory.namespace.as_str(), "work");
        assert_eq!(memory.metadata["a"], serde_json::json!([1]));
    }

    #[test]
    fn the_shapes_of_older_exports_are_read() {
        let memory = read(
            r#"{"content":"x","tags":"a, b,","metadata":"{\"k\":1}","store":"old",
                "created_at":"1700000000.25","updated_at":"2023-11-14T22:13:21"}"#,
        )
        .expect("readable");
        assert_eq!(memory.tags.len(), 2);
        assert_eq!(memory.metadata["k"], 1);
        assert_eq!(memory.namespace.as_str(), "old");
        assert_eq!(memory.created_at, Some(1_700_000_000.25));
        assert_eq!(memory.updated_at, Some(1_700_000_001.0));
    }

    #[test]
    fn options_add_tags_and_fill_in_what_a_line_lacks() {
        let options = IngestOptions {
            tags: normalise_tags(["extra"]).expect("valid"),
            record_type: Some("note".to_owned()),
            namespace: Some("there".parse().expect("valid")),
            ..IngestOptions::default()
        };
        let memory = parse(br#"{"content":"x","namespace":"here"}"#, &options).expect("readable");
        assert_eq!(memory.tags.len(), 1);
        assert_eq!(memory.memory_type.as_deref(), Some("note"));
        assert_eq!(memory.namespace.as_str(), "there");
        assert_eq!(read(r#"{"content":"x"}"#).expect("readable").memory_type, None);
    }

    #[test]
    fn wrong_lines_are_refused() {
        for json in [
            "",
            "{",
            r#"{"content":"x""#,
            "[]",
            "\"x\"",
            r#"{"tags":[]}"#,
            r#"{"content":1}"#,
            r#"{"content":"x","tags":[1]}"#,
            r#"{"content":"x","tags":7}"#,
            r#"{"content":"x","metadata":[]}"#,
            r#"{"content":"x","metadata":"[]"}"#,
            r#"{"content":"x","created_at":true}"#,
            r#"{"content":"x","created_at":"soon"}"#,
            r#"{"content":"x","created_at":1e300}"#,
            r#"{"content":"x","namespace":"Not One"}"#,
            r#"{"content":"  "}"#,
            r#"{"content":"a\u0000b"}"#,
            r#"{"content":"x"} {"content":"y"}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(matches!(
            parse(b"{\"content\":\"\xff\"}", &IngestOptions::default()),
            Err(LineProblem::NotUtf8)
        ));
    }
}
