//! Reads the files of an import on a thread of its own, a bounded way ahead.

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::super::exit::Failure;
use super::batch::Item;
use crate::ingest::{self, IngestOptions, Reader, Skipped};
use crate::memory::ImportItem;

/// How many items are read ahead.
const AHEAD_COUNT_MAX: usize = 128;

/// What was read.
pub(super) enum Read {
    /// A memory.
    Item(Item),
    /// A sentence about a place that cannot be imported.
    Problem(String),
    /// What was left out of directories so far.
    Skipped(Skipped),
}

/// The bytes of everything that will be read; 0 when that is not known.
pub(super) fn total_bytes(paths: &[PathBuf], options: &IngestOptions) -> u64 {
    if paths.iter().any(|path| path.as_os_str() == "-") {
        return 0;
    }
    paths.iter().map(|path| ingest::total_bytes(path, options)).sum()
}

/// Starts to read. The thread ends when everything is read or nobody listens any more; one that
/// waits for standard input ends with the process.
pub(super) fn start(
    paths: Vec<PathBuf>,
    options: IngestOptions,
) -> Result<Receiver<Read>, Failure> {
    let (sender, receiver) = channel(AHEAD_COUNT_MAX);
    let read = move || {
        let mut source = Source { sender, bytes_before: 0, skipped: Skipped::default() };
        for path in paths {
            if source.read(&path, &options).is_none() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("import-read".into())
        .spawn(read)
        .map_err(|error| Failure::io("cannot start a thread", error))?;
    Ok(receiver)
}

struct Source {
    sender: Sender<Read>,
    bytes_before: u64,
    skipped: Skipped,
}

impl Source {
    /// Reads one of the paths; `None` when nobody listens any more.
    fn read(&mut self, path: &Path, options: &IngestOptions) -> Option<()> {
        let mut reader = match path.to_str() {
            Some("-") => {
                let input = Box::new(BufReader::new(io::stdin()));
                ingest::read_stream(input, "standard input", options)
            }
            _ => ingest::read_path(path, options),
        };
        while let Some(found) = reader.next() {
            let read = match found {
                Ok(item) => Read::Item(self.item(&reader, &item)),
                Err(error) => Read::Problem(error.to_string()),
            };
            self.sender.blocking_send(read).ok()?;
        }
        self.bytes_before += reader.bytes_read();
        let skipped = reader.skipped();
        self.skipped.hidden += skipped.hidden;
        self.skipped.other += skipped.other;
        self.skipped.binary += skipped.binary;
        self.skipped.special += skipped.special;
        self.sender.blocking_send(Read::Skipped(self.skipped)).ok()
    }

    fn item(&self, reader: &Reader, item: &ImportItem) -> Item {
        let memory = &item.memory;
        let line = json!({
            "content": memory.content,
            "tags": memory.tags,
            "memory_type": memory.memory_type,
            "metadata": memory.metadata,
            "namespace": memory.namespace,
            "created_at": memory.created_at,
            "updated_at": memory.updated_at,
        });
        Item {
            place: reader.place(item),
            line: line.to_string(),
            bytes_read: self.bytes_before + reader.bytes_read(),
        }
    }
}
