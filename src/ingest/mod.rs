//! Files to memories: text and Markdown in parts, JSONL line by line; no network, no store.
//!
//! Everything is read lazily: whatever the size of a file, only one part of it is in memory.

mod chunk;
mod json;
mod line;
mod record;
mod sentence;
mod text;
mod walk;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::memory::{ImportItem, Namespace, Tag};
use crate::{Code, Error};
use walk::{Entry, Walk};

/// Longest line of a JSONL file, in bytes.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Smallest and largest size of a part, in characters. The largest still fits into one memory
/// when every character takes four bytes.
pub const CHUNK_CHARS: std::ops::RangeInclusive<usize> = 100..=16_000;
/// Buffer of one open file, in bytes; its first fill decides what kind of file it is.
const BUFFER_BYTES: usize = 64 * 1024;
/// How every SQLite file starts.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// What to read and how to cut it.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestOptions {
    /// Largest part of a text, in characters, without the headings above it; held within
    /// [`CHUNK_CHARS`].
    pub chunk_chars: usize,
    /// How much of the end of a part the next one repeats, in characters; at most half a part.
    pub overlap_chars: usize,
    /// The type of memories made from text.
    pub memory_type: Option<String>,
    /// The type of JSONL lines that name none.
    pub record_type: Option<String>,
    /// Added to every memory.
    pub tags: Vec<Tag>,
    /// Where every memory goes; `None` leaves a JSONL line its own namespace.
    pub namespace: Option<Namespace>,
    /// Where a memory goes that nothing else names a namespace for.
    pub namespace_default: Namespace,
    /// Whether directories inside a directory are read.
    pub recursive: bool,
    /// Which files of a directory are read: lower case, no dot. A file named outright is read
    /// whatever it is called.
    pub extensions: Vec<String>,
    /// Most files of one call.
    pub files_max: usize,
}

impl Default for IngestOptions {
    fn default() -> Self {
        IngestOptions {
            chunk_chars: 1000,
            overlap_chars: 200,
            memory_type: Some("document".to_owned()),
            record_type: None,
            tags: Vec::new(),
            namespace: None,
            namespace_default: Namespace::default(),
            recursive: true,
            extensions: ["txt", "text", "md", "markdown", "rst"].map(str::to_owned).to_vec(),
            files_max: usize::MAX,
        }
    }
}

/// Why a file, or a part of it, was not read. Reading goes on with what follows.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A file or directory cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file named outright is not text.
    #[error("{}: not a text file", path.display())]
    Binary {
        /// Which.
        path: PathBuf,
    },
    /// A line is wrong; the lines after it are read, but for text that is not UTF-8.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// In which file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// A part of a text is refused.
    #[error("{}: part {position}: {problem}", path.display())]
    Part {
        /// In which file.
        path: PathBuf,
        /// From 0.
        position: u64,
        /// Why.
        problem: Error,
    },
    /// The rest of a directory is left out.
    #[error("{}: holds more than {files_max} files; the rest is left out", path.display())]
    TooManyFiles {
        /// The directory.
        path: PathBuf,
        /// The bound.
        files_max: usize,
    },
}

