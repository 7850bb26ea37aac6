//! The checks, each on its own.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hyper::Method;
use serde::Deserialize;

use super::super::model;
use super::super::output::size;
use super::Check;
use crate::client::{ApiClient, Payload};
use crate::config::{Config, ConfigError, EmbedConfig, Loaded};
use crate::store::{self, FileKind};

/// Less free space than this is worth a word, in bytes.
const FREE_BYTES_LOW: u64 = 1 << 30;
/// Less than this stops writes soon, in bytes.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// How far a file may seem to come from the future, in seconds.
const FUTURE_SECONDS_MAX: f64 = 24.0 * 3600.0;
/// 2025-01-01, before this program was made.
const EARLIEST_SECONDS: f64 = 1_735_689_600.0;
/// 2100-01-01.
const LATEST_SECONDS: f64 = 4_102_444_800.0;

/// The settings, and whether they let a node listen.
pub(super) fn settings(loaded: &Result<Loaded, ConfigError>) -> Vec<Check> {
    const NAME: &str = "settings";
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return vec![Check::fail(NAME, error.to_string(), "correct this setting")],
    };
    let bind = match loaded.config.check_bind() {
        Ok(()) => Check::ok(NAME, "valid; `memnode config show` lists them"),
        Err(error) => Check::fail(NAME, error.to_string(), ""),
    };
    let warnings = loaded.warnings.iter().map(|warning| Check::warn(NAME, warning, ""));
    std::iter::once(bind).chain(warnings).collect()
}

/// Whether files can be made where the file lies.
pub(super) fn directory(path: &Path) -> Check {
    const NAME: &str = "directory";
    let existing = existing_ancestor(path);
    let shown = existing.display();
    match tempfile_in(&existing) {
        Ok(()) if path.parent() == Some(&existing) => Check::ok(NAME, format!("{shown}, writable")),
        Ok(()) => Check::ok(NAME, format!("not there yet; can be made in {shown}")),
        Err(error) => Check::fail(
            NAME,
            format!("cannot write into {shown}: {error}"),
            "give this user the right to, or choose another place with --base-dir",
        ),
    }
}

