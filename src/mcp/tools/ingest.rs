//! `memory_ingest`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Definition, Outcome, paths};
use crate::ingest::{IngestError, IngestOptions, Reader, read_path};
use crate::limit::Budget;
use crate::mcp::arguments::{Tags, Whole};
use crate::mcp::call::Call;
use crate::memory::{ImportItem, ImportOutcome, Position, Remembered, Written};
use crate::{Error, Result};

/// Parts that are stored in one transaction.
const BATCH_COUNT: usize = 64;
/// Errors that are told one by one.
const ERROR_COUNT_SHOWN: usize = 20;
const FILE_COUNT_DEFAULT: usize = 100;
const FILE_COUNT_MAX: usize = 10_000;

const DESCRIPTION: &str = "\
Store what a text or Markdown file, or a directory of them, says: cut at headings and paragraphs \
into parts that can be found on their own, with source and position in their metadata. Storing the \
same file twice is harmless.";

/// Arguments of `memory_ingest`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The file to read; either this or directory_path.
    file_path: Option<String>,
    /// The directory to read; either this or file_path.
    directory_path: Option<String>,
    /// Tags of every part.
    tags: Option<Tags>,
    /// Most characters of one part; 1000 when left out.
    chunk_size: Option<Whole<100, 16_000>>,
    /// Characters that a part repeats of the one before; 200 when left out.
    chunk_overlap: Option<Whole<0, 8_000>>,
    /// The type of every part; `document` when left out.
    memory_type: Option<String>,
    /// Whether directories inside the directory are read too; true when left out.
    recursive: Option<bool>,
    /// Which files of a directory are read, such as `md`; those of text when left out.
    file_extensions: Option<Vec<String>>,
    /// Most files of a directory; 100 when left out.
    max_files: Option<Whole<1, FILE_COUNT_MAX>>,
    /// Where to store it; the client's default when left out.
    namespace: Option<String>,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Serialize, JsonSchema)]
struct Output {
    /// Whether every part is stored now.
    success: bool,
    /// Files that were read.
    files_processed: usize,
    /// Parts that were made of them.
    chunks_processed: usize,
    /// Parts that are new.
    chunks_stored: usize,
    /// Parts that were stored before.
    chunks_duplicate: usize,
    /// Files, lines and parts that were refused.
    error_count: usize,
    /// Why, for the first of them.
    errors: Vec<String>,
    /// Where the writes stand; any node can wait for them. Null when nothing is new.
    position: Option<String>,
}

impl Output {
    fn count(&mut self, outcome: ImportOutcome) {
        self.chunks_processed += 1;
        match outcome.result {
            Ok(Written { value: Remembered::Stored(_), .. }) => self.chunks_stored += 1,
            Ok(_) => self.chunks_duplicate += 1,
            Err(error) => self.refuse(format!("part {}: {error}", outcome.position)),
        }
    }

    fn refuse(&mut self, reason: String) {
        self.error_count += 1;
        if self.errors.len() < ERROR_COUNT_SHOWN {
            self.errors.push(reason);
        }
    }
}

