//! The document is whole, and it is what is served.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Every operation; a new one has to be named here, and with it in the documentation for users.
const OPERATIONS: &[&str] = &[
    "delete /api/admin/keys/{id}",
    "delete /api/memories/{hash}",
    "get /.well-known/oauth-protected-resource",
    "get /.well-known/oauth-protected-resource/mcp",
    "get /api/admin/audit",
    "get /api/admin/audit/export",
    "get /api/admin/keys",
    "get /api/admin/limits",
    "get /api/admin/webhooks",
    "get /api/analytics/memory-growth",
    "get /api/analytics/overview",
    "get /api/backup/list",
    "get /api/backup/status",
    "get /api/cluster",
    "get /api/cluster/digest",
    "get /api/cluster/digest/{bucket}",
    "get /api/cluster/quarantine",
    "get /api/conflicts",
    "get /api/events",
    "get /api/export",
    "get /api/health",
    "get /api/health/detailed",
    "get /api/index",
    "get /api/map",
    "get /api/memories",
    "get /api/memories/{hash}",
    "get /api/memories/{hash}/history",
    "get /api/reembed",
    "get /api/search/similar/{hash}",
    "get /api/sync/status",
    "get /api/tags",
    "get /api/types",
    "get /api/ws",
    "get /events",
    "get /healthz",
    "get /livez",
    "get /metrics",
    "get /readyz",
    "patch /api/memories/{hash}",
    "post /api/admin/keys",
    "post /api/admin/keys/{id}/rotate",
    "post /api/admin/webhooks",
    "post /api/backup/now",
    "post /api/cluster/forget-node",
    "post /api/cluster/init",
    "post /api/cluster/join",
    "post /api/cluster/quarantine",
    "post /api/cluster/snapshot",
    "post /api/events/ticket",
    "post /api/import",
    "post /api/index/check",
    "post /api/index/rebuild",
    "post /api/map/redraw",
    "post /api/memories",
    "post /api/memories/batch",
    "post /api/memories/delete",
    "post /api/memories/{hash}/purge",
    "post /api/memories/{hash}/restore",
    "post /api/reembed",
    "post /api/search",
    "post /api/search/by-tag",
    "post /api/search/by-time",
    "post /api/verify",
    "put /api/memories/{hash}",
];

/// The operations that need no credential.
const OPEN: &[&str] = &[
    "get /.well-known/oauth-protected-resource",
    "get /.well-known/oauth-protected-resource/mcp",
    "get /api/health",
    "get /healthz",
    "get /livez",
    "get /readyz",
];

fn document() -> Value {
    serde_json::to_value(crate::http::document()).expect("a document is JSON")
}

fn operations(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            found.push((format!("{method} {path}"), operation.clone()));
        }
    }
    found
}

#[test]
fn it_is_openapi_3_1_and_names_every_operation() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names: Vec<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, OPERATIONS);
}

/// Routes come from the document's own list; these are the only others.
#[test]
fn nothing_else_is_served() {
    let routes = include_str!("../mod.rs").split(".route(").skip(1);
    let paths: Vec<&str> = routes.map(|rest| rest.split('"').nth(1).unwrap_or("?")).collect();
    assert_eq!(paths, ["/"]);
    assert_eq!((super::DOCS_PATH, super::DOCUMENT_PATH), ("/api/docs", "/api/openapi.json"));
}

#[test]
fn every_operation_has_a_summary_an_id_security_and_failures() {
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document()) {
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        assert!(ids.insert(operation["operationId"].to_string()), "{name}: its id is not unique");
        let security = operation["security"].as_array().expect("security");
        assert_eq!(security.len(), if OPEN.contains(&&*name) { 1 } else { 4 }, "{name}");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(
            responses.keys().any(|status| status.starts_with('2') || status == "101"),
            "{name}"
        );
        for status in ["403", "500", "503"] {
            assert!(responses.contains_key(status), "{name} {status}");
        }
        assert_eq!(responses.contains_key("401"), !OPEN.contains(&&*name), "{name}");
        check_responses(&name, responses);
    }
}

fn check_responses(name: &str, responses: &Map<String, Value>) {
    for (status, response) in responses {
        assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()));
        if status.as_str() >= "400" {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
        }
    }
}

#[test]
fn no_parameter_is_named_twice_and_each_is_described() {
    for (name, operation) in operations(&document()) {
        let mut seen = BTreeSet::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let key = (parameter["in"].to_string(), parameter["name"].to_string());
            assert!(seen.insert(key), "{name} {parameter}");
            assert!(parameter["description"].is_string(), "{name} {parameter}");
        }
    }
}

#[test]
fn every_schema_and_property_is_described() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            let parts = schema["oneOf"].as_array().into_iter().flatten();
            let mut all = std::iter::once(schema).chain(parts);
            assert!(all.any(|it| it["description"].is_string()), "{name}.{property}: {schema}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
