//! Traces: joining those of callers and peers, and naming the present one to others.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of spans that are for the collector; the log leaves them out. Without a collector
/// nobody listens to it, and such a span costs nothing.
pub const SPAN: &str = "memnode::span";

/// The header, the field of MCP's `_meta` and the part of an op that carries a trace (W3C Trace
/// Context).
pub const TRACEPARENT: &str = "traceparent";

/// The span of an HTTP request, in the extensions of the request, as others are told of it.
#[derive(Clone, Debug)]
pub struct Traceparent(pub String);

/// Whether what happens now belongs to a trace that is recorded.
pub fn is_traced() -> bool {
    Context::current().span().span_context().is_sampled()
}

/// A span within the present trace; none where there is no trace, so that what the node does by
/// itself makes none.
pub fn child_span(make: impl FnOnce() -> Span) -> Span {
    if is_traced() { make() } else { Span::none() }
}

/// The present span, as others are told of it; `None` where nothing is recorded.
pub fn traceparent() -> Option<String> {
    written(Context::current().span().span_context())
}

/// A span, as others are told of it; `None` when it is not recorded.
pub fn traceparent_of(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    written(span.context().span().span_context())
}

/// Makes a span that has not begun the child of one elsewhere. What is no traceparent changes
/// nothing.
pub fn join(span: &Span, traceparent: &str) {
    if let Some(context) = read(traceparent).filter(|_| !span.is_disabled()) {
        // Fails for a span that nobody records.
        let _ = span.set_parent(context);
    }
}

/// The trace that a span belongs to, else the one that the caller named, in hexadecimal.
pub fn trace_id(span: &Span, caller: Option<&str>) -> Option<String> {
    let of = |context: &Context| {
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| context.trace_id().to_string())
    };
    let own = (!span.is_disabled()).then(|| of(&span.context())).flatten();
    own.or_else(|| of(&read(caller?)?))
}

/// Notes something about a span for the collector alone.
pub fn attribute(span: &Span, name: &'static str, value: impl Into<opentelemetry::Value>) {
    if !span.is_disabled() {
        span.set_attribute(name, value.into());
    }
}

/// Notes that what a span stands for failed.
pub fn failed(span: &Span, kind: &'static str) {
    if !span.is_disabled() {
        span.set_attribute("error.type", kind);
        span.set_status(opentelemetry::trace::Status::error(kind));
    }
}

fn written(span: &SpanContext) -> Option<String> {
    let text = || format!("00-{}-{}-01", span.trace_id(), span.span_id());
    (span.is_valid() && span.is_sampled()).then(text)
}

/// Read strictly: what has another shape is nobody's trace.
fn read(traceparent: &str) -> Option<Context> {
    let lengths = traceparent.split('-').map(str::len);
    if !lengths.eq([2, 32, 16, 2]) {
        return None;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let propagator = TraceContextPropagator::new();
    let context = propagator.extract_with_context(&Context::new(), &carrier);
    context.has_active_span().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_read_and_written_as_w3c_says() {
        let context = read(CALLER).expect("valid");
        assert_eq!(written(context.span().span_context()).as_deref(), Some(CALLER));
        for bad in ["", "00-1-2-01", &CALLER[..54], &CALLER.replace("0af7", "zzzz")] {
            assert!(read(bad).is_none(), "{bad}");
        }
        let unsampled = format!("{}00", &CALLER[..53]);
        assert_eq!(written(read(&unsampled).expect("valid").span().span_context()), None);
    }

    #[test]
    fn without_a_collector_the_callers_trace_is_named_and_nothing_is_recorded() {
        let span = Span::none();
        assert_eq!(trace_id(&span, Some(CALLER)).as_deref(), Some(&CALLER[3..35]));
        assert_eq!((trace_id(&span, None), traceparent(), is_traced()), (None, None, false));
        join(&span, CALLER);
        assert!(child_span(|| unreachable!("there is no trace")).is_none());
    }
}
