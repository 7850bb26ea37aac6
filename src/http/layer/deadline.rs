//! The longest a request may take.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::AppState;
use crate::http::problem::Problem;
use crate::{Code, Error};

/// Gives up on a request that takes too long. A write may have happened all the same: the caller
/// learns by sending it again with the same idempotency key.
pub async fn deadline(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let limit = state.http.request_timeout;
    tokio::time::timeout(limit, next.run(request)).await.map_err(|_| {
        let detail = format!("the request took longer than {} s", limit.as_secs_f64());
        Error::new(Code::DeadlineExceeded, detail).into()
    })
}
