//! The Model Context Protocol: tools, resources and prompts over the service.
//!
//! Every rule about memories lives in the service; this module converts, and words the answers as
//! clients of mcp-memory-service know them. It must not know how a connection came about: it
//! serves a byte stream ([`serve_stream`]) or HTTP requests ([`http_service`]).

mod arguments;
mod call;
mod completion;
mod error;
mod handler;
mod percent;
mod prompts;
mod resources;
mod schema;
mod sure;
#[cfg(test)]
mod tests;
mod text;
mod tools;
mod transport;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use rmcp::model::Tool;

use crate::auth::Principal;
use crate::memory::Namespace;
use crate::service::Service;

pub use transport::{McpHttpOptions, McpHttpService, http_service, serve_stream};

/// Answers MCP requests, for one client or for many.
#[derive(Clone)]
pub struct McpServer {
    service: Service,
    caller: Caller,
    options: Arc<McpOptions>,
    tools: Arc<Vec<Tool>>,
}

/// Who sends the requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// The same principal behind all of them.
    Fixed(Principal),
    /// The [`Principal`] in the extensions of each HTTP request. One without is refused.
    OfHttpRequest,
}

/// What a server needs to know beyond the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpOptions {
    /// The namespace of a call that names none.
    pub default_namespace: Namespace,
    /// What `memory_ingest` may read.
    pub ingest: IngestPaths,
}

/// Which files `memory_ingest` may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestPaths {
    /// All that this process can read; for the user's own client on this machine.
    Any,
    /// Only what lies below one of these directories.
    Below(Vec<PathBuf>),
}

impl McpServer {
    /// Answers from `service` on behalf of `caller`.
    pub fn new(service: Service, caller: Caller, options: McpOptions) -> Self {
        let tools = tools::ToolName::ALL.map(tools::ToolName::definition).to_vec();
        McpServer { service, caller, options: Arc::new(options), tools: Arc::new(tools) }
    }
}
