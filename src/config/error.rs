//! What can be wrong with settings; every variant is wrong usage, exit code 64.

use std::net::IpAddr;
use std::path::PathBuf;

use super::layers::Source;
use crate::error::{Code, Error};

/// What can be wrong with settings; every variant is wrong usage, exit code 64.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A name that no setting has.
    #[error("unknown {what} {name}{}{}", place(.file), hint(.suggestion))]
    Unknown {
        /// What was named, such as `environment variable`.
        what: &'static str,
        /// The name as it was given.
        name: String,
        /// The settings file that names it.
        file: Option<PathBuf>,
        /// The known name that is nearest.
        suggestion: Option<&'static str>,
    },
    /// A value that its setting does not allow.
    #[error("bad value{} for {key} (from {origin}): it must be {allowed}", quoted(.value))]
    BadValue {
        /// The setting.
        key: &'static str,
        /// Where the value came from.
        origin: Source,
        /// The value, unless it is secret.
        value: Option<String>,
        /// What would have been right.
        allowed: String,
    },
    /// Two settings that do not go together, or one that another one needs.
    #[error("{0}")]
    Contradiction(String),
    /// A secret as an argument, where every user of the machine can read it.
    #[error(
        "--{flag} would show the secret in the list of processes: give it as {environment}, or in \
         the settings file{}", by_file(.file)
    )]
    SecretFlag {
        /// The flag.
        flag: &'static str,
        /// Its name in the environment.
        environment: &'static str,
        /// The setting that names a file instead, if there is one.
        file: Option<&'static str>,
    },
    /// A default that lies in the home directory, and there is none.
    #[error("{key} has no default because HOME is not set; set HOME or {environment}")]
    NoHome {
        /// The setting.
        key: &'static str,
        /// Its name in the environment.
        environment: &'static str,
    },
    /// The settings file cannot be read.
    #[error("cannot read the settings in {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why; never a quote from the file, which may hold secrets.
        reason: String,
    },
    /// Off loopback with neither a key nor a word that everybody may come in.
    #[error(
        "refusing to listen on {host}, which other machines can reach, without authentication; \
         make an API key with `memnode key create` or set MCP_API_KEY, or set \
         MCP_ALLOW_ANONYMOUS_ACCESS=true to let everybody in"
    )]
    OpenToAll {
        /// The address that was to be bound.
        host: IpAddr,
    },
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::new(Code::InvalidInput, error.to_string()).reason("bad_setting")
    }
}

fn place(file: &Option<PathBuf>) -> String {
    file.as_ref().map(|path| format!(" in {}", path.display())).unwrap_or_default()
}

fn hint(suggestion: &Option<&'static str>) -> String {
    suggestion.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn by_file(file: &Option<&'static str>) -> String {
    file.map(|key| format!(", or in a file that {key} names")).unwrap_or_default()
}

/// The value as it was given, short and on one line.
fn quoted(value: &Option<String>) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    let Some(value) = value else { return String::new() };
    match value.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!(" {:?}…", &value[..end]),
        None => format!(" {value:?}"),
    }
}
