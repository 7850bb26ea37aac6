//! The part of the table about what can be seen of a node: telemetry and the audit log.

use super::{BOOL, SECRET, Setting, kind, setting};

/// The settings of `log.slow_query_ms`, `otel` and `audit`.
pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "log.slow_query_ms",
        "MEMNODE_SLOW_QUERY_MS",
        "slow-query-ms",
        kind("MS", "a whole number from 0 (never) to 3600000"),
        "Log searches that take longer, in milliseconds, without their text",
    ),
    setting(
        "otel.endpoint",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "otel-endpoint",
        kind("URL", "an http or https address without user name and password"),
        "OpenTelemetry collector, OTLP over HTTP; default: none, nothing is sent",
    ),
    setting(
        "otel.headers",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "otel-headers",
        SECRET,
        "Headers for the collector, name=value, comma between",
    )
    .secret(),
    setting(
        "otel.protocol",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "otel-protocol",
        kind(
            "PROTOCOL",
            "http/protobuf (gRPC is not spoken: name the collector's HTTP port, as a rule 4318, in \
             OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        "How the collector is spoken to: http/protobuf",
    ),
    setting(
        "otel.timeout",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "otel-timeout",
        kind("MS", "a whole number of milliseconds from 100 to 60000"),
        "Longest one call of the collector may take, in milliseconds",
    ),
    setting(
        "otel.service_name",
        "OTEL_SERVICE_NAME",
        "otel-service-name",
        kind("NAME", "1 to 200 characters"),
        "Name of this service in telemetry",
    ),
    setting(
        "otel.resource_attributes",
        "OTEL_RESOURCE_ATTRIBUTES",
        "otel-resource-attributes",
        kind("LIST", "up to 100 of name=value"),
        "What all telemetry of this node says besides, name=value, comma between",
    ),
    setting(
        "otel.sampler",
        "OTEL_TRACES_SAMPLER",
        "otel-sampler",
        kind("SAMPLER", "always_on, always_off, traceidratio or one of these after parentbased_"),
        "Which traces are recorded",
    ),
    setting(
        "otel.sampler_arg",
        "OTEL_TRACES_SAMPLER_ARG",
        "otel-sampler-arg",
        kind("SHARE", "a number from 0 to 1"),
        "traceidratio: share of the traces that are recorded",
    ),
    setting(
        "otel.disabled",
        "OTEL_SDK_DISABLED",
        "otel-disabled",
        BOOL,
        "Send nothing, whatever else is set",
    ),
    setting(
        "audit.days",
        "MEMNODE_AUDIT_DAYS",
        "audit-days",
        kind("DAYS", "a whole number from 1 to 3650"),
        "Days that the audit log goes back",
    ),
    setting(
        "audit.reads",
        "MEMNODE_AUDIT_READS",
        "audit-reads",
        BOOL,
        "Note reads in the audit log, too",
    ),
];
