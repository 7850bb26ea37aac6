//! The server's side of the protocol: what rmcp asks, answered from tools, resources and prompts.

use std::path::PathBuf;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ContentBlock, CustomRequest, CustomResult, ErrorData, GetPromptRequestParams,
    GetPromptResponse, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Map, Value};
use tracing::{Instrument, Span, info_span};

use super::call::{self, Call, DIRECTORY, Key, NAMESPACE, refused};
use super::error::{error_data, tool_result};
use super::tools::{self, ToolName};
use super::{Caller, McpServer, completion, prompts, resources};
use crate::auth::{ClientAddress, Noted, Principal};
use crate::limit::{Budget, Meter};
use crate::memory::AuditEntry;
use crate::telemetry::{self, Traceparent};
use crate::{Code, Error, Result};

/// When to use which tool, for the model.
const INSTRUCTIONS: &str = "\
memnode is a long-term memory that outlives this conversation. Search it with memory_search before \
you answer anything that may depend on earlier sessions: preferences, decisions, names, projects. \
Store with memory_store what will matter later, one self-contained fact per memory, with a few \
tags; memory_store_session keeps a whole conversation, memory_ingest a document. Correct what has \
changed with memory_update, remove what is wrong with memory_delete (dry_run first when several \
memories may match). memory_list browses, memory_cleanup finds near-duplicates, memory_stats \
counts, and memory_health says why something fails.";

impl McpServer {
    fn principal(&self, context: &RequestContext<RoleServer>) -> Result<Principal> {
        match &self.caller {
            Caller::Fixed(principal) => Ok(principal.clone()),
            Caller::OfHttpRequest => {
                let parts = context.extensions.get::<http::request::Parts>();
                let principal = parts.and_then(|parts| parts.extensions.get::<Principal>());
                principal.cloned().ok_or_else(|| {
                    Error::new(Code::Unauthenticated, "the request has no authenticated caller")
                        .reason("credential_missing")
                })
            }
        }
    }

    fn call(&self, context: &RequestContext<RoleServer>, key: Option<Key>) -> Result<Call<'_>> {
        let meta: &Map<String, Value> = &context.meta.0.0;
        let text = |name: &str| meta.get(name).and_then(Value::as_str);
        let default_namespace = match text(NAMESPACE) {
            Some(name) => name.parse()?,
            None => self.options.default_namespace.clone(),
        };
        Ok(Call {
            service: &self.service,
            who: self.principal(context)?,
            default_namespace,
            ingest: &self.options.ingest,
            directory: text(DIRECTORY).map(PathBuf::from),
            key,
            meter: meter(context).cloned(),
        })
    }

    /// Takes a call from the buckets of an HTTP caller; others have none.
    fn take(
        context: &RequestContext<RoleServer>,
        budget: Budget,
        tool: Option<ToolName>,
    ) -> Result<()> {
        let Some(meter) = meter(context) else { return Ok(()) };
        if let Some(tool) = tool {
            meter.take_tool(tool.name()).map_err(|exceeded| refused(&exceeded))?;
            if tool.pays_as_it_works() {
                return Ok(());
            }
        }
        meter.take(budget, 1).map(drop).map_err(|exceeded| refused(&exceeded))
    }

    async fn run_tool(
        &self,
        tool: ToolName,
        arguments: tools::Arguments,
        context: &RequestContext<RoleServer>,
    ) -> Result<tools::Outcome> {
        McpServer::take(context, tool.budget(), Some(tool))?;
        let arguments = Value::Object(arguments);
        let key = call::key(&context.meta.0.0, tool.name(), &arguments)?;
        let call = self.call(context, key)?;
        let Value::Object(arguments) = arguments else {
            unreachable!("arguments are an object");
        };
        let definition = self.tools.iter().find(|definition| definition.name == tool.name());
        let definition = definition.expect("every tool has been defined");
        tool.run(definition, &call, arguments).await
    }
}

/// What pays for an HTTP caller.
fn meter(context: &RequestContext<RoleServer>) -> Option<&Meter> {
    context.extensions.get::<http::request::Parts>()?.extensions.get()
}

