//! `/.well-known/oauth-protected-resource`: where clients get tokens for this node (RFC 9728).

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::layer::problems::base_of;

/// What a client needs to know before it asks for a token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProtectedResource)]
pub struct MetadataResponse {
    /// What tokens are for, as the caller addressed it.
    #[schema(example = "https://memory.example")]
    resource: String,
    /// Who makes them; empty where only API keys are accepted.
    authorization_servers: Vec<String>,
    /// What they may allow, each perhaps with a namespace behind a colon.
    scopes_supported: [&'static str; 3],
    /// How they are sent.
    bearer_methods_supported: [&'static str; 1],
    /// For people.
    resource_name: &'static str,
}

fn metadata(state: &AppState, request: &Request, path: &str) -> Json<MetadataResponse> {
    let issuers = state.authenticator.issuers();
    Json(MetadataResponse {
        resource: format!("{}{path}", base_of(state, request)),
        authorization_servers: issuers.into_iter().map(str::to_owned).collect(),
        scopes_supported: ["read", "write", "admin"],
        bearer_methods_supported: ["header"],
        resource_name: "memnode",
    })
}

/// Where do tokens come from?
///
/// Open to everyone (RFC 9728).
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "health",
    security(()), operation_id = "protected_resource",
    responses((status = 200, body = MetadataResponse, description = "For the whole API.")))]
pub async fn of_api(State(state): State<AppState>, request: Request) -> Json<MetadataResponse> {
    metadata(&state, &request, "")
}

/// Where do tokens for MCP come from?
///
/// Open to everyone (RFC 9728).
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource/mcp", tag = "health",
    security(()), operation_id = "protected_mcp",
    responses((status = 200, body = MetadataResponse, description = "For `/mcp`.")))]
pub async fn of_mcp(State(state): State<AppState>, request: Request) -> Json<MetadataResponse> {
    metadata(&state, &request, "/mcp")
}
