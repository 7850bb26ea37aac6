//! `memnode serve` and `memnode mcp`: the two ways to be a node.

use std::path::Path;

use serde_json::json;

use super::Call;
use super::exit::Failure;
use super::output::{Output, table};
use crate::node::{self, Ready};

pub(super) async fn serve(call: &Call) -> Result<(), Failure> {
    let announce = |ready: &Ready| {
        // A node goes on when nobody reads what it says.
        let _ =
            call.output.write(announcement(&ready.url, &ready.database, &call.output).as_bytes());
    };
    Ok(node::serve(&call.config, call.stop.clone(), announce).await?)
}

pub(super) async fn mcp(call: &Call) -> Result<(), Failure> {
    let config = &call.config;
    let http = config.http.enabled == Some(true);
    let namespace = config
        .node
        .namespace
        .parse()
        .map_err(|error: crate::Error| Failure::Usage(error.to_string()))?;
    Ok(node::mcp_stdio(config, http, namespace, call.stop.clone()).await?)
}

/// Where the node is, and what to put into an agent's settings.
fn announcement(url: &str, database: &Path, output: &Output) -> String {
    let docs = format!("{url}/api/docs");
    if output.json {
        return format!("{}\n", json!({"url": url, "docs": docs, "database": database}));
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let rows = table(&[
        row("REST and MCP", format!("{url}  {url}/mcp")),
        row("docs", docs),
        row("database", database.display().to_string()),
    ]);
    let servers = json!({"mcpServers": {"memnode": {"type": "http", "url": format!("{url}/mcp")}}});
    let snippet = serde_json::to_string_pretty(&servers).expect("texts only");
    format!(
        "{}\n{rows}\nMCP client settings (Claude Code .mcp.json, Cursor .cursor/mcp.json):\n\
         {snippet}\n",
        output.style.bold("memnode is ready")
    )
}

#[cfg(test)]
mod tests {
    use super::super::output::Style;
    use super::*;

    fn shown(json: bool) -> String {
        let zone = jiff::tz::TimeZone::UTC;
        let output = Output { json, style: Style::new(false), zone };
        announcement("http://127.0.0.1:8000", Path::new("/data/memnode.db"), &output)
    }

    #[test]
    fn the_announcement_holds_addresses_and_a_snippet() {
        let text = shown(false);
        for part in ["http://127.0.0.1:8000/api/docs", "/data/memnode.db", "memnode is ready\n"] {
            assert!(text.contains(part), "{text}");
        }
        let snippet = &text[text.find("{\n").expect("a snippet")..];
        let snippet: serde_json::Value = serde_json::from_str(snippet).expect("JSON");
        assert_eq!(snippet["mcpServers"]["memnode"]["url"], "http://127.0.0.1:8000/mcp");
    }

    #[test]
    fn the_announcement_for_programs_is_one_document() {
        let value: serde_json::Value = serde_json::from_str(&shown(true)).expect("one document");
        assert_eq!(value["database"], "/data/memnode.db");
    }
}
