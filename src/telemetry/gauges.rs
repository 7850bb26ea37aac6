//! What is so at the moment of looking: a table of gauges, filled by whoever knows.

use std::sync::{Arc, LazyLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use parking_lot::Mutex;

/// One thing that can be read off a node.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// Its name for OpenTelemetry; Prometheus shows `_` for `.` and the unit at the end.
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    /// What its values are told apart by.
    label: Option<&'static str>,
    /// What it says of a label that is no more: series do not end before the process.
    gone: f64,
    /// Whether it only ever grows.
    is_counter: bool,
}

const fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Gauge {
    Gauge { name, unit, description, label: None, gone: 0.0, is_counter: false }
}

impl Gauge {
    const fn by(self, label: &'static str) -> Self {
        Gauge { label: Some(label), ..self }
    }

    const fn counter(self) -> Self {
        Gauge { is_counter: true, ..self }
    }

    const fn or_gone(self, gone: f64) -> Self {
        Gauge { gone, ..self }
    }
}

/// Always 1; says the version.
pub const BUILD: Gauge = gauge("memnode.build.info", "", "The version that runs").by("version");
/// 1 while the node can write and embed, and has joined its cluster.
pub const READY: Gauge = gauge("memnode.ready", "", "Whether /readyz says yes");
/// Live memories.
pub const MEMORIES: Gauge = gauge("memnode.memories", "", "Live memories");
/// Bytes of the file.
pub const FILE_SIZE: Gauge = gauge("memnode.store.file.size", "By", "The database file");
/// Bytes of the write-ahead log.
pub const WAL_SIZE: Gauge = gauge("memnode.store.wal.size", "By", "Its write-ahead log");
/// Bytes free where the file is.
pub const DISK_FREE: Gauge = gauge("memnode.disk.free", "By", "Free where the database is");
/// 1 while the file takes writes.
pub const WRITABLE: Gauge = gauge("memnode.store.writable", "", "Whether writes are taken");
/// Rows in the search index.
pub const INDEX_ROWS: Gauge = gauge("memnode.index.rows", "", "Rows in the search index");
/// Bytes of the search index.
pub const INDEX_SIZE: Gauge = gauge("memnode.index.size", "By", "Memory of the search index");
/// 1 once searches use the index.
pub const INDEX_READY: Gauge = gauge("memnode.index.ready", "", "Whether searches use the index");
/// Changes that the index has not taken in.
pub const INDEX_BEHIND: Gauge =
    gauge("memnode.index.behind", "", "Changes that the index has not taken in");
/// The last change that the index holds.
pub const INDEX_GENERATION: Gauge =
    gauge("memnode.index.generation", "", "The last change that the index holds");
/// 1 once the model is loaded.
pub const MODEL_READY: Gauge = gauge("memnode.embed.ready", "", "Whether the model is loaded");
/// Texts that wait for the model.
pub const EMBED_WAITING: Gauge =
    gauge("memnode.embed.waiting", "", "Texts that wait for the model");
/// Open event streams.
pub const SUBSCRIBERS: Gauge = gauge("memnode.events.subscribers", "", "Open event streams");
/// Changes that subscribers were not told yet.
pub const EVENTS_BEHIND: Gauge =
    gauge("memnode.events.behind", "", "Changes that were not told yet");
/// 1 while NATS can be reached.
pub const NATS_CONNECTED: Gauge =
    gauge("memnode.nats.connected", "", "Whether NATS can be reached");
/// Bytes that came over NATS.
pub const NATS_RECEIVED: Gauge =
    gauge("memnode.nats.received", "By", "Received over NATS").counter();
/// Bytes that went over NATS.
pub const NATS_SENT: Gauge = gauge("memnode.nats.sent", "By", "Sent over NATS").counter();
/// Own writes that are not in the stream.
pub const OUTBOX: Gauge =
    gauge("memnode.replication.outbox", "", "Own writes that are not in the stream yet");
