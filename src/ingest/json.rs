//! Memories from JSONL (a line each) and from one JSON list of them, never more than one held.

use std::io::{self, BufRead};
use std::path::PathBuf;

use super::line::{BOM, LineEnd, Lines};
use super::{IngestError, IngestOptions, LINE_BYTES_MAX, LineProblem, record};
use crate::memory::ImportItem;

/// A memory a line. A line that is wrong is an error; the next one is read all the same.
pub(super) struct JsonLines {
    lines: Lines,
    path: PathBuf,
    options: IngestOptions,
    number: u64,
    line: Vec<u8>,
    ended: bool,
}

impl JsonLines {
    pub(super) fn new(
        input: Box<dyn BufRead + Send>,
        path: PathBuf,
        options: &IngestOptions,
    ) -> Self {
        let options = options.clone();
        JsonLines { lines: Lines::new(input), path, options, number: 0, line: vec![], ended: false }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    /// Reads one line; `Some` when it holds anything.
    fn read_line(&mut self) -> io::Result<Option<Result<ImportItem, LineProblem>>> {
        self.line.clear();
        self.number += 1;
        // One more byte than allowed, for the newline.
        match self.lines.read(LINE_BYTES_MAX + 1, &mut self.line)? {
            LineEnd::Cut => {
                self.lines.skip_line()?;
                return Ok(Some(Err(LineProblem::TooLong)));
            }
            LineEnd::Input => self.ended = true,
            LineEnd::Newline => {}
        }
        let mut json = self.line.as_slice();
        if self.number == 1 {
            json = json.strip_prefix(BOM).unwrap_or(json);
        }
        let json = json.trim_ascii();
        if json.is_empty() {
            return Ok(None);
        }
        let memory = record::parse(json, &self.options);
        Ok(Some(memory.map(|memory| ImportItem { position: self.number, memory })))
    }
}

impl Iterator for JsonLines {
    type Item = Result<ImportItem, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.read_line() {
                Ok(Some(item)) => {
                    let (path, line) = (&self.path, self.number);
                    return Some(item.map_err(|problem| IngestError::Line {
                        path: path.clone(),
                        line,
                        problem,
                    }));
                }
                Ok(None) => {}
                Err(source) => {
                    self.ended = true;
                    return Some(Err(IngestError::Io { path: self.path.clone(), source }));
                }
            }
        }
        None
    }
}

/// The objects of `[..]` or of the list under `memories` in `{..}`.
///
/// Only brackets and strings are looked at to find where an object ends, so that a list of any
/// length needs the memory of one object. What is inside an object is parsed in full.
pub(super) struct JsonList {
    lines: Lines,
    path: PathBuf,
    options: IngestOptions,
    /// The open brackets.
    open: Vec<u8>,
    /// How many brackets are open around the list; `None` outside of it.
    list_depth: Option<usize>,
    list_seen: bool,
    /// The string that was read last, outside of the list.
    key: Vec<u8>,
    line_number: u64,
    position: u64,
    ended: bool,
}

/// Deepest nesting that is followed; the JSON parser stops at 128 as well.
const DEPTH_MAX: usize = 128;

