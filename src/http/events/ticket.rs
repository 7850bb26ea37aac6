//! `POST /api/events/ticket`: a credential for one event stream, which may stand in a URL.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Principal, TICKET_LIFETIME};
use crate::http::AppState;
use crate::http::problem::Problem;

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub struct TicketResponse {
    /// Good for one event stream or WebSocket.
    ticket: String,
    /// How long it is good.
    expires_in_seconds: u64,
    /// The parameter of the query string that it goes into.
    #[schema(example = "ticket")]
    param_name: &'static str,
}

/// Make a ticket
///
/// Browsers cannot send headers with an `EventSource` or a `WebSocket`. A ticket stands for the
/// caller in the query string of one of them, once and soon, so that no key does.
#[utoipa::path(post, path = "/api/events/ticket", tag = "events",
    responses((status = 200, body = TicketResponse, description = "Use it soon.")))]
pub async fn ticket(
    State(state): State<AppState>,
    who: Principal,
) -> Result<Json<TicketResponse>, Problem> {
    Ok(Json(TicketResponse {
        ticket: state.authenticator.ticket(&who)?,
        expires_in_seconds: TICKET_LIFETIME.as_secs(),
        param_name: "ticket",
    }))
}
