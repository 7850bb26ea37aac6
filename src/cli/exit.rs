//! Why a command ends without success, and the exit code that says so.
//!
//! The codes are those of `sysexits.h` where it has one.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use hyper::StatusCode;

use crate::client::{ClientError, Refusal};
use crate::config::ConfigError;
use crate::embed::EmbedError;
use crate::embed::fetch::FetchError;
use crate::node::StartError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 64,
    BadInput = 65,
    Unavailable = 69,
    CannotCreate = 73,
    File = 74,
    TryAgain = 75,
    NotAllowed = 77,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Arguments that contradict each other, or lack one that is needed.
    #[error("{0}")]
    Usage(String),
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The node refused, or went away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node could not go on in the middle of an import.
    #[error("{detail}")]
    BrokenOff {
        /// The stable name of the reason.
        code: String,
        /// One sentence.
        detail: String,
    },
    /// The model is not right.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The model could not be fetched.
    #[error(transparent)]
    Fetch(FetchError),
    /// The model's files are not right; each was shown already.
    #[error("{0}")]
    Model(String),
    /// What was read is wrong; each fault was shown already.
    #[error("{0}")]
    BadInput(String),
    /// A file or directory cannot be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it did not work.
        source: io::Error,
    },
    /// A file cannot be made.
    #[error("cannot create {what}: {source}")]
    Create {
        /// Which.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// No node runs here, or it does not answer.
    #[error("{0}")]
    NotRunning(String),
    /// The file is damaged; how was shown already.
    #[error("{0}")]
    Damaged(String),
    /// A backup that must not be restored.
    #[error("{} cannot be restored: {reason}", .path.display())]
    BadBackup {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
    /// Checks ran and found something; it was shown already.
    #[error("{0}")]
    Found(String),
    /// Not for this user.
    #[error("{0}")]
    NotAllowed(String),
    /// The user, or the system, asked to stop.
    #[error("{0}")]
    Interrupted(String),
    /// Whoever read the output has seen enough; not a failure.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// A file that cannot be read or written.
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Failure::Io { what: what.into(), source }
    }

    /// A file that cannot be made.
    pub(super) fn create(path: &Path, source: io::Error) -> Self {
        Failure::Create { what: path.display().to_string(), source }
    }

    /// A write to standard output that did not work.
    pub(super) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::io("cannot write the output", error),
        }
    }

    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) | Failure::Config(_) => Exit::Usage,
            Failure::Start(error) => start_exit(error),
            Failure::Client(error) => client_exit(error),
            Failure::BrokenOff { code, .. } => trouble_exit(code).unwrap_or(Exit::Failed),
            Failure::Embed(error) => embed_exit(error),
            Failure::Fetch(error) => fetch_exit(error),
            Failure::Model(_) | Failure::NotRunning(_) => Exit::Unavailable,
            Failure::BadInput(_) => Exit::BadInput,
            Failure::Damaged(_) | Failure::BadBackup { .. } => Exit::File,
            Failure::Io { source, .. } => io_exit(source),
            Failure::Create { source, .. } => match io_exit(source) {
                Exit::NotAllowed => Exit::NotAllowed,
                _ => Exit::CannotCreate,
            },
            Failure::Found(_) => Exit::Failed,
            Failure::NotAllowed(_) => Exit::NotAllowed,
            Failure::Interrupted(_) => Exit::Interrupted,
            Failure::OutputClosed => Exit::Done,
        }
    }

    /// One sentence, and under it the causes that it does not tell itself.
    pub(super) fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !sentence.contains(&text) {
                sentence.push_str(&format!(": {text}"));
            }
            cause = error.source();
        }
        sentence
    }

    /// What to do about it, where that is not part of the sentence.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Failure::Start(StartError::PortTaken { .. }) => {
                Some("stop what uses the port, or choose another with --http-port")
            }
            Failure::Start(StartError::Locked { .. }) => {
                Some("wait until the other process has ended, or end it")
            }
            Failure::Start(StartError::Corrupt { .. }) | Failure::Damaged(_) => Some(
                "keep a copy of the file, then restore a backup; \
                 a node of a cluster can start on an empty file instead",
            ),
            Failure::Client(ClientError::Unreachable { .. } | ClientError::Broken(_)) => {
                Some("run the command again; what was answered before is safe")
            }
            Failure::Client(ClientError::Refused(refusal)) => refusal_hint(refusal),
            Failure::BadBackup { .. } => {
                Some("nothing was changed; `memnode backup --list` names other backups")
            }
            Failure::BrokenOff { code, .. } if code == "storage_full" => Some(DISK_HINT),
            _ => None,
        }
    }
}

