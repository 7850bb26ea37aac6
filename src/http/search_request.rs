//! What callers send to search with.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::schemas::NamespaceList;
use super::extract::{
    Asked, NamespacesParameters, Tags, fraction, fraction_or_none, result_count, set,
};
use super::phrases::{Now, Phrases};
use super::problem::{Input, Problem};
use super::selection::TagMatchName;
use crate::memory::{Filter, RESULT_COUNT_MAX, SearchMode, SearchQuery, Tag, TagMatch};

/// How relevance is judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SearchMode)]
pub enum ModeName {
    /// By meaning.
    Semantic,
    /// By words.
    Keyword,
    /// Both, fused.
    #[default]
    Hybrid,
}

impl From<ModeName> for SearchMode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Semantic => SearchMode::Semantic,
            ModeName::Keyword => SearchMode::Keyword,
            ModeName::Hybrid => SearchMode::Hybrid,
        }
    }
}

/// A search. Every condition is applied before the best are taken. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SearchRequest {
    /// What is asked. `tag:x`, `type:x`, `after:2026-01-01` and `before:yesterday` narrow the
    /// search, a phrase in quotes comes first where it is found. An empty query finds the newest.
    #[schema(max_length = 16384, example = "which paper does the printer want?")]
    query: String,
    /// How many results.
    #[serde(default = "ten", deserialize_with = "result_count")]
    #[schema(required = false, minimum = 1, maximum = 100, default = 10)]
    n_results: usize,
    /// Leave out results below this similarity.
    #[serde(default, deserialize_with = "fraction_or_none")]
    #[schema(minimum = 0, maximum = 1)]
    similarity_threshold: Option<f64>,
    /// How relevance is judged; `hybrid` when absent.
    mode: Option<ModeName>,
    /// Only memories with these tags.
    #[serde(default)]
    #[schema(required = false)]
    tags: Tags,
    /// Whether `any` of the tags is enough (the default) or `all` are needed.
    tag_match: Option<TagMatchName>,
    /// Only memories of exactly this type.
    memory_type: Option<String>,
    /// Only memories of this time.
    #[schema(max_length = 200, example = "last week")]
    time_filter: Option<String>,
    /// Only memories from then on: a date, a time, or a phrase.
    #[schema(max_length = 200, example = "2026-01-01")]
    after: Option<String>,
    /// Only memories up to then: a date leaves its own day out.
    #[schema(max_length = 200, example = "yesterday")]
    before: Option<String>,
    /// The IANA time zone in which phrases are read; that of the node when absent.
    #[schema(max_length = 100, example = "Europe/Berlin")]
    tz: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read; `default` when it
    /// is named nowhere.
    #[schema(value_type = Option<NamespaceList>)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[schema(value_type = Option<NamespaceList>)]
    store: Option<String>,
    /// Look at every vector instead of asking the index: slow, and never wrong.
    #[serde(default)]
    #[schema(required = false)]
    exact: bool,
    /// Only memories whose metadata has exactly these values.
    #[schema(value_type = Option<Object>, example = json!({"source": "manual"}))]
    metadata: Option<Map<String, Value>>,
    /// Let `metadata.quality_score` take part in the order.
    #[serde(default)]
    #[schema(required = false)]
    quality_boost: bool,
    /// How much it takes part.
    #[serde(default = "quality_weight", deserialize_with = "fraction")]
    #[schema(required = false, minimum = 0, maximum = 1, default = 0.3)]
    quality_weight: f64,
    /// Let fresh memories come earlier; half of the freshness goes every 30 days.
    #[serde(default)]
    #[schema(required = false)]
    recency_boost: bool,
    /// How much freshness takes part.
    #[serde(default = "quality_weight", deserialize_with = "fraction")]
    #[schema(required = false, minimum = 0, maximum = 1, default = 0.3)]
    recency_weight: f64,
}

/// Existing clients rely on it.
fn ten() -> usize {
    10
}

/// Existing clients rely on it.
fn quality_weight() -> f64 {
    0.3
}

impl SearchRequest {
    /// The search, with what the query string adds.
    ///
    /// # Errors
    /// Statuses 400 and 422.
    pub fn into_query(
        self,
        now: Now<'_>,
        query: &NamespacesParameters,
    ) -> Result<SearchQuery, Problem> {
        let asked = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let phrases = Phrases {
            tz: self.tz.as_deref(),
            during: self.time_filter.as_deref(),
            after: self.after.as_deref(),
            before: self.before.as_deref(),
        };
        let filter = Filter {
            namespaces: set(&[query.asked(), asked])?,
            tags: self.tags.0,
            tag_match: self.tag_match.map(TagMatch::from).unwrap_or_default(),
            memory_type: self.memory_type,
            created: phrases.range(now)?,
            metadata: self.metadata.unwrap_or_default(),
        };
        Ok(SearchQuery {
            text: self.query,
            limit: self.n_results,
            similarity_threshold: self.similarity_threshold,
            mode: self.mode.unwrap_or_default().into(),
            filter,
            is_exact: self.exact,
            quality_weight: self.quality_boost.then_some(self.quality_weight),
            recency_weight: self.recency_boost.then_some(self.recency_weight),
            time_zone: self.tz.filter(|tz| !tz.trim().is_empty()),
        })
    }
}

