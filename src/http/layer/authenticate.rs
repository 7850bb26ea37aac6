//! Authentication of routes that have no extractors of ours.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::AppState;
use crate::http::extract::authenticate_parts;
use crate::http::problem::Problem;

/// Puts the [`crate::auth::Principal`] into the extensions of the request, or answers 401.
pub async fn authenticate(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let principal = authenticate_parts(&parts, &state.authenticator).await?;
    parts.extensions.insert(principal);
    Ok(next.run(Request::from_parts(parts, body)).await)
}
