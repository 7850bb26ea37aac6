//! Reads the files of an import on a thread of its own, a bounded way ahead.

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::super::exit::Failure;
use super::batch::Item;
use crate::ingest::{self, IngestOptions, Skipped};
use crate::memory::{NewMemory, normalise_tags};
use crate::store::{PeerFile, PeerMemory, StoreError};

/// How many items are read ahead.
const AHEAD_COUNT_MAX: usize = 128;
/// Rows of another program's database that are read together.
const ROW_COUNT: usize = 64;

/// What was read.
pub(super) enum Read {
    /// A memory.
    Item(Item),
    /// A sentence about a place that cannot be imported.
    Problem(String),
    /// What was left out of directories so far.
    Skipped(Skipped),
    /// How many deleted memories were left out so far.
    Deleted(u64),
}

/// Something to import.
pub(super) enum Input {
    /// Files of text and JSON, a directory of them, or `-`.
    Path(PathBuf),
    /// A database of mcp-memory-service.
    Peer(PathBuf),
}

impl Input {
    fn path(&self) -> &Path {
        match self {
            Input::Path(path) | Input::Peer(path) => path,
        }
    }
}

/// The bytes of everything that will be read; 0 when that is not known.
pub(super) fn total_bytes(inputs: &[Input], options: &IngestOptions) -> u64 {
    if inputs.iter().any(|input| input.path().as_os_str() == "-") {
        return 0;
    }
    inputs.iter().map(|input| ingest::total_bytes(input.path(), options)).sum()
}

/// Starts to read. The thread ends when everything is read or nobody listens any more; one that
/// waits for standard input ends with the process.
pub(super) fn start(inputs: Vec<Input>, options: IngestOptions) -> Result<Receiver<Read>, Failure> {
    let (sender, receiver) = channel(AHEAD_COUNT_MAX);
    let read = move || {
        let skipped = Skipped::default();
        let mut source = Source { sender, bytes_before: 0, skipped, deleted_count: 0 };
        for input in inputs {
            let read = match &input {
                Input::Path(path) => source.read(path, &options),
                Input::Peer(path) => source.read_peer(path, &options),
            };
            if read.is_none() {
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
    deleted_count: u64,
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
                Ok(item) => Read::Item(Item {
                    place: reader.place(&item),
                    line: line(&item.memory),
                    bytes_read: self.bytes_before + reader.bytes_read(),
                }),
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

    /// Reads a database of mcp-memory-service; one that breaks off is a problem like a bad line.
    fn read_peer(&mut self, path: &Path, options: &IngestOptions) -> Option<()> {
        let bytes = ingest::total_bytes(path, options);
        match self.read_rows(path, bytes, options) {
            Ok(listened) => listened?,
            Err(error) => {
                let problem = format!("{}: {error}", path.display());
                self.sender.blocking_send(Read::Problem(problem)).ok()?;
            }
        }
        self.bytes_before += bytes;
        Some(())
    }

    fn read_rows(
        &mut self,
        path: &Path,
        bytes: u64,
        options: &IngestOptions,
    ) -> Result<Option<()>, StoreError> {
        let file = PeerFile::open(path)?;
        let counts = file.counts()?;
        self.deleted_count += counts.deleted;
        if self.sender.blocking_send(Read::Deleted(self.deleted_count)).is_err() {
            return Ok(None);
        }
        let (mut after, mut done) = (i64::MIN, 0);
        loop {
            let rows = file.memories_after(after, ROW_COUNT, &options.namespace_default)?;
            let Some(last) = rows.last() else { return Ok(Some(())) };
            after = last.row;
            for PeerMemory { row, memory } in rows {
                done += 1;
                let place = format!("{}: row {row}", path.display());
                // The size of a row in the file is not known: they count as equal.
                let bytes_read = self.bytes_before + bytes * done / counts.live.max(done);
                let read = match memory.and_then(|memory| labelled(memory, options)) {
                    Ok(memory) => Read::Item(Item { place, line: line(&memory), bytes_read }),
                    Err(error) => Read::Problem(format!("{place}: {error}")),
                };
                if self.sender.blocking_send(read).is_err() {
                    return Ok(None);
                }
            }
        }
    }
}

/// A memory of another program's database with what the command line adds to it.
fn labelled(mut memory: NewMemory, options: &IngestOptions) -> crate::Result<NewMemory> {
    let tags = memory.tags.iter().chain(&options.tags);
    memory.tags = normalise_tags(tags.map(|tag| tag.as_str()))?;
    memory.memory_type = memory.memory_type.or_else(|| options.record_type.clone());
    if let Some(namespace) = &options.namespace {
        memory.namespace = namespace.clone();
    }
    Ok(memory)
}

/// A memory as one line of JSON.
fn line(memory: &NewMemory) -> String {
    let line = json!({
        "content": memory.content,
        "tags": memory.tags,
        "memory_type": memory.memory_type,
        "metadata": memory.metadata,
        "namespace": memory.namespace,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
    });
    line.to_string()
}