/// What is wrong with one line.
#[derive(Debug, thiserror::Error)]
pub enum LineProblem {
    /// Some bytes are no characters.
    #[error("not UTF-8; convert the file with `iconv -t utf-8` first")]
    NotUtf8,
    /// A bound is exceeded.
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Broken off, or not JSON at all, or a value of the wrong type.
    #[error("{}", json_problem(.0))]
    Json(#[from] serde_json::Error),
    /// JSON, but no list of memories in it.
    #[error("no memories in it: expected `{{\"memories\": [..]}}`, `[..]` or one object a line")]
    NoMemories,
    /// A memory that breaks a rule.
    #[error("{0}")]
    Refused(#[from] Error),
}

/// What the JSON parser says; its line is always 1 where a line is parsed by itself.
fn json_problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line 1 column {}", error.column());
    match text.strip_suffix(&place) {
        Some(problem) => format!("{problem} (column {})", error.column()),
        None => text,
    }
}

impl From<IngestError> for Error {
    fn from(error: IngestError) -> Self {
        let detail = error.to_string();
        match error {
            IngestError::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Error::new(Code::NotFound, detail),
                io::ErrorKind::PermissionDenied => Error::new(Code::Forbidden, detail),
                _ => Error::internal(detail, source),
            },
            IngestError::Part { problem, .. } => {
                Error::new(problem.code, detail).reason(problem.reason)
            }
            IngestError::Line { problem: LineProblem::Refused(problem), .. } => {
                Error::new(problem.code, detail).reason(problem.reason)
            }
            IngestError::Line { problem: LineProblem::TooLong, .. }
            | IngestError::TooManyFiles { .. } => Error::new(Code::TooLarge, detail),
            IngestError::Binary { .. } | IngestError::Line { .. } => Error::invalid(detail),
        }
    }
}

/// What a directory holds and is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Names that start with a dot.
    pub hidden: u64,
    /// Another extension.
    pub other: u64,
    /// An extension of text, but bytes that are none.
    pub binary: u64,
    /// Links that leave the directory, or lead back into it, and sockets, pipes and devices.
    pub special: u64,
}

/// Reads a file or a directory.
pub fn read_path(path: &Path, options: &IngestOptions) -> Reader {
    Reader { walk: Some(Walk::new(path, options)), ..Reader::empty(options) }
}

/// Reads one stream, such as standard input, under a name: JSONL when it starts with `{`,
/// else text.
pub fn read_stream(input: Box<dyn BufRead + Send>, name: &str, options: &IngestOptions) -> Reader {
    Reader { stream: Some(input), path: PathBuf::from(name), ..Reader::empty(options) }
}

/// The bytes of the files that [`read_path`] would read; for showing progress.
pub fn total_bytes(path: &Path, options: &IngestOptions) -> u64 {
    let files = Walk::new(path, options).take(options.files_max);
    files.flatten().map(|entry| entry.bytes).sum()
}

/// Whether the file starts as SQLite files do.
///
/// # Errors
/// When the file cannot be read.
pub fn is_sqlite(path: &Path) -> io::Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut file = BufReader::with_capacity(SQLITE_MAGIC.len(), File::open(path)?);
    Ok(file.fill_buf()?.starts_with(SQLITE_MAGIC))
}

/// The memories of some files, one after another.
pub struct Reader {
    options: IngestOptions,
    walk: Option<Walk>,
    stream: Option<Box<dyn BufRead + Send>>,
    file: Option<OpenFile>,
    path: PathBuf,
    file_count: usize,
    bytes_of_files_done: u64,
    binary_count: u64,
}

/// A file that is being read, by its kind.
enum OpenFile {
    Lines(json::JsonLines),
    List(json::JsonList),
    Text(Box<text::TextParts>),
}

impl OpenFile {
    fn next(&mut self) -> Option<Result<ImportItem, IngestError>> {
        match self {
            OpenFile::Lines(lines) => lines.next(),
            OpenFile::List(list) => list.next(),
            OpenFile::Text(parts) => parts.next(),
        }
    }

    fn bytes_read(&self) -> u64 {
        match self {
            OpenFile::Lines(lines) => lines.bytes_read(),
            OpenFile::List(list) => list.bytes_read(),
            OpenFile::Text(parts) => parts.bytes_read(),
        }
    }
}

impl Reader {
    fn empty(options: &IngestOptions) -> Self {
        Reader {
            options: options.clone(),
            walk: None,
            stream: None,
            file: None,
            path: PathBuf::new(),
            file_count: 0,
            bytes_of_files_done: 0,
            binary_count: 0,
        }
    }

    /// The file that the last item came from.
    pub fn file(&self) -> &Path {
        &self.path
    }

