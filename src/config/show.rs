//! What `memnode config show` prints: every setting in force and where it came from.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::layers::Source;
use super::parse::duration_text;
use super::read::EmbedderKind;
use super::secret::{REDACTED, Secret};
use super::{BackupInterval, CorsOrigins, LogFormat};

/// One setting in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The path in `memnode.toml`.
    pub key: &'static str,
    /// The value: null when not set, `********` when secret.
    pub value: Value,
    /// Where the value came from.
    pub source: Source,
}

/// The settings as a table of three columns for people.
pub fn effective_text(settings: &[Effective]) -> String {
    let rows: Vec<[String; 3]> = settings
        .iter()
        .map(|setting| {
            [setting.key.to_string(), value_text(&setting.value), setting.source.to_string()]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (key_width, value_width) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    rows.iter()
        .map(|[key, value, source]| format!("{key:key_width$}  {value:value_width$}  {source}\n"))
        .collect()
}

/// The settings as a JSON array of objects with `key`, `value` and `source`.
pub fn effective_json(settings: &[Effective]) -> Value {
    let object = |setting: &Effective| {
        json!({
            "key": setting.key,
            "value": setting.value,
            "source": setting.source.to_string(),
        })
    };
    settings.iter().map(object).collect()
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_string(),
        Value::Array(items) => items.iter().map(value_text).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// A value as it would be written in the settings file.
pub(super) trait Show {
    fn show(&self) -> Value;
}

impl Show for bool {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for u16 {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for u32 {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for u64 {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for usize {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for NonZeroUsize {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for f64 {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for String {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for IpAddr {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for PathBuf {
    fn show(&self) -> Value {
        json!(self.to_string_lossy())
    }
}

impl Show for Vec<String> {
    fn show(&self) -> Value {
        json!(self)
    }
}

impl Show for Vec<PathBuf> {
    fn show(&self) -> Value {
        self.iter().map(Show::show).collect()
    }
}

impl Show for Duration {
    fn show(&self) -> Value {
        json!(duration_text(*self))
    }
}

impl Show for Secret {
    fn show(&self) -> Value {
        json!(REDACTED)
    }
}

impl Show for BackupInterval {
    fn show(&self) -> Value {
        json!(self.name())
    }
}

impl Show for CorsOrigins {
    fn show(&self) -> Value {
        match self {
            CorsOrigins::Own => json!([]),
            CorsOrigins::Any => json!(["*"]),
            CorsOrigins::Listed(origins) => json!(origins),
        }
    }
}

impl Show for EmbedderKind {
    fn show(&self) -> Value {
        json!(self.name())
    }
}

impl Show for LogFormat {
    fn show(&self) -> Value {
        match self {
            LogFormat::Human => json!("human"),
            LogFormat::Json => json!("json"),
        }
    }
}