/// A search by tag. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TagSearchRequest {
    /// At least one.
    tags: Tags,
    /// Whether all of them are needed.
    #[serde(default)]
    #[schema(required = false)]
    match_all: bool,
    /// Only memories of this time.
    #[schema(max_length = 200, example = "last week")]
    time_filter: Option<String>,
    /// The IANA time zone in which phrases are read; that of the node when absent.
    #[schema(max_length = 100)]
    tz: Option<String>,
    /// How many results.
    #[serde(default = "most", alias = "limit", deserialize_with = "result_count")]
    #[schema(required = false, minimum = 1, maximum = 100, default = 100)]
    pub n_results: usize,
    /// Where the page before ended (`next_cursor`).
    pub cursor: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read; `default` when it
    /// is named nowhere.
    #[schema(value_type = Option<NamespaceList>)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[schema(value_type = Option<NamespaceList>)]
    store: Option<String>,
}

/// Existing clients expect every match of a search by tag.
fn most() -> usize {
    RESULT_COUNT_MAX
}

impl TagSearchRequest {
    /// Which memories are meant, with what the query string adds.
    ///
    /// # Errors
    /// Statuses 400 and 422.
    pub fn filter(&self, now: Now<'_>, query: &NamespacesParameters) -> Result<Filter, Problem> {
        if self.tags.0.is_empty() {
            return Err(Problem::bad_query("At least one tag must be specified"));
        }
        let asked = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let during = self.time_filter.as_deref();
        let phrases = Phrases { tz: self.tz.as_deref(), during, ..Phrases::default() };
        Ok(Filter {
            namespaces: set(&[query.asked(), asked])?,
            tags: self.tags.0.clone(),
            tag_match: if self.match_all { TagMatch::All } else { TagMatch::Any },
            created: phrases.range(now)?,
            ..Filter::default()
        })
    }

    /// What was asked, in the words that clients know.
    pub fn text(&self) -> String {
        let tags: Vec<&str> = self.tags.0.iter().map(Tag::as_str).collect();
        let kind = if self.match_all { "ALL" } else { "ANY" };
        let time = self.time_filter.as_ref().map(|phrase| format!(" | Time: {phrase}"));
        format!("Tags: {} ({kind}){}", tags.join(", "), time.unwrap_or_default())
    }
}

/// A search by time. Other keys are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TimeSearchRequest {
    /// A phrase of time.
    #[schema(max_length = 200, example = "last week")]
    pub query: String,
    /// How many results.
    #[serde(default = "ten", deserialize_with = "result_count")]
    #[schema(required = false, minimum = 1, maximum = 100, default = 10)]
    pub n_results: usize,
    /// Ranks the memories of that time by meaning.
    #[schema(max_length = 16384)]
    pub semantic_query: Option<String>,
    /// Where the page before ended (`next_cursor`); not with `semantic_query`.
    pub cursor: Option<String>,
    /// The IANA time zone in which phrases are read; that of the node when absent.
    #[schema(max_length = 100)]
    tz: Option<String>,
    /// A namespace, a comma list of them, or `*`: all that the caller may read; `default` when it
    /// is named nowhere.
    #[schema(value_type = Option<NamespaceList>)]
    namespace: Option<String>,
    /// The older name of `namespace`; `all` means `*`.
    #[schema(value_type = Option<NamespaceList>)]
    store: Option<String>,
}

impl TimeSearchRequest {
    /// Which memories are meant, with what the query string adds.
    ///
    /// # Errors
    /// Statuses 400 and 422.
    pub fn filter(&self, now: Now<'_>, query: &NamespacesParameters) -> Result<Filter, Problem> {
        let asked = Asked::new(Input::Body, self.namespace.as_deref(), self.store.as_deref());
        let during = Some(self.query.as_str());
        let tz = self.tz.as_deref().filter(|tz| !tz.trim().is_empty());
        Ok(Filter {
            namespaces: set(&[query.asked(), asked])?,
            // An empty phrase is unreadable here, not absent.
            created: Phrases { tz, during, ..Phrases::default() }.strict_range(now)?,
            ..Filter::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_defaults_that_clients_rely_on() {
        let body: SearchRequest = serde_json::from_str(r#"{"query": "x"}"#).expect("valid");
        assert_eq!((body.n_results, body.quality_boost, body.quality_weight), (10, false, 0.3));
        let body: TagSearchRequest = serde_json::from_str(r#"{"tags": "a"}"#).expect("valid");
        assert_eq!((body.n_results, body.match_all), (100, false));
        let body: TagSearchRequest =
            serde_json::from_str(r#"{"tags": ["B", "a"], "limit": 5, "time_filter": "today"}"#)
                .expect("valid");
        assert_eq!(body.n_results, 5);
        assert_eq!(body.text(), "Tags: a, b (ANY) | Time: today");
    }

    #[test]
    fn thresholds_out_of_range_are_refused() {
        for field in [
            r#""similarity_threshold": 1.5"#,
            r#""similarity_threshold": "high""#,
            r#""quality_weight": -1"#,
            r#""n_results": 0"#,
            r#""n_results": 101"#,
            r#""mode": "guess""#,
            r#""tag_match": "some""#,
            r#""metadata": []"#,
        ] {
            let body = format!("{{\"query\": \"x\", {field}}}");
            assert!(serde_json::from_str::<SearchRequest>(&body).is_err(), "{field}");
        }
    }
}
