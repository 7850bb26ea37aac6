//! What a request turned out to be about, noted where it asks for access: for the audit log, which
//! sees requests from outside and bodies never.

use std::cell::RefCell;

use super::{Access, Principal};
use crate::memory::AUDIT_NAMESPACE_COUNT_MAX;

tokio::task_local! {
    static NOTED: RefCell<Noted>;
}

/// Who asked for what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noted {
    /// The caller; `None` when it asked for nothing.
    pub who: Option<Principal>,
    /// The most that it asked for.
    pub access: Option<Access>,
    /// Where; `*` is everywhere. At most [`AUDIT_NAMESPACE_COUNT_MAX`] and, after them, `…`.
    pub namespaces: Vec<String>,
}

impl Noted {
    /// Does the work of one request, and tells what it asked for on the way.
    pub async fn during<T>(work: impl Future<Output = T>) -> (T, Noted) {
        let scope = NOTED.scope(RefCell::default(), async {
            let done = work.await;
            (done, NOTED.with(RefCell::take))
        });
        scope.await
    }

    fn add_caller(&mut self, who: &Principal) {
        if self.who.is_none() {
            self.who = Some(who.clone());
        }
    }

    fn add(&mut self, who: &Principal, access: Access, namespace: &str) {
        self.add_caller(who);
        self.access = self.access.max(Some(access));
        let is_known = self.namespaces.iter().any(|known| known == namespace);
        match self.namespaces.len() {
            _ if is_known => {}
            count if count < AUDIT_NAMESPACE_COUNT_MAX => {
                self.namespaces.push(namespace.to_owned());
            }
            AUDIT_NAMESPACE_COUNT_MAX => self.namespaces.push("…".to_owned()),
            _ => {}
        }
    }
}

/// Notes that a caller asks for an access, granted or not. Work that goes on after its request was
/// answered notes nothing.
pub(super) fn note(who: &Principal, access: Access, namespace: &str) {
    // Fails where nobody listens, as in work that the node does by itself.
    let _ = NOTED.try_with(|noted| noted.borrow_mut().add(who, access, namespace));
}

/// Notes who calls, before it is known what for: a refusal has a name then.
pub(super) fn note_caller(who: &Principal) {
    // As above.
    let _ = NOTED.try_with(|noted| noted.borrow_mut().add_caller(who));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Namespace, NamespaceSet};

    #[tokio::test]
    async fn a_request_is_known_by_the_most_that_it_asked_for() {
        let who = Principal::full("ada");
        let names: Vec<Namespace> =
            ["a", "b", "c", "d", "e", "f"].map(|n| n.parse().unwrap()).into();
        let ((), noted) = Noted::during(async {
            who.require(Access::Write, &names[1]).unwrap();
            who.readable(&NamespaceSet::Only(names.clone())).unwrap();
        })
        .await;
        assert_eq!(noted.access, Some(Access::Write));
        assert_eq!(noted.namespaces, ["b", "a", "c", "d", "…"]);
        assert_eq!(noted.who, Some(who.clone()));
        let somewhere = async { who.require_somewhere(Access::Admin).unwrap() };
        let ((), noted) = Noted::during(somewhere).await;
        assert_eq!(noted, Noted { who: Some(who.clone()), ..Noted::default() });
        let ((), nothing) = Noted::during(async {}).await;
        assert_eq!(nothing, Noted::default());
        // Nobody listens.
        who.require(Access::Read, &names[0]).unwrap();
    }
}
