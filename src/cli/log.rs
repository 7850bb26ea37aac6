//! The log of this process, on standard error, and to the collector if there is one.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{Loaded, LogFormat, Source};
use crate::telemetry::{LogLayer, SPAN, Telemetry};

/// What libraries say stays out unless it is asked for by name: that of MCP repeats whole requests,
/// and with them the text of memories; that of NATS tells of connections, as memnode itself does.
const QUIET: &str = "rmcp=error,async_nats=warn";

/// Starts the log. A command that ends by itself says little unless asked to: its answer is what
/// the user waits for.
pub(super) fn start(loaded: &Loaded, runs_on: bool, telemetry: Option<&Telemetry>) {
    let asked = loaded
        .effective
        .iter()
        .any(|setting| setting.key == "log.filter" && setting.source != Source::Default);
    let filter = if runs_on || asked { &loaded.config.log.filter } else { "warn" };
    // Spans for the collector repeat what lines of the log say.
    let filter = || EnvFilter::builder().parse_lossy(format!("{QUIET},{filter},{SPAN}=off"));
    let mut layers = telemetry.map(|telemetry| telemetry.layers(filter())).unwrap_or_default();
    layers.push(lines(loaded.config.log.format, filter()));
    // Only a second log in one process can fail, and then the first goes on.
    let _ = tracing_subscriber::registry().with(layers).try_init();
}

/// Lines for people or for programs.
fn lines(format: LogFormat, filter: EnvFilter) -> LogLayer {
    // Colours are for people: a file or a journal gets none.
    let has_colours = std::io::stderr().is_terminal();
    let layer = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Human if has_colours => layer.with_target(false).with_filter(filter).boxed(),
        LogFormat::Human => layer.with_ansi(false).with_target(false).with_filter(filter).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
    }
}
