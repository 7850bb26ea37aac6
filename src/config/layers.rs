//! What was given for each setting, and where; the layers, one over the other, still as text.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::directories::Directories;
use super::error::ConfigError;
use super::suggest::nearest;
use super::table::{SETTINGS, Setting, by_key};
use super::{Flags, Sources};

/// Documents every key; a test holds it against the table.
pub(super) const DEFAULTS: &str = include_str!("../config.default.toml");

/// A settings file has a page or two.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Names the file; the only variable of ours that is not a setting.
const FILE_VARIABLE: &str = "MEMNODE_CONFIG";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Built in.
    Default,
    /// The settings file.
    File(PathBuf),
    /// The environment, under this name.
    Environment(&'static str),
    /// The command line, under this name without its dashes.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// A value as it was given: every layer is brought to this, and the same parsers read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// One text, trimmed; empty means not set.
    Text(String),
    /// A list of the settings file.
    List(Vec<String>),
}

/// A value and where it came from.
pub(super) type Sourced = (Given, Source);

/// What all layers say together.
#[derive(Debug)]
pub(super) struct Gathered {
    /// One value for each key of the table.
    pub(super) values: BTreeMap<&'static str, Sourced>,
    /// Sentences about names in the environment that have no effect.
    pub(super) warnings: Vec<String>,
}

/// The environment of this process. Bytes that are not UTF-8 become U+FFFD, which no setting
/// allows.
#[allow(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .collect()
}

/// Lays the flags over the environment over the file over the defaults.
pub(super) fn gather(
    sources: &Sources,
    directories: &Directories,
) -> Result<Gathered, ConfigError> {
    let mut values = defaults();
    if let Some((path, text)) = read_file(sources, directories)? {
        values.extend(from_toml(&text, &path, &Source::File(path.clone()))?);
    }
    let (from_environment, warnings) = from_environment(&sources.environment)?;
    values.extend(from_environment);
    values.extend(from_flags(&sources.flags)?);
    Ok(Gathered { values, warnings })
}

/// One value for each key; empty where the default is found out while the node starts.
pub(super) fn defaults() -> BTreeMap<&'static str, Sourced> {
    from_toml(DEFAULTS, Path::new("config.default.toml"), &Source::Default)
        .expect("the embedded defaults are sound, a test reads them")
}

/// The settings file, if there is one. A file that was named must exist; the one in the usual
/// place need not.
fn read_file(
    sources: &Sources,
    directories: &Directories,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    if let Some(path) = named_file(sources, directories) {
        return match read_bounded(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) => Err(ConfigError::Unreadable { path, reason: error.to_string() }),
        };
    }
    let Some(directory) = &directories.config else { return Ok(None) };
    let path = directory.join("memnode").join("memnode.toml");
    match read_bounded(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::Unreadable { path, reason: error.to_string() }),
    }
}

fn named_file(sources: &Sources, directories: &Directories) -> Option<PathBuf> {
    let variable = || {
        let (_, value) = sources.environment.iter().find(|(name, _)| name == FILE_VARIABLE)?;
        Some(value.trim()).filter(|value| !value.is_empty()).map(PathBuf::from)
    };
    let path = sources.flags.file.clone().or_else(variable)?;
    let expanded = path.to_str().and_then(|text| directories.expand(text));
    Some(expanded.unwrap_or(path))
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn from_toml(
    text: &str,
    path: &Path,
    source: &Source,
) -> Result<BTreeMap<&'static str, Sourced>, ConfigError> {
    let table = text.parse::<toml::Table>().map_err(|error| not_toml(text, path, &error))?;
    let mut values = BTreeMap::new();
    for (section, entries) in &table {
        let prefix = format!("{section}.");
        let known = SETTINGS.iter().any(|setting| setting.key.starts_with(&prefix));
        let (true, Some(entries)) = (known, entries.as_table()) else {
            return Err(unknown_key(section, path));
        };
        for (name, value) in entries {
            let key = format!("{prefix}{name}");
            let setting = by_key(&key).ok_or_else(|| unknown_key(&key, path))?;
            values.insert(setting.key, (given(setting, value, source)?, source.clone()));
        }
    }
    Ok(values)
}

/// Names the place and the fault; quotes nothing, since the line may hold a key.
fn not_toml(text: &str, path: &Path, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    let reason = format!("line {line} is not TOML: {}", error.message());
    ConfigError::Unreadable { path: path.to_path_buf(), reason }
}

