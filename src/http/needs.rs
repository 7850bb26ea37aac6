//! What each operation needs of its caller, in one table. A route without a row is refused to
//! everybody, and a test holds the table against the OpenAPI document.

use axum::http::Method;

use crate::Result;
use crate::auth::{Access, Principal};

/// What an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is open to everyone.
    Nothing,
    /// What it says itself once it knows who listens, since a ticket may stand for the caller.
    Listener,
    /// An access in some namespace: the service holds it against the one that is asked for.
    Somewhere(Access),
    /// An access in all namespaces.
    Everywhere(Access),
}

use Access::{Admin, Read, Write};
use Needs::{Everywhere, Listener, Nothing, Somewhere};

/// Every operation: method, path as the document has it, and what it needs.
const OPERATIONS: &[(&str, &str, Needs)] = &[
    ("GET", "/.well-known/oauth-protected-resource", Nothing),
    ("GET", "/.well-known/oauth-protected-resource/mcp", Nothing),
    ("GET", "/api/admin/audit", Everywhere(Admin)),
    ("GET", "/api/admin/audit/export", Everywhere(Admin)),
    ("GET", "/api/admin/keys", Everywhere(Admin)),
    ("POST", "/api/admin/keys", Everywhere(Admin)),
    ("DELETE", "/api/admin/keys/{id}", Everywhere(Admin)),
    ("POST", "/api/admin/keys/{id}/rotate", Everywhere(Admin)),
    ("GET", "/api/admin/limits", Everywhere(Admin)),
    ("GET", "/api/admin/webhooks", Everywhere(Admin)),
    ("POST", "/api/admin/webhooks", Everywhere(Admin)),
    ("GET", "/api/analytics/memory-growth", Somewhere(Read)),
    ("GET", "/api/analytics/overview", Somewhere(Read)),
    ("GET", "/api/backup/list", Everywhere(Read)),
    ("POST", "/api/backup/now", Everywhere(Write)),
    ("GET", "/api/backup/status", Everywhere(Read)),
    ("GET", "/api/cluster", Everywhere(Admin)),
    ("GET", "/api/cluster/digest", Everywhere(Read)),
    ("GET", "/api/cluster/digest/{bucket}", Everywhere(Read)),
    ("POST", "/api/cluster/forget-node", Everywhere(Admin)),
    ("POST", "/api/cluster/init", Everywhere(Admin)),
    ("POST", "/api/cluster/join", Everywhere(Admin)),
    ("GET", "/api/cluster/quarantine", Everywhere(Admin)),
    ("POST", "/api/cluster/quarantine", Everywhere(Admin)),
    ("POST", "/api/cluster/snapshot", Everywhere(Admin)),
    ("GET", "/api/conflicts", Somewhere(Read)),
    ("GET", "/api/events", Listener),
    ("POST", "/api/events/ticket", Somewhere(Read)),
    ("GET", "/api/export", Somewhere(Read)),
    ("GET", "/api/health", Nothing),
    ("GET", "/api/health/detailed", Somewhere(Read)),
    ("POST", "/api/import", Somewhere(Write)),
    ("GET", "/api/index", Everywhere(Admin)),
    ("POST", "/api/index/check", Everywhere(Admin)),
    ("POST", "/api/index/rebuild", Everywhere(Admin)),
    ("GET", "/api/map", Somewhere(Read)),
    ("POST", "/api/map/redraw", Everywhere(Write)),
    ("GET", "/api/memories", Somewhere(Read)),
    ("POST", "/api/memories", Somewhere(Write)),
    ("POST", "/api/memories/batch", Somewhere(Write)),
    ("POST", "/api/memories/delete", Somewhere(Write)),
    ("GET", "/api/memories/{hash}", Somewhere(Read)),
    ("PUT", "/api/memories/{hash}", Somewhere(Write)),
    ("PATCH", "/api/memories/{hash}", Somewhere(Write)),
    ("DELETE", "/api/memories/{hash}", Somewhere(Write)),
    ("GET", "/api/memories/{hash}/history", Somewhere(Read)),
    ("POST", "/api/memories/{hash}/purge", Somewhere(Admin)),
    ("POST", "/api/memories/{hash}/restore", Somewhere(Write)),
    ("GET", "/api/reembed", Everywhere(Admin)),
    ("POST", "/api/reembed", Everywhere(Admin)),
    ("POST", "/api/search", Somewhere(Read)),
    ("POST", "/api/search/by-tag", Somewhere(Read)),
    ("POST", "/api/search/by-time", Somewhere(Read)),
    ("GET", "/api/search/similar/{hash}", Somewhere(Read)),
    ("GET", "/api/sync/status", Somewhere(Read)),
    ("GET", "/api/tags", Somewhere(Read)),
    ("GET", "/api/types", Somewhere(Read)),
    ("POST", "/api/verify", Everywhere(Admin)),
    ("GET", "/api/ws", Listener),
    ("GET", "/events", Listener),
    ("GET", "/healthz", Nothing),
    ("GET", "/livez", Nothing),
    ("GET", "/metrics", Everywhere(Read)),
    ("GET", "/readyz", Nothing),
];

/// Whether a path has any row.
pub fn is_listed(route: &str) -> bool {
    OPERATIONS.iter().any(|(_, path, _)| *path == route)
}

/// What a route needs; `None` for one that has no row.
pub fn of(method: &Method, route: &str) -> Option<Needs> {
    // The answer to HEAD is the one to GET without its body.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let row = OPERATIONS.iter().find(|(verb, path, _)| *verb == method && *path == route);
    row.map(|(_, _, needs)| *needs)
}

impl Needs {
    /// Whether it is known before the handler who must call.
    pub fn is_closed(self) -> bool {
        matches!(self, Needs::Somewhere(_) | Needs::Everywhere(_))
    }

    /// Holds a caller against the table.
    ///
    /// # Errors
    /// `Forbidden`, naming the missing scope.
    pub fn check(self, who: &Principal) -> Result<()> {
        match self {
            Needs::Nothing | Needs::Listener => Ok(()),
            Needs::Somewhere(access) => who.require_somewhere(access),
            Needs::Everywhere(access) => who.require_everywhere(access),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_operation_of_the_document_and_no_other() {
        let document = serde_json::to_value(crate::http::document()).unwrap();
        let mut documented = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let method: Method = method.to_uppercase().parse().unwrap();
                let needs = of(&method, path);
                let needs = needs.unwrap_or_else(|| panic!("{method} {path} has no row"));
                let is_open = operation["security"].as_array().unwrap().len() == 1;
                assert_eq!(needs == Nothing, is_open, "{method} {path}");
                documented.push((method.to_string(), path.clone()));
            }
        }
        for (method, path, _) in OPERATIONS {
            let known = documented.contains(&((*method).to_owned(), (*path).to_owned()));
            assert!(known, "{method} {path} is gone");
        }
        assert_eq!(of(&Method::HEAD, "/api/memories"), Some(Somewhere(Read)));
        assert_eq!(of(&Method::TRACE, "/api/memories"), None);
    }
}
