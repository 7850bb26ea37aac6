//! Names of nodes, of their runs, and of single writes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Invalid, NameError};

/// The greatest sequence number: what an SQLite integer holds.
pub const OSEQ_MAX: u64 = i64::MAX as u64;

const NODE_NAME_CHARS_MAX: usize = 64;

/// The stable name of a node: 1 to 64 characters, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError::Node`] for the wrong length, outer space, control characters or `~`.
    pub fn new(name: &str) -> Result<NodeName, NameError> {
        let allowed = |c: char| !c.is_control() && c != '~';
        // Four bytes a character at most: a cheap bound before counting characters.
        let short =
            name.len() <= 4 * NODE_NAME_CHARS_MAX && name.chars().count() <= NODE_NAME_CHARS_MAX;
        if short && !name.is_empty() && name.trim() == name && name.chars().all(allowed) {
            Ok(NodeName(name.into()))
        } else {
            Err(NameError::Node)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<NodeName, NameError> {
        NodeName::new(text)
    }
}

/// One run of one file of one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The node that ran.
    pub node: NodeName,
    /// 64 random bits minted at the run's first local write.
    pub epoch: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{:016x}", self.node, self.epoch)
    }
}

impl FromStr for Origin {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Origin, NameError> {
        let (node, epoch) = text.rsplit_once('~').ok_or(NameError::Origin)?;
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if epoch.len() != 16 || !epoch.bytes().all(is_digit) {
            return Err(NameError::Origin);
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| NameError::Origin)?;
        Ok(Origin { node: NodeName::new(node)?, epoch })
    }
}

/// The name of one replicated write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// The run that wrote.
    pub origin: Origin,
    /// Its number among the writes of that run, from 1, without gaps, at most [`OSEQ_MAX`].
    pub oseq: u64,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.oseq)
    }
}

impl FromStr for Dot {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Dot, NameError> {
        let (origin, digits) = text.rsplit_once(':').ok_or(NameError::Dot)?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        match digits.parse() {
            Ok(oseq) if plain && oseq <= OSEQ_MAX => Ok(Dot { origin: origin.parse()?, oseq }),
            _ => Err(NameError::Dot),
        }
    }
}

/// Checks a number that came from elsewhere.
pub(crate) fn check_oseq(oseq: u64) -> Result<(), Invalid> {
    if (1..=OSEQ_MAX).contains(&oseq) { Ok(()) } else { Err(Invalid::Sequence(oseq)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_node(name: &str, expected: bool) {
        assert_eq!(NodeName::new(name).is_ok(), expected, "{name:?}");
    }

    #[test]
    fn node_names_are_short_visible_and_free_of_tildes() {
        check_node("node-1", true);
        check_node("Küche: links.7", true);
        check_node(&"ü".repeat(64), true);
        check_node(&"ü".repeat(65), false);
        check_node(&"a".repeat(1000), false);
        for name in ["", " a", "a ", "a~b", "a\nb", "\0", "\u{85}"] {
            check_node(name, false);
        }
    }

    #[test]
    fn origins_and_dots_are_read_as_they_are_written() {
        let origin = Origin { node: NodeName::new("a:b").unwrap(), epoch: 0xfe };
        assert_eq!(origin.to_string(), "a:b~00000000000000fe");
        assert_eq!(origin.to_string().parse(), Ok(origin.clone()));
        let dot = Dot { origin, oseq: OSEQ_MAX };
        assert_eq!(dot.to_string(), "a:b~00000000000000fe:9223372036854775807");
        assert_eq!(dot.to_string().parse(), Ok(dot));
    }

    #[test]
    fn a_name_has_one_spelling() {
        for text in
            ["", "a", "a~fe", "a~00000000000000FE", "a~+0000000000000fe", "~0000000000000001"]
        {
            assert!(text.parse::<Origin>().is_err(), "{text:?}");
        }
        for oseq in ["", "0", "01", "+1", "-1", "9223372036854775808", "1x"] {
            let text = format!("a~00000000000000fe:{oseq}");
            assert!(text.parse::<Dot>().is_err(), "{text:?}");
        }
    }
}
