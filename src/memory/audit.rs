//! One line of the audit log: who did what, where and when. It has no field for any text.

/// Namespaces that one entry names; of more, it names these.
pub const AUDIT_NAMESPACE_COUNT_MAX: usize = 4;

/// One line of the audit log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditEntry {
    /// When it was over, in Unix seconds.
    pub at: f64,
    /// Who: the name of the caller; `None` for one that was not recognised.
    pub principal: Option<String>,
    /// The id of the API key that it showed, if that has one.
    pub key_id: Option<String>,
    /// What: method and route, or the tool.
    pub operation: String,
    /// Which namespaces were asked for; `*` is all of them.
    pub namespaces: Vec<String>,
    /// From where: the client's address, or `local`.
    pub address: Option<String>,
    /// The status of the answer, if it has one.
    pub status: Option<u16>,
    /// `ok`, or the code of what was wrong.
    pub outcome: String,
    /// Whether the caller was turned away: not recognised, or not allowed.
    pub is_refused: bool,
    /// The trace that it belongs to, in hexadecimal.
    pub trace_id: Option<String>,
}

/// Which entries to look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditFilter {
    /// At this time or later, in Unix seconds.
    pub after: Option<f64>,
    /// Before this time, in Unix seconds.
    pub before: Option<f64>,
    /// Of this caller, by name or by key.
    pub principal: Option<String>,
    /// Of this operation.
    pub operation: Option<String>,
    /// That asked for this namespace.
    pub namespace: Option<String>,
    /// Only refusals, or only what was no refusal.
    pub is_refused: Option<bool>,
}
