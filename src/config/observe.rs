//! The settings of what can be seen of a node: where telemetry goes, and what the audit log keeps.

use std::time::Duration;

use super::error::ConfigError;
use super::parse;
use super::read::Reader;
use super::secret::Secret;
use super::show::Show;

/// Attributes that one node may be given.
const ATTRIBUTES_MAX: usize = 100;

/// What only a node that sends telemetry reads.
const OF_EXPORT: [&str; 8] = [
    "otel.disabled",
    "otel.headers",
    "otel.protocol",
    "otel.resource_attributes",
    "otel.sampler",
    "otel.sampler_arg",
    "otel.service_name",
    "otel.timeout",
];

/// Where telemetry goes, under the names of the OpenTelemetry specification.
#[derive(Clone, Debug)]
pub struct OtelConfig {
    /// The collector, OTLP over HTTP, without the path of a signal; `None` sends nothing.
    pub endpoint: Option<String>,
    /// Headers for the collector: `name=value`, a comma between, values percent-encoded.
    pub headers: Option<Secret>,
    /// The longest one call of the collector may take; 100 ms to 1 min.
    pub timeout: Duration,
    /// The name of this service.
    pub service_name: String,
    /// What all telemetry says besides: names and values.
    pub attributes: Vec<(String, String)>,
    /// Which traces are recorded.
    pub sampler: Sampler,
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// The share of the traces that begin here, 0 to 1.
    pub share: f64,
    /// Whether a trace that began elsewhere is recorded exactly if it is recorded there.
    pub follows_parent: bool,
}

/// What the audit log keeps.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// How far it goes back, in days; 1 to 3650.
    pub days: u32,
    /// Whether it notes reads, too.
    pub reads: bool,
}

/// Reads `otel.*`, each once.
pub(super) fn otel(reader: &mut Reader) -> Result<OtelConfig, ConfigError> {
    let endpoint = reader.optional("otel.endpoint", parse::url)?;
    let is_disabled = reader.required("otel.disabled", parse::boolean)?;
    let headers = reader.optional("otel.headers", parse::secret)?;
    reader.required("otel.protocol", protocol)?;
    let timeout_ms =
        reader.required("otel.timeout", |text| parse::number(text, 100..=60_000_u64))?;
    let service_name = reader.required("otel.service_name", parse::model)?;
    let attributes = reader.list("otel.resource_attributes", attributes)?.unwrap_or_default();
    let kind = reader.required("otel.sampler", SamplerKind::parse)?;
    let share = reader.optional("otel.sampler_arg", |text| parse::number(text, 0.0..=1.0_f64))?;
    if endpoint.is_none() {
        reader.warn_of_unread("otel.endpoint is not set", &OF_EXPORT);
    }
    Ok(OtelConfig {
        endpoint: endpoint.filter(|_| !is_disabled),
        headers,
        timeout: Duration::from_millis(timeout_ms),
        service_name,
        attributes: attributes.iter().filter_map(|item| pair(item)).collect(),
        sampler: kind.with_share(share),
    })
}

/// Reads `audit.*`, each once.
pub(super) fn audit(reader: &mut Reader) -> Result<AuditConfig, ConfigError> {
    Ok(AuditConfig {
        days: reader.required("audit.days", |text| parse::number(text, 1..=3650_u32))?,
        reads: reader.required("audit.reads", parse::boolean)?,
    })
}

fn protocol(text: &str) -> Option<String> {
    (text == "http/protobuf").then(|| text.to_owned())
}

fn attributes(items: &[String]) -> Option<Vec<String>> {
    let good = items.len() <= ATTRIBUTES_MAX && items.iter().all(|item| pair(item).is_some());
    good.then(|| items.to_vec())
}

fn pair(item: &str) -> Option<(String, String)> {
    let (name, value) = item.split_once('=')?;
    (!name.trim().is_empty()).then(|| (name.trim().to_owned(), value.trim().to_owned()))
}

/// The samplers that the specification names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SamplerKind {
    AlwaysOn,
    AlwaysOff,
    Ratio,
    ParentAlwaysOn,
    ParentAlwaysOff,
    ParentRatio,
}

impl SamplerKind {
    const ALL: [SamplerKind; 6] = [
        SamplerKind::AlwaysOn,
        SamplerKind::AlwaysOff,
        SamplerKind::Ratio,
        SamplerKind::ParentAlwaysOn,
        SamplerKind::ParentAlwaysOff,
        SamplerKind::ParentRatio,
    ];

    fn name(self) -> &'static str {
        match self {
            SamplerKind::AlwaysOn => "always_on",
            SamplerKind::AlwaysOff => "always_off",
            SamplerKind::Ratio => "traceidratio",
            SamplerKind::ParentAlwaysOn => "parentbased_always_on",
            SamplerKind::ParentAlwaysOff => "parentbased_always_off",
            SamplerKind::ParentRatio => "parentbased_traceidratio",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        SamplerKind::ALL.into_iter().find(|kind| kind.name() == text)
    }

    fn with_share(self, share: Option<f64>) -> Sampler {
        let share = match self {
            SamplerKind::AlwaysOn | SamplerKind::ParentAlwaysOn => 1.0,
            SamplerKind::AlwaysOff | SamplerKind::ParentAlwaysOff => 0.0,
            SamplerKind::Ratio | SamplerKind::ParentRatio => share.unwrap_or(1.0),
        };
        let follows_parent = match self {
            SamplerKind::AlwaysOn | SamplerKind::AlwaysOff | SamplerKind::Ratio => false,
            SamplerKind::ParentAlwaysOn
            | SamplerKind::ParentAlwaysOff
            | SamplerKind::ParentRatio => true,
        };
        Sampler { share, follows_parent }
    }
}

impl Show for SamplerKind {
    fn show(&self) -> serde_json::Value {
        self.name().into()
    }
}
