//! Backups: making one, how they stand, which there are.

use std::path::PathBuf;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::Query;
use super::memory_body::rfc3339;
use super::problem::Problem;
use super::{AppState, LocalCaller};
use crate::auth::Principal;
use crate::service::{BackupProgress, BackupStatus, ListedBackup, MadeBackup};

/// Seconds of a day.
const DAY_SECONDS: f64 = 24.0 * 3600.0;

/// Where a backup is to be.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BackupParameters {
    /// The absolute path of a file that is not there yet, in place of the directory of backups.
    /// Only over the node's local socket: `memnode backup FILE`.
    #[param(value_type = Option<String>)]
    file: Option<PathBuf>,
}

/// A backup that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupResponse {
    /// Always true: what fails has a status of its own.
    success: bool,
    /// The name of the file.
    #[schema(example = "memnode-ada-20261122T152624.179Z.db")]
    filename: String,
    /// The file with its directory.
    path: String,
    /// Its size.
    size_bytes: u64,
    /// When it was begun: what was written later is not in it.
    #[schema(format = DateTime)]
    created_at: String,
    /// How long it took, the check included.
    duration_seconds: f64,
    /// Records in it, deleted ones included.
    records: u64,
    /// Always null.
    #[schema(required)]
    error: Option<String>,
}

impl From<MadeBackup> for BackupResponse {
    fn from(made: MadeBackup) -> Self {
        BackupResponse {
            success: true,
            filename: made.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: made.path.to_string_lossy().into_owned(),
            size_bytes: made.contents.bytes,
            created_at: rfc3339(made.created_at),
            duration_seconds: made.duration.as_secs_f64(),
            records: made.contents.record_count,
            error: None,
        }
    }
}

/// Make a backup now
///
/// Copies the database while it is used, reads the copy from end to end, and then removes backups
/// that are too old or too many. Needs the scope `write`. How far it is: `/api/backup/status`.
#[utoipa::path(post, path = "/api/backup/now", tag = "backup", operation_id = "make_backup",
    params(BackupParameters),
    responses(
        (status = 200, body = BackupResponse, description = "It is there, checked."),
        (status = 409, description = "Another is being made, or the file is there already."),
    ))]
pub async fn now(
    State(state): State<AppState>,
    who: Principal,
    local: Option<Extension<LocalCaller>>,
    Query(BackupParameters { file }): Query<BackupParameters>,
) -> Result<axum::Json<BackupResponse>, Problem> {
    if let Some(file) = &file {
        if local.is_none() {
            let detail = "`file` is served only over the local socket of the node";
            return Err(Problem::new(StatusCode::FORBIDDEN, "local_only", detail));
        }
        if !file.is_absolute() {
            return Err(Problem::bad_query("`file` must be an absolute path"));
        }
    }
    Ok(axum::Json(state.service.back_up(&who, file).await?.into()))
}

/// How backups stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupStatus)]
pub struct StatusResponse {
    /// Whether they are made by the clock.
    enabled: bool,
    /// How often: `hourly`, `daily` or `weekly`.
    #[schema(example = "daily")]
    interval: &'static str,
    /// Days after which one is removed.
    retention_days: u32,
    /// How many are kept.
    max_count: u32,
    /// How many there are.
    backup_count: usize,
    /// Their size.
    total_size_bytes: u64,
    /// When the newest was begun, in Unix seconds; null when there is none.
    #[schema(required)]
    last_backup_time: Option<f64>,
    /// How long ago that was; null when there is none.
    #[schema(required)]
    time_since_last_seconds: Option<f64>,
    /// When the next is due; null when none will be made by the clock.
    #[schema(required, format = DateTime)]
    next_backup_at: Option<String>,
    /// Whether this process makes them by the clock.
    scheduler_running: bool,
    /// Where they are.
    backup_directory: String,
    /// The one under way; null when there is none.
    #[schema(required)]
    running: Option<ProgressBody>,
    /// Why the last one failed; null unless it did.
    #[schema(required)]
    last_error: Option<String>,
}

