//! From the texts of `layers` to a typed [`Config`], one struct after the other.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::access;
use super::backup;
use super::cluster;
use super::directories::Directories;
use super::error::ConfigError;
use super::layers::{Given, Source, Sourced};
use super::limits;
use super::observe;
use super::parse;
use super::rerank;
use super::secret::REDACTED;
use super::show::{Effective, Show};
use super::table::{Setting, by_key};
use super::{
    Config, DedupConfig, EmbedConfig, EmbedderConfig, EventsConfig, HttpConfig, IngestConfig,
    LogConfig, NodeConfig, OnnxConfig, OpenAiConfig, StoreConfig, WebhookConfig,
};

type Result<T> = std::result::Result<T, ConfigError>;

/// Reads every setting once; answers the settings, what `memnode config show` lists, and warnings.
pub(super) fn config(
    values: BTreeMap<&'static str, Sourced>,
    directories: &Directories,
    host_name: &str,
) -> Result<(Config, Vec<Effective>, Vec<String>)> {
    let mut reader = Reader { values, directories, effective: Vec::new(), warnings: Vec::new() };
    let node = node(&mut reader, host_name)?;
    let cluster = cluster::read(&mut reader)?;
    let store = store(&mut reader)?;
    let http = access::http(&mut reader)?;
    let auth = access::auth(&mut reader, &http)?;
    let limits = limits::read(&mut reader, &http)?;
    let embed = embed(&mut reader)?;
    let rerank = rerank::read(&mut reader)?;
    let dedup = dedup(&mut reader)?;
    let events = events(&mut reader)?;
    let webhooks = webhooks(&mut reader)?;
    let ingest = ingest(&mut reader)?;
    let backup = backup::read(&mut reader, &store.base_dir)?;
    let log = log(&mut reader)?;
    let otel = observe::otel(&mut reader)?;
    let audit = observe::audit(&mut reader)?;
    let Reader { mut effective, warnings, .. } = reader;
    effective.sort_by_key(|setting| setting.key);
    let config = Config {
        node,
        cluster,
        store,
        http,
        auth,
        limits,
        embed,
        rerank,
        dedup,
        events,
        webhooks,
        ingest,
        backup,
        log,
        otel,
        audit,
    };
    validate(&config)?;
    Ok((config, effective, warnings))
}

/// What must hold between settings that are each right by themselves.
fn validate(config: &Config) -> Result<()> {
    let HttpConfig { body_bytes_max, batch_bytes_max, .. } = config.http;
    if batch_bytes_max < body_bytes_max {
        return Err(ConfigError::Contradiction(format!(
            "http.batch_bytes_max ({batch_bytes_max}) must not be below http.body_bytes_max \
             ({body_bytes_max})"
        )));
    }
    Ok(())
}

fn node(reader: &mut Reader, host_name: &str) -> Result<NodeConfig> {
    Ok(NodeConfig {
        id: reader.or_else("node.id", parse::node_id, |_| Ok(host_name.to_string()))?,
        namespace: reader.required("node.namespace", parse::namespace)?,
        time_zone: reader.optional("node.time_zone", parse::time_zone)?,
    })
}

fn store(reader: &mut Reader) -> Result<StoreConfig> {
    let directories = reader.directories;
    let recounts = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
    let path = |text: &str| directories.expand(text);
    let base_dir = reader.or_else("store.base_dir", path, |setting| {
        below(directories.data.as_ref(), "memnode", setting)
    })?;
    Ok(StoreConfig {
        path: reader.or_else("store.path", path, |_| Ok(base_dir.join("memnode.db")))?,
        base_dir,
        readers: reader.or_else(
            "store.readers",
            |text| parse::count(text, 1..=64),
            |_| Ok(readers_by_default()),
        )?,
        write_queue_max: reader
            .required("store.write_queue_max", |text| parse::count(text, 1..=65_536))?,
        recount_interval: reader
            .required("store.recount_interval", |text| parse::duration(text, recounts))?,
    })
}

/// One a core: more would only wait for each other. At least 2, so that one long search does not
/// hold up everything.
fn readers_by_default() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(cores.clamp(2, 16)).expect("at least 2 is not 0")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmbedderKind {
    Builtin,
    Onnx,
    OpenAi,
}

impl EmbedderKind {
    const ALL: [EmbedderKind; 3] =
        [EmbedderKind::Builtin, EmbedderKind::Onnx, EmbedderKind::OpenAi];

    pub(super) fn name(self) -> &'static str {
        match self {
            EmbedderKind::Builtin => "builtin",
            EmbedderKind::Onnx => "onnx",
            EmbedderKind::OpenAi => "openai",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        EmbedderKind::ALL.into_iter().find(|kind| kind.name() == text)
    }

