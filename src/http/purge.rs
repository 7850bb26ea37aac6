//! `/api/memories/{hash}/purge`: erasing a memory for good, everywhere.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::extract::{Ack, MemoryPath, NamespaceParameters, Query};
use super::memory_body::rfc3339;
use super::problem::Problem;
use crate::auth::Principal;
use crate::memory::Written;
use crate::service::ErasedAt;

/// How far an erasure is.
#[derive(Debug, Serialize, ToSchema)]
pub struct PurgeResponse {
    /// Always true.
    success: bool,
    /// In a sentence.
    message: String,
    /// The id of the memory.
    content_hash: String,
    /// Whether every node has confirmed.
    done: bool,
    /// Node by node, this one first.
    nodes: Vec<PurgedBody>,
    /// What no node can reach, in sentences.
    unreachable: Vec<String>,
}

/// How far an erasure is on one node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PurgedAt)]
struct PurgedBody {
    /// The node.
    node: String,
    /// `confirmed` once nothing is left there, else `pending`.
    #[schema(example = "confirmed")]
    status: &'static str,
    /// When it confirmed, in RFC 3339; null for a node without peers.
    #[schema(required, format = DateTime)]
    at_iso: Option<String>,
    /// Whether it was heard in the last seconds.
    live: bool,
}

impl From<ErasedAt> for PurgedBody {
    fn from(erased: ErasedAt) -> Self {
        PurgedBody {
            node: erased.node,
            status: if erased.is_confirmed { "confirmed" } else { "pending" },
            at_iso: erased.at.map(rfc3339),
            live: erased.is_live,
        }
    }
}

/// Erase a memory for good
///
/// Its text goes from every node and from the log between them; only that it was erased stays. Ask
/// again to see which nodes have confirmed. Needs the scope `admin`.
#[utoipa::path(post, path = "/api/memories/{hash}/purge", tag = "memories",
    operation_id = "purge_memory",
    params(MemoryPath, NamespaceParameters, Ack),
    responses((status = 200, body = PurgeResponse, description = "How far it is.")))]
pub async fn purge(
    State(state): State<AppState>,
    who: Principal,
    MemoryPath { hash }: MemoryPath,
    Query(namespace): Query<NamespaceParameters>,
    ack: Ack,
) -> Result<Response, Problem> {
    let purged = state.service.purge(&who, &namespace.one()?, hash).await;
    let Written { value, position } = purged.map_err(Problem::query)?;
    let done = value.nodes.iter().all(|node| node.is_confirmed);
    let body = axum::Json(PurgeResponse {
        success: true,
        message: format!("Erased memory {hash}"),
        content_hash: hash.to_string(),
        done,
        nodes: value.nodes.into_iter().map(PurgedBody::from).collect(),
        unreachable: value.unreachable,
    });
    Ok(ack.answer(&position, body).await)
}
