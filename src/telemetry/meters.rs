//! The one provider of instruments, and what it shows to Prometheus.

use std::sync::OnceLock;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use super::export::MetricReader;
use super::gauges;

/// The media type of [`text`] (Prometheus, "Exposition formats").
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The name that all instruments are made under.
const SCOPE: &str = "memnode";

/// Where instruments come from and where they are read.
pub(super) struct Meters {
    provider: SdkMeterProvider,
    registry: Registry,
}

static METERS: OnceLock<Meters> = OnceLock::new();

impl Meters {
    /// With another reader beside Prometheus, which sends what it reads to a collector.
    fn new(exported: Option<MetricReader>) -> Self {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .expect("nothing else is in the registry");
        let mut builder = SdkMeterProvider::builder().with_reader(reader);
        if let Some((resource, reader)) = exported {
            builder = builder.with_resource(resource).with_reader(reader);
        }
        let meters = Meters { provider: builder.build(), registry };
        gauges::register(&meters.meter());
        meters
    }

    pub(super) fn meter(&self) -> Meter {
        self.provider.meter(SCOPE)
    }

    pub(super) fn provider(&self) -> &SdkMeterProvider {
        &self.provider
    }
}

/// Those of this process; without a collector unless [`install`] came first.
pub(super) fn meters() -> &'static Meters {
    METERS.get_or_init(|| Meters::new(None))
}

/// Sends metrics to a collector, too. Only the first call counts.
pub(super) fn install(exported: MetricReader) -> &'static Meters {
    METERS.get_or_init(|| Meters::new(Some(exported)))
}

/// Everything in the text format of Prometheus.
pub fn text() -> String {
    // Counters that nothing has touched yet are there from the first look on.
    super::metrics();
    let families = meters().registry.gather();
    TextEncoder::new().encode_to_string(&families).expect("a text takes every line")
}
