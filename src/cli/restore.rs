//! `memnode restore`: a deleted memory, or the whole file from a backup.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::args::hash;
use super::exit::Failure;
use super::output::counted;
use super::progress::Progress;
use super::{Call, can_ask, change};
use crate::node::{Restore, Restored, StartError};
use crate::store::StoreError;

#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// A backup, or the content hash of a deleted memory
    #[arg(value_name = "FILE|HASH", value_parser = restored)]
    pub(super) what: RestoreWhat,
    /// Replace the file that is there, which is kept, without asking
    #[arg(short, long)]
    pub(super) yes: bool,
}

/// What is to come back.
#[derive(Clone, Debug)]
pub(super) enum RestoreWhat {
    /// A deleted memory, by its content hash.
    Memory(String),
    /// The whole file, from this backup.
    Backup(PathBuf),
}

pub(super) async fn run(call: &Call, args: RestoreArgs) -> Result<(), Failure> {
    match args.what {
        RestoreWhat::Memory(hash) => change::restore(call, &hash).await,
        RestoreWhat::Backup(file) => backup(call, file, args.yes).await,
    }
}

async fn backup(call: &Call, file: PathBuf, yes: bool) -> Result<(), Failure> {
    let readable = fs::File::open(&file).and_then(|opened| opened.metadata());
    let unreadable = |error| Failure::io(format!("cannot read {}", file.display()), error);
    if !readable.map_err(unreadable)?.is_file() {
        return Err(Failure::BadInput(format!("{} is not a file", file.display())));
    }
    let restore = Restore::begin(&call.config)?;
    if is_same(&file, restore.database()) {
        let same = format!("{} is the database itself", file.display());
        return Err(Failure::Usage(same));
    }
    if restore.replaces() && !yes && !confirm(restore.database())? {
        return call.output.line("nothing restored");
    }
    let progress = Progress::start(0);
    let stop = call.stop.clone();
    let path = file.clone();
    let work = tokio::task::spawn_blocking(move || restore.run(&path, move || stop.is_cancelled()));
    let result = work.await;
    progress.finish();
    let result = result.map_err(|error| Failure::Found(format!("restoring broke off: {error}")))?;
    report(call, &file, &result.map_err(|error| failure(&file, error))?)
}

/// A hash is a hash; a file of such a name is written `./…`.
fn restored(text: &str) -> Result<RestoreWhat, String> {
    match hash(text) {
        Ok(hash) => Ok(RestoreWhat::Memory(hash)),
        Err(_) if text.is_empty() => Err("it must be a file or a content hash".to_owned()),
        Err(_) => Ok(RestoreWhat::Backup(text.into())),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Asks on the terminal; anything but a yes is a no.
fn confirm(database: &Path) -> Result<bool, Failure> {
    if !can_ask() {
        let why = format!(
            "{} is there already: --yes replaces it, and keeps it under another name",
            database.display()
        );
        return Err(Failure::Usage(why));
    }
    let failed = |error| Failure::io("cannot ask", error);
    let question = format!("replace {}, which is kept? [y/N] ", database.display());
    io::stderr().write_all(question.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// What it means to a person that a backup was not restored.
fn failure(file: &Path, error: StoreError) -> Failure {
    match error {
        StoreError::Foreign(_) | StoreError::PeerFile(_) => Failure::BadInput(error.to_string()),
        StoreError::Newer { .. } => StartError::Newer(error).into(),
        StoreError::Permission { .. } => StartError::Permission(error).into(),
        StoreError::Full => {
            Failure::io("no room for the restored file", io::ErrorKind::StorageFull.into())
        }
        StoreError::CannotCreate { path, reason } => {
            Failure::create(&path, io::Error::other(reason))
        }
        StoreError::Deadline => Failure::Interrupted("interrupted, nothing was changed".into()),
        StoreError::Damaged(reason) => Failure::BadBackup { path: file.to_owned(), reason },
        other => Failure::BadBackup { path: file.to_owned(), reason: other.to_string() },
    }
}

fn report(call: &Call, file: &Path, restored: &Restored) -> Result<(), Failure> {
    let Restored { database, kept, contents } = restored;
    if call.output.json {
        return call.output.document(&json!({
            "database": database, "backup": file, "kept": kept,
            "records": contents.record_count,
        }));
    }
    let records = counted(contents.record_count, "record", "records");
    call.output.line(format!("restored {records} to {}", database.display()))?;
    match kept {
        None => Ok(()),
        Some(kept) => call.output.line(format!("what was there is kept as {}", kept.display())),
    }
}