fn given(setting: &Setting, value: &toml::Value, source: &Source) -> Result<Given, ConfigError> {
    let given = match value {
        toml::Value::String(text) => Some(Given::Text(text.trim().to_string())),
        toml::Value::Integer(number) => Some(Given::Text(number.to_string())),
        toml::Value::Float(number) => Some(Given::Text(number.to_string())),
        toml::Value::Boolean(truth) => Some(Given::Text(truth.to_string())),
        toml::Value::Array(items) if items.first().is_some_and(toml::Value::is_table) => {
            serde_json::to_string(items).ok().map(Given::Text)
        }
        toml::Value::Array(items) => texts(items).map(Given::List),
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    };
    given.ok_or_else(|| ConfigError::BadValue {
        key: setting.key,
        origin: source.clone(),
        value: (!setting.secret).then(|| value.to_string()),
        allowed: setting.kind.allowed.to_string(),
    })
}

fn texts(items: &[toml::Value]) -> Option<Vec<String>> {
    items.iter().map(|item| item.as_str().map(|text| text.trim().to_string())).collect()
}

fn unknown_key(name: &str, path: &Path) -> ConfigError {
    ConfigError::Unknown {
        what: "key",
        name: name.to_string(),
        file: Some(path.to_path_buf()),
        suggestion: nearest(name, SETTINGS.iter().map(|setting| setting.key)),
    }
}

/// What a name in the environment is to us.
enum Variable {
    Setting(&'static Setting),
    /// Of ours by its prefix, and of no setting.
    Unknown,
    /// Most likely meant for the server that memnode takes the place of.
    Foreign,
    Other,
}

fn variable(name: &str) -> Variable {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.environment == name) {
        Variable::Setting(setting)
    } else if name.starts_with("MCP_") {
        Variable::Foreign
    } else if name.starts_with("MEMNODE_") && name != FILE_VARIABLE {
        Variable::Unknown
    } else {
        Variable::Other
    }
}

/// An empty variable counts as unset: that is how `docker compose` passes on one that is.
fn from_environment(
    environment: &[(String, String)],
) -> Result<(BTreeMap<&'static str, Sourced>, Vec<String>), ConfigError> {
    let mut values = BTreeMap::new();
    let mut foreign = Vec::new();
    for (name, value) in environment {
        let text = value.trim();
        match variable(name) {
            Variable::Setting(setting) if !text.is_empty() => {
                let source = Source::Environment(setting.environment);
                values.insert(setting.key, (Given::Text(text.to_string()), source));
            }
            Variable::Setting(_) | Variable::Other => {}
            Variable::Unknown => return Err(unknown_variable(name)),
            Variable::Foreign => foreign.push(name.as_str()),
        }
    }
    Ok((values, not_ours(foreign).into_iter().collect()))
}

fn unknown_variable(name: &str) -> ConfigError {
    ConfigError::Unknown {
        what: "environment variable",
        name: name.to_string(),
        file: None,
        suggestion: nearest(name, variables()),
    }
}

fn variables() -> impl Iterator<Item = &'static str> {
    let settings = SETTINGS.iter().map(|setting| setting.environment);
    settings.chain([FILE_VARIABLE])
}

fn not_ours(mut names: Vec<&str>) -> Option<String> {
    names.sort_unstable();
    let with_hint = |name: &&str| match nearest(name, variables()) {
        Some(near) => format!("{name} (did you mean {near}?)"),
        None => name.to_string(),
    };
    let names: Vec<String> = names.iter().map(with_hint).collect();
    let sentence = || format!("ignored, not settings of memnode: {}", names.join(", "));
    (!names.is_empty()).then(sentence)
}

fn from_flags(flags: &Flags) -> Result<BTreeMap<&'static str, Sourced>, ConfigError> {
    let sourced = |(key, value): &(String, String)| {
        let setting = by_key(key).ok_or_else(|| unknown_flag(key))?;
        // An empty one takes back what another layer set.
        if setting.secret && !value.trim().is_empty() {
            return Err(secret_flag(setting));
        }
        let given = Given::Text(value.trim().to_string());
        Ok((setting.key, (given, Source::Flag(setting.flag))))
    };
    flags.settings.iter().map(sourced).collect()
}

fn secret_flag(setting: &'static Setting) -> ConfigError {
    let file = by_key(&format!("{}_file", setting.key));
    ConfigError::SecretFlag {
        flag: setting.flag,
        environment: setting.environment,
        file: file.map(|file| file.key),
    }
}

fn unknown_flag(key: &str) -> ConfigError {
    ConfigError::Unknown {
        what: "setting",
        name: key.to_string(),
        file: None,
        suggestion: nearest(key, SETTINGS.iter().map(|setting| setting.key)),
    }
}
