//! The order of results beyond relevance: the threshold, quality, freshness and the cut.

use crate::memory::rank;
use crate::memory::{Hit, SearchQuery};

/// How many times more candidates are looked at than results are asked for when the order may
/// change.
const REORDER_FACTOR: usize = 3;

/// How results are ordered once they are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Order {
    limit: usize,
    similarity_threshold: Option<f64>,
    quality_weight: Option<f64>,
    recency_weight: Option<f64>,
    now: f64,
}

impl Order {
    /// As the query asks, at a time in Unix seconds.
    pub(super) fn of(query: &SearchQuery, now: f64) -> Self {
        Order {
            limit: query.limit,
            similarity_threshold: query.similarity_threshold,
            quality_weight: query.quality_weight,
            recency_weight: query.recency_weight,
            now,
        }
    }

    /// How many candidates are needed.
    pub(super) fn wanted(&self) -> usize {
        let reorders = self.quality_weight.is_some() || self.recency_weight.is_some();
        if reorders { self.limit * REORDER_FACTOR } else { self.limit }
    }

    /// Orders and cuts candidates, which come best first.
    pub(super) fn of_hits(&self, mut hits: Vec<Hit>) -> Vec<Hit> {
        if let Some(threshold) = self.similarity_threshold {
            hits.retain(|hit| hit.similarity.is_none_or(|similarity| similarity >= threshold));
        }
        if let Some(weight) = self.quality_weight {
            for hit in &mut hits {
                let quality = rank::quality(&hit.memory.metadata);
                hit.score.quality = Some(quality);
                blend(hit, quality, weight);
            }
        }
        if let Some(weight) = self.recency_weight {
            for hit in &mut hits {
                let recency = rank::freshness(hit.memory.created_at, self.now);
                hit.score.recency = Some(recency);
                blend(hit, recency, weight);
            }
        }
        if self.wanted() > self.limit {
            let total = |hit: &Hit| hit.score.total.unwrap_or_default();
            hits.sort_by(|a, b| total(b).total_cmp(&total(a)));
        }
        hits.truncate(self.limit);
        hits
    }
}

fn blend(hit: &mut Hit, other: f64, weight: f64) {
    hit.score.total = Some(rank::blend(hit.score.total.unwrap_or_default(), other, weight));
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::memory::{ContentHash, Filter, Memory, Namespace, ScoreParts};

    pub(in crate::service) fn hit(content: &str, total: f64, quality: f64, created_at: f64) -> Hit {
        let memory = Memory {
            content: content.to_owned(),
            content_hash: ContentHash::of(content),
            tags: Vec::new(),
            memory_type: None,
            metadata: Map::from_iter([("quality_score".to_owned(), json!(quality))]),
            created_at,
            updated_at: created_at,
            namespace: Namespace::default(),
            origin: "a".to_owned(),
            version: String::new(),
        };
        let score = ScoreParts { total: Some(total), ..ScoreParts::default() };
        Hit { memory, similarity: Some(total), reason: String::new(), score }
    }

    fn check(change: impl FnOnce(&mut SearchQuery), expected: &[&str]) {
        let day = 86_400.0;
        let hits = vec![
            hit("old", 0.9, 0.5, 0.0),
            hit("good", 0.8, 1.0, 900.0 * day),
            hit("new", 0.7, 0.0, 1_000.0 * day),
        ];
        let mut query = SearchQuery::new("q".to_owned(), 3, Filter::default());
        change(&mut query);
        let ordered = Order::of(&query, 1_000.0 * day).of_hits(hits);
        let contents: Vec<&str> = ordered.iter().map(|hit| hit.memory.content.as_str()).collect();
        assert_eq!(contents, expected);
    }

    #[test]
    fn quality_and_freshness_change_the_order_as_far_as_they_are_asked_to() {
        check(|_| (), &["old", "good", "new"]);
        check(|query| query.quality_weight = Some(0.5), &["good", "old", "new"]);
        check(|query| query.recency_weight = Some(0.5), &["new", "old", "good"]);
        check(|query| query.similarity_threshold = Some(0.75), &["old", "good"]);
        check(|query| (query.limit, query.quality_weight) = (1, Some(1.0)), &["good"]);
    }
}
