//! `memnode import`: files to a node, in batches that are durable once they are answered.

pub(super) mod batch;
mod source;

use std::path::Path;

use serde_json::json;
use tokio::sync::mpsc::Receiver;

use super::Call;
use super::args::ImportArgs;
use super::exit::Failure;
use super::output::{Output, counted, grouped};
use super::progress::{Progress, count_and_rate, duration};
use super::wire::ImportStatus;
use crate::ingest::{self, IngestOptions, Skipped};
use crate::memory::{Namespace, normalise_tags};
use crate::store::{self, FileKind, PeerFile};
use batch::{Answer, Batch, Sender};
use source::{Input, Read};

/// Most problems that are printed; the count goes on.
const SHOWN_COUNT_MAX: u64 = 100;

pub(super) async fn run(
    call: &Call,
    args: ImportArgs,
    namespace_is_asked: bool,
) -> Result<(), Failure> {
    let options = options(&args, &call.config.node.namespace, namespace_is_asked)?;
    let inputs = args.paths.iter().map(|path| check_source(path)).collect::<Result<Vec<_>, _>>()?;
    let total = source::total_bytes(&inputs, &options);
    let mut sender = Sender::attach(call, &args).await?;
    let mut import = Import { tally: Tally::default(), progress: Progress::start(total) };
    let reads = source::start(inputs, options)?;
    let result = import.run(call, &mut sender, reads).await;
    import.progress.finish();
    sender.close().await;
    let interrupted = matches!(result, Err(Failure::Interrupted(_)));
    import.summarise(&call.output, args.dry_run, interrupted)?;
    result?;
    match import.tally.failed {
        0 => Ok(()),
        failed => Err(Failure::BadInput(format!(
            "{} could not be imported",
            counted(failed, "line or part", "lines or parts")
        ))),
    }
}

/// How files are read: what the arguments say, over what the settings say.
fn options(
    args: &ImportArgs,
    namespace: &str,
    namespace_is_asked: bool,
) -> Result<IngestOptions, Failure> {
    let wrong = |error: crate::Error| Failure::Usage(error.to_string());
    let namespace: Namespace = namespace.parse().map_err(wrong)?;
    let defaults = IngestOptions::default();
    Ok(IngestOptions {
        chunk_chars: args.chunk_size as usize,
        overlap_chars: args.chunk_overlap as usize,
        memory_type: args.labels.memory_type.clone().or(defaults.memory_type),
        record_type: args.labels.memory_type.clone(),
        tags: normalise_tags(args.labels.tags.iter().map(String::as_str)).map_err(wrong)?,
        namespace: namespace_is_asked.then(|| namespace.clone()),
        namespace_default: namespace,
        recursive: !args.no_recursion,
        extensions: args.extension.iter().map(|name| extension(name)).collect(),
        files_max: defaults.files_max,
    })
}

fn extension(name: &str) -> String {
    name.trim().trim_start_matches('.').to_lowercase()
}

/// What a path is, and what can be seen to be wrong with it before anything is stored.
fn check_source(path: &Path) -> Result<Input, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Input::Path(path.to_owned()));
    }
    let failed = |error| Failure::io(format!("cannot read {}", path.display()), error);
    std::fs::metadata(path).map_err(failed)?;
    if !ingest::is_sqlite(path).map_err(failed)? {
        return Ok(Input::Path(path.to_owned()));
    }
    let shown = path.display();
    let unreadable = |error| Failure::BadInput(format!("{shown}: {error}"));
    match store::identify(path).map_err(unreadable)? {
        FileKind::Peer => {
            PeerFile::open(path).and_then(|file| file.counts()).map_err(unreadable)?;
            Ok(Input::Peer(path.to_owned()))
        }
        FileKind::Ours(_) => Err(Failure::BadInput(format!(
            "{shown} is a database of memnode: import what \
             `memnode --store-path {shown} export -A` writes"
        ))),
        FileKind::Absent | FileKind::Foreign => Err(Failure::BadInput(format!(
            "{shown} is a SQLite file, but not one of mcp-memory-service; text, Markdown, JSON \
             and JSONL can be imported too"
        ))),
    }
}

/// What came of the lines and parts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    stored: u64,
    there_already: u64,
    failed: u64,
    skipped: Skipped,
    deleted: u64,
}

impl Tally {
    fn done(&self) -> u64 {
        self.stored + self.there_already + self.failed
    }
}

