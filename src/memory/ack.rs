//! How sure it is that a write lasts.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Most peers that a caller may wait for.
pub const ACK_PEER_COUNT_MAX: u8 = 16;

/// Where a write is on disk, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AckLevel {
    /// On this node.
    Local,
    /// In the log that the nodes share too, as durable as its servers are.
    Logged,
    /// On so many other nodes too, 1 to 16, and applied there.
    Replicated(u8),
}

impl fmt::Display for AckLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AckLevel::Local => f.write_str("local"),
            AckLevel::Logged => f.write_str("logged"),
            AckLevel::Replicated(count) => write!(f, "replicated:{count}"),
        }
    }
}

impl FromStr for AckLevel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let peers = |digits: &str| match digits.parse() {
            Ok(count @ 1..=ACK_PEER_COUNT_MAX) => Some(AckLevel::Replicated(count)),
            _ => None,
        };
        let level = match text {
            "local" => Some(AckLevel::Local),
            "logged" => Some(AckLevel::Logged),
            _ => text.strip_prefix("replicated:").and_then(peers),
        };
        level.ok_or_else(|| {
            let detail = format!(
                "how sure a write is to be is `local`, `logged`, or `replicated:K` with K from 1 \
                 to {ACK_PEER_COUNT_MAX}"
            );
            Error::invalid(detail).reason("invalid_ack")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_they_are_written() {
        for text in ["local", "logged", "replicated:1", "replicated:16"] {
            assert_eq!(text.parse::<AckLevel>().expect("a level").to_string(), text);
        }
        for text in ["", "Local", "replicated", "replicated:", "replicated:0", "replicated:17"] {
            let error = text.parse::<AckLevel>().expect_err("no level");
            assert_eq!(error.reason, "invalid_ack", "{text}");
        }
    }

    #[test]
    fn levels_have_an_order() {
        let levels = ["local", "logged", "replicated:1", "replicated:2"];
        assert!(levels.map(|text| text.parse::<AckLevel>().expect("a level")).is_sorted());
    }
}
