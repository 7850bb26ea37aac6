//! The instruments that are used where things happen.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use super::meters::meters;

/// Seconds of whole requests and searches.
const REQUEST_SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Seconds of one transaction.
const COMMIT_SECONDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
/// Writes that share one transaction.
const GROUP_COUNTS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 128.0, 256.0];
/// Methods that are told apart.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// What callers have budgets of.
pub const BUDGETS: [&str; 7] =
    ["reads", "writes", "searches", "events", "failures", "tools", "connections"];

/// The instruments of a process.
pub struct Metrics {
    requests: Counter<u64>,
    request_seconds: Histogram<f64>,
    requests_in_flight: UpDownCounter<i64>,
    rate_limited: Counter<u64>,
    searches: Counter<u64>,
    search_seconds: Histogram<f64>,
    slow_searches: Counter<u64>,
    embed_seconds: Histogram<f64>,
    embedded_texts: Counter<u64>,
    commit_seconds: Histogram<f64>,
    commit_writes: Histogram<u64>,
    waiting_writes: UpDownCounter<i64>,
    waiting_reads: UpDownCounter<i64>,
    applied_ops: Counter<u64>,
    published_ops: Counter<u64>,
    events: Counter<u64>,
    event_resets: Counter<u64>,
    event_disconnects: Counter<u64>,
    backup_failures: Counter<u64>,
    audit_lost: Counter<u64>,
}

static METRICS: OnceLock<Metrics> = OnceLock::new();

/// The instruments of this process.
pub fn metrics() -> &'static Metrics {
    METRICS.get_or_init(|| Metrics::new(&meters().meter()))
}

