//! Lines of bounded length from a stream.

use std::io::{self, BufRead, Read};

/// The mark that some editors put before UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// How a piece of input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// With a newline, which is part of the piece.
    Newline,
    /// At the bound; the line goes on.
    Cut,
    /// With the input. The piece may be empty.
    Input,
}

/// Reads a stream line by line and counts.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    bytes_read: u64,
}

impl Lines {
    pub(super) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Lines { input, bytes_read: 0 }
    }

    /// Bytes handed out so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Appends the rest of the line, at most `bytes_max` of it, to `piece`.
    pub(super) fn read(&mut self, bytes_max: usize, piece: &mut Vec<u8>) -> io::Result<LineEnd> {
        let before = piece.len();
        let mut bounded = (&mut self.input).take(bytes_max as u64);
        let count = bounded.read_until(b'\n', piece)?;
        self.bytes_read += count as u64;
        Ok(if count > 0 && piece[before..].ends_with(b"\n") {
            LineEnd::Newline
        } else if count == bytes_max {
            LineEnd::Cut
        } else {
            LineEnd::Input
        })
    }

    /// Reads past the end of the line without keeping it.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        let mut dropped = Vec::new();
        loop {
            dropped.clear();
            if self.read(64 * 1024, &mut dropped)? != LineEnd::Cut {
                return Ok(());
            }
        }
    }

    /// The next byte, for readers that do not go by lines.
    pub(super) fn byte(&mut self) -> io::Result<Option<u8>> {
        let Some(&byte) = self.input.fill_buf()?.first() else { return Ok(None) };
        self.input.consume(1);
        self.bytes_read += 1;
        Ok(Some(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &'static str, bytes_max: usize, expected: &[(&str, LineEnd)]) {
        let mut lines = Lines::new(Box::new(input.as_bytes()));
        for (text, end) in expected {
            let mut piece = Vec::new();
            assert_eq!(lines.read(bytes_max, &mut piece).expect("memory is readable"), *end);
            assert_eq!(String::from_utf8_lossy(&piece), *text, "{input:?}");
        }
    }

    #[test]
    fn a_line_ends_at_a_newline_the_bound_or_the_input() {
        use LineEnd::{Cut, Input, Newline};
        check("", 8, &[("", Input)]);
        check("a\nb", 8, &[("a\n", Newline), ("b", Input), ("", Input)]);
        check("abcdef\ng", 3, &[("abc", Cut), ("def", Cut), ("\n", Newline), ("g", Input)]);
    }

    #[test]
    fn the_rest_of_a_line_can_be_skipped() {
        let mut lines = Lines::new(Box::new("abcdef\ng\n".as_bytes()));
        lines.read(2, &mut Vec::new()).expect("memory is readable");
        lines.skip_line().expect("memory is readable");
        let mut piece = Vec::new();
        lines.read(8, &mut piece).expect("memory is readable");
        assert_eq!((piece.as_slice(), lines.bytes_read()), (b"g\n".as_slice(), 9));
    }
}
