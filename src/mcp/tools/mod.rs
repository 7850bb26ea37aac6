//! The tools: their names, schemas and hints, and which code answers which.

mod aliases;
mod cleanup;
mod delete;
mod health;
mod ingest;
mod list;
mod paths;
mod search;
mod stats;
mod store;
mod store_session;
mod update;

use rmcp::model::{Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::call::Call;
use super::schema;
use crate::limit::Budget;
use crate::{Error, Result};

pub(super) use aliases::resolve;
pub(super) use stats::Counts;

/// Arguments that no schema shows: older names of tools need them.
const HIDDEN_ARGUMENTS: [&str; 1] = [search::TIME_FROM_QUERY];

/// The arguments of a call.
pub(super) type Arguments = Map<String, Value>;

/// What a tool answers, for people and for programs.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) text: String,
    pub(super) structured: Value,
}

impl Outcome {
    fn new(text: String, structured: &impl Serialize) -> Result<Self> {
        let structured = serde_json::to_value(structured)
            .map_err(|error| Error::internal("the answer cannot be serialised", error))?;
        Ok(Outcome { text, structured })
    }

    /// With the structured answer as the text.
    fn json(heading: &str, structured: &impl Serialize) -> Result<Self> {
        let outcome = Outcome::new(heading.to_owned(), structured)?;
        // The alternate form is indented.
        Ok(Outcome { text: format!("{heading}{:#}", outcome.structured), ..outcome })
    }
}

/// A tool by its present name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolName {
    Store,
    StoreSession,
    Search,
    List,
    Delete,
    Update,
    Cleanup,
    Health,
    Stats,
    Ingest,
}

impl ToolName {
    /// In the order in which clients see them.
    pub(super) const ALL: [ToolName; 10] = [
        ToolName::Store,
        ToolName::StoreSession,
        ToolName::Search,
        ToolName::List,
        ToolName::Delete,
        ToolName::Update,
        ToolName::Cleanup,
        ToolName::Health,
        ToolName::Stats,
        ToolName::Ingest,
    ];

    /// The name on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            ToolName::Store => "memory_store",
            ToolName::StoreSession => "memory_store_session",
            ToolName::Search => "memory_search",
            ToolName::List => "memory_list",
            ToolName::Delete => "memory_delete",
            ToolName::Update => "memory_update",
            ToolName::Cleanup => "memory_cleanup",
            ToolName::Health => "memory_health",
            ToolName::Stats => "memory_stats",
            ToolName::Ingest => "memory_ingest",
        }
    }

    /// What the tool does, to follow "Error".
    pub(super) fn doing(self) -> &'static str {
        match self {
            ToolName::Store => "storing memory",
            ToolName::StoreSession => "storing session",
            ToolName::Search => "searching memories",
            ToolName::List => "listing memories",
            ToolName::Delete => "deleting memories",
            ToolName::Update => "updating memory",
            ToolName::Cleanup => "cleaning up duplicates",
            ToolName::Health => "checking database health",
            ToolName::Stats => "getting statistics",
            ToolName::Ingest => "ingesting documents",
        }
    }

    /// What pays for a call.
    pub(super) fn budget(self) -> Budget {
        match self {
            ToolName::Search => Budget::Searches,
            ToolName::List | ToolName::Health | ToolName::Stats => Budget::Reads,
            ToolName::Store
            | ToolName::StoreSession
            | ToolName::Delete
            | ToolName::Update
            | ToolName::Cleanup
            | ToolName::Ingest => Budget::Writes,
        }
    }

    /// Whether the tool itself takes what it costs, as it finds out how much there is to do.
    pub(super) fn pays_as_it_works(self) -> bool {
        self == ToolName::Ingest
    }

    /// Whether the tool changes or removes what is stored, so that an argument it does not know
    /// must not be passed over: it may have been meant to narrow the change.
    fn is_destructive(self) -> bool {
        matches!(self, ToolName::Delete | ToolName::Update | ToolName::Cleanup)
    }

    /// As `tools/list` shows it.
    pub(super) fn definition(self) -> Tool {
        let definition = match self {
            ToolName::Store => store::definition(),
            ToolName::StoreSession => store_session::definition(),
            ToolName::Search => search::definition(),
            ToolName::List => list::definition(),
            ToolName::Delete => delete::definition(),
            ToolName::Update => update::definition(),
            ToolName::Cleanup => cleanup::definition(),
            ToolName::Health => health::definition(),
            ToolName::Stats => stats::definition(),
            ToolName::Ingest => ingest::definition(),
        };
        // What is stored lies in the node: no tool reaches into an open world.
        let hints = definition.hints.destructive(self.is_destructive()).open_world(false);
        Tool::new(self.name(), definition.description, definition.input)
            .with_title(definition.title)
            .with_raw_output_schema(definition.output)
            .with_annotations(hints)
    }

    async fn answer(self, call: &Call<'_>, arguments: Arguments) -> Result<Outcome> {
        match self {
            ToolName::Store => store::answer(call, read(arguments)?).await,
            ToolName::StoreSession => store_session::answer(call, read(arguments)?).await,
            ToolName::Search => search::answer(call, read(arguments)?).await,
            ToolName::List => list::answer(call, read(arguments)?).await,
            ToolName::Delete => delete::answer(call, read(arguments)?).await,
            ToolName::Update => update::answer(call, read(arguments)?).await,
            ToolName::Cleanup => cleanup::answer(call, read(arguments)?).await,
            ToolName::Health => health::answer(call, read(arguments)?).await,
            ToolName::Stats => stats::answer(call, read(arguments)?).await,
            ToolName::Ingest => ingest::answer(call, read(arguments)?).await,
        }
    }

    /// Runs the tool. `definition` is its own.
    pub(super) async fn run(
        self,
        definition: &Tool,
        call: &Call<'_>,
        arguments: Arguments,
    ) -> Result<Outcome> {
        let unknown = unknown_arguments(definition, &arguments);
        if self.is_destructive() && !unknown.is_empty() {
            return Err(Error::invalid(format!(
                "`{}` is no argument of {}; it takes {}",
                unknown.join("`, `"),
                self.name(),
                known_arguments(definition).collect::<Vec<_>>().join(", ")
            ))
            .reason("unknown_argument"));
        }
        let mut outcome = self.answer(call, arguments).await?;
        if !unknown.is_empty() {
            outcome.text.push_str(&format!("\n\nIgnored arguments: {}", unknown.join(", ")));
        }
        Ok(outcome)
    }
}

