//! A text file to memories: finds headings, paragraphs and fenced code, and packs them.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::chunk::{Chunk, HEADING_CHARS_MAX, Markup, Packer};
use super::line::{BOM, LineEnd, Lines};
use super::sentence::Cut;
use super::{CHUNK_CHARS, IngestError, IngestOptions, LineProblem};
use crate::memory::{ImportItem, NewMemory};

/// Longest piece of a line that is looked at at once, in bytes.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// Longest paragraph or fence that is held together, in bytes.
const BLOCK_BYTES_MAX: usize = 64 * 1024;

/// The parts of one text file, in order.
pub(super) struct TextParts {
    lines: Lines,
    path: PathBuf,
    /// As it is written into the metadata.
    source: String,
    options: IngestOptions,
    blocks: Blocks,
    /// What was read and not yet looked at: less than one character.
    piece: Vec<u8>,
    line_number: u64,
    at_line_start: bool,
    position: u64,
    ended: bool,
    failure: Option<IngestError>,
}

impl TextParts {
    pub(super) fn new(
        input: Box<dyn BufRead + Send>,
        path: PathBuf,
        markup: Markup,
        options: &IngestOptions,
    ) -> Self {
        let chars_max = options.chunk_chars.clamp(*CHUNK_CHARS.start(), *CHUNK_CHARS.end());
        TextParts {
            lines: Lines::new(input),
            source: absolute(&path),
            path,
            options: options.clone(),
            blocks: Blocks::new(markup, Packer::new(chars_max, options.overlap_chars)),
            piece: Vec::new(),
            line_number: 1,
            at_line_start: true,
            position: 0,
            ended: false,
            failure: None,
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    /// Reads one line, or a piece of a long one.
    fn read_piece(&mut self) -> Result<(), IngestError> {
        let byte = self.lines.bytes_read() - self.piece.len() as u64;
        let end = self
            .lines
            .read(PIECE_BYTES_MAX, &mut self.piece)
            .map_err(|source| IngestError::Io { path: self.path.clone(), source })?;
        let start = if byte == 0 && self.piece.starts_with(BOM) { BOM.len() } else { 0 };
        let whole = start + self.whole_chars(start, end)?;
        let piece = str::from_utf8(&self.piece[start..whole]).expect("counted as valid before");
        self.blocks.piece(piece, byte + start as u64, self.at_line_start, end == LineEnd::Newline);
        self.piece.drain(..whole);
        self.at_line_start = end == LineEnd::Newline;
        self.line_number += u64::from(end == LineEnd::Newline);
        if end == LineEnd::Input {
            self.ended = true;
            self.blocks.finish();
        }
        Ok(())
    }

    /// How many bytes of the piece are whole characters.
    fn whole_chars(&self, start: usize, end: LineEnd) -> Result<usize, IngestError> {
        match str::from_utf8(&self.piece[start..]) {
            Ok(text) => Ok(text.len()),
            // A long line was cut inside a character; its rest comes with the next piece.
            Err(error) if end == LineEnd::Cut && error.error_len().is_none() => {
                Ok(error.valid_up_to())
            }
            Err(_) => Err(IngestError::Line {
                path: self.path.clone(),
                line: self.line_number,
                problem: LineProblem::NotUtf8,
            }),
        }
    }

    fn memory(&self, chunk: &Chunk) -> NewMemory {
        let mut metadata = Map::new();
        metadata.insert("source".to_owned(), Value::from(self.source.clone()));
        metadata.insert("position".to_owned(), Value::from(self.position));
        if !chunk.headings.is_empty() {
            metadata.insert("heading".to_owned(), Value::from(chunk.heading_path()));
        }
        metadata.insert("byte_start".to_owned(), Value::from(chunk.byte_start));
        metadata.insert("byte_end".to_owned(), Value::from(chunk.byte_end));
        NewMemory {
            content: chunk.text(),
            tags: self.options.tags.clone(),
            memory_type: self.options.memory_type.clone(),
            metadata,
            namespace: self
                .options
                .namespace
                .clone()
                .unwrap_or_else(|| self.options.namespace_default.clone()),
            ..NewMemory::default()
        }
    }

    fn item(&mut self, chunk: &Chunk) -> Result<ImportItem, IngestError> {
        let memory = self.memory(chunk);
        let position = self.position;
        self.position += 1;
        match memory.validate() {
            Ok(()) => Ok(ImportItem { position, memory }),
            Err(problem) => Err(IngestError::Part { path: self.path.clone(), position, problem }),
        }
    }
}

impl Iterator for TextParts {
    type Item = Result<ImportItem, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chunk) = self.blocks.packer.pop() {
                return Some(self.item(&chunk));
            }
            if self.ended {
                return self.failure.take().map(Err);
            }
            if let Err(error) = self.read_piece() {
                // What was read before the bad place is kept.
                self.ended = true;
                self.blocks.finish();
                self.failure = Some(error);
            }
        }
    }
}