/// What it means for a command that a part of the node does not work; `None` for the codes of
/// requests that are wrong themselves.
pub(super) fn trouble_exit(code: &str) -> Option<Exit> {
    match code {
        "storage_full" | "store_read_only" => Some(Exit::File),
        "backup_unusable" | "backup_exists" => Some(Exit::CannotCreate),
        "backup_running" => Some(Exit::TryAgain),
        "model_unavailable" => Some(Exit::Unavailable),
        "deadline_exceeded" | "embedder_busy" | "model_changing" | "queue_full"
        | "rate_limited" | "store_closed" | "unavailable" => Some(Exit::TryAgain),
        "internal" => Some(Exit::Failed),
        _ => None,
    }
}

const DISK_HINT: &str = "free some disk space and run the command again";

fn refusal_hint(refusal: &Refusal) -> Option<&'static str> {
    match refusal.code.as_str() {
        _ if refusal.status == StatusCode::INSUFFICIENT_STORAGE => Some(DISK_HINT),
        "holds_memories" => Some("--yes says that they shall"),
        "memory_not_found" => Some("a memory belongs to a namespace: --namespace names another"),
        "deleted_before" => {
            Some("`memnode restore HASH` brings it back, and so does --restore-deleted")
        }
        _ => None,
    }
}

fn start_exit(error: &StartError) -> Exit {
    match error {
        StartError::Config(_) => Exit::Usage,
        StartError::ModelMissing(_) => Exit::Unavailable,
        StartError::Nats(_) => Exit::Usage,
        StartError::PortTaken { .. } | StartError::CannotCreate { .. } => Exit::CannotCreate,
        StartError::Locked { .. } => Exit::TryAgain,
        StartError::NotOurs { .. }
        | StartError::Newer { .. }
        | StartError::OtherModel { .. }
        | StartError::Corrupt { .. }
        | StartError::Io { .. } => Exit::File,
        StartError::Permission { .. } => Exit::NotAllowed,
        StartError::Internal(_) => Exit::Failed,
    }
}

fn client_exit(error: &ClientError) -> Exit {
    match error {
        ClientError::Unreachable { .. } | ClientError::Broken(_) => Exit::TryAgain,
        ClientError::Refused(refusal) => refusal_exit(refusal),
        ClientError::Unreadable { .. } => Exit::Failed,
        ClientError::BadPath | ClientError::BadAuthorities(_) => Exit::Usage,
    }
}

fn refusal_exit(refusal: &Refusal) -> Exit {
    match refusal.status.as_u16() {
        400 | 405 | 406 | 415 => Exit::Usage,
        401 | 403 => Exit::NotAllowed,
        413 | 422 => Exit::BadInput,
        409 => trouble_exit(&refusal.code).unwrap_or(Exit::Failed),
        429 | 502 | 503 | 504 => trouble_exit(&refusal.code).unwrap_or(Exit::TryAgain),
        507 => Exit::File,
        _ => Exit::Failed,
    }
}

