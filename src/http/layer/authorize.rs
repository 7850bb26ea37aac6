//! Who may call what: the one place that every route of the API passes.

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use crate::http::AppState;
use crate::http::extract::authenticate_parts;
use crate::http::needs;
use crate::http::problem::Problem;

/// Recognises the caller, holds it against the table of operations, and puts the
/// [`crate::auth::Principal`] into the extensions of the request.
pub async fn authorize(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let Some(needs) = needs::of(request.method(), route) else {
        if needs::is_listed(route) {
            // The path has no such method, which is for the router to say.
            return Ok(next.run(request).await);
        }
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "operation_not_listed",
            "it is not settled who may do this",
        ));
    };
    if !needs.is_closed() {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    let who = authenticate_parts(&parts, &state.authenticator).await?;
    needs.check(&who)?;
    parts.extensions.insert(who);
    Ok(next.run(Request::from_parts(parts, body)).await)
}