/// The path as another program can open it, whatever directory it runs in.
fn absolute(path: &Path) -> String {
    let path: io::Result<PathBuf> =
        if path.exists() { std::path::absolute(path) } else { Ok(path.to_owned()) };
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

/// Puts lines together to blocks.
struct Blocks {
    markup: Markup,
    packer: Packer,
    block: String,
    byte_start: u64,
    line_count: usize,
    /// The marks that opened the fence that is open.
    fence: Option<String>,
    /// A blank line ended the paragraph; more of them may follow.
    paragraph_ended: bool,
}

impl Blocks {
    fn new(markup: Markup, packer: Packer) -> Self {
        Blocks {
            markup,
            packer,
            block: String::new(),
            byte_start: 0,
            line_count: 0,
            fence: None,
            paragraph_ended: false,
        }
    }

    /// Takes one line, or a piece of one that is too long to mean anything but text.
    fn piece(&mut self, piece: &str, byte: u64, starts_line: bool, ends_line: bool) {
        let is_line = starts_line && (ends_line || piece.len() < PIECE_BYTES_MAX);
        let line = if is_line { piece.trim_end() } else { "" };
        if self.fence.is_some() {
            self.append(piece, byte);
            if is_line && self.closes_fence(line) {
                self.end_block();
            }
            return;
        }
        if is_line && line.is_empty() {
            self.append(piece, byte);
            self.paragraph_ended = true;
            return;
        }
        if self.paragraph_ended {
            self.end_block();
        }
        if self.markup != Markup::Plain && is_line && self.is_structure(line, piece, byte) {
            return;
        }
        self.append(piece, byte);
        self.line_count += usize::from(starts_line);
    }

    fn finish(&mut self) {
        self.end_block();
        self.packer.finish();
    }

    /// Takes a line that is a heading, underlines one or opens a fence.
    fn is_structure(&mut self, line: &str, piece: &str, byte: u64) -> bool {
        let byte_end = byte + piece.len() as u64;
        if self.markup == Markup::Markdown {
            if let Some((level, title)) = hash_heading(line) {
                self.end_block();
                self.packer.heading(level, title, byte_end);
                return true;
            }
            if let Some(fence) = opening_fence(line) {
                self.end_block();
                self.fence = Some(fence);
                self.append(piece, byte);
                return true;
            }
        }
        let Some(level) = underline_level(self.markup, line) else { return false };
        if self.line_count != 1 || !is_title(self.block.trim()) {
            return false;
        }
        let title = std::mem::take(&mut self.block);
        self.line_count = 0;
        self.packer.heading(level, title.trim(), byte_end);
        true
    }

    fn closes_fence(&self, line: &str) -> bool {
        let Some(fence) = &self.fence else { return false };
        let line = line.trim_start();
        line.len() >= fence.len() && line.trim_start_matches(&fence[..1]).is_empty()
    }

    fn append(&mut self, piece: &str, byte: u64) {
        if self.block.len() + piece.len() > BLOCK_BYTES_MAX {
            let fence = self.fence.clone();
            self.end_block();
            self.fence = fence;
        }
        if self.block.is_empty() {
            self.byte_start = byte;
        }
        self.block.push_str(piece);
    }

    fn end_block(&mut self) {
        let cut = if self.fence.is_some() { Cut::Line } else { Cut::Sentence };
        if !self.block.is_empty() {
            self.packer.block(&self.block, cut, self.byte_start);
            self.block.clear();
        }
        self.line_count = 0;
        self.fence = None;
        self.paragraph_ended = false;
    }
}

/// `## Title ##`, as CommonMark has it ("ATX headings").
fn hash_heading(line: &str) -> Option<(u8, &str)> {
    let text = line.trim_start_matches(' ');
    let level = text.bytes().take_while(|b| *b == b'#').count();
    let rest = &text[level..];
    if line.len() - text.len() > 3 || !(1..=6).contains(&level) {
        return None;
    }
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let title = rest.trim().trim_end_matches('#').trim_end();
    is_title(title).then_some((level as u8, title))
}

/// Anything longer is text with a mark before it.
fn is_title(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= HEADING_CHARS_MAX
}

/// The three or more marks that start a fence of code.
fn opening_fence(line: &str) -> Option<String> {
    let text = line.trim_start();
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let marks: String = text.chars().take_while(|c| *c == mark).collect();
    let inline = mark == '`' && text[marks.len()..].contains('`');
    (marks.len() >= 3 && !inline).then_some(marks)
}

/// The level of the heading that such a line underlines.
fn underline_level(markup: Markup, line: &str) -> Option<u8> {
    let mark = line.chars().next()?;
    let level = match (mark, markup) {
        ('=', _) => 1,
        ('-', _) => 2,
        ('~', Markup::Rst) => 3,
        ('^', Markup::Rst) => 4,
        ('"', Markup::Rst) => 5,
        _ => return None,
    };
    (line.len() >= 3 && line.chars().all(|c| c == mark)).then_some(level)
}
