//! From distances and word scores to one order.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Weight of meaning in a fusion; the rest is for words.
const SEMANTIC_WEIGHT: f64 = 0.5;
/// Quality of a memory that says nothing of it.
const QUALITY_DEFAULT: f64 = 0.5;

/// A row and what its place is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The row.
    pub row: i64,
    /// Similarity, 0 to 1.
    pub semantic: Option<f64>,
    /// BM25, larger is better.
    pub keyword: Option<f64>,
    /// What the order comes from.
    pub total: f64,
}

/// `max(0, 1 - distance / 2)`: 1 for the same direction, 0 for the opposite.
pub fn similarity(cosine_distance: f64) -> f64 {
    (1.0 - cosine_distance / 2.0).max(0.0)
}

/// `quality_score` of a memory's metadata, 0 to 1.
pub fn quality(metadata: &Map<String, Value>) -> f64 {
    let score = metadata.get("quality_score").and_then(Value::as_f64);
    score.filter(|score| score.is_finite()).unwrap_or(QUALITY_DEFAULT).clamp(0.0, 1.0)
}

/// Fuses two lists, best first, by the weighted sum of scores that are scaled to 0..1 within each
/// list (Lee 1997, "CombSUM" with min-max normalisation). A row that is missing from a list gets
/// nothing for it.
pub fn fuse(by_meaning: &[(i64, f64)], by_words: &[(i64, f64)]) -> Vec<Ranked> {
    let mut fused: HashMap<i64, Ranked> = HashMap::new();
    for ((row, similarity), scaled) in by_meaning.iter().zip(scale(by_meaning)) {
        let total = SEMANTIC_WEIGHT * scaled;
        let ranked = Ranked { row: *row, semantic: Some(*similarity), keyword: None, total };
        fused.insert(*row, ranked);
    }
    for ((row, score), scaled) in by_words.iter().zip(scale(by_words)) {
        let none = Ranked { row: *row, semantic: None, keyword: None, total: 0.0 };
        let ranked = fused.entry(*row).or_insert(none);
        ranked.keyword = Some(*score);
        ranked.total += (1.0 - SEMANTIC_WEIGHT) * scaled;
    }
    let mut ranked: Vec<Ranked> = fused.into_values().collect();
    ranked.sort_by(|a, b| b.total.total_cmp(&a.total).then(a.row.cmp(&b.row)));
    ranked
}

/// Scores between the least and the greatest of their list; all 1 when they do not differ.
fn scale(list: &[(i64, f64)]) -> Vec<f64> {
    let least = list.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
    let greatest = list.iter().map(|(_, score)| *score).fold(f64::NEG_INFINITY, f64::max);
    let span = greatest - least;
    list.iter().map(|(_, score)| if span > 0.0 { (score - least) / span } else { 1.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_in_both_lists_comes_first() {
        let fused = fuse(&[(1, 0.9), (2, 0.8), (3, 0.1)], &[(2, 9.0), (4, 8.0), (5, 1.0)]);
        let rows: Vec<i64> = fused.iter().map(|ranked| ranked.row).collect();
        assert_eq!(rows, [2, 1, 4, 3, 5]);
        assert_eq!(fused[0].semantic, Some(0.8));
        assert_eq!(fused[0].keyword, Some(9.0));
    }

    #[test]
    fn one_empty_list_leaves_the_order_of_the_other() {
        let rows = |fused: Vec<Ranked>| fused.iter().map(|one| one.row).collect::<Vec<_>>();
        assert_eq!(rows(fuse(&[(7, 0.5), (8, 0.4)], &[])), [7, 8]);
        assert_eq!(rows(fuse(&[], &[(9, 2.0)])), [9]);
        assert!(fuse(&[], &[]).is_empty());
    }

    #[test]
    fn similarity_and_quality_stay_in_range() {
        assert_eq!(similarity(0.0), 1.0);
        assert_eq!(similarity(2.0), 0.0);
        assert_eq!(similarity(2.1), 0.0);
        let with = |value: Value| quality(&Map::from_iter([("quality_score".to_owned(), value)]));
        assert_eq!(with(0.9.into()), 0.9);
        assert_eq!(with(7.into()), 1.0);
        assert_eq!(with("high".into()), QUALITY_DEFAULT);
    }
}
