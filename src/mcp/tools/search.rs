//! `memory_search`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Definition, Outcome};
use crate::mcp::arguments::{Fraction, TagMode, Tags, Whole};
use crate::mcp::call::{Call, Conditions, within};
use crate::mcp::sure::AfterArgument;
use crate::mcp::text;
use crate::mcp::view::HitView;
use crate::memory::time_phrase::{self, TimeRange};
use crate::memory::{
    ContentHash, Filter, Hit, RESULT_COUNT_MAX, ScoreParts, SearchAnswer, SearchMode, SearchQuery,
};
use crate::{Code, Error, Result};

/// Takes a time phrase out of the query; for clients of an older tool.
pub(super) const TIME_FROM_QUERY: &str = "time_from_query";
const LIMIT_DEFAULT: usize = 10;
/// The most characters that a caller can sensibly ask to be bounded by.
const RESPONSE_CHARS_MAX: usize = 1_000_000_000;

const DESCRIPTION: &str = "\
Find memories. Call this first whenever something said or decided earlier may matter. By default \
the query is compared by meaning and by words, so whole questions work well, and so do names; mode \
`exact` finds a phrase as it is written. Narrow by time (time_expr such as \"last week\", \
or after and before) and by tags. Without a query, the newest memories within the time and tags \
are listed.";

/// Arguments of `memory_search`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// What to look for; may be left out when a time or tags are given.
    query: Option<String>,
    /// How to look: `hybrid` by meaning and words (default), `semantic` by meaning alone,
    /// `keyword` by words alone, `exact` for a phrase as written.
    mode: Option<Mode>,
    /// A time in words, such as `yesterday`, `last week` or `between march and may`.
    time_expr: Option<String>,
    /// Only what was made at this date or time, or later.
    after: Option<String>,
    /// Only what was made before this date or time.
    before: Option<String>,
    /// Only memories with these tags.
    tags: Option<Tags>,
    /// Whether `any` tag is enough (default) or `all` are needed.
    tag_match: Option<TagMode>,
    /// Only memories of this type.
    memory_type: Option<String>,
    /// Weight of metadata.quality_score in the order: 0 none (default), 0.3 some, 1 all.
    quality_boost: Option<Fraction>,
    /// Weight of freshness in the order: 0 none (default), 0.3 some, 1 all.
    recency_boost: Option<Fraction>,
    /// Leave out what is less similar than this.
    similarity_threshold: Option<Fraction>,
    /// Most results; 10 when left out.
    limit: Option<Whole<1, RESULT_COUNT_MAX>>,
    /// Say how the results were found and scored.
    include_debug: Option<bool>,
    /// Cut the answer between results so that it has at most about this many characters.
    max_response_chars: Option<Whole<0, RESPONSE_CHARS_MAX>>,
    /// Where to look: one, several with commas between, or `*` for all that may be read.
    namespace: Option<String>,
    #[schemars(skip)]
    #[serde(default)]
    time_from_query: bool,
    #[serde(flatten)]
    seen: AfterArgument,
}

/// How to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Semantic,
    Exact,
    Hybrid,
    Keyword,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Semantic => "semantic",
            Mode::Exact => "exact",
            Mode::Hybrid => "hybrid",
            Mode::Keyword => "keyword",
        }
    }
}

/// What was found.
#[derive(Serialize, JsonSchema)]
struct Output {
    /// Best first; newest first without a query.
    results: Vec<HitView>,
    /// How many results there are, those that were cut off included.
    total_found: usize,
    /// As it was searched for.
    query: Option<String>,
    /// How the results were found.
    search_type: String,
    /// What there is to know of how it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Results that max_response_chars left no room for.
    omitted_count: usize,
    /// The range of time that was searched, in Unix seconds; given with include_debug.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_range: Option<[Option<f64>; 2]>,
}

pub(super) fn definition() -> Definition {
    Definition::reading::<Input, Output>("Search memories", DESCRIPTION)
}

