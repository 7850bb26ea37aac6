//! Who is calling, and what it may do.

use crate::memory::{Namespace, NamespaceSet};
use crate::{Code, Error, Result};

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
    /// The scope's name.
    pub fn name(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Admin => "admin",
        }
    }
}

/// One scope: an access, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    access: Access,
    namespace: Option<Namespace>,
}

/// A caller that has been recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    name: String,
    scopes: Vec<Scope>,
}

impl Principal {
    /// One that may do everything.
    pub fn full(name: &str) -> Self {
        let scopes = [Access::Read, Access::Write, Access::Admin]
            .map(|access| Scope { access, namespace: None })
            .to_vec();
        Principal { name: name.to_owned(), scopes }
    }

    /// The user of this machine, who reached the node over its local socket or from within.
    pub fn local() -> Self {
        Principal::full("local")
    }

    /// Stable; idempotency keys are kept per name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the access is granted in the namespace.
    pub fn may(&self, access: Access, namespace: &Namespace) -> bool {
        self.scopes.iter().any(|scope| {
            scope.access == access
                && scope.namespace.as_ref().is_none_or(|granted| granted == namespace)
        })
    }

    /// Asks for an access in a namespace.
    ///
    /// # Errors
    /// `Forbidden`, naming the missing scope.
    pub fn require(&self, access: Access, namespace: &Namespace) -> Result<()> {
        if self.may(access, namespace) {
            return Ok(());
        }
        Err(forbidden(access, namespace.as_str()))
    }

    /// Asks for an access to everything.
    ///
    /// # Errors
    /// `Forbidden`, naming the missing scope.
    pub fn require_everywhere(&self, access: Access) -> Result<()> {
        if self.scopes.iter().any(|scope| scope.access == access && scope.namespace.is_none()) {
            return Ok(());
        }
        Err(forbidden(access, "*"))
    }

    /// The namespaces of a selection that the caller may look at: `*` shrinks to what it may
    /// read, a named one must be readable.
    ///
    /// # Errors
    /// `Forbidden`, naming the missing scope.
    pub fn readable(&self, asked: &NamespaceSet) -> Result<NamespaceSet> {
        match asked {
            NamespaceSet::Only(names) => {
                names.iter().try_for_each(|name| self.require(Access::Read, name))?;
                Ok(asked.clone())
            }
            NamespaceSet::All => {
                let read = || self.scopes.iter().filter(|scope| scope.access == Access::Read);
                if read().any(|scope| scope.namespace.is_none()) {
                    return Ok(NamespaceSet::All);
                }
                let mut names: Vec<Namespace> =
                    read().filter_map(|scope| scope.namespace.clone()).collect();
                if names.is_empty() {
                    return Err(forbidden(Access::Read, "*"));
                }
                names.sort();
                names.dedup();
                Ok(NamespaceSet::Only(names))
            }
        }
    }
}

fn forbidden(access: Access, namespace: &str) -> Error {
    Error::new(
        Code::Forbidden,
        format!("the credential lacks the scope `{}:{namespace}`", access.name()),
    )
    .reason("scope_missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Namespace {
        text.parse().expect("valid namespace")
    }

    fn reader_of(namespace: &str) -> Principal {
        let scopes = vec![Scope { access: Access::Read, namespace: Some(name(namespace)) }];
        Principal { name: "reader".to_owned(), scopes }
    }

    #[test]
    fn a_scope_of_one_namespace_is_a_wall() {
        let reader = reader_of("a");
        assert!(reader.require(Access::Read, &name("a")).is_ok());
        assert!(reader.require(Access::Read, &name("b")).is_err());
        assert!(reader.require(Access::Write, &name("a")).is_err());
        assert!(reader.require_everywhere(Access::Read).is_err());
        assert_eq!(reader.readable(&NamespaceSet::All).ok(), Some(name("a").into()));
        assert!(reader.readable(&"a,b".parse().expect("list")).is_err());
    }

    #[test]
    fn a_full_principal_may_do_everything() {
        let full = Principal::full("x");
        assert!(full.require_everywhere(Access::Admin).is_ok());
        assert_eq!(full.readable(&NamespaceSet::All).ok(), Some(NamespaceSet::All));
    }
}
