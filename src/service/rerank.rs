//! Asking the external re-ranker for a better order.

use std::sync::Arc;

use super::Service;
use crate::memory::Hit;
use crate::rerank::{DOCUMENT_COUNT_MAX, Reranker};

impl Service {
    /// How many candidates the re-ranker wants to see; 0 without one.
    pub(super) fn rerank_count(&self) -> usize {
        self.parts.reranker.as_ref().map_or(0, |_| DOCUMENT_COUNT_MAX)
    }

    /// Candidates, which come best first, in the order of the re-ranker, if there is one; as they
    /// are, with a note, when it fails.
    pub(super) async fn reranked(&self, query: &str, hits: Vec<Hit>) -> (Vec<Hit>, Option<String>) {
        let Some(reranker) = self.parts.reranker.as_ref().filter(|_| hits.len() > 1) else {
            return (hits, None);
        };
        match scores(reranker, query, &hits).await {
            Ok(scores) => (in_order(hits, &scores), None),
            Err(error) => {
                tracing::warn!(%error, "results were not re-ranked");
                (hits, Some(format!("not re-ranked: {error}")))
            }
        }
    }
}

async fn scores(
    reranker: &Arc<Reranker>,
    query: &str,
    hits: &[Hit],
) -> Result<Vec<Option<f64>>, crate::rerank::RerankError> {
    let texts = hits.iter().take(DOCUMENT_COUNT_MAX).map(|hit| hit.memory.content.clone());
    reranker.scores(query.to_owned(), texts.collect()).await
}

/// The hits with a score, best first, then the others as they were. The numbers that tell the place
/// stay with the places.
fn in_order(mut hits: Vec<Hit>, scores: &[Option<f64>]) -> Vec<Hit> {
    let places: Vec<_> = hits.iter().map(|hit| (hit.similarity, hit.score.total)).collect();
    for (hit, score) in hits.iter_mut().zip(scores) {
        hit.score.rerank = *score;
    }
    let score = |hit: &Hit| hit.score.rerank.unwrap_or(f64::NEG_INFINITY);
    hits.sort_by(|a, b| score(b).total_cmp(&score(a)));
    for (hit, (similarity, total)) in hits.iter_mut().zip(places) {
        (hit.similarity, hit.score.total) = (similarity, total);
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::order::tests::hit;

    #[test]
    fn what_the_reranker_names_comes_first_and_places_keep_their_numbers() {
        let hits = ["a", "b", "c"].into_iter().zip([0.9, 0.8, 0.7]);
        let hits = hits.map(|(name, total)| hit(name, total, 0.5, 0.0)).collect();
        let ordered = in_order(hits, &[None, Some(-2.0), Some(4.0)]);
        let contents: Vec<&str> = ordered.iter().map(|hit| hit.memory.content.as_str()).collect();
        assert_eq!(contents, ["c", "b", "a"]);
        let totals: Vec<_> = ordered.iter().filter_map(|hit| hit.score.total).collect();
        assert_eq!(totals, [0.9, 0.8, 0.7]);
        assert_eq!((ordered[0].similarity, ordered[0].score.rerank), (Some(0.9), Some(4.0)));
    }
}
