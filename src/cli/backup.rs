//! `memnode backup`: makes a backup, lists them, shows how they stand.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use super::Call;
use super::exit::Failure;
use super::output::{Output, counted, harmless, size, table};
use super::progress::{Progress, duration};
use crate::client::{ApiClient, Payload, path_with_query};
use crate::node::Need;

/// How often a node is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    /// Where to write; nothing is the directory of backups
    #[arg(value_name = "FILE", conflicts_with_all = ["list", "status"])]
    pub(super) file: Option<PathBuf>,
    /// List the backups in the directory
    #[arg(long, conflicts_with = "status")]
    pub(super) list: bool,
    /// Show when the last one was made and when the next is due
    #[arg(long)]
    pub(super) status: bool,
}

pub(super) async fn run(call: &Call, args: BackupArgs) -> Result<(), Failure> {
    if args.list {
        return show(call, "/api/backup/list", list_text).await;
    }
    if args.status {
        return show(call, "/api/backup/status", status_text).await;
    }
    let file = args.file.as_deref().map(absolute).transpose()?;
    let path = path_with_query("/api/backup/now", &[("file", file)]);
    call.with_node(Need::StoreOnly, async |client| {
        let made = make(client, &path).await?;
        if call.output.json {
            return call.output.document(&made);
        }
        let made: Made = read(made)?;
        call.output.line(made_text(&made))
    })
    .await
}

/// The node may have another working directory.
fn absolute(file: &Path) -> Result<String, Failure> {
    let unusable = |why: &str| Failure::Usage(format!("{} {why}", file.display()));
    if file.as_os_str() == "-" {
        return Err(unusable("is no file: a backup cannot be written to a pipe"));
    }
    let path = std::path::absolute(file).map_err(|error| unusable(&error.to_string()))?;
    path.into_os_string().into_string().map_err(|_| unusable("is not UTF-8"))
}

/// Has a backup made and shows how far it is.
async fn make(client: &ApiClient, path: &str) -> Result<Value, Failure> {
    let making = client.json(Method::POST, path, Payload::Empty);
    tokio::pin!(making);
    let mut ticks = tokio::time::interval(ASK_EVERY);
    let mut progress = None;
    let answer = loop {
        tokio::select! {
            answer = &mut making => break answer,
            _ = ticks.tick() => ask(client, &mut progress).await,
        }
    };
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(answer?)
}

/// Shows what the node says; that it says nothing is no reason to stop.
async fn ask(client: &ApiClient, progress: &mut Option<Progress>) {
    let asked = client.json(Method::GET, "/api/backup/status", Payload::Empty).await;
    let Ok(Status { running: Some(running), .. }) = asked else { return };
    let bar = progress.get_or_insert_with(|| Progress::start(running.bytes_total));
    bar.update(running.bytes_done, || running.message);
}

async fn show<T: for<'a> Deserialize<'a>>(
    call: &Call,
    path: &str,
    text: impl Fn(&T, &Output) -> String,
) -> Result<(), Failure> {
    let answer: Value = call
        .with_node(Need::StoreOnly, async |client| {
            Ok(client.json(Method::GET, path, Payload::Empty).await?)
        })
        .await?;
    if call.output.json {
        return call.output.document(&answer);
    }
    call.output.write(text(&read(answer)?, &call.output).as_bytes())
}

fn read<T: for<'a> Deserialize<'a>>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::Found(format!("the node is of another version: its answer {error}"))
    })
}

/// `POST /api/backup/now`.
#[derive(Debug, Deserialize)]
struct Made {
    path: PathBuf,
    size_bytes: u64,
    duration_seconds: f64,
    records: u64,
}

