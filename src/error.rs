//! What can go wrong, in words that hold for every transport; knows no status and no exit code.

use std::fmt;

/// The kinds of failure a caller can react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is understood and wrong; repeating it cannot help.
    InvalidInput,
    /// No credential, or one that is not valid.
    Unauthenticated,
    /// A valid credential that lacks the scope.
    Forbidden,
    /// The named thing does not exist.
    NotFound,
    /// The named thing existed and will not come back.
    Gone,
    /// The request contradicts the present state.
    Conflict,
    /// `If-Match` named another version.
    PreconditionFailed,
    /// A bound on size was exceeded.
    TooLarge,
    /// The caller sends faster than it may.
    RateLimited,
    /// The work was not finished in time.
    DeadlineExceeded,
    /// The disk is full; reads go on.
    StorageFull,
    /// A needed part (model, store, peer) is not there now.
    Unavailable,
    /// A defect or a damaged file.
    Internal,
}

impl Code {
    /// The stable name that clients see.
    pub fn name(self) -> &'static str {
        match self {
            Code::InvalidInput => "invalid_input",
            Code::Unauthenticated => "unauthenticated",
            Code::Forbidden => "forbidden",
            Code::NotFound => "not_found",
            Code::Gone => "gone",
            Code::Conflict => "conflict",
            Code::PreconditionFailed => "precondition_failed",
            Code::TooLarge => "too_large",
            Code::RateLimited => "rate_limited",
            Code::DeadlineExceeded => "deadline_exceeded",
            Code::StorageFull => "storage_full",
            Code::Unavailable => "unavailable",
            Code::Internal => "internal",
        }
    }
}

/// A failure: what kind, what may be told to the caller, and the cause, which may not.
#[derive(Debug)]
pub struct Error {
    /// The kind of failure.
    pub code: Code,
    /// A finer stable name than the kind's own, such as `memory_not_found`.
    pub reason: &'static str,
    /// A sentence that is safe to show: lower case, no final dot, names the thing.
    pub detail: String,
    /// The cause, for the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything that can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure without a cause; its `reason` is the name of its kind.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Error { code, reason: code.name(), detail: detail.into(), source: None }
    }

    /// Gives the failure a finer stable name.
    pub fn reason(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    /// Keeps the cause for the log.
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// [`Code::InvalidInput`] with this detail.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Error::new(Code::InvalidInput, detail)
    }

    /// [`Code::Internal`]: the cause is logged, the caller learns only where it happened.
    pub fn internal(
        detail: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Error::new(Code::Internal, detail).source(source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}
