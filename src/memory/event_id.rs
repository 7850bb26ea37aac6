//! The ids of events: what a consumer has seen, so that any node can go on from there.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memnode_cluster::{Dot, Vector};

use crate::{Error, Result};

/// Longest id, in characters.
pub const EVENT_ID_CHARS_MAX: usize = 6 * 1024;
/// Longest encoded vector in an id; a longer one leaves out what was silent for longest.
pub const EVENT_VECTOR_BYTES_MAX: usize = 4 * 1024;
/// How far back the vector of an id reaches, in seconds: runs that were silent for longer are left
/// out and count as seen.
pub const EVENT_VECTOR_SECONDS: f64 = 30.0 * 24.0 * 3600.0;

/// The first byte of every id of this form.
const FORM: u8 = 1;

/// What a consumer has seen: a place in the change log of one file, which that file goes on from
/// exactly, and the writes that were in there, by which any other node finds what is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct EventId {
    /// The run of the log that the place is in; 0 for none.
    pub run: u64,
    /// The place: the last row seen.
    pub n: u64,
    /// When the id was made, in Unix seconds.
    pub at_s: u64,
    /// The writes seen, of the runs of nodes that were not silent for long.
    pub seen: Vector,
}

impl EventId {
    /// Whether a write that came here at `at` (Unix seconds) counts as seen.
    pub fn lists(&self, dot: &Dot, at: f64) -> bool {
        match self.seen.get(&dot.origin) {
            Some(known) => known.contains(dot.oseq),
            None => at < self.horizon(),
        }
    }

    /// The time, in Unix seconds, before which writes of runs that are not listed count as seen. A
    /// day more than the vector reaches back: clocks differ and writes take their time.
    pub fn horizon(&self) -> f64 {
        self.at_s as f64 - EVENT_VECTOR_SECONDS - 24.0 * 3600.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![FORM];
        bytes.extend(self.run.to_be_bytes());
        bytes.extend(self.n.to_be_bytes());
        bytes.extend(self.at_s.to_be_bytes());
        bytes.extend(self.seen.encode());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for EventId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > EVENT_ID_CHARS_MAX {
            return Err(malformed());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
        read(&bytes).ok_or_else(malformed)
    }
}

fn read(bytes: &[u8]) -> Option<EventId> {
    let rest = bytes.strip_prefix(&[FORM])?;
    let (numbers, rest) = rest.split_first_chunk::<24>()?;
    let number = |at: usize| {
        let bytes = numbers[at..].first_chunk().expect("three numbers of eight bytes");
        u64::from_be_bytes(*bytes)
    };
    let id = EventId {
        run: number(0),
        n: number(8),
        at_s: number(16),
        seen: Vector::decode(rest).ok()?,
    };
    (i64::try_from(id.n).is_ok() && i64::try_from(id.at_s).is_ok()).then_some(id)
}

fn malformed() -> Error {
    Error::invalid(
        "the last event id is not one that an event carried: send it as it came, or leave it out \
         to start from now",
    )
    .reason("invalid_event_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(text: &str) -> Dot {
        text.parse().expect("a dot")
    }

    fn id() -> EventId {
        let seen = [dot("a~00000000000000aa:1"), dot("a~00000000000000aa:2")].into_iter().collect();
        EventId { run: 7, n: 42, at_s: 1_795_361_184, seen }
    }

    #[test]
    fn an_id_survives_its_text() {
        let text = id().to_string();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
        assert_eq!(text.parse::<EventId>().expect("its own text"), id());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let text = id().to_string();
        let long = "A".repeat(EVENT_ID_CHARS_MAX + 1);
        for bad in ["", "42", "%%", "AQ", &text[..text.len() - 4], &format!("{text}AAAA"), &long] {
            let error = bad.parse::<EventId>().expect_err(bad);
            assert_eq!(error.reason, "invalid_event_id");
        }
    }

    #[test]
    fn writes_of_runs_that_are_not_listed_count_by_their_age() {
        let (id, now) = (id(), 1_795_361_184.0);
        assert!(id.lists(&dot("a~00000000000000aa:2"), now));
        assert!(!id.lists(&dot("a~00000000000000aa:3"), 0.0));
        assert!(!id.lists(&dot("b~00000000000000bb:1"), now));
        assert!(id.lists(&dot("b~00000000000000bb:1"), now - 32.0 * 24.0 * 3600.0));
    }
}
