//! The log of this process, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Loaded, LogFormat, Source};

/// What libraries say stays out unless it is asked for by name: that of MCP repeats whole requests,
/// and with them the text of memories; that of NATS tells of connections, as memnode itself does.
const QUIET: &str = "rmcp=error,async_nats=warn";

/// Starts the log. A command that ends by itself says little unless asked to: its answer is what
/// the user waits for.
pub(super) fn start(loaded: &Loaded, runs_on: bool) {
    let asked = loaded
        .effective
        .iter()
        .any(|setting| setting.key == "log.filter" && setting.source != Source::Default);
    let filter = if runs_on || asked { &loaded.config.log.filter } else { "warn" };
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::builder().parse_lossy(format!("{QUIET},{filter}")));
    // Colours are for people: a file or a journal gets none.
    let builder = if std::io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
    // Only a second log in one process can fail, and then the first goes on.
    let _ = match loaded.config.log.format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
