//! Questions and answers.

use super::{Filter, Memory};

/// How relevance is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchMode {
    /// By meaning: cosine similarity of embeddings.
    #[default]
    Semantic,
    /// By words: BM25.
    Keyword,
    /// Both lists, fused.
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
    /// What is asked; 1 to [`super::QUERY_BYTES_MAX`] bytes.
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
    /// 0 to 1; `None` where nothing was compared by meaning.
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
}