    /// The settings that this kind reads, of those that not every kind reads.
    fn reads(self) -> &'static [&'static str] {
        match self {
            EmbedderKind::Builtin => &["embed.model_dir"],
            EmbedderKind::Onnx => &["embed.dir", "embed.model"],
            EmbedderKind::OpenAi => {
                &["embed.url", "embed.model", "embed.dimension", "embed.api_key", "embed.timeout"]
            }
        }
    }

    /// The settings that only other kinds read, sorted.
    fn unread(self) -> Vec<&'static str> {
        let others = EmbedderKind::ALL.iter().flat_map(|other| other.reads().iter().copied());
        let mut keys: Vec<&str> = others.filter(|key| !self.reads().contains(key)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

fn embed(reader: &mut Reader) -> Result<EmbedConfig> {
    let directories = reader.directories;
    let path = |text: &str| directories.expand(text);
    let times = Duration::from_millis(100)..=Duration::from_secs(600);
    let kind = reader.required("embed.embedder", EmbedderKind::parse)?;
    let model_dir = reader.or_else("embed.model_dir", path, |setting| {
        below(directories.cache.as_ref(), "memnode/model", setting)
    })?;
    let dir = reader.optional("embed.dir", path)?;
    let url = reader.optional("embed.url", parse::url)?;
    let model = reader.optional("embed.model", parse::model)?;
    let dimension = reader.optional("embed.dimension", |text| parse::count(text, 1..=8192))?;
    let api_key = reader.optional("embed.api_key", parse::secret)?;
    let timeout = reader.required("embed.timeout", |text| parse::duration(text, times))?;
    reader.warn_of_unread(&format!("embed.embedder is {}", kind.name()), &kind.unread());
    let embedder = match kind {
        EmbedderKind::Builtin => EmbedderConfig::Builtin,
        EmbedderKind::Onnx => {
            EmbedderConfig::Onnx(OnnxConfig { dir: needed(kind, "embed.dir", dir)?, model })
        }
        EmbedderKind::OpenAi => EmbedderConfig::OpenAi(OpenAiConfig {
            url: needed(kind, "embed.url", url)?,
            model: needed(kind, "embed.model", model)?,
            dimension: needed(kind, "embed.dimension", dimension)?,
            api_key,
            timeout,
        }),
    };
    Ok(EmbedConfig { model_dir, embedder })
}

fn needed<T>(kind: EmbedderKind, key: &'static str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| {
        let setting = setting(key);
        ConfigError::Contradiction(format!(
            "embed.embedder is {}, which needs {key}; set it in the file, or as {}, or with --{}",
            kind.name(),
            setting.environment,
            setting.flag
        ))
    })
}

fn dedup(reader: &mut Reader) -> Result<DedupConfig> {
    Ok(DedupConfig {
        enabled: reader.required("dedup.enabled", parse::boolean)?,
        threshold: reader.required("dedup.threshold", |text| parse::number(text, 0.0..=1.0))?,
        time_window_hours: reader
            .required("dedup.time_window_hours", |text| parse::number(text, 1..=87_600))?,
    })
}

fn events(reader: &mut Reader) -> Result<EventsConfig> {
    let seconds = reader.required("events.heartbeat", |text| parse::number(text, 5..=300_u64))?;
    let rows = 10_000..=100_000_000_u64;
    Ok(EventsConfig {
        heartbeat: Duration::from_secs(seconds),
        log_rows_max: reader.required("events.log_rows_max", |text| parse::number(text, rows))?,
    })
}

fn webhooks(reader: &mut Reader) -> Result<WebhookConfig> {
    let urls = reader.list("webhooks.urls", parse::webhooks)?.unwrap_or_default();
    let secret = reader.optional("webhooks.secret", parse::secret)?;
    let try_count_max =
        reader.required("webhooks.tries", |text| parse::number(text, 1..=20_u32))?;
    Ok(WebhookConfig { urls, secret, try_count_max })
}

fn ingest(reader: &mut Reader) -> Result<IngestConfig> {
    let directories = reader.directories;
    let roots = reader.list("ingest.roots", |items| parse::roots(items, directories))?;
    Ok(IngestConfig { roots: roots.unwrap_or_default() })
}

fn log(reader: &mut Reader) -> Result<LogConfig> {
    Ok(LogConfig {
        filter: reader.required("log.filter", parse::log_filter)?,
        format: reader.required("log.format", parse::log_format)?,
        slow_query: Duration::from_millis(
            reader.required("log.slow_query_ms", |text| parse::number(text, 0..=3_600_000_u64))?,
        ),
    })
}

fn below(directory: Option<&PathBuf>, part: &str, setting: &'static Setting) -> Result<PathBuf> {
    let Setting { key, environment, .. } = setting;
    directory.map(|directory| directory.join(part)).ok_or(ConfigError::NoHome { key, environment })
}