/// The nearest directory above the file that exists.
fn existing_ancestor(path: &Path) -> PathBuf {
    let mut ancestors = path.ancestors().skip(1);
    let found = ancestors.find(|directory| directory.is_dir());
    found.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Makes a file and takes it away again.
fn tempfile_in(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".memnode-doctor-{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

/// Free space, as `df` sees it.
pub(super) fn disk(path: &Path) -> Check {
    const NAME: &str = "disk";
    let mut df = Command::new("df");
    df.args(["-Pk", "--"]).arg(existing_ancestor(path)).env("LC_ALL", "C").stdin(Stdio::null());
    let free =
        df.output().ok().and_then(|answer| free_bytes(&String::from_utf8_lossy(&answer.stdout)));
    match free {
        None => Check::warn(NAME, "the free space is not known: df gave no answer", ""),
        Some(free) if free < FREE_BYTES_MIN => {
            Check::fail(NAME, format!("{} free", size(free)), "free some space")
        }
        Some(free) if free < FREE_BYTES_LOW => {
            Check::warn(NAME, format!("{} free", size(free)), "free some space soon")
        }
        Some(free) => Check::ok(NAME, format!("{} free", size(free))),
    }
}

/// The fourth column of the second line (POSIX, df).
fn free_bytes(df: &str) -> Option<u64> {
    let kibibytes: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What the file is.
pub(super) fn file(path: &Path) -> Check {
    const NAME: &str = "file";
    let shown = path.display();
    let elsewhere = "choose another file with --store-path";
    match store::identify(path) {
        Ok(FileKind::Absent) => Check::ok(NAME, format!("{shown} is not there yet")),
        Ok(FileKind::Ours(version)) => match is_writable(path) {
            Ok(()) => {
                let bytes = fs::metadata(path).map_or(0, |found| found.len());
                Check::ok(NAME, format!("{shown}, {}, schema version {version}", size(bytes)))
            }
            Err(error) => Check::fail(
                NAME,
                format!("{shown} cannot be written: {error}"),
                "give this user the right to write it",
            ),
        },
        Ok(FileKind::Peer) => {
            Check::fail(NAME, format!("{shown} belongs to mcp-memory-service"), elsewhere)
        }
        Ok(FileKind::Foreign) => {
            Check::fail(NAME, format!("{shown} is no file of memnode"), elsewhere)
        }
        Err(error) => Check::fail(NAME, error.to_string(), "give this user the right to read it"),
    }
}

fn is_writable(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().append(true).open(path).map(drop)
}

/// Whether the model is there and whole.
pub(super) fn model(config: &EmbedConfig) -> Check {
    const NAME: &str = "model";
    match model::check(config) {
        Ok(found) => Check::ok(NAME, found),
        Err(problem) => Check::fail(NAME, problem, ""),
    }
}

/// Who owns the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody.
    None,
    /// A process that answers.
    Alive { pid: u64, url: Option<String> },
    /// A process that left its lock file behind, or does not answer.
    Silent { pid: u64 },
    /// A lock file that says nothing.
    Unreadable,
}

/// What the owner writes beside the file.
#[derive(Deserialize)]
struct Lock {
    pid: u64,
    socket: PathBuf,
    #[serde(default)]
    url: Option<String>,
}

/// Reads the lock and asks the socket that it names.
pub(super) async fn owner(path: &Path) -> Owner {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let Ok(text) = fs::read(lock) else { return Owner::None };
    if text.trim_ascii().is_empty() {
        return Owner::None;
    }
    let Ok(Lock { pid, socket, url }) = serde_json::from_slice(&text) else {
        return Owner::Unreadable;
    };
    match ApiClient::unix(socket).request(Method::GET, "/livez", Payload::Empty).await {
        Ok(_) => Owner::Alive { pid, url },
        Err(_) if Path::new(&format!("/proc/{pid}")).exists() => Owner::Silent { pid },
        Err(_) => Owner::None,
    }
}

pub(super) fn owner_check(owner: &Owner) -> Check {
    const NAME: &str = "owner";
    match owner {
        Owner::None => Check::ok(NAME, "no process owns the file"),
        Owner::Alive { pid, url } => {
            let url = url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
            Check::ok(NAME, format!("process {pid} owns the file and answers{url}"))
        }
        Owner::Silent { pid } => Check::warn(
            NAME,
            format!("process {pid} is named in the lock file, but its socket is silent"),
            "if that process is a memnode that hangs, end it; if not, all is well",
        ),
        Owner::Unreadable => {
            Check::warn(NAME, "the lock file says nothing", "it is written anew at the next start")
        }
    }
}

/// Whether the port is free, or ours.
pub(super) fn port(config: &Config, owner: &Owner) -> Check {
    const NAME: &str = "port";
    let address = config.http.address();
    match TcpListener::bind(address) {
        Ok(_) => Check::ok(NAME, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match owner {
            Owner::Alive { url: Some(url), .. }
                if url.ends_with(&format!(":{}", address.port())) =>
            {
                Check::ok(NAME, format!("{address} is used by the node that owns the file"))
            }
            _ => Check::fail(
                NAME,
                format!("{address} is used by another program"),
                "stop it, or choose another port with --http-port",
            ),
        },
        Err(error) => Check::fail(
            NAME,
            format!("cannot listen on {address}: {error}"),
            "choose another address with --http-host",
        ),
    }
}

/// Whether the time of day can be right. A file from the future shows that it is, or was, not.
pub(super) fn clock(path: &Path, now_seconds: f64) -> Check {
    const NAME: &str = "clock";
    let advice = "set the clock, with NTP if you can: memories carry its time";
    if !(EARLIEST_SECONDS..LATEST_SECONDS).contains(&now_seconds) {
        return Check::fail(NAME, "the clock of this machine is years off", advice);
    }
    let modified = fs::metadata(path).and_then(|found| found.modified()).ok();
    let written = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    match written {
        Some(written) if written.as_secs_f64() > now_seconds + FUTURE_SECONDS_MAX => {
            Check::warn(NAME, "the file was written in the future", advice)
        }
        _ => Check::ok(NAME, "plausible"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn free_space_is_read_from_df() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                  /dev/sda1 1000 600 400 60% /\n";
        assert_eq!(free_bytes(df), Some(400 * 1024));
        for wrong in ["", "one line\n", "a\nb c d e\n"] {
            assert_eq!(free_bytes(wrong), None);
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_looked_for_further_up() {
        let directory = tempfile::tempdir().expect("directory");
        let here = self::directory(&directory.path().join("memnode.db"));
        assert!(here.found.ends_with(", writable"), "{here:?}");
        let below = self::directory(&directory.path().join("a/b/memnode.db"));
        assert!(below.found.starts_with("not there yet"), "{below:?}");
        assert_eq!(fs::read_dir(directory.path()).expect("directory").count(), 0);
    }

    #[test]
    fn a_clock_is_doubted_when_it_contradicts_the_file() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("x");
        fs::write(&path, "x").expect("file");
        let now = crate::clock::now_seconds();
        for (seconds, verdict) in [
            (now, Verdict::Ok),
            (now - 2e5, Verdict::Warn),
            (0.0, Verdict::Fail),
            (9e9, Verdict::Fail),
        ] {
            assert_eq!(clock(&path, seconds).verdict, verdict, "{seconds}");
        }
    }

    #[tokio::test]
    async fn the_owner_is_known_by_its_lock_and_its_socket() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("x.db");
        let lock = directory.path().join("x.db.lock");
        assert_eq!(owner(&path).await, Owner::None);
        for (text, expected) in [
            (String::new(), Owner::None),
            ("nonsense".to_owned(), Owner::Unreadable),
            (r#"{"pid":4194305,"socket":"/nonexistent"}"#.to_owned(), Owner::None),
            (
                format!(r#"{{"pid":{},"socket":"/nonexistent","url":null}}"#, std::process::id()),
                Owner::Silent { pid: std::process::id().into() },
            ),
        ] {
            fs::write(&lock, text).expect("file");
            assert_eq!(owner(&path).await, expected);
        }
    }

    #[test]
    fn wrong_settings_are_a_failed_check() {
        let error = ConfigError::Contradiction("a contradicts b".to_owned());
        let checks = settings(&Err(error));
        assert_eq!((checks[0].verdict, &*checks[0].found), (Verdict::Fail, "a contradicts b"));
    }
}