struct Import {
    tally: Tally,
    progress: Progress,
}

impl Import {
    /// Sends what is read until there is no more. A batch that was sent is always waited for;
    /// one that is being put together when the user stops is not sent.
    async fn run(
        &mut self,
        call: &Call,
        sender: &mut Sender<'_>,
        mut reads: Receiver<Read>,
    ) -> Result<(), Failure> {
        let mut batch = Batch::default();
        loop {
            let read = tokio::select! {
                biased;
                () = call.stop.cancelled() => return Err(interrupted()),
                read = reads.recv() => read,
            };
            match read {
                None => return self.send(sender, &mut batch).await,
                Some(Read::Item(item)) => {
                    batch.push(item);
                    if batch.is_full() {
                        self.send(sender, &mut batch).await?;
                    }
                }
                Some(Read::Problem(problem)) => self.fail(&problem),
                Some(Read::Skipped(skipped)) => self.tally.skipped = skipped,
                Some(Read::Deleted(count)) => self.tally.deleted = count,
            }
        }
    }

    async fn send(&mut self, sender: &mut Sender<'_>, batch: &mut Batch) -> Result<(), Failure> {
        if batch.items.is_empty() {
            return Ok(());
        }
        let Answer { results, trouble } = sender.send(batch).await?;
        for (item, result) in batch.items.iter().zip(results) {
            match result.status {
                ImportStatus::Stored | ImportStatus::WouldStore => self.tally.stored += 1,
                ImportStatus::Duplicate | ImportStatus::SemanticDuplicate => {
                    self.tally.there_already += 1;
                }
                ImportStatus::Failed => {
                    let reason = result.detail.as_deref().unwrap_or("refused");
                    self.fail(&format!("{}: {reason}", item.place));
                }
            }
        }
        let bytes_read = batch.items.last().map_or(0, |item| item.bytes_read);
        let (done, elapsed) = (self.tally.done(), self.progress.elapsed());
        let message = || count_and_rate(done, "memory", "memories", elapsed);
        self.progress.update(bytes_read, message);
        batch.clear();
        trouble.map_or(Ok(()), Err)
    }

    fn fail(&mut self, problem: &str) {
        self.tally.failed += 1;
        match self.tally.failed {
            1..=SHOWN_COUNT_MAX => self.progress.note(&super::output::harmless(problem)),
            n if n == SHOWN_COUNT_MAX + 1 => self.progress.note("further problems are not shown"),
            _ => {}
        }
    }

    fn summarise(&self, output: &Output, dry_run: bool, interrupted: bool) -> Result<(), Failure> {
        let Tally { stored, there_already, failed, skipped, deleted } = self.tally;
        if output.json {
            return output.document(&json!({
                "stored": if dry_run { 0 } else { stored },
                "would_store": if dry_run { stored } else { 0 },
                "already_there": there_already,
                "failed": failed,
                "skipped_deleted": deleted,
                "skipped_files": {"hidden": skipped.hidden, "other": skipped.other,
                    "binary": skipped.binary, "special": skipped.special},
                "dry_run": dry_run,
                "interrupted": interrupted,
            }));
        }
        output.write(summary(&self.tally, dry_run, self.progress.elapsed().as_secs()).as_bytes())
    }
}

fn interrupted() -> Failure {
    let sentence = "interrupted; run the same command again to go on: what is there is skipped";
    Failure::Interrupted(sentence.to_owned())
}

/// What an import did, in a sentence, and what it left out.
fn summary(tally: &Tally, dry_run: bool, seconds: u64) -> String {
    let verb = if dry_run { "would store" } else { "stored" };
    let mut text = format!(
        "{verb} {}, already there {}, failed {}, in {}\n",
        grouped(tally.stored),
        grouped(tally.there_already),
        grouped(tally.failed),
        duration(seconds),
    );
    let skipped = tally.skipped;
    let kinds = [
        (skipped.hidden, "hidden"),
        (skipped.other, "of other kinds"),
        (skipped.binary, "binary"),
        (skipped.special, "links and special files"),
    ];
    let left_out: Vec<String> = kinds
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{} {kind}", grouped(count)))
        .collect();
    if !left_out.is_empty() {
        text.push_str(&format!("files left out: {}\n", left_out.join(", ")));
    }
    if tally.deleted > 0 {
        text.push_str(&format!("deleted memories left out: {}\n", grouped(tally.deleted)));
    }
    text
}

#[cfg(test)]
mod tests;
