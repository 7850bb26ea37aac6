//! Prompts: a task for the model, together with the memories that it is about.

use rmcp::model::{GetPromptResult, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::{Map, Value};

use super::call::{Call, Conditions};
use super::resources::newest;
use super::text;
use super::view::MemoryView;
use crate::mcp::arguments::Tags;
use crate::memory::time_phrase::{self, TimeRange};
use crate::memory::{Filter, Memory, RESULT_COUNT_MAX, SearchQuery, normalise_tags};
use crate::{Error, Result};

/// Memories that a prompt shows.
const SHOWN_COUNT: usize = 50;
/// Memories that are shown beside the task itself.
const RELATED_COUNT: usize = 5;
/// Groups of near-duplicates that a prompt shows.
const GROUP_COUNT: usize = 20;
/// Tags that are counted one by one.
const TAG_COUNT: usize = 20;
const PREVIEW_CHARS: usize = 200;
const THRESHOLD_DEFAULT: f64 = 0.95;

/// A prompt by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PromptName {
    Review,
    Analysis,
    Export,
    Cleanup,
    Learning,
}

impl PromptName {
    /// In the order in which clients see them.
    pub(super) const ALL: [PromptName; 5] = [
        PromptName::Review,
        PromptName::Analysis,
        PromptName::Export,
        PromptName::Cleanup,
        PromptName::Learning,
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        PromptName::ALL.into_iter().find(|prompt| prompt.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            PromptName::Review => "memory_review",
            PromptName::Analysis => "memory_analysis",
            PromptName::Export => "knowledge_export",
            PromptName::Cleanup => "memory_cleanup",
            PromptName::Learning => "learning_session",
        }
    }

    fn description(self) -> &'static str {
        match self {
            PromptName::Review => "Review and organise the memories of a period",
            PromptName::Analysis => "Find patterns and themes in what is stored",
            PromptName::Export => "Write stored knowledge up in a format",
            PromptName::Cleanup => "Find memories that are doubled or outdated",
            PromptName::Learning => "Turn what was learned into memories",
        }
    }

    /// Name, whether it is required, and description of each argument.
    fn arguments(self) -> &'static [(&'static str, bool, &'static str)] {
        match self {
            PromptName::Review => &[
                ("time_period", true, "The period, such as `last week` or `2 days ago`"),
                ("focus_area", false, "A subject to keep to, such as `work`"),
            ],
            PromptName::Analysis => &[
                ("tags", false, "Tags to keep to, with commas between"),
                ("time_range", false, "The period, such as `last month`; all time when left out"),
            ],
            PromptName::Export => &[
                ("format", true, "`json`, `markdown` or `text`"),
                ("filter", false, "What the memories must be about; everything when left out"),
            ],
            PromptName::Cleanup => &[
                ("older_than", false, "Also show what is older, such as `6 months`"),
                ("similarity_threshold", false, "How similar duplicates are, 0 to 1; 0.95"),
            ],
            PromptName::Learning => &[
                ("topic", true, "What was learned about"),
                ("key_points", true, "What was learned, with commas between"),
                ("questions", false, "What is still open"),
            ],
        }
    }

    /// As `prompts/list` shows it.
    pub(super) fn definition(self) -> Prompt {
        let argument = |&(name, required, description): &(&str, bool, &str)| {
            PromptArgument::new(name).with_required(required).with_description(description)
        };
        let arguments = self.arguments().iter().map(argument).collect();
        Prompt::new(self.name(), Some(self.description()), Some(arguments))
    }

    /// Makes the prompt's text from what is stored.
    pub(super) async fn run(
        self,
        call: &Call<'_>,
        arguments: Map<String, Value>,
    ) -> Result<GetPromptResult> {
        let given = Given::read(self, arguments)?;
        let text = match self {
            PromptName::Review => review(call, &given).await?,
            PromptName::Analysis => analysis(call, &given).await?,
            PromptName::Export => export(call, &given).await?,
            PromptName::Cleanup => cleanup(call, &given).await?,
            PromptName::Learning => learning(call, &given).await?,
        };
        let message = PromptMessage::new_text(Role::User, text);
        Ok(GetPromptResult::new(vec![message]).with_description(self.description()))
    }
}

/// The arguments of a prompt; all of them are text.
struct Given(Map<String, Value>);

