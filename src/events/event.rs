//! One event: what it says, who may see it, and its frame, made once.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::notice::{Message, Notice};
use crate::memory::{Change, ChangeKind, Namespace, NamespaceSet, Tag};

/// The kinds of events, by the names that clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The stream begins, or begins anew.
    ConnectionEstablished,
    /// A memory is there that was not.
    MemoryStored,
    /// Parts of a memory changed.
    MemoryUpdated,
    /// A memory is gone.
    MemoryDeleted,
    /// Somebody searched.
    SearchCompleted,
    /// A backup goes on.
    BackupStatus,
    /// The node got better or worse.
    HealthUpdate,
    /// The node takes in what it missed.
    SyncProgress,
    /// It has taken it in.
    SyncCompleted,
    /// The node is there.
    Heartbeat,
    /// A line that keeps a connection open; no event to clients.
    Comment,
}

impl EventKind {
    /// All that clients can ask for.
    pub const ALL: [EventKind; 10] = [
        EventKind::ConnectionEstablished,
        EventKind::MemoryStored,
        EventKind::MemoryUpdated,
        EventKind::MemoryDeleted,
        EventKind::SearchCompleted,
        EventKind::BackupStatus,
        EventKind::HealthUpdate,
        EventKind::SyncProgress,
        EventKind::SyncCompleted,
        EventKind::Heartbeat,
    ];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::ConnectionEstablished => "connection_established",
            EventKind::MemoryStored => "memory_stored",
            EventKind::MemoryUpdated => "memory_updated",
            EventKind::MemoryDeleted => "memory_deleted",
            EventKind::SearchCompleted => "search_completed",
            EventKind::BackupStatus => "backup_status",
            EventKind::HealthUpdate => "health_update",
            EventKind::SyncProgress => "sync_progress",
            EventKind::SyncCompleted => "sync_completed",
            EventKind::Heartbeat => "heartbeat",
            EventKind::Comment => "comment",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        EventKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One event.
#[derive(Debug)]
pub struct Event {
    kind: EventKind,
    id: Option<String>,
    /// JSON in one line.
    data: String,
    /// The frame of a server-sent event.
    frame: Bytes,
    change: Option<Change>,
    /// Where a search looked.
    searched: Option<NamespaceSet>,
}

impl Event {
    /// Tells of a change; `id` says what a consumer has seen that has seen this.
    pub fn of_change(change: Change, id: String) -> Self {
        let kind = match change.kind {
            ChangeKind::Stored => EventKind::MemoryStored,
            ChangeKind::Updated => EventKind::MemoryUpdated,
            ChangeKind::Deleted => EventKind::MemoryDeleted,
        };
        let data = data_of(&change);
        let frame = frame(kind, Some(&id), &data);
        Event { kind, id: Some(id), data, frame, change: Some(change), searched: None }
    }

    /// Tells of something that belongs to this node alone; `now` in Unix seconds.
    pub fn of_notice(notice: &Notice, now: f64) -> Self {
        Event::of_notice_with_id(notice, now, None)
    }

    /// The same, with what a consumer has seen when it sees this.
    pub fn of_notice_with_id(notice: &Notice, now: f64, id: Option<String>) -> Self {
        let kind = notice.kind();
        let data = json(&Message { timestamp: rfc3339(now), notice });
        let frame = frame(kind, id.as_deref(), &data);
        let searched = match notice {
            Notice::SearchCompleted { namespaces, .. } => Some(namespaces.clone()),
            _ => None,
        };
        Event { kind, id, data, frame, change: None, searched }
    }

    /// A line that keeps connections open.
    pub fn comment() -> Self {
        let frame = Bytes::from_static(b": keep-alive\n\n");
        let (kind, data) = (EventKind::Comment, String::new());
        Event { kind, id: None, data, frame, change: None, searched: None }
    }

    /// The same event of a memory whose text is gone; `None` when it shows none anyway.
    pub(super) fn without_text(&self) -> Option<Self> {
        let change = self.change.as_ref().filter(|change| change.preview.is_some())?;
        let change = Change { preview: None, memory_type: None, tags: None, ..change.clone() };
        Some(Event::of_change(change, self.id.clone().unwrap_or_default()))
    }

    /// What it is.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// What a consumer has seen that has seen this.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it says, as JSON in one line.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The frame of a server-sent event, shared by all who are sent it.
    pub fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// The change that it tells of.
    pub fn change(&self) -> Option<&Change> {
        self.change.as_ref()
    }

    /// The namespaces that a search looked at.
    pub(super) fn searched(&self) -> Option<&NamespaceSet> {
        self.searched.as_ref()
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        2 * self.frame.len() + size_of::<Event>()
    }
}

/// What is said of a change.
#[derive(Serialize)]
struct ChangeData<'a> {
    timestamp: String,
    content_hash: String,
    #[serde(flatten)]
    shown: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    message: &'static str,
    namespace: &'a Namespace,
    store: &'a Namespace,
    origin: &'a str,
    position: String,
}

/// What is said of a memory that is there.
#[derive(Serialize)]
struct Shown<'a> {
    content_preview: &'a str,
    tags: &'a [Tag],
    memory_type: Option<&'a str>,
    updated_at: Option<f64>,
}

fn data_of(change: &Change) -> String {
    let is_there = change.kind != ChangeKind::Deleted;
    let shown = is_there.then(|| Shown {
        content_preview: change.preview.as_deref().unwrap_or_default(),
        tags: change.tags.as_deref().unwrap_or_default(),
        memory_type: change.memory_type.as_deref(),
        updated_at: change.updated_at,
    });
    json(&ChangeData {
        timestamp: rfc3339(change.at),
        content_hash: change.content_hash.to_string(),
        shown,
        changed: (change.kind == ChangeKind::Updated).then_some(&change.changed),
        success: (!is_there).then_some(true),
        message: match change.kind {
            ChangeKind::Stored => "Memory stored",
            ChangeKind::Updated => "Memory updated",
            ChangeKind::Deleted => "Memory deleted",
        },
        namespace: &change.namespace,
        store: &change.namespace,
        origin: change.dot.origin.node.as_str(),
        position: change.dot.to_string(),
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data is JSON")
}

/// A server-sent event (HTML, "Server-sent events"). JSON in one line needs one `data` line.
fn frame(kind: EventKind, id: Option<&str>, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: {}\ndata: {data}\n\n", kind.name()))
}

/// Unix seconds in RFC 3339 with microseconds.
fn rfc3339(seconds: f64) -> String {
    let micros = (seconds * 1e6).round() as i64;
    let time = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.6}")
}