    /// Where in which file the last item stood, for messages.
    pub fn place(&self, item: &ImportItem) -> String {
        let path = self.path.display();
        match self.file {
            Some(OpenFile::Lines(_)) => format!("{path}:{}", item.position),
            Some(OpenFile::List(_) | OpenFile::Text(_)) | None => {
                format!("{path}: part {}", item.position)
            }
        }
    }

    /// How many files were opened.
    pub fn file_count(&self) -> usize {
        self.file_count
    }

    /// How many bytes were read, of all files.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_of_files_done + self.file.as_ref().map_or(0, OpenFile::bytes_read)
    }

    /// What was left out of directories so far.
    pub fn skipped(&self) -> Skipped {
        let walked = self.walk.as_ref().map(Walk::skipped).unwrap_or_default();
        Skipped { binary: self.binary_count, ..walked }
    }

    /// Opens what comes next; `None` when there is nothing more.
    fn open_next(&mut self) -> Option<Result<(), IngestError>> {
        if let Some(input) = self.stream.take() {
            return Some(self.open(input, None, true));
        }
        let walk = self.walk.as_mut()?;
        let Entry { path, named, .. } = match walk.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        if self.file_count == self.options.files_max {
            let directory = walk.top().to_owned();
            self.walk = None;
            let files_max = self.options.files_max;
            return Some(Err(IngestError::TooManyFiles { path: directory, files_max }));
        }
        self.path = path;
        Some(match File::open(&self.path) {
            Ok(file) => {
                let input = Box::new(BufReader::with_capacity(BUFFER_BYTES, file));
                self.open(input, Format::of(&self.path), named)
            }
            Err(source) => Err(IngestError::Io { path: self.path.clone(), source }),
        })
    }

    fn open(
        &mut self,
        mut input: Box<dyn BufRead + Send>,
        format: Option<Format>,
        named: bool,
    ) -> Result<(), IngestError> {
        let path = self.path.clone();
        let start = match input.fill_buf() {
            Ok(start) => start,
            Err(source) => return Err(IngestError::Io { path, source }),
        };
        if start.contains(&0) {
            if named {
                return Err(IngestError::Binary { path });
            }
            self.binary_count += 1;
            return Ok(());
        }
        let format = format.unwrap_or_else(|| Format::by_content(start));
        self.file_count += 1;
        let options = &self.options;
        self.file = Some(match format {
            Format::JsonLines => OpenFile::Lines(json::JsonLines::new(input, path, options)),
            Format::Json => OpenFile::List(json::JsonList::new(input, path, options)),
            Format::Markup(markup) => {
                OpenFile::Text(Box::new(text::TextParts::new(input, path, markup, options)))
            }
        });
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = Result<ImportItem, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(file) = &mut self.file {
                if let Some(item) = file.next() {
                    return Some(item);
                }
                self.bytes_of_files_done += file.bytes_read();
                self.file = None;
            }
            if let Err(error) = self.open_next()? {
                return Some(Err(error));
            }
        }
    }
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    JsonLines,
    Json,
    Markup(chunk::Markup),
}

impl Format {
    /// By the name, if that says anything.
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        Some(match &*extension {
            "jsonl" | "ndjson" => Format::JsonLines,
            "json" => Format::Json,
            "md" | "markdown" => Format::Markup(chunk::Markup::Markdown),
            "rst" => Format::Markup(chunk::Markup::Rst),
            "txt" | "text" | "log" => Format::Markup(chunk::Markup::Plain),
            _ => return None,
        })
    }

    fn by_content(start: &[u8]) -> Self {
        let text = start.strip_prefix(line::BOM).unwrap_or(start).trim_ascii_start();
        if text.starts_with(b"{") {
            Format::JsonLines
        } else {
            Format::Markup(chunk::Markup::Plain)
        }
    }
}

#[cfg(test)]
mod tests;
