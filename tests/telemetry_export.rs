//! What goes to a collector: one trace over two nodes, metrics, logs; and what happens without it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::cluster::Cluster;
use crate::common::collector::{Collector, SpanSeen};
use crate::common::events::EventStream;
use crate::common::eventually;
use crate::common::nats::{NatsServer, Version};
use crate::common::node::Place;
use crate::common::rest::{search, store_text};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER_ID: &str = "b7ad6b7169203331";
/// The text of a memory, of a query and a key: none of it may leave the node.
const TEXT: &str = "tell nobody about the blue door";

fn traceparent() -> String {
    format!("00-{TRACE_ID}-{CALLER_ID}-01")
}

fn place(collector: &Collector) -> Place {
    Place::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .with("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=home%20lab")
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
        .with("OTEL_BLRP_SCHEDULE_DELAY", "50")
        .with("OTEL_METRIC_EXPORT_INTERVAL", "200")
}

/// Waits for a span of the caller's trace.
#[track_caller]
fn span(collector: &Collector, node: &str, name: &str) -> SpanSeen {
    eventually(&format!("{name} of {node}"), || {
        let mut spans = collector.kept().spans.into_iter();
        spans.find(|span| span.trace_id == TRACE_ID && span.node == node && span.name == name)
    })
}

#[test]
fn one_trace_goes_from_the_caller_over_nats_to_the_events_of_the_peer() {
    let Some(nats) = NatsServer::start(Version::Newer) else { return };
    let collector = Collector::start();
    let cluster = Cluster::of(vec![nats], vec![place(&collector), place(&collector)]);
    let (here, there) = (cluster.nodes[0].client(), cluster.nodes[1].client());
    let mut events = EventStream::listen(&there.url());
    store_text(&here.with("traceparent", &traceparent()), TEXT);
    while events.next().name != "memory_stored" {}

    let request = span(&collector, "node-1", "POST /api/memories");
    assert_eq!(request.parent_id, CALLER_ID);
    let has = |name: &str, value: &str| {
        let pair = (name.to_owned(), value.to_owned());
        assert!(request.attributes.contains(&pair), "{pair:?} {request:?}");
    };
    has("http.request.method", "POST");
    has("http.route", "/api/memories");
    has("http.response.status_code", "200");
    assert_eq!(span(&collector, "node-1", "embeddings").parent_id, request.id);
    let write = span(&collector, "node-1", "store.write");
    assert_eq!(write.parent_id, request.id);
    assert_eq!(span(&collector, "node-1", "send memnode-memnode").parent_id, write.id);
    assert_eq!(span(&collector, "node-2", "process memnode-memnode").parent_id, write.id);
    assert_eq!(span(&collector, "node-2", "send events").parent_id, write.id);

    search(&here, json!({"query": TEXT}));
    for node in ["node-1", "node-2"] {
        let name = "memnode.replication.digest.equal";
        eventually(name, || {
            let seen = (node.to_owned(), name.to_owned());
            collector.kept().metrics.contains(&seen).then_some(())
        });
    }
    eventually("the line of the request", || {
        let logs = collector.kept().logs;
        logs.into_iter().find(|log| {
            log.node == "node-1" && log.trace_id == TRACE_ID && log.text.starts_with("answered")
        })
    });
    let kept = collector.kept();
    let has_text = |body: &[u8]| body.windows(8).any(|part| part == &TEXT.as_bytes()[18..26]);
    assert!(!kept.bodies.iter().any(|body| has_text(body)), "text of a memory left the node");
    assert!(kept.heads.iter().all(|head| head.contains("home lab")), "{:?}", kept.heads);
}

#[test]
fn a_call_over_mcp_joins_the_trace_that_its_meta_names() {
    let collector = Collector::start();
    let server = place(&collector).serve().ready();
    let call = |meta: serde_json::Value| {
        let params = json!({"name": "memory_stats", "arguments": {}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let client = server.client().with("accept", "application/json, text/event-stream");
        client.post("/mcp", body).expect(200);
    };
    call(json!({"traceparent": traceparent()}));
    let seen = span(&collector, "test-node", "tools/call memory_stats");
    assert_eq!(seen.parent_id, CALLER_ID);
    // Without it, the call lies within its HTTP request; what is no trace changes nothing.
    call(json!({"traceparent": "nonsense"}));
    eventually("a call within its request", || {
        let spans = collector.kept().spans;
        let calls = spans.iter().filter(|span| span.name == "tools/call memory_stats");
        let mut others = calls.filter(|call| call.trace_id != TRACE_ID);
        others.next().cloned()
    });
}

#[test]
fn a_collector_that_is_away_costs_one_line_of_the_log() {
    let place = Place::new()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .with("OTEL_BSP_SCHEDULE_DELAY", "20")
        .with("OTEL_BLRP_SCHEDULE_DELAY", "20")
        .with("OTEL_METRIC_EXPORT_INTERVAL", "50");
    let server = place.serve().ready();
    let client = server.client();
    for number in 0..50 {
        store_text(&client, &format!("memory {number}"));
    }
    let stopping = Instant::now();
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
    assert_eq!(log.matches("the collector does not take telemetry").count(), 1, "{log}");
}

#[test]
fn without_a_collector_lines_name_the_trace_of_the_caller() {
    let server = Place::new().with("MEMNODE_SLOW_QUERY_MS", "0").serve().ready();
    let client = server.client();
    store_text(&client.with("traceparent", &traceparent()), TEXT);
    let (_, log) = server.stop();
    let line = log.lines().find(|line| line.contains("answered POST /api/memories"));
    assert!(line.is_some_and(|line| line.contains(TRACE_ID)), "{log}");
    assert!(!log.contains("slow search"), "{log}");
}

#[test]
fn a_slow_search_is_logged_with_its_trace_and_without_its_text() {
    let server = Place::new().with("MEMNODE_SLOW_QUERY_MS", "1").serve().ready();
    let client = server.client().with("traceparent", &traceparent());
    store_text(&client, TEXT);
    search(&client, json!({"query": TEXT}));
    let (_, log) = server.stop();
    let line = log.lines().find(|line| line.contains("slow search (hybrid)"));
    assert!(line.is_some_and(|line| line.contains(TRACE_ID)), "{log}");
    assert!(!log.contains("blue door"), "{log}");
}

#[test]
fn grpc_is_refused_with_what_to_set() {
    let place = Place::new().with("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let refused = place.run(&["list"]).expect_code(64);
    for part in ["OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "4318"] {
        assert!(refused.stderr.contains(part), "{refused:#?}");
    }
}
