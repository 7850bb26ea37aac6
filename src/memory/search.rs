//! Questions and answers.

use super::{Filter, Memory};

/// How relevance is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchMode {
    /// By meaning: cosine similarity of embeddings.
    Semantic,
    /// By words: BM25.
    Keyword,
    /// By meaning and words.
    #[default]
    Hybrid,
}

impl SearchMode {
    /// The name that requests and answers carry.
    pub fn name(self) -> &'static str {
        match self {
            SearchMode::Semantic => "semantic",
            SearchMode::Keyword => "keyword",
            SearchMode::Hybrid => "hybrid",
        }
    }
}

/// A search.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchQuery {
    /// What is asked, with its operators; at most [`super::QUERY_BYTES_MAX`] bytes. An empty one
    /// asks for the newest memories.
    pub text: String,
    /// How many results, 1 to [`super::RESULT_COUNT_MAX`].
    pub limit: usize,
    /// Leave out results below this similarity, 0 to 1.
    pub similarity_threshold: Option<f64>,
    /// How relevance is judged.
    pub mode: SearchMode,
    /// Applied before the cut.
    pub filter: Filter,
    /// Look at every vector instead of asking the index first.
    pub is_exact: bool,
    /// Weight of `metadata.quality_score` in the order, 0 to 1; `None` leaves quality out.
    pub quality_weight: Option<f64>,
    /// Weight of freshness in the order, 0 to 1; `None` leaves it out.
    pub recency_weight: Option<f64>,
    /// The IANA zone in which times in the text are read; that of the node when `None`.
    pub time_zone: Option<String>,
}

impl SearchQuery {
    /// A search as most callers want it.
    pub fn new(text: String, limit: usize, filter: Filter) -> Self {
        SearchQuery {
            text,
            limit,
            similarity_threshold: None,
            mode: SearchMode::default(),
            filter,
            is_exact: false,
            quality_weight: None,
            recency_weight: None,
            time_zone: None,
        }
    }
}

/// What a result's place is made of. Absent parts did not take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct ScoreParts {
    /// `max(0, 1 - cosine_distance / 2)`, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantic: Option<f64>,
    /// BM25, larger is better, unbounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyword: Option<f64>,
    /// What the turns of a conversation around this one add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<f64>,
    /// What the external re-ranker says, unbounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f64>,
    /// How fresh the memory is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recency: Option<f64>,
    /// `metadata.quality_score`, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// The number that the order comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
}

/// One result.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The memory.
    pub memory: Memory,
    /// 0 to 1, in hybrid searches in the order of the results; `None` where nothing was compared
    /// by meaning.
    pub similarity: Option<f64>,
    /// A short sentence for people.
    pub reason: String,
    /// What its place is made of.
    pub score: ScoreParts,
}

/// The answer to a search, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchAnswer {
    /// At most as many as asked for.
    pub hits: Vec<Hit>,
    /// How the results were found, such as `semantic`, `tag` or `time`.
    pub search_type: &'static str,
    /// Opaque start of the next page, where the order is by time and there is one.
    pub next_cursor: Option<String>,
    /// What the caller should know of how it went, if anything.
    pub note: Option<String>,
}
