//! Lets a request see the writes that it names, on whichever node they were made.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::AppState;
use crate::http::extract::authenticate_parts;
use crate::http::problem::Problem;
use crate::memory::Position;

/// The header that names the writes.
pub const AFTER: &str = "memnode-after";
/// The longest that it may be.
const AFTER_BYTES_MAX: usize = 16 * 1024;

/// Waits until all that `Memnode-After` names is applied here. Only a caller who is let in waits.
pub async fn after(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let position = position(request.headers())?;
    if position.is_empty() {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    authenticate_parts(&parts, &state.authenticator).await?;
    state.service.await_position(&position).await.map_err(Problem::query)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

fn position(headers: &HeaderMap) -> Result<Position, Problem> {
    let refused = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "invalid_position", detail);
    let mut text = String::new();
    for value in headers.get_all(AFTER) {
        if text.len() + value.len() > AFTER_BYTES_MAX {
            return Err(refused("`Memnode-After` names too many writes"));
        }
        text += std::str::from_utf8(value.as_bytes())
            .map_err(|_| refused("`Memnode-After` is not UTF-8"))?;
        text.push(',');
    }
    text.parse().map_err(Problem::query)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a~00000000000000aa";

    fn check(values: &[&str], expected: Result<&str, &str>) {
        let values = values.iter().map(|text| text.parse().expect("a value"));
        let headers = values.map(|value| (AFTER.parse().expect("a name"), value)).collect();
        let found = position(&headers).map(|position| position.to_string());
        assert_eq!(found.as_deref().map_err(Problem::code), expected);
    }

    #[test]
    fn positions_come_in_lists_and_repeated() {
        check(&[], Ok(""));
        check(&["", " "], Ok(""));
        check(&[&format!("{A}:1, {A}:3"), &format!("{A}:5")], Ok(&format!("{A}:1, {A}:3, {A}:5")));
    }

    #[test]
    fn what_is_none_or_too_much_is_refused() {
        check(&["x"], Err("invalid_position"));
        check(&[&"x".repeat(20_000)], Err("invalid_position"));
        check(&[&format!("{A}:1-20000"), &format!("{A}:30000")], Err("invalid_position"));
    }
}
