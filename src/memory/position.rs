//! Where a write stands among all writes, so that a read on any node can ask to see it.

use std::fmt;
use std::str::FromStr;

use memnode_cluster::{Dot, OSEQ_MAX, Vector};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// Most writes or runs of writes that one position may name.
pub const POSITION_PART_COUNT_MAX: usize = 100;
/// Most writes that one position may name in all.
pub const POSITION_WRITE_COUNT_MAX: u64 = 20_000;

/// The names of some writes, as text `node~epoch:number` or, for a run of them,
/// `node~epoch:first-last`, with `, ` between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(Vector);

impl Position {
    /// No write: what a call that changed nothing has.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The position as text; `None` for none.
    pub fn to_text(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.to_string())
    }

    /// Adds a write.
    pub fn insert(&mut self, dot: &Dot) {
        self.0.insert(dot);
    }

    /// Adds all that another position names.
    pub fn join(&mut self, other: &Position) {
        self.0.join(&other.0);
    }

    /// Adds the writes between the first and the last of each run of a file. For writes that this
    /// node made: it commits them in order, so none between is missing, and the text is short.
    pub fn span(&self) -> Position {
        let mut whole = Vector::default();
        for (origin, numbers) in self.0.iter() {
            if let Some(first) = numbers.first() {
                whole.insert_range(origin, first, numbers.head());
            }
        }
        Position(whole)
    }

    /// What a read must find applied.
    pub fn vector(&self) -> &Vector {
        &self.0
    }

    /// Each write that is named.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.0.iter().flat_map(|(origin, numbers)| {
            let runs = numbers.iter().flat_map(|(lo, hi)| lo..=hi);
            runs.map(|oseq| Dot { origin: origin.clone(), oseq })
        })
    }

    /// Adds what a text names: one write, or one run of writes.
    ///
    /// # Errors
    /// `InvalidInput` for another text, and beyond the bounds of a position.
    pub fn parse_part(&mut self, text: &str) -> Result<()> {
        // The names of nodes may hold hyphens, what follows the tilde none but this one.
        let run = text.rsplit_once('-').filter(|(start, _)| start.contains('~'));
        let (start, last) = run.map_or((text, None), |(start, last)| (start, Some(last)));
        let first: Dot = start.parse().map_err(|_| not_a_position(text))?;
        let last = match last {
            None => first.oseq,
            Some(digits) => number(digits).ok_or_else(|| not_a_position(text))?,
        };
        if last < first.oseq || last - first.oseq >= POSITION_WRITE_COUNT_MAX {
            return Err(not_a_position(text));
        }
        self.0.insert_range(&first.origin, first.oseq, last);
        Ok(())
    }
}

impl FromIterator<Dot> for Position {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut position = Position::default();
        dots.into_iter().for_each(|dot| position.insert(&dot));
        position
    }
}

/// Digits as [`Dot`] writes them, so that a position has one spelling.
fn number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|number| plain && *number <= OSEQ_MAX)
}

fn not_a_position(text: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    Error::invalid(format!("{shown:?} is not a position, such as `node-1~00c0ffee00c0ffee:7`"))
        .reason("invalid_position")
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (origin, numbers) in self.0.iter() {
            for (lo, hi) in numbers.iter() {
                write!(f, "{separator}{origin}:{lo}")?;
                if hi > lo {
                    write!(f, "-{hi}")?;
                }
                separator = ", ";
            }
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut position = Position::default();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        for (count, part) in parts.enumerate() {
            if count >= POSITION_PART_COUNT_MAX {
                return Err(too_long());
            }
            position.parse_part(part)?;
        }
        if position.0.count() > POSITION_WRITE_COUNT_MAX {
            return Err(too_long());
        }
        Ok(position)
    }
}

fn too_long() -> Error {
    let detail = format!(
        "a position names at most {POSITION_PART_COUNT_MAX} runs of writes and \
         {POSITION_WRITE_COUNT_MAX} writes"
    );
    Error::invalid(detail).reason("invalid_position")
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What came of a write, and where that write stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written<T> {
    /// What came of it.
    pub value: T,
    /// The writes behind it: a read that sees them sees the value. Empty when nothing stands
    /// behind it, such as for a deletion of nothing.
    pub position: Position,
}

impl<T> Written<T> {
    /// The same writes in the shortest text; see [`Position::span`].
    pub fn spanning(self) -> Self {
        Written { position: self.position.span(), ..self }
    }

    /// The same write, told in another way.
    pub fn map<U>(self, tell: impl FnOnce(T) -> U) -> Written<U> {
        Written { value: tell(self.value), position: self.position }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a~00000000000000aa";
    const B: &str = "b-1:x~00000000000000bb";

    fn check(text: &str, expected: Option<&str>) {
        let found = text.parse::<Position>().map(|position| position.to_string());
        let reason = found.as_ref().err().map(|error| error.reason);
        assert_eq!(found.as_deref().ok(), expected, "{text}");
        assert!(reason.is_none_or(|reason| reason == "invalid_position"), "{text}");
    }

    #[test]
    fn positions_are_read_as_they_are_written() {
        check("", Some(""));
        check(&format!("{A}:7"), Some(&format!("{A}:7")));
        check(&format!("{B}:7"), Some(&format!("{B}:7")));
        check(&format!("{A}:7-9"), Some(&format!("{A}:7-9")));
        check(&format!("{A}:9,{A}:7 , {B}:1,"), Some(&format!("{A}:7, {A}:9, {B}:1")));
        check(&format!("{A}:1, {A}:2"), Some(&format!("{A}:1-2")));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in ["7", "a", A, "a:7", "é", "a~aa:7"] {
            check(text, None);
        }
        for end in ["0", "x", "-1", "7-", "7-6", "7-08", "7-+8", "7-9223372036854775808", "1-20001"]
        {
            check(&format!("{A}:{end}"), None);
        }
    }

    #[test]
    fn positions_have_a_bound() {
        let parts = |count: u64| -> Vec<String> {
            (1..=count).map(|number| format!("{A}:{}", 2 * number)).collect()
        };
        assert!(parts(100).join(",").parse::<Position>().is_ok());
        check(&parts(101).join(","), None);
        check(&format!("{A}:1-20000"), Some(&format!("{A}:1-20000")));
        check(&format!("{A}:1-20000,{B}:1"), None);
    }

    #[test]
    fn a_span_holds_what_lies_between() {
        let position: Position = format!("{A}:2,{A}:5-6,{B}:1").parse().expect("valid");
        assert_eq!(position.span().to_string(), format!("{A}:2-6, {B}:1"));
        assert_eq!(position.dots().count(), 4);
    }

    #[test]
    fn a_written_value_can_be_kept() {
        let position = format!("{A}:2").parse().expect("valid");
        let written = Written { value: 7, position };
        let kept = serde_json::to_string(&written).expect("plain data");
        assert_eq!(kept, format!(r#"{{"value":7,"position":"{A}:2"}}"#));
        assert_eq!(serde_json::from_str::<Written<i32>>(&kept).expect("kept"), written);
    }
}
