//! Who is calling, and what it may do.

use super::key::{ApiKey, KeyLimits};
use super::noted;
use super::scope::{Access, Scope};
use crate::memory::{Namespace, NamespaceSet};
use crate::{Code, Error, Result};

/// The name of callers without a credential.
pub(super) const ANONYMOUS: &str = "anonymous";

/// A caller that has been recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    name: String,
    label: String,
    scopes: Vec<Scope>,
    limits: KeyLimits,
    proof: Proof,
}

/// What a caller was recognised by, so that it can be asked later whether that still holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Proof {
    /// It holds for as long as the node runs.
    Lasting,
    /// A key with this id, and the hash of the secret that was presented.
    Key { id: String, hash: String },
    /// A token, good until then (Unix seconds).
    Token { until: f64 },
}

impl Principal {
    /// One that may do everything.
    pub fn full(name: &str) -> Self {
        Principal {
            name: name.to_owned(),
            label: name.to_owned(),
            scopes: vec![Scope::everywhere(Access::Admin)],
            limits: KeyLimits::default(),
            proof: Proof::Lasting,
        }
    }

    /// The user of this machine, who reached the node over its local socket or from within.
    pub fn local() -> Self {
        Principal::full("local")
    }

    /// The holder of a key.
    pub(super) fn of_key(key: &ApiKey, hash: String) -> Self {
        Principal {
            // Names are for people, who may give one twice.
            name: format!("key:{}", key.id),
            label: key.name.clone(),
            scopes: key.scopes.clone(),
            limits: key.limits,
            proof: Proof::Key { id: key.id.clone(), hash },
        }
    }

    /// The holder of a token, until then (Unix seconds).
    pub(super) fn of_token(name: String, label: String, scopes: Vec<Scope>, until: f64) -> Self {
        let limits = KeyLimits::default();
        Principal { name, label, scopes, limits, proof: Proof::Token { until } }
    }

    /// Whether it presented no credential.
    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    /// Stable; idempotency keys are kept per name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The id of the API key that it presented, if it was one of those that `memnode key` makes.
    pub fn key_id(&self) -> Option<&str> {
        match &self.proof {
            Proof::Key { id, .. } => Some(id),
            Proof::Lasting | Proof::Token { .. } => None,
        }
    }

    /// What it may use up, where that differs from what the node allows all.
    pub fn limits(&self) -> KeyLimits {
        self.limits
    }

    pub(super) fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Whether the access is granted in the namespace.
    pub fn may(&self, access: Access, namespace: &Namespace) -> bool {
        self.scopes.iter().any(|scope| scope.grants(access, Some(namespace)))
    }

    /// Asks for an access in a namespace.
    ///
    /// # Errors
    /// `Forbidden`, naming the missing scope.
    pub fn require(&self, access: Access, namespace: &Namespace) -> Result<()> {
        noted::note(self, access, namespace.as_str());
        if self.may(access, namespace) {
            return Ok(());
        }
        Err(forbidden(access, Some(namespace)))
    }

    /// Asks for an access to everything.
    ///
    /// # Errors
    /// `Forbidden`, naming the missing scope.
    pub fn require_everywhere(&self, access: Access) -> Result<()> {
        noted::note(self, access, "*");
        if self.scopes.iter().any(|scope| scope.grants(access, None)) {
            return Ok(());
        }
        Err(forbidden(access, None))
    }

    /// Whether no memory is kept from it. Says nothing about what it asked for.
    pub fn reads_everything(&self) -> bool {
        self.scopes.iter().any(|scope| scope.grants(Access::Read, None))
    }

    /// Asks for an access to anything at all.
    ///
    /// # Errors
    /// `Forbidden`, naming the missing scope.
    pub fn require_somewhere(&self, access: Access) -> Result<()> {
        noted::note_caller(self);
        let grants = |scope: &Scope| scope.grants(access, scope.namespace.as_ref());
        if self.scopes.iter().any(grants) { Ok(()) } else { Err(forbidden(access, None)) }
    }

    /// Says what is about to be done under this name, for work that asks for access only after its
    /// answer has begun.
    pub fn announce(&self, access: Access, namespace: &str) {
        noted::note(self, access, namespace);
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
            NamespaceSet::All if self.require_everywhere(Access::Read).is_ok() => {
                Ok(NamespaceSet::All)
            }
            NamespaceSet::All => {
                let limited = self.scopes.iter().filter_map(|scope| scope.namespace.clone());
                noted::note(self, Access::Read, "*");
                let read = || self.scopes.iter().filter(|scope| scope.access == Access::Read);
                if read().any(|scope| scope.namespace.is_none()) {
                    return Ok(NamespaceSet::All);
                }
                let mut names: Vec<Namespace> =
                    limited.filter(|name| self.may(Access::Read, name)).collect();
                if names.is_empty() {
                    return Err(forbidden(Access::Read, None));
                }
                names.sort();
                names.dedup();
                Ok(NamespaceSet::Only(names))
            }
        }
    }
}

fn forbidden(access: Access, namespace: Option<&Namespace>) -> Error {
    let scope = Scope { access, namespace: namespace.cloned() };
    Error::new(Code::Forbidden, format!("the credential lacks the scope `{scope}`"))
        .reason("scope_missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Namespace {
        text.parse().expect("valid namespace")
    }

    fn with(scopes: &[&str]) -> Principal {
        let scopes = scopes.iter().map(|scope| scope.parse().expect("a scope")).collect();
        Principal { scopes, ..Principal::full("someone") }
    }

    #[test]
    fn a_scope_of_one_namespace_is_a_wall() {
        let reader = with(&["read:a"]);
        assert!(reader.require(Access::Read, &name("a")).is_ok());
        assert!(reader.require(Access::Read, &name("b")).is_err());
        assert!(reader.require(Access::Write, &name("a")).is_err());
        assert!(reader.require_everywhere(Access::Read).is_err());
        assert!(reader.require_somewhere(Access::Read).is_ok());
        assert!(reader.require_somewhere(Access::Write).is_err());
        assert_eq!(reader.readable(&NamespaceSet::All).ok(), Some(name("a").into()));
        assert!(reader.readable(&"a,b".parse().expect("list")).is_err());
        let error = reader.require(Access::Write, &name("b")).expect_err("forbidden");
        assert_eq!(error.detail, "the credential lacks the scope `write:b`");
        let writer = with(&["write", "read:b", "read:a", "admin:a"]);
        assert_eq!(writer.readable(&NamespaceSet::All).ok(), Some("a,b".parse().expect("list")));
        assert!(with(&["write"]).readable(&NamespaceSet::All).is_err());
    }

    #[test]
    fn a_full_principal_may_do_everything() {
        let full = Principal::full("x");
        for access in [Access::Read, Access::Write, Access::Admin] {
            assert!(full.require_everywhere(access).is_ok());
            assert!(full.require(access, &name("any")).is_ok());
        }
        assert_eq!(full.readable(&NamespaceSet::All).ok(), Some(NamespaceSet::All));
    }
}
