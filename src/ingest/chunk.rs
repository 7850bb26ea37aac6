//! Text to parts: cut at headings, then paragraphs, then sentences, then words.
//!
//! The text is pushed block by block, so a file of any size needs the memory of one block. A part
//! is an unbroken stretch of the source, given with its place in bytes.

use std::collections::VecDeque;

use super::sentence::{Cut, tail};

/// Longest heading that is kept, in characters.
pub(super) const HEADING_CHARS_MAX: usize = 120;

/// Which marks mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    /// None.
    Plain,
    /// Headings by `#` and by underline, fenced code.
    Markdown,
    /// Headings by underline.
    Rst,
}

/// A stretch of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The stretch itself, without the white space around it, newlines as `\n`.
    pub(super) body: String,
    /// The headings above it, outermost first.
    pub(super) headings: Vec<String>,
    /// Where it starts in the source, in bytes.
    pub(super) byte_start: u64,
    /// Where it ends.
    pub(super) byte_end: u64,
}

impl Chunk {
    /// The headings in one line; empty when there are none.
    pub(super) fn heading_path(&self) -> String {
        self.headings.join(" > ")
    }

    /// The stretch with the headings above it, which say what it is about.
    pub(super) fn text(&self) -> String {
        match (self.headings.is_empty(), self.body.is_empty()) {
            (true, _) => self.body.clone(),
            (false, true) => self.heading_path(),
            (false, false) => format!("{}\n\n{}", self.heading_path(), self.body),
        }
    }
}

/// Fills parts up to a size and hands them out.
pub(super) struct Packer {
    chars_max: usize,
    overlap_chars: usize,
    /// The open part. What is before `fresh_from` ended the part before it.
    buffer: String,
    buffer_chars: usize,
    fresh_from: usize,
    /// Where the buffer starts in the source, in bytes.
    byte_start: u64,
    headings: Vec<(u8, String)>,
    /// Whether the innermost heading has neither text nor headings below it yet.
    heading_is_bare: bool,
    ready: VecDeque<Chunk>,
}

impl Packer {
    pub(super) fn new(chars_max: usize, overlap_chars: usize) -> Self {
        Packer {
            chars_max,
            overlap_chars: overlap_chars.min(chars_max / 2),
            buffer: String::new(),
            buffer_chars: 0,
            fresh_from: 0,
            byte_start: 0,
            headings: Vec::new(),
            heading_is_bare: false,
            ready: VecDeque::new(),
        }
    }

    /// The next part that is full.
    pub(super) fn pop(&mut self) -> Option<Chunk> {
        self.ready.pop_front()
    }

    /// Starts a section: everything after it belongs to the heading. `byte` is where its line
    /// ends.
    pub(super) fn heading(&mut self, level: u8, title: &str, byte: u64) {
        self.flush(0);
        if self.heading_is_bare && self.headings.last().is_some_and(|(above, _)| *above >= level) {
            self.emit_bare_heading();
        }
        self.headings.retain(|(above, _)| *above < level);
        self.headings.push((level, title.to_owned()));
        self.heading_is_bare = true;
        self.byte_start = byte;
    }

    /// Adds a block that ends where a part may end. `cut` is how it is cut if it is too long;
    /// `byte` is where it starts in the source.
    pub(super) fn block(&mut self, text: &str, cut: Cut, byte: u64) {
        if self.buffer.is_empty() {
            self.byte_start = byte;
        }
        self.add(text, cut);
    }

    /// Ends the last part.
    pub(super) fn finish(&mut self) {
        self.flush(0);
        if self.heading_is_bare {
            self.emit_bare_heading();
        }
    }

    fn add(&mut self, text: &str, cut: Cut) {
        let visible = text.trim_end();
        if visible.is_empty() {
            return self.add_space(text);
        }
        let chars = visible.chars().count();
        if self.buffer_chars + chars > self.chars_max {
            if chars > self.chars_max {
                return self.add_in_parts(text, cut);
            }
            self.flush(self.chars_max - chars);
        }
        self.buffer.push_str(text);
        self.buffer_chars += chars + text[visible.len()..].chars().count();
    }

