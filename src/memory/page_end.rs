//! Where a page ended: what a cursor says.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Hexadecimal digits of either half of a cursor.
const HALF_CHARS: usize = 16;

/// Where the page before ended. As a text it is a cursor: opaque, the bits of the creation time
/// and the row, in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageEnd {
    /// Creation time of its last memory.
    pub created_at: f64,
    /// Row of its last memory.
    pub row: i64,
}

impl fmt::Display for PageEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.created_at.to_bits(), self.row)
    }
}

impl FromStr for PageEnd {
    type Err = Error;

    /// # Errors
    /// `InvalidInput` for what no page gave.
    fn from_str(cursor: &str) -> Result<Self, Error> {
        let wrong =
            || Error::invalid("the cursor is not one that a page gave").reason("bad_cursor");
        if cursor.len() != 2 * HALF_CHARS || !cursor.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let (time, row) = cursor.split_at(HALF_CHARS);
        let created_at = f64::from_bits(u64::from_str_radix(time, 16).map_err(|_| wrong())?);
        let row = i64::from_str_radix(row, 16).map_err(|_| wrong())?;
        if !created_at.is_finite() {
            return Err(wrong());
        }
        Ok(PageEnd { created_at, row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_opaque_and_checked() {
        let end = PageEnd { created_at: 1.5, row: 7 };
        let good = end.to_string();
        assert_eq!(good.parse::<PageEnd>().ok(), Some(end));
        let infinite = PageEnd { created_at: f64::INFINITY, row: 7 }.to_string();
        for bad in ["", "zz", &good[..31], &"g".repeat(32), &"f".repeat(32), &infinite] {
            assert!(bad.parse::<PageEnd>().is_err(), "{bad}");
        }
    }
}