impl JsonList {
    pub(super) fn new(
        input: Box<dyn BufRead + Send>,
        path: PathBuf,
        options: &IngestOptions,
    ) -> Self {
        JsonList {
            lines: Lines::new(input),
            path,
            options: options.clone(),
            open: Vec::new(),
            list_depth: None,
            list_seen: false,
            key: Vec::new(),
            line_number: 1,
            position: 0,
            ended: false,
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.lines.byte()?;
        self.line_number += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }

    /// Reads up to the next object of the list; true when there is one.
    fn find_object(&mut self) -> io::Result<bool> {
        while let Some(byte) = self.byte()? {
            match byte {
                b'"' => {
                    let mut key = Vec::new();
                    self.read_string(&mut key)?;
                    self.key = key;
                }
                b'{' if self.list_depth == Some(self.open.len()) => return Ok(true),
                b'{' | b'[' => self.open_bracket(byte),
                b'}' | b']' => {
                    self.open.pop();
                    if self.list_depth > Some(self.open.len()) {
                        self.list_depth = None;
                    }
                }
                _ => {}
            }
            if self.open.len() > DEPTH_MAX {
                return Ok(false);
            }
        }
        Ok(false)
    }

    fn open_bracket(&mut self, bracket: u8) {
        let at_top = self.open.is_empty() || (self.open == [b'{'] && self.key == b"memories");
        self.open.push(bracket);
        if bracket == b'[' && at_top && !self.list_seen {
            self.list_depth = Some(self.open.len());
            self.list_seen = true;
        }
    }

    /// Reads a string, whose opening quote is past, without its quotes; keeps at most one line.
    fn read_string(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let mut escaped = false;
        while let Some(byte) = self.byte()? {
            if byte == b'"' && !escaped {
                return Ok(());
            }
            escaped = byte == b'\\' && !escaped;
            if into.len() <= LINE_BYTES_MAX {
                into.push(byte);
            }
        }
        Ok(())
    }

    /// Reads the object whose opening brace is past.
    fn read_object(&mut self) -> io::Result<Result<Vec<u8>, LineProblem>> {
        let mut object = vec![b'{'];
        let mut depth = 1_usize;
        while depth > 0 {
            let Some(byte) = self.byte()? else { break };
            match byte {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if object.len() <= LINE_BYTES_MAX {
                object.push(byte);
            }
            if byte == b'"' {
                self.read_string(&mut object)?;
                object.push(b'"');
            }
        }
        Ok(if object.len() > LINE_BYTES_MAX { Err(LineProblem::TooLong) } else { Ok(object) })
    }

    fn read_next(&mut self) -> io::Result<Option<Result<ImportItem, IngestError>>> {
        if !self.find_object()? {
            self.ended = true;
            return Ok((!self.list_seen).then(|| Err(self.error(1, LineProblem::NoMemories))));
        }
        let line = self.line_number;
        let object = self.read_object()?;
        let memory = object.and_then(|object| record::parse(&object, &self.options));
        let position = self.position;
        self.position += 1;
        Ok(Some(match memory {
            Ok(memory) => Ok(ImportItem { position, memory }),
            Err(problem) => Err(self.error(line, problem)),
        }))
    }

    fn error(&self, line: u64, problem: LineProblem) -> IngestError {
        IngestError::Line { path: self.path.clone(), line, problem }
    }
}

impl Iterator for JsonList {
    type Item = Result<ImportItem, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.read_next().unwrap_or_else(|source| {
            self.ended = true;
            Some(Err(IngestError::Io { path: self.path.clone(), source }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(item: Result<ImportItem, IngestError>) -> String {
        match item {
            Ok(item) => format!("{} {}", item.position, item.memory.content),
            Err(IngestError::Line { line, .. }) => format!("wrong {line}"),
            Err(error) => panic!("{error}"),
        }
    }

    fn check_lines(input: &[u8], expected: &[&str]) {
        let input = Box::new(io::Cursor::new(input.to_vec()));
        let lines = JsonLines::new(input, "f.jsonl".into(), &IngestOptions::default());
        assert_eq!(lines.map(name).collect::<Vec<_>>(), expected);
    }

    fn check_list(input: &str, expected: &[&str]) {
        let input = Box::new(io::Cursor::new(input.as_bytes().to_vec()));
        let list = JsonList::new(input, "f.json".into(), &IngestOptions::default());
        assert_eq!(list.map(name).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_wrong_line_is_named_and_reading_goes_on() {
        check_lines(b"", &[]);
        check_lines(b"\xef\xbb\xbf{\"content\":\"a\"}\r\n\r\n{\"content\":\"b\"}", &["1 a", "3 b"]);
        check_lines(
            b"{\"content\":\"a\"}\n{\"content\":\n\n{\"content\":\"\xff\"}\n{\"content\":\"b\"}\n",
            &["1 a", "wrong 2", "wrong 4", "5 b"],
        );
        check_lines(b"{\"content\":\"a\"}\n{\"content\":\"b", &["1 a", "wrong 2"]);
    }

    #[test]
    fn a_line_has_a_longest_length() {
        let shell = "{\"content\":\"a\",\"x\":\"\"}".len();
        let filler = |length: usize| "y".repeat(length - shell);
        let line = |length| format!("{{\"content\":\"a\",\"x\":\"{}\"}}\n", filler(length));
        let input = line(LINE_BYTES_MAX) + &line(LINE_BYTES_MAX + 1) + &line(LINE_BYTES_MAX * 3);
        check_lines((input + &line(100)).as_bytes(), &["1 a", "wrong 2", "wrong 3", "4 a"]);
    }

    #[test]
    fn a_list_may_stand_alone_or_under_its_key() {
        check_list(r#"[{"content":"a"},{"content":"b {[\"]}"}]"#, &["0 a", "1 b {[\"]}"]);
        check_list(
            r#"{"export":{"memories":[{"content":"no"}]},"other":[{"content":"no"}],
                "memories":[{"content":"a","metadata":{"k":[{"x":1}]}},
                {"content":1},{"content":"c"}],"later":[{"content":"no"}]}"#,
            &["0 a", "wrong 3", "2 c"],
        );
    }

    #[test]
    fn json_without_a_list_is_refused() {
        for input in ["", "{}", "7", r#"{"content":"a"}"#, &"[".repeat(1000).replace('[', "{")] {
            check_list(input, &["wrong 1"]);
        }
        check_list("[]", &[]);
        check_list(r#"[{"content":"a"},{"content":"#, &["0 a", "wrong 1"]);
    }
}