impl Given {
    fn read(prompt: PromptName, arguments: Map<String, Value>) -> Result<Self> {
        let wrong = |detail: String| Err(Error::invalid(detail).reason("invalid_arguments"));
        if let Some((name, _)) = arguments.iter().find(|(_, value)| !value.is_string()) {
            return wrong(format!("the argument `{name}` must be a string"));
        }
        let given = Given(arguments);
        let missing =
            |(name, required, _): &&(&str, bool, &str)| *required && given.get(name).is_none();
        match prompt.arguments().iter().find(missing) {
            Some((name, ..)) => wrong(format!("{} needs the argument `{name}`", prompt.name())),
            None => Ok(given),
        }
    }

    /// `None` when it was left out or is empty.
    fn get(&self, name: &str) -> Option<&str> {
        let text = self.0.get(name)?.as_str()?.trim();
        Some(text).filter(|text| !text.is_empty())
    }

    /// Of an argument that was checked to be there.
    fn required(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

async fn review(call: &Call<'_>, given: &Given) -> Result<String> {
    let period = given.required("time_period");
    let conditions = Conditions { time_expr: Some(period), ..Conditions::default() };
    let filter = call.filter(conditions)?;
    let (about, memories) = match given.get("focus_area") {
        Some(area) => (format!(" about '{area}'"), related(call, area, filter, SHOWN_COUNT).await?),
        None => (String::new(), newest(call, filter, SHOWN_COUNT).await?),
    };
    Ok(format!(
        "Review what I stored in the period '{period}'{about}: group it by subject, point out \
         what is important, contradictory or unfinished, and suggest better tags where they are \
         missing. Use memory_update to carry out what I agree to.\n\n{}",
        shown(&memories)
    ))
}

async fn analysis(call: &Call<'_>, given: &Given) -> Result<String> {
    let tags = given.get("tags").map(|tags| normalise_tags(tags.split(','))).transpose()?;
    let tags = tags.map(Tags);
    let period = given.get("time_range").filter(|range| !range.eq_ignore_ascii_case("all time"));
    let filter = call.filter(Conditions {
        tags: tags.as_ref(),
        time_expr: period,
        ..Conditions::default()
    })?;
    let stats = call.service.stats(&call.who, &filter.namespaces).await?;
    let counts = call.tags(&filter.namespaces).await?;
    let counts: Vec<String> =
        counts.iter().take(TAG_COUNT).map(|tag| format!("{} ({})", tag.tag, tag.count)).collect();
    let memories = newest(call, filter, SHOWN_COUNT).await?;
    Ok(format!(
        "Analyse what I have stored: recurring themes, how they changed over time, and what is \
         missing. Quote the hashes of the memories you rely on.\n\n\
         {} memories are stored, {} of them this week. Most used tags: {}.\n\n{}",
        stats.total_memories,
        stats.memories_this_week,
        if counts.is_empty() { "none".to_owned() } else { counts.join(", ") },
        shown(&memories)
    ))
}

async fn export(call: &Call<'_>, given: &Given) -> Result<String> {
    let format = given.required("format").to_lowercase();
    if !["json", "markdown", "text"].contains(&format.as_str()) {
        return Err(Error::invalid(format!("`{format}` is no format: use json, markdown or text"))
            .reason("invalid_arguments"));
    }
    let filter = call.filter(Conditions::default())?;
    let memories = match given.get("filter") {
        Some(about) => related(call, about, filter, RESULT_COUNT_MAX).await?,
        None => newest(call, filter, RESULT_COUNT_MAX).await?,
    };
    Ok(format!(
        "Write the following memories up as one {format} document: no fact left out, none \
         added, ordered by subject, each with its hash and date. `memnode export` writes all \
         memories to a file without a model.\n\n{}",
        shown(&memories)
    ))
}

async fn cleanup(call: &Call<'_>, given: &Given) -> Result<String> {
    let threshold = match given.get("similarity_threshold") {
        None => THRESHOLD_DEFAULT,
        Some(text) => {
            let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
            number.ok_or_else(|| {
                Error::invalid("similarity_threshold must be a number from 0 to 1")
                    .reason("invalid_arguments")
            })?
        }
    };
    let namespaces = call.namespaces(None)?;
    let groups = call.service.near_duplicates(&call.who, &namespaces, threshold).await?;
    let mut text = format!(
        "Help me to tidy my memories. Say for each group below which memory says it best and \
         which can go, and ask me before you delete anything with memory_delete.\n\n\
         Groups of near-duplicates: {}",
        groups.len()
    );
    for (index, group) in groups.iter().take(GROUP_COUNT).enumerate() {
        text.push_str(&format!("\n\nGroup {}:", index + 1));
        text.extend(group.iter().map(brief));
    }
    if let Some(age) = given.get("older_than") {
        let created = older_than(call, age)?;
        let filter = Filter { created, ..call.filter(Conditions::default())? };
        let old = newest(call, filter, SHOWN_COUNT).await?;
        text.push_str(&format!("\n\nOlder than {age}:\n\n{}", shown(&old)));
    }
    Ok(text)
}

fn brief(memory: &Memory) -> String {
    format!("\n- {} ({})", text::preview(&memory.content, PREVIEW_CHARS), memory.content_hash)
}

fn older_than(call: &Call<'_>, age: &str) -> Result<TimeRange> {
    let now = call.service.now(None)?;
    let bound = |text: &str| time_phrase::parse_instant(text, &now);
    let before = bound(&format!("{age} ago")).or_else(|_| bound(age))?;
    Ok(TimeRange { after: None, before: Some(before) })
}

async fn learning(call: &Call<'_>, given: &Given) -> Result<String> {
    let topic = given.required("topic");
    let mut text = format!(
        "Store what I learned about '{topic}' with memory_store, one memory \
         for each point that stands on its own, with the tags `learning` and one for the topic \
         and the type `learning`.\n\nKey points:"
    );
    text.extend(points(given.required("key_points")));
    if let Some(questions) = given.get("questions") {
        text.push_str("\n\nOpen questions, to be stored with the tag `question`:");
        text.extend(points(questions));
    }
    let filter = call.filter(Conditions::default())?;
    let known = related(call, topic, filter, RELATED_COUNT).await?;
    text.push_str(&format!(
        "\n\nWhat is stored about it already; update rather than repeat it:\n\n{}",
        shown(&known)
    ));
    Ok(text)
}

fn points(text: &str) -> impl Iterator<Item = String> {
    let points = text.split(',').map(str::trim).filter(|point| !point.is_empty());
    points.map(|point| format!("\n- {point}"))
}

async fn related(
    call: &Call<'_>,
    about: &str,
    filter: Filter,
    limit: usize,
) -> Result<Vec<MemoryView>> {
    let query = SearchQuery::new(about.to_owned(), limit, filter);
    let answer = call.service.search(&call.who, query).await?;
    Ok(answer.hits.into_iter().map(|hit| hit.memory.into()).collect())
}

fn shown(memories: &[MemoryView]) -> String {
    if memories.is_empty() {
        return "(no memories)".to_owned();
    }
    let entries = memories.iter().enumerate();
    let entries = entries.map(|(index, memory)| text::entry(index + 1, memory));
    entries.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(prompt: PromptName, arguments: Value) -> Result<Given, String> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        Given::read(prompt, arguments).map_err(|error| error.detail)
    }

    #[test]
    fn every_prompt_is_found_by_its_name_and_describes_its_arguments() {
        for prompt in PromptName::ALL {
            assert_eq!(PromptName::from_name(prompt.name()), Some(prompt));
            let arguments = prompt.definition().arguments.expect("given");
            assert!(!arguments.is_empty());
            assert!(arguments.iter().all(|argument| argument.description.is_some()));
        }
        assert_eq!(PromptName::from_name("memory_fly"), None);
    }

    #[test]
    fn required_arguments_are_asked_for_by_name() {
        assert!(read(PromptName::Review, json!({"time_period": "today"})).is_ok());
        assert!(read(PromptName::Analysis, json!({})).is_ok());
        let detail = read(PromptName::Review, json!({"time_period": "  "})).err();
        assert_eq!(detail.as_deref(), Some("memory_review needs the argument `time_period`"));
        let detail = read(PromptName::Analysis, json!({"tags": ["a"]})).err();
        assert_eq!(detail.as_deref(), Some("the argument `tags` must be a string"));
    }
}