fn embed_exit(error: &EmbedError) -> Exit {
    match error {
        EmbedError::Unreadable { source, .. } => io_exit(source),
        _ => match crate::Code::from(error) {
            crate::Code::Internal => Exit::Failed,
            _ => Exit::Unavailable,
        },
    }
}

fn fetch_exit(error: &FetchError) -> Exit {
    match error {
        FetchError::NoPython { .. }
        | FetchError::NoPip { .. }
        | FetchError::Pip { .. }
        | FetchError::Slow { .. } => Exit::Unavailable,
        FetchError::Busy { .. } => Exit::TryAgain,
        FetchError::NothingFound { .. }
        | FetchError::WrongFile { .. }
        | FetchError::Wheel { .. } => Exit::BadInput,
        FetchError::Io { source, .. } => io_exit(source),
    }
}

fn io_exit(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::NotAllowed,
        _ => Exit::File,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    fn check(failure: impl Into<Failure>, exit: Exit) {
        let failure = failure.into();
        assert_eq!(failure.exit(), exit, "{failure:?}");
        let sentence = failure.sentence();
        assert!(!sentence.is_empty() && !sentence.ends_with('.'), "{sentence}");
    }

    fn refusal(status: u16, code: &str) -> ClientError {
        ClientError::Refused(Refusal {
            status: StatusCode::from_u16(status).expect("a status"),
            code: code.to_owned(),
            detail: "no".to_owned(),
            retry_after_s: None,
        })
    }

    fn error(kind: io::ErrorKind) -> io::Error {
        kind.into()
    }

    #[test]
    fn every_failure_of_the_command_line_has_its_code() {
        let denied = || error(io::ErrorKind::PermissionDenied);
        check(Failure::Usage("x".into()), Exit::Usage);
        check(ConfigError::Contradiction("x".into()), Exit::Usage);
        check(Failure::BadInput("x".into()), Exit::BadInput);
        check(Failure::Model("x".into()), Exit::Unavailable);
        check(Failure::NotRunning("x".into()), Exit::Unavailable);
        check(Failure::Damaged("x".into()), Exit::File);
        check(Failure::BadBackup { path: "x".into(), reason: "y".into() }, Exit::File);
        check(Failure::io("x", error(io::ErrorKind::NotFound)), Exit::File);
        check(Failure::io("x", denied()), Exit::NotAllowed);
        check(Failure::create(Path::new("x"), error(io::ErrorKind::NotFound)), Exit::CannotCreate);
        check(Failure::create(Path::new("x"), denied()), Exit::NotAllowed);
        check(Failure::Found("x".into()), Exit::Failed);
        check(Failure::NotAllowed("x".into()), Exit::NotAllowed);
        check(Failure::Interrupted("x".into()), Exit::Interrupted);
        check(Failure::output(error(io::ErrorKind::BrokenPipe)), Exit::Done);
        check(Failure::output(error(io::ErrorKind::StorageFull)), Exit::File);
    }

    #[test]
    fn every_failure_to_start_has_its_code() {
        let (path, source) = (|| "x".into(), || error(io::ErrorKind::Other));
        check(StartError::Config(ConfigError::Contradiction("x".into())), Exit::Usage);
        check(
            StartError::ModelMissing(EmbedError::MissingModel { path: path() }),
            Exit::Unavailable,
        );
        check(StartError::PortTaken { address: "x".into(), source: source() }, Exit::CannotCreate);
        check(StartError::CannotCreate { path: path(), source: source() }, Exit::CannotCreate);
        check(StartError::Locked { pid: 1, url: None }, Exit::TryAgain);
        check(StartError::NotOurs(StoreError::Foreign(path())), Exit::File);
        check(
            StartError::Newer(StoreError::Newer { path: path(), found: 9, known: 1 }),
            Exit::File,
        );
        check(StartError::Corrupt { path: path(), reason: "x".into() }, Exit::File);
        check(
            StartError::Permission(StoreError::Permission { path: path(), reason: "x".into() }),
            Exit::NotAllowed,
        );
        check(StartError::Io { path: path(), source: source() }, Exit::File);
        check(StartError::Internal("x".into()), Exit::Failed);
    }

    #[test]
    fn every_failure_to_reach_the_node_has_its_code() {
        let source = error(io::ErrorKind::ConnectionRefused);
        check(ClientError::Unreachable { socket: "x".into(), source }, Exit::TryAgain);
        check(ClientError::Broken("x".into()), Exit::TryAgain);
        check(ClientError::Unreadable { reason: "x".into() }, Exit::Failed);
        check(ClientError::BadPath, Exit::Usage);
        check(ClientError::BadAuthorities("x".into()), Exit::Usage);
    }

    #[test]
    fn every_refusal_has_its_code() {
        for (status, exit) in [
            (400, Exit::Usage),
            (401, Exit::NotAllowed),
            (403, Exit::NotAllowed),
            (404, Exit::Failed),
            (405, Exit::Usage),
            (406, Exit::Usage),
            (409, Exit::Failed),
            (412, Exit::Failed),
            (413, Exit::BadInput),
            (415, Exit::Usage),
            (422, Exit::BadInput),
            (429, Exit::TryAgain),
            (500, Exit::Failed),
            (503, Exit::TryAgain),
            (507, Exit::File),
        ] {
            check(refusal(status, "x"), exit);
        }
        check(refusal(503, "model_unavailable"), Exit::Unavailable);
        check(refusal(503, "store_read_only"), Exit::File);
        for (code, exit) in [
            ("storage_full", Exit::File),
            ("queue_full", Exit::TryAgain),
            ("model_unavailable", Exit::Unavailable),
            ("something_new", Exit::Failed),
        ] {
            check(Failure::BrokenOff { code: code.into(), detail: "no".into() }, exit);
        }
    }

    #[test]
    fn every_failure_of_the_model_has_its_code() {
        let path = || "x".into();
        check(EmbedError::MissingModel { path: path() }, Exit::Unavailable);
        check(
            EmbedError::WrongHash { path: path(), expected: "a", found: "b".into() },
            Exit::Unavailable,
        );
        check(EmbedError::Unusable { path: path(), reason: "x".into() }, Exit::Unavailable);
        check(EmbedError::Panicked, Exit::Failed);
        let source = error(io::ErrorKind::PermissionDenied);
        check(EmbedError::Unreadable { path: path(), source }, Exit::NotAllowed);
        let source = || error(io::ErrorKind::NotFound);
        check(FetchError::NoPython { source: source() }, Exit::Unavailable);
        check(FetchError::NoPip { output: "x".into() }, Exit::Unavailable);
        check(FetchError::Pip { output: "x".into() }, Exit::Unavailable);
        check(FetchError::Busy { directory: path() }, Exit::TryAgain);
        check(FetchError::NothingFound { path: path() }, Exit::BadInput);
        check(FetchError::Io { path: path(), source: source() }, Exit::File);
    }

    #[test]
    fn causes_are_told_once() {
        let source = error(io::ErrorKind::NotFound);
        let sentence = Failure::io("cannot read x", source).sentence();
        assert_eq!(sentence, "cannot read x: entity not found");
        let source = error(io::ErrorKind::NotFound);
        let sentence = Failure::from(FetchError::Io { path: "x".into(), source }).sentence();
        assert_eq!(sentence, "cannot use x: entity not found");
    }

    #[test]
    fn advice_fits_the_failure() {
        for (error, part) in [
            (refusal(507, "storage_full"), "disk space"),
            (refusal(404, "memory_not_found"), "--namespace"),
            (ClientError::Broken("x".into()), "again"),
        ] {
            let hint = Failure::from(error).hint().expect("a hint");
            assert!(hint.contains(part), "{hint}");
        }
        assert_eq!(Failure::from(refusal(404, "other")).hint(), None);
    }
}
