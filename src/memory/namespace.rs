//! Namespaces: the walls between memories.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Longest namespace part, in characters.
const NAMESPACE_CHARS_MAX: usize = 64;
/// Most namespaces in one selection.
const NAMESPACE_SET_COUNT_MAX: usize = 100;

/// The name of a set of memories: `[a-z0-9_-]{1,64}`, or `<from>/<namespace>` when imported.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace of a call that names none.
    pub fn default_namespace() -> Self {
        Namespace("default".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Namespace::default_namespace()
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let valid = matches!(parts.len(), 1 | 2) && parts.iter().all(|part| is_part(part));
        if !valid {
            let shown: String = text.chars().take(80).collect();
            return Err(Error::invalid(format!(
                "`{shown}` is not a namespace: use 1 to 64 of a-z, 0-9, `-` and `_`, \
                 not starting with `_`"
            ))
            .reason("invalid_namespace"));
        }
        Ok(Namespace(text.to_owned()))
    }
}

fn is_part(part: &str) -> bool {
    (1..=NAMESPACE_CHARS_MAX).contains(&part.len())
        && !part.starts_with('_')
        && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

impl<'de> serde::Deserialize<'de> for Namespace {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The namespaces that a search or list looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceSet {
    /// Everything that the caller may read (`*`).
    All,
    /// These, sorted and without repeats; never empty.
    Only(Vec<Namespace>),
}

impl Default for NamespaceSet {
    fn default() -> Self {
        NamespaceSet::from(Namespace::default())
    }
}

impl From<Namespace> for NamespaceSet {
    fn from(namespace: Namespace) -> Self {
        NamespaceSet::Only(vec![namespace])
    }
}

impl FromStr for NamespaceSet {
    type Err = Error;

    /// Reads `*` or a comma list.
    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "*" {
            return Ok(NamespaceSet::All);
        }
        let mut names: Vec<Namespace> =
            text.split(',').map(|name| name.trim().parse()).collect::<Result<_>>()?;
        if names.len() > NAMESPACE_SET_COUNT_MAX {
            return Err(Error::invalid(format!(
                "{} namespaces are named; at most {NAMESPACE_SET_COUNT_MAX} are allowed",
                names.len()
            )));
        }
        names.sort();
        names.dedup();
        Ok(NamespaceSet::Only(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["default", "a", "team-1_x", "other/default", &"a".repeat(64)] {
            assert!(good.parse::<Namespace>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "_keys", "A", "a b", "a/b/c", "/a", "a/", "é", "a/_keys", "*", &long] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_is_sorted_and_has_no_repeats() {
        let set: NamespaceSet = "b, a,b".parse().expect("valid list");
        let names = ["a", "b"].map(|name| name.parse().expect("valid name")).to_vec();
        assert_eq!(set, NamespaceSet::Only(names));
        assert_eq!("*".parse::<NamespaceSet>().expect("star"), NamespaceSet::All);
        assert!("a,,b".parse::<NamespaceSet>().is_err());
    }
}