    /// White space never fills a part: it stays only inside one.
    fn add_space(&mut self, text: &str) {
        let chars = text.chars().count();
        if self.buffer_chars + chars > self.chars_max {
            self.flush(0);
        }
        if self.buffer.is_empty() {
            self.byte_start += text.len() as u64;
        } else {
            self.buffer.push_str(text);
            self.buffer_chars += chars;
        }
    }

    fn add_in_parts(&mut self, text: &str, cut: Cut) {
        let mut rest = text;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(cut.first_part(rest, self.chars_max));
            self.add(part, cut.next());
            rest = after;
        }
    }

    /// Hands out the open part and starts the next with its end, `room_chars` of it at most.
    fn flush(&mut self, room_chars: usize) {
        let byte_end = self.byte_start + self.buffer.len() as u64;
        if self.buffer[self.fresh_from..].trim().is_empty() {
            self.buffer.clear();
            self.byte_start = byte_end;
        } else {
            let before = self.buffer.len() - self.buffer.trim_start().len();
            let body = self.buffer.trim();
            let byte_start = self.byte_start + before as u64;
            self.ready.push_back(Chunk {
                body: body.replace("\r\n", "\n"),
                headings: self.titles(),
                byte_start,
                byte_end: byte_start + body.len() as u64,
            });
            self.heading_is_bare = false;
            let kept = tail(&self.buffer, self.overlap_chars.min(room_chars)).len();
            self.buffer.drain(..self.buffer.len() - kept);
            self.byte_start = byte_end - kept as u64;
        }
        self.fresh_from = self.buffer.len();
        self.buffer_chars = self.buffer.chars().count();
    }

    fn emit_bare_heading(&mut self) {
        self.heading_is_bare = false;
        let (byte_start, byte_end) = (self.byte_start, self.byte_start);
        let headings = self.titles();
        self.ready.push_back(Chunk { body: String::new(), headings, byte_start, byte_end });
    }

    fn titles(&self) -> Vec<String> {
        self.headings.iter().map(|(_, title)| title.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(chars_max: usize, overlap_chars: usize, blocks: &[&str]) -> Vec<String> {
        let mut packer = Packer::new(chars_max, overlap_chars);
        let mut byte = 0;
        for block in blocks {
            packer.block(block, Cut::Sentence, byte);
            byte += block.len() as u64;
        }
        packer.finish();
        std::iter::from_fn(|| packer.pop()).map(|chunk| chunk.body).collect()
    }

    #[test]
    fn paragraphs_fill_a_part_and_long_ones_are_cut() {
        assert_eq!(bodies(10, 0, &["aaaa\n\n", "bbbb\n\n", "cccc\n\n"]), ["aaaa\n\nbbbb", "cccc"]);
        assert_eq!(bodies(10, 0, &["One two. Three four.\n"]), ["One two.", "Three", "four."]);
        assert_eq!(bodies(4, 0, &["abcdefghij"]), ["abcd", "efgh", "ij"]);
        assert_eq!(bodies(4, 0, &["\n\n", "ab", &" ".repeat(50), "cd"]), ["ab", "cd"]);
    }

    #[test]
    fn a_part_repeats_the_end_of_the_one_before() {
        assert_eq!(
            bodies(20, 8, &["First is one. Two. Three is four."]),
            ["First is one. Two.", "Two. Three is four."]
        );
        assert_eq!(bodies(8, 100, &["aa bb cc dd ee"]), ["aa bb cc", "cc dd ee"]);
    }

    #[test]
    fn a_heading_ends_a_part_and_stands_above_the_next() {
        let mut packer = Packer::new(100, 50);
        packer.block("intro\n", Cut::Sentence, 0);
        packer.heading(1, "A", 10);
        packer.heading(2, "B", 14);
        packer.block("text\n", Cut::Sentence, 14);
        packer.heading(2, "Bare", 27);
        packer.heading(1, "C", 31);
        packer.finish();
        let texts: Vec<String> = std::iter::from_fn(|| packer.pop()).map(|c| c.text()).collect();
        assert_eq!(texts, ["intro", "A > B\n\ntext", "A > Bare", "C"]);
    }
}
