//! Checking the file, and changing its model.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::Json;
use super::problem::{Fault, Problem};
use super::{AppState, LocalCaller};
use crate::auth::Principal;
use crate::service::Reembed;

/// What a check of the file found.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerifyResponse {
    /// Whether there are no problems.
    ok: bool,
    /// A sentence for each.
    problems: Vec<String>,
}

/// Check the file
///
/// Recounts everything that is kept twice, and runs SQLite's own checks. Needs the scope `admin`.
#[utoipa::path(post, path = "/api/verify", tag = "maintenance",
    responses((status = 200, body = VerifyResponse, description = "The check was made.")))]
pub async fn verify(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<VerifyResponse>, Problem> {
    let problems = state.service.verify(&who).await?;
    Ok(axum::Json(VerifyResponse { ok: problems.is_empty(), problems }))
}

/// The change of the model that runs, or ran last.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReembedResponse {
    /// Null when there never was one.
    #[schema(required)]
    reembed: Option<ReembedBody>,
}

/// A change of the model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reembed)]
struct ReembedBody {
    /// The model before.
    from: String,
    /// The model after.
    to: String,
    /// Memories that have their new vector.
    done: u64,
    /// Memories in all.
    total: u64,
    /// How far it is, in a word.
    #[schema(example = "running")]
    state: String,
}

impl From<Option<Reembed>> for ReembedResponse {
    fn from(reembed: Option<Reembed>) -> Self {
        let reembed = reembed.map(|it| {
            let Reembed { from, to, done, total, state } = it;
            ReembedBody { from, to, done, total, state }
        });
        ReembedResponse { reembed }
    }
}

/// How far is the change of the model?
#[utoipa::path(get, path = "/api/reembed", tag = "maintenance",
    responses((status = 200, body = ReembedResponse, description = "How far it is.")))]
pub async fn reembed_status(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<ReembedResponse>, Problem> {
    Ok(axum::Json(state.service.reembed_status(&who).await?.into()))
}

/// Change the model
///
/// Starts to embed every memory again, or goes on with it. Only over the node's local socket,
/// because a model is a file of this machine or an address to send texts to: `memnode reembed`.
#[utoipa::path(post, path = "/api/reembed", tag = "maintenance",
    request_body(content = Object, description = "The model.",
        example = json!({"kind": "onnx", "directory": "/models/bge-small"})),
    responses(
        (status = 202, body = ReembedResponse, description = "It runs."),
        (status = 409, description = "Another change runs."),
    ))]
pub async fn reembed_start(
    State(state): State<AppState>,
    who: Principal,
    _: LocalCaller,
    Json(body): Json<Map<String, Value>>,
) -> Result<(StatusCode, axum::Json<ReembedResponse>), Problem> {
    let choice = serde_json::from_value(Value::Object(body)).map_err(|error| {
        let fault = Fault {
            kind: "value_error".to_owned(),
            loc: vec!["body".into()],
            msg: error.to_string(),
            input: Value::Null,
        };
        Problem::faulty("invalid_body", fault)
    })?;
    let started = state.service.reembed_start(&who, choice).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Some(started).into())))
}

/// Lets through only requests that came over the local socket or from within.
impl<S: Sync> FromRequestParts<S> for LocalCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<LocalCaller>().copied().ok_or_else(|| {
            let detail = "this call is served only over the local socket of the node";
            Problem::new(StatusCode::FORBIDDEN, "local_only", detail)
        })
    }
}