pub(super) fn definition() -> Definition {
    Definition::writing::<Input, Output>("Ingest documents", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let given = match (&input.file_path, &input.directory_path) {
        (Some(path), None) | (None, Some(path)) => path,
        _ => {
            return Err(Error::invalid("give either file_path or directory_path")
                .reason("invalid_arguments"));
        }
    };
    let path = paths::resolve(given, call.directory.as_deref(), call.ingest)?;
    let reader = read_path(&path, &options(call, &input)?);
    let output = store(call, reader).await?;
    Outcome::new(text(&path, &output), &output)
}

fn options(call: &Call<'_>, input: &Input) -> Result<IngestOptions> {
    let defaults = IngestOptions::default();
    let namespace = call.namespace(input.namespace.as_deref())?;
    let extensions = input.file_extensions.as_ref().map(|extensions| {
        extensions.iter().map(|text| text.trim_start_matches('.').to_lowercase()).collect()
    });
    Ok(IngestOptions {
        chunk_chars: input.chunk_size.map_or(defaults.chunk_chars, |size| size.0),
        overlap_chars: input.chunk_overlap.map_or(defaults.overlap_chars, |size| size.0),
        memory_type: input.memory_type.clone().or(defaults.memory_type),
        tags: input.tags.clone().unwrap_or_default().0,
        namespace_default: namespace.clone(),
        namespace: Some(namespace),
        recursive: input.recursive.unwrap_or(defaults.recursive),
        extensions: extensions.unwrap_or(defaults.extensions),
        files_max: input.max_files.map_or(FILE_COUNT_DEFAULT, |count| count.0),
        ..defaults
    })
}

async fn store(call: &Call<'_>, reader: Reader) -> Result<Output> {
    let (sender, mut batches) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || read(reader, &sender));
    let mut output = Output::default();
    let mut position = Position::default();
    let mut batch_count = 0;
    let mut first_error = None;
    while let Some(Batch { items, errors }) = batches.recv().await {
        for error in errors {
            output.refuse(error.to_string());
            first_error.get_or_insert(error);
        }
        if items.is_empty() {
            continue;
        }
        call.pay(Budget::Writes, items.len(), batch_count == 0).await?;
        let once = call.once_of(&batch_count.to_string())?;
        batch_count += 1;
        let stored = call.service.remember_batch(&call.who, items, once).await?;
        stored.value.into_iter().for_each(|outcome| output.count(outcome));
        position.join(&stored.position);
    }
    output.files_processed =
        reading.await.map_err(|error| Error::internal("reading the files failed", error))?;
    if output.chunks_processed == 0
        && let Some(error) = first_error
    {
        return Err(error.into());
    }
    output.success = output.error_count == 0;
    output.position = position.span().to_text();
    Ok(output)
}

/// What was read at once.
#[derive(Default)]
struct Batch {
    items: Vec<ImportItem>,
    errors: Vec<IngestError>,
}

/// Reads until there is nothing more or nobody listens, and says how many files were opened.
fn read(mut reader: Reader, batches: &mpsc::Sender<Batch>) -> usize {
    loop {
        let mut batch = Batch::default();
        for item in reader.by_ref().take(BATCH_COUNT) {
            match item {
                Ok(item) => batch.items.push(item),
                Err(error) => batch.errors.push(error),
            }
        }
        let is_empty = batch.items.is_empty() && batch.errors.is_empty();
        if is_empty || batches.blocking_send(batch).is_err() {
            return reader.file_count();
        }
    }
}

fn text(path: &Path, output: &Output) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let mut lines = vec![
        format!("Document ingestion completed: {name}"),
        format!("Files processed: {}", output.files_processed),
        format!("Chunks processed: {}", output.chunks_processed),
        format!("Chunks stored: {}", output.chunks_stored),
        format!("Chunks stored before: {}", output.chunks_duplicate),
    ];
    if output.error_count > 0 {
        lines.push(format!("Errors encountered: {}", output.error_count));
        lines.extend(output.errors.iter().map(|error| format!("   - {error}")));
        if output.error_count > output.errors.len() {
            lines.push(format!("   ... and {} more", output.error_count - output.errors.len()));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ContentHash;

    #[test]
    fn outcomes_are_counted_and_only_the_first_errors_are_told() {
        let mut output = Output::default();
        let hash = ContentHash::of("x");
        let value = Remembered::Duplicate(hash);
        let duplicate = Written { value, position: Position::default() };
        output.count(ImportOutcome { position: 0, result: Ok(duplicate) });
        for position in 1..=25 {
            output.count(ImportOutcome { position, result: Err(Error::invalid("is empty")) });
        }
        assert_eq!((output.chunks_processed, output.chunks_duplicate), (26, 1));
        assert_eq!((output.error_count, output.errors.len()), (25, ERROR_COUNT_SHOWN));
        let text = text(Path::new("/a/notes.md"), &output);
        assert!(text.starts_with("Document ingestion completed: notes.md\n"), "{text}");
        assert!(text.contains("   - part 1: is empty\n"), "{text}");
        assert!(text.ends_with("   ... and 5 more"), "{text}");
    }
}
