//! `GET /api/sync/status`: replication in the words that existing clients know.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Principal;
use crate::http::AppState;
use crate::http::problem::Problem;
use crate::service::SyncView;

/// Replication in the words that existing clients know.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = SyncStatus)]
pub struct SyncResponse {
    /// Whether there are other copies than this one.
    is_hybrid: bool,
    /// Whether writes are exchanged at this time.
    is_running: bool,
    /// Always false: replication cannot be paused.
    is_paused: bool,
    /// When nothing was known to be missing here, in seconds since 1970; 0 while cut off.
    last_sync_time: f64,
    /// Writes that are still to be exchanged, in both directions.
    operations_pending: u64,
    /// Writes that are applied here.
    operations_processed: u64,
    /// Writes in quarantine.
    operations_failed: u64,
    /// Always 0: what fails is tried again until it works.
    consecutive_failures: u64,
    /// Always 0: writes are exchanged as they come.
    sync_interval_seconds: f64,
    /// Since then.
    time_since_last_sync_seconds: f64,
    /// Always 0: writes are exchanged as they come.
    next_sync_eta_seconds: f64,
    /// `synchronized`, `syncing`, `disconnected`, or `not_configured` without peers.
    #[schema(example = "synchronized")]
    status: &'static str,
}

/// Replication, in short
#[utoipa::path(get, path = "/api/sync/status", tag = "cluster",
    responses((status = 200, body = SyncResponse, description = "How it stands.")))]
pub async fn sync_status(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<SyncResponse>, Problem> {
    Ok(axum::Json(state.service.sync(&who).await?.into()))
}

impl From<SyncView> for SyncResponse {
    fn from(view: SyncView) -> Self {
        SyncResponse {
            is_hybrid: view.is_enabled,
            is_running: view.is_connected,
            is_paused: false,
            last_sync_time: view.last_sync.unwrap_or_default(),
            operations_pending: view.pending_count,
            operations_processed: view.applied_count,
            operations_failed: view.held_count,
            consecutive_failures: 0,
            sync_interval_seconds: 0.0,
            time_since_last_sync_seconds: view.since_sync_s,
            next_sync_eta_seconds: 0.0,
            status: match (view.is_enabled, view.is_connected, view.pending_count) {
                (false, ..) => "not_configured",
                (true, false, _) => "disconnected",
                (true, true, 0) => "synchronized",
                (true, true, _) => "syncing",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_is_the_matter() {
        let check = |is_enabled, is_connected, pending_count, expected| {
            let view = SyncView { is_enabled, is_connected, pending_count, ..SyncView::default() };
            assert_eq!(SyncResponse::from(view).status, expected);
        };
        check(false, false, 0, "not_configured");
        check(true, false, 0, "disconnected");
        check(true, true, 0, "synchronized");
        check(true, true, 1, "syncing");
    }
}
