//! Sending traces, metrics and logs to a collector (OTLP over HTTP, protobuf).
//!
//! The processors of the SDK have threads and bounded queues of their own: what does not fit is
//! dropped, and a request never waits for the collector.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig,
    WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{self, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::client::CollectorClient;
use super::meters;
use super::span::SPAN;
use crate::config::{OtelConfig, Sampler};

/// How long what is still queued may take when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// A reader of instruments, with what it says of the process.
pub(super) type MetricReader = (Resource, PeriodicReader<MetricExporter>);

/// A part of the process's subscriber.
pub type LogLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Why telemetry cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("telemetry cannot be sent to otel.endpoint: {0}")]
pub struct StartError(#[from] ExporterBuildError);

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The name of the node.
    pub node: &'a str,
    /// The name of its cluster.
    pub cluster: &'a str,
}

/// What is sent to a collector, until the process ends.
pub struct Telemetry {
    tracers: SdkTracerProvider,
    loggers: SdkLoggerProvider,
}

impl Telemetry {
    /// Starts to send; `None` without a collector.
    ///
    /// # Errors
    /// The address is none.
    pub fn start(config: &OtelConfig, who: Identity<'_>) -> Result<Option<Telemetry>, StartError> {
        let Some(endpoint) = &config.endpoint else { return Ok(None) };
        let resource = resource(config, who);
        let client: Arc<dyn HttpClient> = Arc::new(CollectorClient::new(config.timeout));
        let url = |path: &str| format!("{}{path}", endpoint.trim_end_matches('/'));
        let headers = headers(config);
        let spans = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(Arc::clone(&client))
            .with_headers(headers.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(config.timeout)
            .with_endpoint(url("/v1/traces"))
            .build()?;
        let logs = LogExporter::builder()
            .with_http()
            .with_shared_http_client(Arc::clone(&client))
            .with_headers(headers.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(config.timeout)
            .with_endpoint(url("/v1/logs"))
            .build()?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_shared_http_client(client)
            .with_headers(headers)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(config.timeout)
            .with_endpoint(url("/v1/metrics"))
            .build()?;
        meters::install((resource.clone(), PeriodicReader::builder(metrics).build()));
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(sampler(config.sampler))
            .with_batch_exporter(spans)
            .build();
        let loggers =
            SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(logs).build();
        Ok(Some(Telemetry { tracers, loggers }))
    }

    /// What takes spans, and the lines of the log that `filter` lets pass, on their way.
    pub fn layers(&self, filter: EnvFilter) -> Vec<LogLayer> {
        let wanted = filter_fn(|metadata| metadata.is_span() && metadata.target() == SPAN)
            .with_max_level_hint(LevelFilter::INFO);
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.tracers.tracer("memnode"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(wanted);
        let logs = OpenTelemetryTracingBridge::new(&self.loggers).with_filter(filter);
        vec![Box::new(spans), Box::new(logs)]
    }

    /// Sends what is queued, and gives up on what takes too long.
    pub fn stop(self) {
        let (done, is_done) = mpsc::channel();
        let flush = move || {
            // A collector that is away has been told of.
            let _ = self.tracers.shutdown_with_timeout(FLUSH_TIMEOUT);
            let _ = self.loggers.shutdown_with_timeout(FLUSH_TIMEOUT);
            let _ = meters::meters().provider().shutdown();
            // Nobody waits any more when it took too long.
            let _ = done.send(());
        };
        let started = std::thread::Builder::new().name("telemetry-flush".to_owned()).spawn(flush);
        if started.is_ok() {
            // Too late is as good as done: the process ends.
            let _ = is_done.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// What all telemetry says of the process; names as in the semantic conventions.
fn resource(config: &OtelConfig, who: Identity<'_>) -> Resource {
    let given =
        config.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_attributes(given)
        .with_attributes([
            KeyValue::new("service.name", config.service_name.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", who.node.to_owned()),
            KeyValue::new("memnode.cluster", who.cluster.to_owned()),
        ])
        .build()
}

fn sampler(wanted: Sampler) -> trace::Sampler {
    let root = trace::Sampler::TraceIdRatioBased(wanted.share);
    if wanted.follows_parent { trace::Sampler::ParentBased(Box::new(root)) } else { root }
}

/// `name=value,name=value`; the exporter decodes the values.
fn headers(config: &OtelConfig) -> HashMap<String, String> {
    let text = config.headers.as_ref().map_or("", |headers| headers.expose());
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}
