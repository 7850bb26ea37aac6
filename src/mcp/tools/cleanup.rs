//! `memory_cleanup`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, Outcome};
use crate::mcp::arguments::Fraction;
use crate::mcp::call::Call;
use crate::mcp::text;
use crate::memory::{FORGET_COUNT_MAX, Memory};
use crate::{Code, Error, Result};

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

impl Group {
    fn new(memories: &[Memory]) -> Option<Self> {
        let (keep, others) = memories.split_first()?;
        Some(Group {
            keep: keep.content_hash.to_string(),
            preview: text::preview(&keep.content, PREVIEW_CHARS),
            delete: others.iter().map(|memory| memory.content_hash.to_string()).collect(),
        })
    }
}

pub(super) fn definition() -> Definition {
    Definition::writing::<Input, Output>("Clean up near-duplicates", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let namespaces = call.namespaces(input.namespace.as_deref())?;
    let threshold = input.similarity_threshold.map_or(THRESHOLD_DEFAULT, |fraction| fraction.0);
    let dry_run = input.dry_run.unwrap_or(true);
    let groups = call.service.near_duplicates(&call.who, &namespaces, threshold).await?;
    let surplus: Vec<&Memory> = groups.iter().flat_map(|group| group.iter().skip(1)).collect();
    if !dry_run {
        delete(call, &surplus).await?;
    }
    outcome(groups.iter().filter_map(|group| Group::new(group)).collect(), surplus.len(), dry_run)
}

async fn delete(call: &Call<'_>, surplus: &[&Memory]) -> Result<()> {
    if surplus.len() > FORGET_COUNT_MAX {
        return Err(Error::new(
            Code::TooLarge,
            format!(
                "{} memories would be deleted; at most {FORGET_COUNT_MAX} are in one call: raise \
                 similarity_threshold",
                surplus.len()
            ),
        ));
    }
    for memory in surplus {
        let hash = memory.content_hash;
        let once = call.once_of(&hash.to_string())?;
        match call.service.forget(&call.who, &memory.namespace, hash, None, once).await {
            // Another caller was faster.
            Err(error) if error.code == Code::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

fn outcome(groups: Vec<Group>, deleted_count: usize, dry_run: bool) -> Result<Outcome> {
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
    Outcome::new(text, &Output { success: true, message, groups, deleted_count, dry_run })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Group {
        Group { keep: name.to_owned(), preview: "text".to_owned(), delete: vec!["d".to_owned()] }
    }

    #[test]
    fn groups_are_shown_and_counted() {
        let none = outcome(Vec::new(), 0, true).expect("an outcome");
        assert_eq!(none.text, "No near-duplicates found");
        let found = outcome(vec![group("k")], 1, true).expect("an outcome");
        let expected = "Found 1 groups of near-duplicates; 1 memory would be deleted with \
                        dry_run=false\n\n1. text\n   Keep: k\n   Delete: d";
        assert_eq!(found.text, expected);
        let many = (0..25).map(|number| group(&number.to_string())).collect();
        let deleted = outcome(many, 25, false).expect("an outcome");
        assert!(deleted.text.starts_with("Deleted 25 memories of 25 groups"));
        assert!(deleted.text.ends_with("... and 5 more groups"));
        assert_eq!(deleted.structured["groups"].as_array().map(Vec::len), Some(25));
    }
}
