//! How the document describes names of namespaces; what they stand in is text.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// One namespace.
pub enum NamespaceName {}

/// A namespace, a comma list of them, or `*`.
pub enum NamespaceList {}

impl PartialSchema for NamespaceName {
    fn schema() -> RefOr<Schema> {
        let pattern = "^[a-z0-9-][a-z0-9_-]{0,63}(/[a-z0-9-][a-z0-9_-]{0,63})?$";
        text(pattern, "The name of a namespace.")
    }
}

impl PartialSchema for NamespaceList {
    fn schema() -> RefOr<Schema> {
        let pattern = "^(\\*|[a-z0-9-][a-z0-9_/-]{0,128}(,[a-z0-9-][a-z0-9_/-]{0,128})*)$";
        text(pattern, "A namespace, a comma list of them, or `*`: all that the caller may read.")
    }
}

impl ToSchema for NamespaceName {}

impl ToSchema for NamespaceList {}

fn text(pattern: &str, description: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    text.description(Some(description)).examples([serde_json::json!("default")]).into()
}