/// Counts a thing that goes on for as long as it lives.
pub struct InFlight(&'static UpDownCounter<i64>);

impl InFlight {
    fn begin(counter: &'static UpDownCounter<i64>) -> Self {
        counter.add(1, &[]);
        InFlight(counter)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}

impl Metrics {
    fn new(meter: &Meter) -> Self {
        // A counter that is at 0 is there: a rate over its first step is then right.
        let counter = |name: &'static str, description: &'static str| {
            let counter = meter.u64_counter(name).with_description(description).build();
            counter.add(0, &[]);
            counter
        };
        let labelled = |name: &'static str, description: &'static str| {
            meter.u64_counter(name).with_description(description).build()
        };
        let waiting = |name: &'static str, description: &'static str| {
            let counter = meter.i64_up_down_counter(name).with_description(description).build();
            counter.add(0, &[]);
            counter
        };
        let seconds = |name: &'static str, description: &'static str, bounds: &[f64]| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(description);
            builder.with_boundaries(bounds.to_vec()).build()
        };
        let metrics = Metrics {
            requests: labelled("memnode.http.requests", "Requests that were answered"),
            request_seconds: seconds(
                "memnode.http.request.duration",
                "Time until the answer began",
                &REQUEST_SECONDS,
            ),
            requests_in_flight: waiting(
                "memnode.http.requests.in_flight",
                "Requests that wait for their answer",
            ),
            rate_limited: labelled("memnode.rate_limited", "Requests refused by a rate limit"),
            searches: labelled("memnode.searches", "Searches that were answered"),
            search_seconds: seconds(
                "memnode.search.duration",
                "Time of a search, embedding included",
                &REQUEST_SECONDS,
            ),
            slow_searches: counter("memnode.searches.slow", "Searches over the slow threshold"),
            embed_seconds: seconds(
                "memnode.embed.duration",
                "Time until texts had their vectors, waiting included",
                &REQUEST_SECONDS,
            ),
            embedded_texts: counter("memnode.embed.texts", "Texts that got vectors"),
            commit_seconds: seconds(
                "memnode.store.commit.duration",
                "Time of a transaction, from its first write until it was on disk",
                &COMMIT_SECONDS,
            ),
            commit_writes: meter
                .u64_histogram("memnode.store.commit.writes")
                .with_description("Writes that shared a transaction")
                .with_boundaries(GROUP_COUNTS.to_vec())
                .build(),
            waiting_writes: waiting("memnode.store.writes.waiting", "Writes in the queue"),
            waiting_reads: waiting("memnode.store.reads.waiting", "Reads in the queue"),
            applied_ops: counter("memnode.replication.applied", "Writes of peers taken in"),
            published_ops: counter("memnode.replication.published", "Own writes sent to peers"),
            events: counter("memnode.events.published", "Events that were told"),
            event_resets: counter("memnode.events.resets", "Subscriptions that had to start anew"),
            event_disconnects: counter(
                "memnode.events.disconnects",
                "Subscribers that were too slow to follow",
            ),
            backup_failures: counter("memnode.backup.failures", "Backups that failed"),
            audit_lost: counter("memnode.audit.lost", "Audit entries that could not be kept"),
        };
        for budget in BUDGETS {
            metrics.rate_limited.add(0, &[KeyValue::new("budget", budget)]);
        }
        metrics
    }

    /// A request begins.
    pub fn request(&'static self) -> InFlight {
        InFlight::begin(&self.requests_in_flight)
    }

    /// A request was answered. `route` is the template of its path.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        let labels = [
            KeyValue::new("method", method),
            KeyValue::new("route", route.to_owned()),
            KeyValue::new("status", status_class(status)),
        ];
        self.requests.add(1, &labels);
        self.request_seconds.record(took.as_secs_f64(), &labels);
    }

    /// A request was refused by a rate limit; `budget` is one of [`BUDGETS`].
    pub fn rate_limited(&self, budget: &'static str) {
        self.rate_limited.add(1, &[KeyValue::new("budget", budget)]);
    }

    /// A search was answered.
    pub fn searched(&self, mode: &'static str, took: Duration, is_slow: bool) {
        let labels = [KeyValue::new("mode", mode)];
        self.searches.add(1, &labels);
        self.search_seconds.record(took.as_secs_f64(), &labels);
        self.slow_searches.add(u64::from(is_slow), &[]);
    }

    /// Texts got their vectors.
    pub fn embedded(&self, text_count: usize, took: Duration) {
        self.embedded_texts.add(text_count as u64, &[]);
        self.embed_seconds.record(took.as_secs_f64(), &[]);
    }

    /// A transaction is on disk.
    pub fn committed(&self, write_count: usize, took: Duration) {
        self.commit_writes.record(write_count as u64, &[]);
        self.commit_seconds.record(took.as_secs_f64(), &[]);
    }

    /// A write waits for its turn.
    pub fn write_waits(&'static self) -> InFlight {
        InFlight::begin(&self.waiting_writes)
    }

    /// A read waits for its turn.
    pub fn read_waits(&'static self) -> InFlight {
        InFlight::begin(&self.waiting_reads)
    }

    /// Writes of peers were taken in.
    pub fn applied(&self, op_count: u64) {
        self.applied_ops.add(op_count, &[]);
    }

    /// Own writes are in the stream.
    pub fn published(&self, op_count: u64) {
        self.published_ops.add(op_count, &[]);
    }

    /// Events were told.
    pub fn told(&self, event_count: usize) {
        self.events.add(event_count as u64, &[]);
    }

    /// A subscription could not go on where it was.
    pub fn event_reset(&self) {
        self.event_resets.add(1, &[]);
    }

    /// A subscriber could not follow.
    pub fn event_disconnect(&self) {
        self.event_disconnects.add(1, &[]);
    }

    /// A backup failed.
    pub fn backup_failed(&self) {
        self.backup_failures.add(1, &[]);
    }

    /// Audit entries could not be kept.
    pub fn audit_lost(&self, entry_count: usize) {
        self.audit_lost.add(entry_count as u64, &[]);
    }
}

fn status_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 if status == 429 => "429",
        4 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_classes_and_429_its_own() {
        for (status, class) in
            [(101, "1xx"), (200, "2xx"), (304, "3xx"), (404, "4xx"), (429, "429"), (503, "5xx")]
        {
            assert_eq!(status_class(status), class);
        }
    }

    #[test]
    fn what_is_recorded_is_shown_with_its_labels() {
        let metrics = metrics();
        metrics.answered("GET", "/api/memories/{hash}", 200, Duration::from_millis(3));
        metrics.answered("BREW", "/x", 429, Duration::ZERO);
        metrics.searched("semantic", Duration::from_millis(300), true);
        metrics.committed(3, Duration::from_millis(2));
        let waits = metrics.write_waits();
        let text = super::super::text();
        for line in [
            "memnode_http_requests_total{method=\"GET\",route=\"/api/memories/{hash}\",\
             status=\"2xx\"} 1",
            "memnode_http_requests_total{method=\"other\",route=\"/x\",status=\"429\"} 1",
            "memnode_searches_slow_total 1",
            "memnode_rate_limited_total{budget=\"writes\"} 0",
            "memnode_store_writes_waiting 1",
        ] {
            assert!(text.contains(line), "no {line}\n{text}");
        }
        assert!(text.contains("memnode_store_commit_duration_seconds_bucket{le=\"0.0025\"}"));
        drop(waits);
        assert!(super::super::text().contains("memnode_store_writes_waiting 0"));
    }
}
