//! Bytes to lines of bounded length.

use serde_json::Value;

use super::scan::IdScanner;

/// Longest message that is carried, in bytes, either way.
pub(super) const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One line, without its end.
pub(super) enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// Longer than [`LINE_BYTES_MAX`]; only the id of the message is left, `Null` if it has none.
    TooLong(Value),
}

/// Collects bytes until a line is complete.
#[derive(Default)]
pub(super) struct LineSplitter {
    kept: Vec<u8>,
    /// Follows a line that has become too long to be kept.
    scanner: Option<IdScanner>,
}

impl LineSplitter {
    /// Takes the next bytes in and hands every line out that they complete. Empty lines are
    /// skipped.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.extend(&rest[..end]);
            rest = &rest[end + 1..];
            if let Some(scanner) = self.scanner.take() {
                each(Line::TooLong(scanner.id()));
                continue;
            }
            let line = self.kept.trim_ascii();
            if !line.is_empty() {
                each(Line::Whole(line));
            }
            self.kept.clear();
        }
        self.extend(rest);
    }

    fn extend(&mut self, part: &[u8]) {
        if let Some(scanner) = &mut self.scanner {
            scanner.push(part);
        } else if self.kept.len() + part.len() > LINE_BYTES_MAX {
            let mut scanner = IdScanner::default();
            scanner.push(&self.kept);
            scanner.push(part);
            self.scanner = Some(scanner);
            // The memory is given back: such a line may be the only one of its kind.
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::default();
        let mut found = Vec::new();
        for part in parts {
            splitter.push(part, |line| {
                found.push(match line {
                    Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                    Line::TooLong(id) => format!("too long: {id}"),
                });
            });
        }
        found
    }

    #[test]
    fn lines_are_put_together_from_parts() {
        assert_eq!(lines(&[b"a", b"b\nc\r\n\n \n", b"d"]), ["ab", "c"]);
        assert_eq!(lines(&[b"a\nb", b"\n"]), ["a", "b"]);
    }

    #[test]
    fn a_line_over_the_bound_is_dropped_and_the_next_one_is_whole() {
        let most = vec![b' '; LINE_BYTES_MAX - 1];
        assert_eq!(lines(&[&most, b"x\n"]), ["x"]);
        assert_eq!(lines(&[b"{\"id\":3,", &most, b"}\nnext\n"]), ["too long: 3", "next"]);
        assert_eq!(lines(&[&most, b"xyz", &most, b"\nnext\n"]), ["too long: null", "next"]);
    }
}
