//! `memory_stats`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Definition, Outcome};
use crate::Result;
use crate::mcp::call::Call;
use crate::memory::Stats;

/// Tags and types that are counted one by one.
const COUNT_SHOWN: usize = 20;

const DESCRIPTION: &str = "\
Count what is stored: memories in all and this week, by namespace and by type, and the most used \
tags.";

/// Arguments of `memory_stats`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// Where to count: one, several with commas between, or `*` for all that may be read.
    namespace: Option<String>,
}

/// What is stored.
#[derive(Serialize, JsonSchema)]
struct Output {
    #[serde(flatten)]
    counts: Counts,
    /// The tags on most memories, and on how many.
    top_tags: Vec<Count>,
    /// The types of most memories, and of how many.
    top_types: Vec<Count>,
}

/// The counts that health and statistics share.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp) struct Counts {
    /// Live memories.
    total_memories: u64,
    /// Different tags on them.
    unique_tags: u64,
    /// Memories made in the last seven days.
    memories_this_week: u64,
    /// Memories by namespace.
    namespaces: BTreeMap<String, u64>,
    /// Size of the database file in bytes.
    database_size_bytes: u64,
    /// What turns text into vectors.
    embedding_model: String,
    /// Numbers in one vector.
    embedding_dimension: usize,
}

impl From<Stats> for Counts {
    fn from(stats: Stats) -> Self {
        Counts {
            total_memories: stats.total_memories,
            unique_tags: stats.unique_tags,
            memories_this_week: stats.memories_this_week,
            namespaces: stats.namespaces.into_iter().collect(),
            database_size_bytes: stats.database_size_bytes,
            embedding_model: stats.embedding_model,
            embedding_dimension: stats.embedding_dimension,
        }
    }
}

/// How many memories have something.
#[derive(Serialize, JsonSchema)]
struct Count {
    /// The tag or type; null for memories without a type.
    name: Option<String>,
    /// How many.
    count: u64,
}

pub(super) fn definition() -> Definition {
    Definition::reading::<Input, Output>("Count memories", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    let namespaces = call.namespaces(input.namespace.as_deref())?;
    let stats = call.service.stats(&call.who, &namespaces).await?;
    let tags = call.tags(&namespaces).await?;
    let types = call.service.types(&call.who, &namespaces).await?;
    let tags = tags.into_iter().map(|tag| Count { name: Some(tag.tag), count: tag.count });
    let types = types.into_iter().map(|kind| Count { name: kind.memory_type, count: kind.count });
    let output = Output { counts: stats.into(), top_tags: most(tags), top_types: most(types) };
    Outcome::json("", &output)
}

fn most(counts: impl Iterator<Item = Count>) -> Vec<Count> {
    let mut counts: Vec<Count> = counts.collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counts.truncate(COUNT_SHOWN);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_counts_come_first_and_are_bounded() {
        let count = |name: &str, count| Count { name: Some(name.to_owned()), count };
        let sorted = most([count("b", 1), count("c", 5), count("a", 1)].into_iter());
        let names: Vec<_> = sorted.iter().map(|count| count.name.as_deref()).collect();
        assert_eq!(names, [Some("c"), Some("a"), Some("b")]);
        assert_eq!(most((0..50).map(|n| count("x", n))).len(), COUNT_SHOWN);
    }
}
