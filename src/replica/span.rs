//! Spans of what goes over NATS: each write that belongs to a trace gets a span within it, on the
//! node that sends it and on every node that takes it in. Links from one span of the batch would
//! leave the peer's part out of the caller's trace.

use memnode_cluster::replicator::Incoming;
use memnode_cluster::{Dot, Origin};
use tracing::{Span, info_span};

use super::Shared;
use crate::telemetry;

/// Spans that one batch makes at most; the rest goes unseen.
const SPAN_COUNT_MAX: usize = 64;

/// Spans of sending a run of own writes, for as long as they are held.
pub(super) fn sending(shared: &Shared, origin: &Origin, lo: u64, hi: u64) -> Vec<Span> {
    let traced = (lo..=hi)
        .filter_map(|oseq| shared.store.traceparent_of(&Dot { origin: origin.clone(), oseq }));
    let span = |traceparent: String| {
        let stream = shared.subjects.stream();
        let span = info_span!(
            target: telemetry::SPAN,
            parent: None,
            "send",
            otel.name = format!("send {stream}"),
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.operation.type = "send",
            messaging.destination.name = stream,
            messaging.batch.message_count = hi + 1 - lo,
        );
        telemetry::join(&span, &traceparent);
        begun(span)
    };
    traced.take(SPAN_COUNT_MAX).map(span).collect()
}

/// Spans of taking in writes of peers, for as long as they are held.
pub(super) fn taking_in(shared: &Shared, batch: &[Incoming]) -> Vec<Span> {
    let traced = batch.iter().filter_map(|incoming| {
        let op = incoming.op.as_ref().ok()?;
        Some((op.dot.origin.node.as_str(), op.traceparent.as_deref()?))
    });
    let span = |(author, traceparent): (&str, &str)| {
        let stream = shared.subjects.stream();
        let span = info_span!(
            target: telemetry::SPAN,
            parent: None,
            "process",
            otel.name = format!("process {stream}"),
            otel.kind = "consumer",
            messaging.system = "nats",
            messaging.operation.type = "process",
            messaging.destination.name = stream,
            messaging.batch.message_count = batch.len() as u64,
            memnode.author = author,
        );
        telemetry::join(&span, traceparent);
        begun(span)
    };
    traced.take(SPAN_COUNT_MAX).map(span).collect()
}

/// A span begins when it is entered first.
fn begun(span: Span) -> Span {
    span.in_scope(|| {});
    span
}