/// Writes of peers on their way into the file.
pub const INBOX: Gauge =
    gauge("memnode.replication.inbox", "", "Writes of peers on their way into the file");
/// Messages of the stream that were not read.
pub const STREAM_BEHIND: Gauge =
    gauge("memnode.replication.stream.behind", "", "Messages of the stream not read yet");
/// Writes of a node that exist and are not here.
pub const LAG_OPS: Gauge =
    gauge("memnode.replication.lag.ops", "", "Writes of a node that are not here").by("node");
/// For how long the oldest of those is missed.
pub const LAG_TIME: Gauge =
    gauge("memnode.replication.lag", "s", "How long the oldest of them is missed").by("node");
/// Writes that are here and not on a peer.
pub const PEER_LACKS: Gauge =
    gauge("memnode.replication.peer.lacks", "", "Writes here that a node lacks").by("node");
/// When a peer was last heard.
pub const PEER_AGE: Gauge =
    gauge("memnode.replication.peer.age", "s", "Since a node was last heard").by("node");
/// Nodes heard in the last seconds.
pub const PEERS_LIVE: Gauge =
    gauge("memnode.replication.peers.live", "", "Other nodes that are heard");
/// 0 while a peer with the same writes holds something else.
pub const DIGEST_EQUAL: Gauge = gauge(
    "memnode.replication.digest.equal",
    "",
    "0 when a node with equal writes was last seen to hold something else",
)
.by("node")
.or_gone(1.0);
/// Writes in quarantine.
pub const HELD: Gauge =
    gauge("memnode.replication.quarantined", "", "Writes that cannot be applied here");
/// Bytes of writes that are kept for peers.
pub const KEPT_SIZE: Gauge =
    gauge("memnode.replication.kept.size", "By", "Writes kept for nodes that lack them");
/// State transfers that were finished.
pub const TRANSFERS: Gauge =
    gauge("memnode.replication.transfers", "", "State transfers finished").counter();
/// 1 for each kind of alarm that is up.
pub const ALARMS: Gauge = gauge("memnode.alarms", "", "Alarms that are up").by("kind");
/// Changes that webhooks did not take.
pub const WEBHOOKS_DEAD: Gauge =
    gauge("memnode.webhooks.dead_letters", "", "Changes that webhooks did not take");
/// 1 when backups are made by the clock.
pub const BACKUP_SCHEDULED: Gauge =
    gauge("memnode.backup.scheduled", "", "Whether backups are made by the clock");
/// When the newest backup was begun; 0 for never.
pub const BACKUP_TIME: Gauge = gauge(
    "memnode.backup.last.timestamp",
    "s",
    "When the newest backup was begun, in Unix seconds; 0 when there is none",
);
/// Processor time.
pub const CPU: Gauge = gauge("memnode.process.cpu", "s", "Processor time used").counter();
/// Memory of the process.
pub const RESIDENT: Gauge = gauge("memnode.process.resident_memory", "By", "Memory of the process");
/// Open descriptors.
pub const DESCRIPTORS: Gauge = gauge("memnode.process.open_fds", "", "Open descriptors");
/// Most descriptors that may be open.
pub const DESCRIPTORS_MAX: Gauge =
    gauge("memnode.process.max_fds", "", "Descriptors that may be open");
/// When the node started.
pub const START_TIME: Gauge =
    gauge("memnode.process.start_time", "s", "When the node started, in Unix seconds");

const ALL: [Gauge; 40] = [
    BUILD,
    READY,
    MEMORIES,
    FILE_SIZE,
    WAL_SIZE,
    DISK_FREE,
    WRITABLE,
    INDEX_ROWS,
    INDEX_SIZE,
    INDEX_READY,
    INDEX_BEHIND,
    INDEX_GENERATION,
    MODEL_READY,
    EMBED_WAITING,
    SUBSCRIBERS,
    EVENTS_BEHIND,
    NATS_CONNECTED,
    NATS_RECEIVED,
    NATS_SENT,
    OUTBOX,
    INBOX,
    STREAM_BEHIND,
    LAG_OPS,
    LAG_TIME,
    PEER_LACKS,
    PEER_AGE,
    PEERS_LIVE,
    DIGEST_EQUAL,
    HELD,
    KEPT_SIZE,
    TRANSFERS,
    ALARMS,
    WEBHOOKS_DEAD,
    BACKUP_SCHEDULED,
    BACKUP_TIME,
    CPU,
    RESIDENT,
    DESCRIPTORS,
    DESCRIPTORS_MAX,
    START_TIME,
];

