//! Lines of JSON: cutting a body into them, and what came of each.

use std::collections::VecDeque;

use axum::http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::memory::{ImportOutcome, Remembered, Written};

/// The media type of a body of lines.
pub const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// One line of a body that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1, empty lines included.
    pub number: u64,
    /// Without its end; `None` when it was longer than [`LINE_BYTES_MAX`].
    pub text: Option<Vec<u8>>,
}

impl Line {
    /// How much memory the line holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.text.as_ref().map_or(0, Vec::len)
    }

    /// The text of a line that is not too long.
    ///
    /// # Errors
    /// The code `line_too_long`.
    pub fn into_text(self) -> Result<Vec<u8>, Problem> {
        self.text.ok_or_else(|| {
            let detail = format!("the line is longer than {LINE_BYTES_MAX} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "line_too_long", detail)
        })
    }
}

/// Cuts a body into lines as its parts come in; holds at most one unfinished line.
#[derive(Debug, Default)]
pub struct LineCutter {
    unfinished: Vec<u8>,
    /// The unfinished line is too long already: its text is dropped up to its end.
    is_too_long: bool,
    lines_before: u64,
}

impl LineCutter {
    /// Takes a part of the body in and adds the lines that it ends.
    pub fn push(&mut self, part: &[u8], lines: &mut VecDeque<Line>) {
        for piece in part.split_inclusive(|&byte| byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(rest) => {
                    self.take_in(rest);
                    lines.extend(self.finish());
                }
                None => self.take_in(piece),
            }
        }
    }

    /// Ends the line that is unfinished; `None` when there is nothing in it.
    pub fn finish(&mut self) -> Option<Line> {
        self.lines_before += 1;
        let number = self.lines_before;
        let text = std::mem::take(&mut self.unfinished);
        if std::mem::take(&mut self.is_too_long) {
            return Some(Line { number, text: None });
        }
        let is_blank = text.iter().all(u8::is_ascii_whitespace);
        (!is_blank).then_some(Line { number, text: Some(text) })
    }

    fn take_in(&mut self, piece: &[u8]) {
        self.is_too_long |= self.unfinished.len() + piece.len() > LINE_BYTES_MAX;
        if self.is_too_long {
            self.unfinished = Vec::new();
        } else {
            self.unfinished.extend_from_slice(piece);
        }
    }
}

/// What came of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineStatus {
    /// It is durable.
    Stored,
    /// It would be stored, were this not a dry run.
    WouldStore,
    /// The same text is there already.
    Duplicate,
    /// A text of nearly the same meaning was stored a short while ago.
    SemanticDuplicate,
    /// Nothing was stored.
    Failed,
}

/// What came of one line.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct LineResult {
    /// The line, counted from 1; in a JSON array the position, counted from 1.
    #[schema(minimum = 1)]
    pub line: u64,
    /// What came of it.
    pub status: LineStatus,
    /// The memory that is stored now, or was before.
    #[schema(required)]
    pub content_hash: Option<String>,
    /// Where the write stands, to send in `Memnode-After`; null when there is none.
    #[schema(required, example = "node-1~00c0ffee00c0ffee:7")]
    pub position: Option<String>,
    /// Why it failed, for programs; the codes of the single call.
    #[schema(required, example = "empty_content")]
    pub code: Option<String>,
    /// Why it failed, for people.
    #[schema(required, example = "content is empty")]
    pub detail: Option<String>,
}

impl LineResult {
    /// A line that never reached the service, or that it refused.
    pub fn failed(line: u64, problem: &Problem) -> Self {
        LineResult {
            line,
            status: LineStatus::Failed,
            content_hash: None,
            position: None,
            code: Some(problem.code().to_owned()),
            detail: Some(problem.text().to_owned()),
        }
    }

    /// What the service made of a line.
    pub fn of(outcome: ImportOutcome, is_dry_run: bool) -> Self {
        let line = outcome.position;
        let Written { value, position } = match outcome.result {
            Ok(written) => written,
            Err(error) => return LineResult::failed(line, &error.into()),
        };
        let (status, hash) = match value {
            Remembered::Stored(memory) if is_dry_run => {
                (LineStatus::WouldStore, memory.content_hash)
            }
            Remembered::Stored(memory) => (LineStatus::Stored, memory.content_hash),
            Remembered::Duplicate(hash) => (LineStatus::Duplicate, hash),
            Remembered::SemanticDuplicate { content_hash, .. } => {
                (LineStatus::SemanticDuplicate, content_hash)
            }
        };
        LineResult {
            line,
            status,
            content_hash: Some(hash.to_string()),
            position: position.to_text(),
            code: None,
            detail: None,
        }
    }
}

/// Adds a value as one line.
pub fn write_line(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(&mut *out, value).expect("bodies hold only text, numbers and JSON");
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ContentHash;
    use crate::{Code, Error};

    fn cut(parts: &[&[u8]]) -> Vec<(u64, Option<String>)> {
        let mut cutter = LineCutter::default();
        let mut lines = VecDeque::new();
        parts.iter().for_each(|part| cutter.push(part, &mut lines));
        lines.extend(cutter.finish());
        let text = |text| String::from_utf8(text).expect("text");
        lines.into_iter().map(|line| (line.number, line.text.map(text))).collect()
    }

    fn check(parts: &[&str], expected: &[(u64, &str)]) {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let expected: Vec<_> =
            expected.iter().map(|&(number, text)| (number, Some(text.to_owned()))).collect();
        assert_eq!(cut(&parts), expected);
    }

    #[test]
    fn lines_do_not_depend_on_the_parts_they_come_in() {
        check(&[], &[]);
        check(&["a"], &[(1, "a")]);
        check(&["a\nb\n"], &[(1, "a"), (2, "b")]);
        check(&["a", "b\n", "c", "", "d"], &[(1, "ab"), (2, "cd")]);
        check(&["\n\r\n a\r\n"], &[(3, " a\r")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_counted() {
        let half = vec![b'x'; LINE_BYTES_MAX / 2 + 1];
        let found = cut(&[b"a\n", &half, &half, &half, b"\nb"]);
        assert_eq!(found, [(1, Some("a".into())), (2, None), (3, Some("b".into()))]);
        let exact = vec![b'x'; LINE_BYTES_MAX];
        assert!(cut(&[&exact])[0].1.is_some());
    }

    #[test]
    fn results_say_what_came_of_a_line() {
        let hash = ContentHash::of("x");
        let of = |result| LineResult::of(ImportOutcome { position: 7, result }, false);
        let position = "a~00000000000000aa:7";
        let written = Written {
            value: Remembered::Duplicate(hash),
            position: position.parse().expect("a position"),
        };
        let duplicate = of(Ok(written));
        assert_eq!(duplicate.position.as_deref(), Some(position));
        assert_eq!(duplicate.status, LineStatus::Duplicate);
        assert_eq!(duplicate.content_hash, Some(hash.to_string()));
        let failed = of(Err(Error::new(Code::Conflict, "it was deleted").reason("was_deleted")));
        let expected = serde_json::json!({"line": 7, "status": "failed", "content_hash": null,
            "position": null, "code": "was_deleted", "detail": "it was deleted"});
        assert_eq!(serde_json::to_value(failed).unwrap(), expected);
    }
}
