//! JSON Schemas of what tools take and give.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// What a tool takes. Optional arguments are left out rather than null, and nothing is behind a
/// `$ref`: not every client can follow one.
pub(super) fn input<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = object::<T>(SchemaSettings::draft2020_12());
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(without_null);
    }
    Arc::new(schema)
}

/// What a tool gives.
pub(super) fn output<T: JsonSchema>() -> Arc<JsonObject> {
    Arc::new(object::<T>(SchemaSettings::draft2020_12().for_serialize()))
}

fn object<T: JsonSchema>(settings: SchemaSettings) -> JsonObject {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    match schema.to_value() {
        Value::Object(mut schema) => {
            // They name the Rust type.
            schema.remove("title");
            schema.remove("description");
            schema
        }
        _ => unreachable!("the schema of a struct is an object"),
    }
}

/// Takes the null out of an optional property's schema.
fn without_null(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    if members.get("default") == Some(&Value::Null) {
        members.remove("default");
    }
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &mut types[..] {
            let only = only.take();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(mut choices)) = members.remove("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
        match &mut choices[..] {
            [Value::Object(only)] => {
                for (key, value) in std::mem::take(only) {
                    members.entry(key).or_insert(value);
                }
            }
            _ => {
                members.insert("anyOf".to_owned(), Value::Array(choices));
            }
        }
    }
}