/// What `tools/list` shows of a tool beside its name.
struct Definition {
    title: &'static str,
    description: &'static str,
    input: std::sync::Arc<rmcp::model::JsonObject>,
    output: std::sync::Arc<rmcp::model::JsonObject>,
    hints: ToolAnnotations,
}

impl Definition {
    /// Of a tool that only looks.
    fn reading<I: JsonSchema, O: JsonSchema>(
        title: &'static str,
        description: &'static str,
    ) -> Self {
        Definition::with::<I, O>(title, description, true)
    }

    /// Of a tool that writes. A second call with the same arguments changes nothing more.
    fn writing<I: JsonSchema, O: JsonSchema>(
        title: &'static str,
        description: &'static str,
    ) -> Self {
        Definition::with::<I, O>(title, description, false)
    }

    fn with<I: JsonSchema, O: JsonSchema>(
        title: &'static str,
        description: &'static str,
        read_only: bool,
    ) -> Self {
        let hints = ToolAnnotations::with_title(title).read_only(read_only).idempotent(true);
        let (input, output) = (schema::input::<I>(), schema::output::<O>());
        Definition { title, description, input, output, hints }
    }
}

fn read<T: DeserializeOwned>(arguments: Arguments) -> Result<T> {
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Error::invalid(error.to_string()).reason("invalid_arguments"))
}

fn known_arguments(definition: &Tool) -> impl Iterator<Item = &str> {
    let properties = definition.input_schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str))
}

fn unknown_arguments(definition: &Tool, arguments: &Arguments) -> Vec<String> {
    let is_known = |name: &str| {
        HIDDEN_ARGUMENTS.contains(&name) || known_arguments(definition).any(|known| known == name)
    };
    arguments.keys().filter(|name| !is_known(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_tool_has_both_schemas_a_description_and_hints() {
        for tool in ToolName::ALL {
            let definition = tool.definition();
            let name = tool.name();
            for schema in [Some(&definition.input_schema), definition.output_schema.as_ref()] {
                let schema = schema.expect("both schemas are given");
                assert_eq!(schema["type"], "object", "{name}");
                assert!(schema["properties"].is_object(), "{name}");
                let text = Value::Object(schema.as_ref().clone()).to_string();
                assert!(!text.contains("$ref"), "{name}: {text}");
            }
            assert!(definition.description.is_some_and(|text| text.len() > 40), "{name}");
            let hints = definition.annotations.expect("hints are given");
            for hint in [
                hints.read_only_hint,
                hints.destructive_hint,
                hints.idempotent_hint,
                hints.open_world_hint,
            ] {
                assert!(hint.is_some(), "{name}");
            }
            assert!(!(hints.read_only_hint == Some(true) && hints.is_destructive()), "{name}");
        }
    }

    #[test]
    fn every_argument_is_described_and_none_is_null() {
        for tool in ToolName::ALL {
            let definition = tool.definition();
            let properties = definition.input_schema["properties"].as_object().expect("object");
            assert!(properties.contains_key("namespace"), "{}", tool.name());
            for (argument, schema) in properties {
                let of = format!("{}.{argument}: {schema}", tool.name());
                assert!(schema["description"].is_string(), "{of}");
                assert!(!schema.to_string().contains("null"), "{of}");
                assert!(!HIDDEN_ARGUMENTS.contains(&argument.as_str()), "{of}");
            }
        }
    }

    fn required(tool: ToolName) -> Value {
        tool.definition().input_schema.get("required").cloned().unwrap_or(json!([]))
    }

    #[test]
    fn only_what_a_tool_cannot_do_without_is_required() {
        assert_eq!(required(ToolName::Store), json!(["content"]));
        assert_eq!(required(ToolName::StoreSession), json!(["turns"]));
        assert_eq!(required(ToolName::Update), json!(["content_hash", "updates"]));
        for tool in [ToolName::Search, ToolName::List, ToolName::Delete, ToolName::Cleanup] {
            assert_eq!(required(tool), json!([]));
        }
    }

    #[test]
    fn arguments_that_a_tool_does_not_know_are_found() {
        let definition = ToolName::Delete.definition();
        let arguments = Map::from_iter([
            ("tag_macth".to_owned(), json!("all")),
            ("tags".to_owned(), json!(["a"])),
            (search::TIME_FROM_QUERY.to_owned(), json!(true)),
        ]);
        assert_eq!(unknown_arguments(&definition, &arguments), ["tag_macth"]);
    }
}
