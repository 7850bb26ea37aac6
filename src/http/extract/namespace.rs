//! Which namespace a call means: `namespace` or its older name `store`, in the query or the body.

use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::schemas::{NamespaceList, NamespaceName};
use crate::http::problem::{Fault, Input, Problem};
use crate::memory::{Namespace, NamespaceSet};

/// The namespace of a call on one memory.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NamespaceParameters {
    /// The namespace; `default` when absent.
    #[param(value_type = Option<NamespaceName>, inline)]
    pub namespace: Option<String>,
    /// The older name of `namespace`.
    #[param(value_type = Option<NamespaceName>, inline)]
    pub store: Option<String>,
}

impl NamespaceParameters {
    /// The namespace, when only the query can name it.
    ///
    /// # Errors
    /// Status 400.
    pub fn one(&self) -> Result<Namespace, Problem> {
        one(&[self.asked()])
    }

    /// What the query says.
    pub fn asked(&self) -> Asked<'_> {
        Asked::new(Input::Query, self.namespace.as_deref(), self.store.as_deref())
    }
}

/// The namespaces of a call on many memories.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NamespacesParameters {
    /// A namespace, a comma list of them, or `*`: all that the caller may read. `default` when
    /// absent.
    #[param(value_type = Option<NamespaceList>, inline)]
    pub namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[param(value_type = Option<NamespaceList>, inline)]
    pub store: Option<String>,
}

impl NamespacesParameters {
    /// The namespaces, when only the query can name them.
    ///
    /// # Errors
    /// Status 400.
    pub fn set(&self) -> Result<NamespaceSet, Problem> {
        set(&[self.asked()])
    }

    /// What the query says.
    pub fn asked(&self) -> Asked<'_> {
        Asked::new(Input::Query, self.namespace.as_deref(), self.store.as_deref())
    }
}

/// What one part of a request says about the namespace.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    input: Input,
    namespace: Option<&'a str>,
    store: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// The two names under which this part of the request may name a namespace.
    pub fn new(input: Input, namespace: Option<&'a str>, store: Option<&'a str>) -> Self {
        Asked { input, namespace, store }
    }
}

/// The one namespace that the parts of a request agree on.
///
/// # Errors
/// Status 422 when the body is at fault, 400 when only the query can be.
pub fn one(parts: &[Asked<'_>]) -> Result<Namespace, Problem> {
    match agreed(parts, |store| store)? {
        None => Ok(Namespace::default()),
        Some((Input::Query, text)) => text.parse().map_err(Problem::query),
        Some((Input::Body, text)) => Ok(text.parse()?),
    }
}

/// The namespaces that the parts of a request agree on.
///
/// # Errors
/// As [`one`].
pub fn set(parts: &[Asked<'_>]) -> Result<NamespaceSet, Problem> {
    match agreed(parts, |store| if store == "all" { "*" } else { store })? {
        None => Ok(NamespaceSet::default()),
        Some((Input::Query, text)) => text.parse().map_err(Problem::query),
        Some((Input::Body, text)) => Ok(text.parse()?),
    }
}

/// What is asked for, and by which part; `None` when no part names a namespace.
fn agreed<'a>(
    parts: &[Asked<'a>],
    read_store: impl Fn(&'a str) -> &'a str,
) -> Result<Option<(Input, &'a str)>, Problem> {
    let mut given = parts.iter().flat_map(|part| {
        [part.namespace, part.store.map(&read_store)].into_iter().flatten().map(|t| (part.input, t))
    });
    let Some((input, text)) = given.next() else { return Ok(None) };
    let mut rest = given.filter(|(_, other)| *other != text).peekable();
    if rest.peek().is_none() {
        return Ok(Some((input, text)));
    }
    let msg = "`namespace` and `store` name different namespaces";
    if input == Input::Query && rest.all(|(input, _)| input == Input::Query) {
        return Err(Problem::bad_query(msg));
    }
    let loc = vec!["body".into(), "namespace".into()];
    let fault = Fault { kind: "value_error".into(), loc, msg: msg.into(), input: Value::Null };
    Err(Problem::faulty("namespaces_differ", fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Names = [Option<&'static str>; 2];

    fn check(query: Names, body: Names, expected: Result<&str, u16>) {
        let parts = [
            Asked::new(Input::Query, query[0], query[1]),
            Asked::new(Input::Body, body[0], body[1]),
        ];
        let found = one(&parts).map(|name| name.to_string());
        let found = found.map_err(|problem| problem.status().as_u16());
        assert_eq!(found.as_deref().map_err(|status| *status), expected, "{query:?} {body:?}");
    }

    #[test]
    fn all_parts_must_agree() {
        check([None, None], [None, None], Ok("default"));
        check([Some("a"), None], [None, None], Ok("a"));
        check([None, Some("a")], [None, None], Ok("a"));
        check([Some("a"), None], [None, Some("a")], Ok("a"));
        check([None, None], [Some("a"), Some("b")], Err(422));
        check([Some("a"), None], [Some("b"), None], Err(422));
        check([Some("a"), Some("b")], [None, None], Err(400));
        check([Some("_keys"), None], [None, None], Err(400));
        check([None, None], [None, Some("Not valid")], Err(422));
    }

    #[test]
    fn the_store_all_is_every_namespace() {
        let found = set(&[Asked::new(Input::Body, None, Some("all"))]).unwrap();
        assert_eq!(found, NamespaceSet::All);
        let found = set(&[Asked::new(Input::Query, Some("all"), None)]).unwrap();
        assert_eq!(found, "all".parse().unwrap());
        assert!(set(&[Asked::new(Input::Query, Some("*"), Some("all"))]).is_ok());
    }
}