/// What was read off a node at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading(Vec<Value>);

#[derive(Clone, Debug)]
struct Value {
    name: &'static str,
    label: Option<String>,
    number: f64,
}

impl Reading {
    /// Notes a number.
    pub fn set(&mut self, gauge: Gauge, number: f64) {
        self.0.push(Value { name: gauge.name, label: None, number });
    }

    /// Notes whether something is so.
    pub fn set_whether(&mut self, gauge: Gauge, is_so: bool) {
        self.set(gauge, f64::from(u8::from(is_so)));
    }

    /// Notes a number of the one that the label names.
    pub fn set_of(&mut self, gauge: Gauge, label: &str, number: f64) {
        self.0.push(Value { name: gauge.name, label: Some(label.to_owned()), number });
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |value| value.name == name)
    }

    /// Says of labels that were there before and are not now that they are gone.
    fn after(mut self, before: &Reading) -> Self {
        for gauge in ALL.iter().filter(|gauge| gauge.label.is_some()) {
            let gone: Vec<String> = before
                .of(gauge.name)
                .filter_map(|value| value.label.clone())
                .filter(|label| !self.of(gauge.name).any(|now| now.label.as_ref() == Some(label)))
                .collect();
            gone.iter().for_each(|label| self.set_of(*gauge, label, gauge.gone));
        }
        self
    }
}

static READING: LazyLock<Mutex<Arc<Reading>>> = LazyLock::new(Mutex::default);

/// Shows a reading until the next one comes.
pub fn publish(reading: Reading) {
    let mut present = READING.lock();
    *present = Arc::new(reading.after(&present));
}

/// Makes the instruments, which show the last reading.
pub(super) fn register(meter: &Meter) {
    for gauge in ALL {
        let observe = move |instrument: &dyn AsyncInstrument<f64>| {
            let reading = Arc::clone(&READING.lock());
            for value in reading.of(gauge.name) {
                match (gauge.label, &value.label) {
                    (Some(name), Some(label)) => {
                        instrument.observe(value.number, &[KeyValue::new(name, label.clone())]);
                    }
                    _ => instrument.observe(value.number, &[]),
                }
            }
        };
        // The provider keeps them; what is given back is only a handle.
        if gauge.is_counter {
            meter
                .f64_observable_counter(gauge.name)
                .with_unit(gauge.unit)
                .with_description(gauge.description)
                .with_callback(observe)
                .build();
        } else {
            meter
                .f64_observable_gauge(gauge.name)
                .with_unit(gauge.unit)
                .with_description(gauge.description)
                .with_callback(observe)
                .build();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_is_gone_says_that_nothing_is_wrong() {
        let mut before = Reading::default();
        before.set_of(LAG_OPS, "a", 7.0);
        before.set_of(DIGEST_EQUAL, "a", 0.0);
        before.set_of(LAG_OPS, "b", 7.0);
        let mut now = Reading::default();
        now.set_of(LAG_OPS, "b", 9.0);
        let now = now.after(&before);
        let number = |gauge: Gauge, label: &str| {
            let found = now.of(gauge.name).find(|value| value.label.as_deref() == Some(label));
            found.map(|value| value.number)
        };
        assert_eq!((number(LAG_OPS, "a"), number(LAG_OPS, "b")), (Some(0.0), Some(9.0)));
        assert_eq!(number(DIGEST_EQUAL, "a"), Some(1.0));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ALL.iter().map(|gauge| gauge.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