pub(super) async fn answer(call: &Call<'_>, input: Input) -> Result<Outcome> {
    call.see(&input.seen).await?;
    let mut filter = call.filter(Conditions {
        namespace: input.namespace.as_deref(),
        tags: input.tags.as_ref(),
        tag_match: input.tag_match,
        memory_type: input.memory_type.as_deref(),
        time_expr: input.time_expr.as_deref(),
        after: input.after.as_deref(),
        before: input.before.as_deref(),
    })?;
    let mut query = input.query.as_deref().and_then(not_empty);
    if input.time_from_query
        && let Some(text) = &query
        && let Some((range, rest)) = time_phrase::extract(text, &call.service.now(None)?)
    {
        filter.created = within(filter.created, range);
        query = not_empty(&rest);
    }
    let created = filter.created;
    let limit = input.limit.map_or(LIMIT_DEFAULT, |limit| limit.0);
    let mode = input.mode.unwrap_or(Mode::Hybrid);
    let answer = match &query {
        None => newest(call, filter, limit).await?,
        Some(text) => {
            let weight = |boost: Option<Fraction>| boost.map(|boost| boost.0).filter(|&w| w > 0.0);
            let question = SearchQuery {
                similarity_threshold: input.similarity_threshold.map(|fraction| fraction.0),
                quality_weight: weight(input.quality_boost),
                recency_weight: weight(input.recency_boost),
                ..SearchQuery::new(text.clone(), limit, filter)
            };
            search(call, mode, question).await?
        }
    };
    let search_type = match query {
        Some(_) if mode == Mode::Exact => mode.name(),
        _ => answer.search_type,
    };
    let debug = input.include_debug.unwrap_or_default();
    let results: Vec<HitView> =
        answer.hits.into_iter().map(|hit| HitView::new(hit, debug)).collect();
    let output = Output {
        total_found: results.len(),
        results,
        query,
        search_type: search_type.to_owned(),
        note: answer.note,
        omitted_count: 0,
        time_range: debug.then_some([created.after, created.before]),
    };
    // Zero has always meant no bound.
    let chars_max = input.max_response_chars.map(|chars| chars.0).filter(|&chars| chars > 0);
    outcome(output, debug, chars_max)
}

