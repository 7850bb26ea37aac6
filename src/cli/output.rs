//! What people and programs read: standard output, colours, tables.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::exit::Failure;

/// Where and how results are written.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// JSON instead of text for people.
    pub(super) json: bool,
    /// How text for people looks.
    pub(super) style: Style,
    /// In which zone times are shown.
    pub(super) zone: jiff::tz::TimeZone,
}

impl Output {
    /// Writes a text and a newline.
    pub(super) fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.write(format!("{}\n", text.as_ref()).as_bytes())
    }

    /// Writes one JSON document and a newline.
    pub(super) fn document(&self, document: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(document).expect("answers are plain JSON"))
    }

    /// Writes bytes as they are.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Failure::output)
    }

    /// A time as the user's clock shows it, to the minute.
    pub(super) fn time(&self, seconds: f64) -> String {
        let timestamp = jiff::Timestamp::from_microsecond((seconds * 1e6) as i64);
        timestamp.map_or_else(
            |_| seconds.to_string(),
            |time| time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        )
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    colours: bool,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is set to anything (<https://no-color.org>) or
    /// the terminal cannot show them.
    pub(super) fn for_stdout(environment: &[(String, String)]) -> Self {
        let value = |name: &str| {
            let found = environment.iter().find(|(candidate, _)| candidate == name);
            found.map_or("", |(_, value)| value)
        };
        let wanted = value("NO_COLOR").is_empty() && value("TERM") != "dumb";
        Style { colours: wanted && io::stdout().is_terminal() }
    }

    /// With or without colours.
    #[cfg(test)]
    pub(super) fn new(colours: bool) -> Self {
        Style { colours }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(super) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Rows under each other, columns aligned, the last one as long as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:width$}  "));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// A text that cannot steer a terminal: control characters but newline and tab are replaced.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c })
        .collect()
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// One of something, or several.
pub(super) fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes_are_readable() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (bytes, text) in
            [(0, "0 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (9 << 50, "9216.0 TiB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(counted(1, "memory", "memories"), "1 memory");
        assert_eq!(counted(0, "memory", "memories"), "0 memories");
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let text = table(&[row(&["a", "é", "x y"]), row(&["long", "bb", ""])]);
        assert_eq!(text, "a     é   x y\nlong  bb\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn text_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\x1b[31m\tb\nc\u{9b}\r"), "a\u{fffd}[31m\tb\nc\u{fffd}\u{fffd}");
    }

    #[test]
    fn colours_are_only_codes_around_the_text() {
        assert_eq!(Style::new(true).red("x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Style::new(false).red("x"), "x");
        let no_colour = [("NO_COLOR".to_owned(), "1".to_owned())];
        assert_eq!(Style::for_stdout(&no_colour), Style::new(false));
    }

    #[test]
    fn times_are_shown_in_the_zone() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
        let output = Output { json: false, style: Style::new(false), zone };
        assert_eq!(output.time(0.5), "1970-01-01 02:00");
        assert_eq!(output.time(1e300), "1e300".parse::<f64>().expect("number").to_string());
    }
}