/// How far a backup is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupProgress)]
struct ProgressBody {
    /// `copying`, then `verifying`.
    #[schema(example = "copying")]
    phase: &'static str,
    /// Bytes copied.
    bytes_done: u64,
    /// Bytes of the file.
    bytes_total: u64,
    /// The same for people.
    message: String,
}

impl From<BackupProgress> for ProgressBody {
    fn from(progress: BackupProgress) -> Self {
        let BackupProgress { phase, bytes_done, bytes_total, message } = progress;
        ProgressBody { phase: phase.name(), bytes_done, bytes_total, message }
    }
}

impl StatusResponse {
    fn new(status: BackupStatus, now: f64) -> Self {
        let BackupStatus { config, backups, next_at, is_scheduled, running, last_error } = status;
        let last = backups.first().map(|backup| backup.created_at);
        StatusResponse {
            enabled: config.enabled,
            interval: config.interval.name(),
            retention_days: config.retention_days,
            max_count: config.max_count,
            backup_count: backups.len(),
            total_size_bytes: total_bytes(&backups),
            last_backup_time: last,
            time_since_last_seconds: last.map(|last| (now - last).max(0.0)),
            next_backup_at: next_at.map(rfc3339),
            scheduler_running: is_scheduled,
            backup_directory: config.dir.to_string_lossy().into_owned(),
            running: running.map(ProgressBody::from),
            last_error,
        }
    }
}

/// How do backups stand?
#[utoipa::path(get, path = "/api/backup/status", tag = "backup", operation_id = "backup_status",
    responses((status = 200, body = StatusResponse, description = "Settings and times.")))]
pub async fn status(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<StatusResponse>, Problem> {
    let status = state.service.backup_status(&who).await?;
    Ok(axum::Json(StatusResponse::new(status, now_seconds(&state)?)))
}

/// The backups in the directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backups)]
pub struct ListResponse {
    /// Newest first.
    backups: Vec<BackupBody>,
    /// How many.
    total_count: usize,
    /// Their size.
    total_size_bytes: u64,
}

/// A backup in the directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backup)]
struct BackupBody {
    /// Its name there.
    #[schema(example = "memnode-ada-20261122T152624.179Z.db")]
    filename: String,
    /// Its size.
    size_bytes: u64,
    /// When it was begun: what was written or erased later is not.
    #[schema(format = DateTime)]
    created_at: String,
    /// Whole days since then.
    age_days: u64,
}

impl ListResponse {
    fn new(backups: Vec<ListedBackup>, now: f64) -> Self {
        let body = |backup: ListedBackup| BackupBody {
            created_at: rfc3339(backup.created_at),
            age_days: ((now - backup.created_at).max(0.0) / DAY_SECONDS) as u64,
            filename: backup.file_name,
            size_bytes: backup.bytes,
        };
        ListResponse {
            total_count: backups.len(),
            total_size_bytes: total_bytes(&backups),
            backups: backups.into_iter().map(body).collect(),
        }
    }
}

/// Which backups are there?
///
/// Those of this node in the directory of backups. One that is older than an erasure holds the
/// erased text still.
#[utoipa::path(get, path = "/api/backup/list", tag = "backup", operation_id = "list_backups",
    responses((status = 200, body = ListResponse, description = "Newest first.")))]
pub async fn list(
    State(state): State<AppState>,
    who: Principal,
) -> Result<axum::Json<ListResponse>, Problem> {
    let backups = state.service.backups(&who).await?;
    Ok(axum::Json(ListResponse::new(backups, now_seconds(&state)?)))
}

fn total_bytes(backups: &[ListedBackup]) -> u64 {
    backups.iter().map(|backup| backup.bytes).sum()
}

fn now_seconds(state: &AppState) -> Result<f64, Problem> {
    let now = state.service.now(Some("UTC"))?.timestamp();
    Ok(now.as_microsecond() as f64 / 1e6)
}