fn setting(key: &str) -> &'static Setting {
    by_key(key).expect("every key that is read is in the table, a test reads them all")
}

/// Hands out values by key and notes each for `memnode config show`.
pub(super) struct Reader<'a> {
    values: BTreeMap<&'static str, Sourced>,
    directories: &'a Directories,
    effective: Vec<Effective>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Where this person keeps settings, data and caches.
    pub(super) fn directories(&self) -> &'a Directories {
        self.directories
    }

    /// A setting that has a value in `config.default.toml`.
    pub(super) fn required<T: Show>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T> {
        let (value, source) = self.take(key, |given| one(given).and_then(parse))?;
        let value = value.ok_or_else(|| bad_value(key, &Given::Text(String::new()), &source))?;
        self.note(key, value.show(), source);
        Ok(value)
    }

    /// A setting that may be left out.
    pub(super) fn optional<T: Show>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let (value, source) = self.take(key, |given| one(given).and_then(parse))?;
        self.note(key, value.as_ref().map_or(serde_json::Value::Null, Show::show), source);
        Ok(value)
    }

    /// A setting whose default is found out while the node starts.
    pub(super) fn or_else<T: Show>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        default: impl FnOnce(&'static Setting) -> Result<T>,
    ) -> Result<T> {
        let (value, source) = self.take(key, |given| one(given).and_then(parse))?;
        let value = value.map_or_else(|| default(setting(key)), Ok)?;
        self.note(key, value.show(), source);
        Ok(value)
    }

    /// A list; one text is cut at its commas. `None` when it is empty.
    pub(super) fn list<T: Show>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&[String]) -> Option<T>,
    ) -> Result<Option<T>> {
        let (value, source) =
            self.take(key, |given| many(given).and_then(|items| parse(&items)))?;
        self.note(key, value.as_ref().map_or(serde_json::json!([]), Show::show), source);
        Ok(value)
    }

    /// What was given under the key, or `None` for "not set", and where it came from.
    fn take<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&Given) -> Option<T>,
    ) -> Result<(Option<T>, Source)> {
        let (given, source) =
            self.values.remove(key).expect("the defaults have every key and each is read once");
        if is_unset(&given) {
            return Ok((None, source));
        }
        let value = parse(&given).ok_or_else(|| bad_value(key, &given, &source))?;
        Ok((Some(value), source))
    }

    fn note(&mut self, key: &str, value: serde_json::Value, source: Source) {
        let setting = setting(key);
        let value = match setting.secret && !value.is_null() {
            true => REDACTED.into(),
            false => value,
        };
        self.effective.push(Effective { key: setting.key, value, source });
    }

    /// Says which of the keys were given although nothing reads them while this is so.
    pub(super) fn warn_of_unread(&mut self, while_so: &str, unread: &[&'static str]) {
        let given = |key: &&&'static str| {
            let is_it = |seen: &Effective| seen.key == **key && seen.source != Source::Default;
            self.effective.iter().any(is_it)
        };
        let keys: Vec<&str> = unread.iter().filter(given).copied().collect();
        if !keys.is_empty() {
            let keys = keys.join(", ");
            self.warnings.push(format!("set, but without effect while {while_so}: {keys}"));
        }
    }
}

fn is_unset(given: &Given) -> bool {
    match given {
        Given::Text(text) => text.is_empty(),
        Given::List(items) => items.is_empty(),
    }
}

fn one(given: &Given) -> Option<&str> {
    match given {
        Given::Text(text) => Some(text.as_str()).filter(|text| is_sound(text)),
        Given::List(_) => None,
    }
}

fn many(given: &Given) -> Option<Vec<String>> {
    let items: Vec<String> = match given {
        Given::Text(text) => text.split(',').map(|item| item.trim().to_string()).collect(),
        Given::List(items) => items.clone(),
    };
    items.iter().all(|item| !item.is_empty() && is_sound(item)).then_some(items)
}

/// No setting is longer, and none has control characters or bytes that were not UTF-8.
fn is_sound(text: &str) -> bool {
    const BYTES_MAX: usize = 4096;
    text.len() <= BYTES_MAX && !text.contains(|c: char| c.is_control() || c == '\u{fffd}')
}

fn bad_value(key: &str, given: &Given, source: &Source) -> ConfigError {
    let setting = setting(key);
    let text = match given {
        Given::Text(text) => text.clone(),
        Given::List(items) => items.join(", "),
    };
    // An address may carry a password.
    let hidden = setting.secret || (text.contains("://") && text.contains('@'));
    ConfigError::BadValue {
        key: setting.key,
        origin: source.clone(),
        value: (!hidden).then_some(text),
        allowed: setting.kind.allowed.to_string(),
    }
}
