//! From similarities and words to one order. What the numbers are measured on, and how, is told in
//! docs/evaluation.md.

use serde_json::{Map, Value};

use super::relevance::Match;

/// Weight of meaning beside words; a name, a quoted phrase or code says more by its letters.
const SEMANTIC_WEIGHT: f64 = 0.45;
const SEMANTIC_WEIGHT_LITERAL: f64 = 0.35;
/// What it adds that a memory holds the quoted phrases: no other one comes before it.
const PHRASE_BONUS: f64 = 1.0;
/// What it adds that a memory was made in the time that the query speaks of.
const TIME_BONUS: f64 = 0.15;
/// What it adds that people ask about themselves, and said it themselves.
const OWN_BONUS: f64 = 0.1;
/// What a turn gets of the score of the turn before it, and of the one after it: an answer seldom
/// repeats what it was asked.
const BEFORE_SHARE: f64 = 0.2;
const AFTER_SHARE: f64 = 0.1;
/// Quality of a memory that says nothing of it.
const QUALITY_DEFAULT: f64 = 0.5;
/// Seconds after which a memory is half as fresh.
const FRESH_HALF_LIFE: f64 = 30.0 * 86_400.0;

/// A row and what its place is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ranked {
    /// The row.
    pub row: i64,
    /// Similarity, 0 to 1.
    pub semantic: Option<f64>,
    /// BM25, larger is better.
    pub keyword: Option<f64>,
    /// What the turns around it add.
    pub context: Option<f64>,
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

/// How fresh a memory is: 1 when it was made now, half of it every 30 days.
pub fn freshness(created_at: f64, now: f64) -> f64 {
    (-(now - created_at).max(0.0) / FRESH_HALF_LIFE).exp2()
}

/// A score with another one blended in.
pub fn blend(score: f64, other: f64, weight: f64) -> f64 {
    (1.0 - weight) * score + weight * other
}

/// How good a memory is by itself: the weighted sum of its cosine and of the share of the query
/// that its words answer ("convex combination", Bruch, Gai and Ingber 2023), and what else the
/// query tells. Both parts are absolute, so what a memory is worth does not hang on the others.
pub fn fused(similarity: Option<f64>, matched: &Match, is_literal: bool) -> f64 {
    let weight = if is_literal { SEMANTIC_WEIGHT_LITERAL } else { SEMANTIC_WEIGHT };
    let cosine = similarity.map_or(0.0, |similarity| (2.0 * similarity - 1.0).max(0.0));
    weight * cosine + (1.0 - weight) * matched.share + bonus(matched)
}

/// How good a memory is by its words alone.
pub fn worded(matched: &Match) -> f64 {
    matched.share + bonus(matched)
}

fn bonus(matched: &Match) -> f64 {
    let of = |holds: bool, bonus: f64| if holds { bonus } else { 0.0 };
    of(matched.holds_phrases, PHRASE_BONUS)
        + of(matched.is_in_time, TIME_BONUS)
        + of(matched.is_own, OWN_BONUS)
}

/// What the turns before and after a memory lend it.
pub fn lent(before: Option<f64>, after: Option<f64>) -> f64 {
    BEFORE_SHARE * before.unwrap_or(0.0) + AFTER_SHARE * after.unwrap_or(0.0)
}

/// A fused score where clients look for a similarity: 0 to 1, in the order of the scores, and about
/// as high as the similarity of the same memory.
pub fn as_similarity(total: f64) -> f64 {
    f64::midpoint(1.0, total).clamp(0.0, 1.0)
}

/// Best first, equal ones by row.
pub fn sort(ranked: &mut [Ranked]) {
    ranked.sort_by(|a, b| b.total.total_cmp(&a.total).then(a.row.cmp(&b.row)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_quality_and_freshness_stay_in_range() {
        assert_eq!(similarity(0.0), 1.0);
        assert_eq!(similarity(2.0), 0.0);
        assert_eq!(similarity(2.1), 0.0);
        let with = |value: Value| quality(&Map::from_iter([("quality_score".to_owned(), value)]));
        assert_eq!(with(0.9.into()), 0.9);
        assert_eq!(with(7.into()), 1.0);
        assert_eq!(with("high".into()), QUALITY_DEFAULT);
        assert_eq!(freshness(5.0, 4.0), 1.0);
        assert_eq!(freshness(0.0, FRESH_HALF_LIFE), 0.5);
        assert_eq!(blend(1.0, 0.5, 0.5), 0.75);
        assert_eq!((as_similarity(0.5), as_similarity(3.0), as_similarity(-9.0)), (0.75, 1.0, 0.0));
    }

    #[test]
    fn words_and_meaning_both_count_and_words_more_where_they_are_literal() {
        let matched = |share| Match { share, ..Match::default() };
        let both = fused(Some(0.9), &matched(0.8), false);
        assert!(both > fused(Some(0.9), &matched(0.2), false));
        assert!(both > fused(Some(0.6), &matched(0.8), false));
        assert!(fused(Some(0.5), &matched(1.0), true) > fused(Some(0.5), &matched(1.0), false));
        assert_eq!(fused(None, &matched(0.0), false), 0.0);
    }

    #[test]
    fn a_quoted_phrase_beats_everything_else() {
        let phrase = Match { holds_phrases: true, ..Match::default() };
        let best = Match { share: 1.0, ..Match::default() };
        assert!(fused(Some(0.5), &phrase, true) >= fused(Some(1.0), &best, true));
    }

    #[test]
    fn the_turn_before_lends_more_than_the_one_after() {
        assert!(lent(Some(1.0), None) > lent(None, Some(1.0)));
        assert_eq!(lent(None, None), 0.0);
    }

    #[test]
    fn the_order_is_by_total_then_by_row() {
        let one = |row, total| Ranked { row, total, ..Ranked::default() };
        let mut ranked = vec![one(2, 0.5), one(3, 0.9), one(1, 0.5)];
        sort(&mut ranked);
        assert_eq!(ranked.iter().map(|one| one.row).collect::<Vec<_>>(), [3, 1, 2]);
    }
}
