//! Scopes: what may be done, and where.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::memory::Namespace;
use crate::{Error, Result};

/// What a scope allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Look.
    Read,
    /// Store, change and forget.
    Write,
    /// Everything, erasure and settings included.
    Admin,
}

impl Access {
    const ALL: [Access; 3] = [Access::Read, Access::Write, Access::Admin];

    /// The scope's name.
    pub fn name(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Admin => "admin",
        }
    }
}

/// One scope: an access, in one namespace or in all. Written `read`, or `read:notes`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    pub(super) access: Access,
    pub(super) namespace: Option<Namespace>,
}

impl Scope {
    /// In all namespaces.
    pub fn everywhere(access: Access) -> Self {
        Scope { access, namespace: None }
    }

    /// Limits a scope to a namespace; one that is limited to another grants nothing there.
    pub(super) fn within(self, namespace: &Namespace) -> Option<Self> {
        match self.namespace {
            Some(own) if own != *namespace => None,
            _ => Some(Scope { access: self.access, namespace: Some(namespace.clone()) }),
        }
    }

    /// Whether it grants the access in the namespace, or everywhere when none is named.
    pub(super) fn grants(&self, access: Access, namespace: Option<&Namespace>) -> bool {
        let is_enough = self.access == access || self.access == Access::Admin;
        is_enough && self.namespace.as_ref().is_none_or(|own| Some(own) == namespace)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.access.name())?;
        match &self.namespace {
            Some(namespace) => write!(f, ":{namespace}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, namespace) = match text.split_once(':') {
            Some((name, namespace)) => (name, Some(namespace.parse()?)),
            None => (text, None),
        };
        let access = Access::ALL.into_iter().find(|access| access.name() == name);
        access.map(|access| Scope { access, namespace }).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            Error::invalid(format!(
                "`{shown}` is not a scope: use read, write or admin, each perhaps with a \
                 namespace, such as read:notes"
            ))
            .reason("invalid_scope")
        })
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in ["read", "write", "admin", "read:notes", "admin:a_b-1", "read:team/notes"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for text in ["", "Read", "reader", "read:", "read:*", "read:_keys", "read:a:b", ":a", "*"] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_admin_grants_more_than_it_says() {
        let check = |scope: &str, access: Access, namespace: Option<&str>, granted: bool| {
            let namespace: Option<Namespace> = namespace.map(|name| name.parse().unwrap());
            let found = scope.parse::<Scope>().unwrap().grants(access, namespace.as_ref());
            assert_eq!(found, granted, "{scope} {access:?} {namespace:?}");
        };
        check("read", Access::Read, Some("a"), true);
        check("read", Access::Read, None, true);
        check("read", Access::Write, Some("a"), false);
        check("write", Access::Read, Some("a"), false);
        check("read:a", Access::Read, Some("a"), true);
        check("read:a", Access::Read, Some("b"), false);
        check("read:a", Access::Read, None, false);
        check("admin:a", Access::Write, Some("a"), true);
        check("admin:a", Access::Admin, None, false);
        check("admin", Access::Read, None, true);
        check("write", Access::Admin, Some("a"), false);
    }
}