/// The span of a call, within the trace that the client names in `_meta`, else within that of its
/// HTTP request.
fn tool_span(tool: &str, context: &RequestContext<RoleServer>) -> Span {
    let span = info_span!(
        target: telemetry::SPAN,
        parent: None,
        "tools/call",
        otel.name = format!("tools/call {tool}"),
        otel.kind = "server",
        mcp.method.name = "tools/call",
        gen_ai.tool.name = tool,
    );
    let named = context.meta.0.0.get(telemetry::TRACEPARENT).and_then(Value::as_str);
    let parts = context.extensions.get::<http::request::Parts>();
    let of_request = || Some(parts?.extensions.get::<Traceparent>()?.0.as_str());
    if let Some(caller) = named.or_else(of_request) {
        telemetry::join(&span, caller);
    }
    span
}

/// What the audit log says of a call; never its arguments.
fn audit_entry(
    tool: &str,
    error: Option<&Error>,
    span: &Span,
    context: &RequestContext<RoleServer>,
) -> AuditEntry {
    let parts = context.extensions.get::<http::request::Parts>();
    let address = match parts {
        Some(parts) => parts.extensions.get::<ClientAddress>().map(|it| it.0.to_string()),
        None => Some("local".to_owned()),
    };
    let refusals = [Code::Unauthenticated, Code::Forbidden];
    AuditEntry {
        operation: format!("mcp {tool}"),
        address,
        outcome: error.map_or("ok", |error| error.reason).to_owned(),
        is_refused: error.is_some_and(|error| refusals.contains(&error.code)),
        trace_id: telemetry::trace_id(span, None),
        ..AuditEntry::default()
    }
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .enable_completions()
            .build();
        let implementation = Implementation::new("memnode", env!("CARGO_PKG_VERSION"))
            .with_title("memnode")
            .with_description(env!("CARGO_PKG_DESCRIPTION"));
        ServerConfig::new(capabilities)
            .with_server_info(implementation)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.as_ref().clone()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|definition| definition.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let Some((tool, arguments)) = tools::resolve(&request.name, arguments) else {
            let message = format!("Unknown tool: {}", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let span = tool_span(tool.name(), &context);
        let running = self.run_tool(tool, arguments, &context).instrument(span.clone());
        let (ran, noted) = Noted::during(running).await;
        if ran.is_err() {
            telemetry::failed(&span, "tool_error");
        }
        let entry = audit_entry(tool.name(), ran.as_ref().err(), &span, &context);
        self.service.audit(noted, false, entry);
        let result = match ran {
            Ok(outcome) => {
                let mut result = CallToolResult::success(vec![ContentBlock::text(outcome.text)]);
                result.structured_content = Some(outcome.structured);
                result
            }
            Err(error) => tool_result(tool.doing(), &error),
        };
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let call = self.call(&context, None).map_err(|error| error_data(&error))?;
        let resources = resources::list(&call).await.map_err(|error| error_data(&error))?;
        Ok(ListResourcesResult::with_all_items(resources))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        McpServer::take(&context, resources::budget(&request.uri), None)
            .map_err(|error| error_data(&error))?;
        let call = self.call(&context, None).map_err(|error| error_data(&error))?;
        let result = resources::read(&call, &request.uri).await;
        result.map(Into::into).map_err(|error| error_data(&error))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = prompts::PromptName::ALL.map(prompts::PromptName::definition);
        Ok(ListPromptsResult::with_all_items(prompts.to_vec()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let Some(prompt) = prompts::PromptName::from_name(&request.name) else {
            let message = format!("Unknown prompt: {}", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let call = self.call(&context, None).map_err(|error| error_data(&error))?;
        let result = prompt.run(&call, request.arguments.unwrap_or_default()).await;
        result.map(Into::into).map_err(|error| error_data(&error))
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let call = self.call(&context, None).map_err(|error| error_data(&error))?;
        let result = completion::complete(&call, &request.argument).await;
        result.map(CompleteResult::new).map_err(|error| error_data(&error))
    }

    /// Every request that rmcp does not know, or whose parameters it could not read.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        const READ_BY_RMCP: [&str; 5] =
            ["initialize", "tools/call", "resources/read", "prompts/get", "completion/complete"];
        Err(if READ_BY_RMCP.contains(&request.method.as_str()) {
            let message = format!("the parameters of {} have the wrong shape", request.method);
            ErrorData::invalid_params(message, None)
        } else {
            let message = format!("Method not found: {}", request.method);
            ErrorData::new(rmcp::model::ErrorCode::METHOD_NOT_FOUND, message, None)
        })
    }
}