fn not_empty(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

async fn newest(call: &Call<'_>, filter: Filter, limit: usize) -> Result<SearchAnswer> {
    if !filter.has_conditions() {
        return Err(Error::invalid(
            "at least one filter is required: query, time_expr, after, before, tags or \
             memory_type; memory_list shows everything",
        )
        .reason("nothing_asked"));
    }
    let search_type = if filter.created == TimeRange::default() { "tag" } else { "time" };
    call.service.search_newest(&call.who, filter, limit, None, search_type).await
}

async fn search(call: &Call<'_>, mode: Mode, query: SearchQuery) -> Result<SearchAnswer> {
    let mode = match mode {
        Mode::Semantic => SearchMode::Semantic,
        Mode::Hybrid => SearchMode::Hybrid,
        Mode::Keyword => SearchMode::Keyword,
        Mode::Exact => return exact(call, query).await,
    };
    call.service.search(&call.who, SearchQuery { mode, ..query }).await
}

/// The memory with this very text or hash first, then those that hold the phrase, newest first.
async fn exact(call: &Call<'_>, query: SearchQuery) -> Result<SearchAnswer> {
    let SearchQuery { text, limit, filter, .. } = query.clone();
    let answer = call.service.search_exact(&call.who, query).await?;
    let hash = text.parse().unwrap_or_else(|_| ContentHash::of(&text));
    let (mut hits, others): (Vec<Hit>, Vec<Hit>) =
        answer.hits.into_iter().partition(|hit| hit.memory.content_hash == hash);
    if hits.is_empty() && !filter.has_conditions() {
        hits.extend(whole(call, &filter, hash).await?);
    }
    hits.extend(others);
    hits.truncate(limit);
    Ok(SearchAnswer { hits, search_type: "exact", next_cursor: None, note: None })
}

/// The memory with this hash, if it is in the one namespace that is looked at.
async fn whole(call: &Call<'_>, filter: &Filter, hash: ContentHash) -> Result<Option<Hit>> {
    let crate::memory::NamespaceSet::Only(names) = &filter.namespaces else { return Ok(None) };
    let [namespace] = &names[..] else { return Ok(None) };
    match call.service.get(&call.who, namespace, hash).await {
        Ok(memory) => Ok(Some(Hit {
            memory,
            similarity: None,
            reason: "the same text".to_owned(),
            score: ScoreParts::default(),
        })),
        Err(error) if error.code == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn outcome(mut output: Output, debug: bool, chars_max: Option<usize>) -> Result<Outcome> {
    let of_query = output.query.as_ref().map(|query| format!(" for query: '{query}'"));
    let of_query = of_query.unwrap_or_default();
    if output.results.is_empty() {
        return Outcome::new(format!("No memories found{of_query}"), &output);
    }
    let header =
        format!("Found {} memories (mode: {}){of_query}", output.total_found, output.search_type);
    let entries: Vec<String> = output
        .results
        .iter()
        .enumerate()
        .map(|(index, hit)| {
            let entry = text::entry(index + 1, &hit.memory);
            if debug { format!("{entry}\n{}", reasons(hit)) } else { entry }
        })
        .collect();
    let (shown, text) = text::cut(&header, &entries, chars_max);
    output.omitted_count = output.results.len() - shown;
    output.results.truncate(shown);
    Outcome::new(text, &output)
}

fn reasons(hit: &HitView) -> String {
    let score = hit.score.iter().flatten();
    let part = |(part, value): (&String, &Value)| {
        format!("{part} {:.4}", value.as_f64().unwrap_or_default())
    };
    let parts: Vec<String> = score.map(part).collect();
    format!("   Debug: {} ({})", hit.relevance_reason, parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::tests::memory;

    fn output_of(contents: &[&str], query: Option<&str>) -> Output {
        let results: Vec<HitView> = contents
            .iter()
            .map(|content| HitView {
                memory: memory(content, &["work"]),
                similarity_score: Some(0.75),
                relevance_reason: "similar".to_owned(),
                score: None,
            })
            .collect();
        Output {
            total_found: results.len(),
            results,
            query: query.map(str::to_owned),
            search_type: "semantic".to_owned(),
            note: None,
            omitted_count: 0,
            time_range: None,
        }
    }

    fn check(contents: &[&str], query: Option<&str>, starts: &str) -> String {
        let outcome = outcome(output_of(contents, query), false, None).expect("an outcome");
        assert!(outcome.text.starts_with(starts), "{}", outcome.text);
        outcome.text
    }

    #[test]
    fn results_are_worded_as_clients_know_them() {
        check(&[], Some("q"), "No memories found for query: 'q'");
        check(&[], None, "No memories found");
        let text = check(
            &["a", "b"],
            Some("q"),
            "Found 2 memories (mode: semantic) for query: 'q'\n\n1. a\n   Hash: ",
        );
        assert!(text.contains("\n\n2. b\n   Hash: "));
        assert!(text.ends_with("   Created: 2026-11-22T15:26:24.179767Z [work]"));
        check(&["a"], None, "Found 1 memories (mode: semantic)\n\n1. a");
    }

    #[test]
    fn what_is_cut_from_the_text_is_cut_from_the_structured_answer() {
        let outcome =
            outcome(output_of(&["a", "b", "c"], None), false, Some(1)).expect("an outcome");
        assert_eq!(outcome.structured["results"].as_array().map(Vec::len), Some(1));
        assert_eq!(outcome.structured["omitted_count"], 2);
        assert_eq!(outcome.structured["total_found"], 3);
        assert!(outcome.text.contains("showing 1 of 3 results"));
    }
}