/// `GET /api/backup/status`.
#[derive(Debug, Deserialize)]
struct Status {
    enabled: bool,
    interval: String,
    retention_days: u64,
    max_count: u64,
    backup_count: u64,
    total_size_bytes: u64,
    last_backup_time: Option<f64>,
    time_since_last_seconds: Option<f64>,
    next_backup_at: Option<String>,
    backup_directory: String,
    running: Option<Running>,
    last_error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Running {
    bytes_done: u64,
    bytes_total: u64,
    message: String,
}

/// `GET /api/backup/list`.
#[derive(Debug, Deserialize)]
struct List {
    backups: Vec<Listed>,
    total_size_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Listed {
    filename: String,
    size_bytes: u64,
    created_at: jiff::Timestamp,
}

fn made_text(made: &Made) -> String {
    format!(
        "{}\n{}, {}, checked, in {:.1} s",
        made.path.display(),
        counted(made.records, "record", "records"),
        size(made.size_bytes),
        made.duration_seconds
    )
}

fn list_text(list: &List, output: &Output) -> String {
    if list.backups.is_empty() {
        return "no backups\n".to_owned();
    }
    let row = |backup: &Listed| {
        let time = backup.created_at.as_millisecond() as f64 / 1000.0;
        vec![output.time(time), size(backup.size_bytes), harmless(&backup.filename)]
    };
    let rows: Vec<Vec<String>> = list.backups.iter().map(row).collect();
    let count = counted(list.backups.len() as u64, "backup", "backups");
    let summary = format!("{count}, {}", size(list.total_size_bytes));
    format!("{}{}\n", table(&rows), output.style.dim(&summary))
}

fn status_text(status: &Status, output: &Output) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), harmless(&value)];
    let schedule = if status.enabled { status.interval.clone() } else { "off".to_owned() };
    let last = match (status.last_backup_time, status.time_since_last_seconds) {
        (Some(at), Some(ago)) => format!("{}, {} ago", output.time(at), duration(ago as u64)),
        _ => "never".to_owned(),
    };
    let next = status.next_backup_at.as_deref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let next = next.map_or("while a node runs".to_owned(), |at| {
        output.time(at.as_millisecond() as f64 / 1000.0)
    });
    let mut rows = vec![
        row("directory", status.backup_directory.clone()),
        row("schedule", schedule),
        row("kept", format!("{} days, {} at most", status.retention_days, status.max_count)),
        row("backups", format!("{}, {}", status.backup_count, size(status.total_size_bytes))),
        row("last", last),
    ];
    if status.enabled {
        rows.push(row("next", next));
    }
    rows.extend(status.running.as_ref().map(|running| {
        let (done, total) = (size(running.bytes_done), size(running.bytes_total));
        row("now", format!("{}, {done} of {total}", running.message))
    }));
    rows.extend(status.last_error.clone().map(|error| row("failed", error)));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::output::Style;
    use super::*;

    fn output() -> Output {
        Output { json: false, style: Style::new(false), zone: jiff::tz::TimeZone::UTC }
    }

    #[test]
    fn backups_are_listed_with_time_and_size() {
        let answer = json!({"backups": [{"filename": "b.db", "size_bytes": 2048, "age_days": 0,
            "created_at": "2026-11-22T15:26:24.179000Z"}], "total_count": 1,
            "total_size_bytes": 2048});
        let shown = list_text(&read(answer).expect("a list"), &output());
        assert_eq!(shown, "2026-11-22 15:26  2.0 KiB  b.db\n1 backup, 2.0 KiB\n");
        let none = json!({"backups": [], "total_count": 0, "total_size_bytes": 0});
        assert_eq!(list_text(&read(none).expect("a list"), &output()), "no backups\n");
    }

    #[test]
    fn the_status_names_times_and_failures() {
        let answer = json!({"enabled": true, "interval": "daily", "retention_days": 7,
            "max_count": 10, "backup_count": 0, "total_size_bytes": 0, "last_backup_time": null,
            "time_since_last_seconds": null, "next_backup_at": "2026-11-22T15:26:24Z",
            "scheduler_running": true, "backup_directory": "/b", "last_error": "no room",
            "running": {"phase": "copying", "bytes_done": 1024, "bytes_total": 2048,
                "message": "copying"}});
        let shown = status_text(&read(answer).expect("a status"), &output());
        let expected = "directory  /b\nschedule   daily\nkept       7 days, 10 at most\n\
                        backups    0, 0 B\nlast       never\nnext       2026-11-22 15:26\n\
                        now        copying, 1.0 KiB of 2.0 KiB\nfailed     no room\n";
        assert_eq!(shown, expected);
        assert!(read::<Status>(json!({})).is_err());
    }
}
