//! `memory_cleanup`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, Outcome};
use crate::Result;
use crate::mcp::arguments::Fraction;
use crate::mcp::call::Call;
use crate::mcp::text;
use crate::memory::{DuplicateGroup, Written};

const THRESHOLD_DEFAULT: f64 = 0.95;
/// Groups that the text shows.
const GROUP_COUNT_SHOWN: usize = 20;
/// Characters of a memory that the text shows.
const PREVIEW_CHARS: usize = 100;

const DESCRIPTION: &str = "\
Find memories that say nearly the same, and on request delete all but the newest of each group. \
Nothing is deleted unless dry_run is false: look at the groups first.";

/// Arguments of `memory_cleanup`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// How similar two memories must be, 0 to 1; 0.95 when left out.
    similarity_threshold: Option<Fraction>,
    /// Only report, delete nothing; true when left out.
    dry_run: Option<bool>,
    /// Where to look; the client's default when left out.
    namespace: Option<String>,
}

/// What was found and deleted.
#[derive(Serialize, JsonSchema)]
struct Output {
    /// Whether the call did what was asked.
    success: bool,
    /// For people.
    message: String,
    /// Near-duplicates, group by group.
    groups: Vec<Group>,
    /// How many memories were deleted, or would be.
    deleted_count: usize,
    /// Nothing was changed.
    dry_run: bool,
    /// Where the writes stand; any node can wait for them. Null when nothing was deleted.
    position: Option<String>,
}

/// Memories that say nearly the same.
#[derive(Serialize, JsonSchema)]
struct Group {
    /// The newest, which stays.
    keep: String,
    /// The start of its text.
    preview: String,
    /// The others.
    delete: Vec<String>,
}

impl From<DuplicateGroup> for Group {
    fn from(group: DuplicateGroup) -> Self {
        Group {
            keep: group.keep.to_string(),
            preview: text::preview(&group.text, PREVIEW_CHARS),
            delete: group.delete.iter().map(ToString::to_string).collect(),
        }
    }
}

pub(super) fn definition() -> Definition {
    Definition::writing::<Input, Output>("Clean up near-duplicates", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let namespaces = call.namespaces(input.namespace.as_deref())?;
    let threshold = input.similarity_threshold.map_or(THRESHOLD_DEFAULT, |fraction| fraction.0);
    let dry_run = input.dry_run.unwrap_or(true);
    let once = if dry_run { None } else { call.once()? };
    let cleaned = call.service.clean_up(&call.who, &namespaces, threshold, dry_run, once).await?;
    outcome(cleaned.map(|groups| groups.into_iter().map(Group::from).collect()), dry_run)
}

fn outcome(cleaned: Written<Vec<Group>>, dry_run: bool) -> Result<Outcome> {
    let Written { value: groups, position } = cleaned;
    let deleted_count = groups.iter().map(|group| group.delete.len()).sum();
    let message = match (groups.len(), dry_run) {
        (0, _) => "No near-duplicates found".to_owned(),
        (count, true) => format!(
            "Found {count} groups of near-duplicates; {} would be deleted with dry_run=false",
            text::memories(deleted_count)
        ),
        (count, false) => format!(
            "Deleted {} of {count} groups of near-duplicates",
            text::memories(deleted_count)
        ),
    };
    let mut text = message.clone();
    for (index, group) in groups.iter().take(GROUP_COUNT_SHOWN).enumerate() {
        text.push_str(&format!(
            "\n\n{}. {}\n   Keep: {}\n   Delete: {}",
            index + 1,
            group.preview,
            group.keep,
            group.delete.join(", ")
        ));
    }
    if groups.len() > GROUP_COUNT_SHOWN {
        text.push_str(&format!("\n\n... and {} more groups", groups.len() - GROUP_COUNT_SHOWN));
    }
    let position = position.to_text();
    let output = Output { success: true, message, groups, deleted_count, dry_run, position };
    Outcome::new(text, &output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Position;

    fn group(name: &str) -> Group {
        Group { keep: name.to_owned(), preview: "text".to_owned(), delete: vec!["d".to_owned()] }
    }

    #[test]
    fn groups_are_shown_and_counted() {
        let told = |groups, dry_run| {
            outcome(Written { value: groups, position: Position::default() }, dry_run)
        };
        let none = told(Vec::new(), true).expect("an outcome");
        assert_eq!(none.text, "No near-duplicates found");
        let found = told(vec![group("k")], true).expect("an outcome");
        let expected = "Found 1 groups of near-duplicates; 1 memory would be deleted with \
                        dry_run=false\n\n1. text\n   Keep: k\n   Delete: d";
        assert_eq!(found.text, expected);
        let many = (0..25).map(|number| group(&number.to_string())).collect();
        let deleted = told(many, false).expect("an outcome");
        assert!(deleted.text.starts_with("Deleted 25 memories of 25 groups"));
        assert!(deleted.text.ends_with("... and 5 more groups"));
        assert_eq!(deleted.structured["groups"].as_array().map(Vec::len), Some(25));
    }
}
