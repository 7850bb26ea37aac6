//! Vectors as one bit for each number, and queries as four.
//!
//! A vector `v` is kept as its signs `b` and one factor, |v|² / |v|₁: the length that a vector of
//! nothing but signs must have to give `v` its own inner product. The inner product with a query
//! is then estimated as `factor × (2 × sum of q where b = 1 − sum of q)`, the estimator of RaBitQ
//! (Gao and Long, SIGMOD 2024) without its rotation, which brings real embeddings nothing. Of the
//! query four bits are kept, so that the sum is a count of bits: one `and` for each.

/// Rows whose words lie side by side, so that one load takes a word of each.
pub const BLOCK_ROWS: usize = 8;
/// Bits of a number of the query.
pub const PLANES: usize = 4;
/// The largest number that they spell.
const LEVEL_MAX: f32 = 15.0;

/// How many words hold the signs of a vector.
pub fn word_count(dimension: usize) -> usize {
    dimension.div_ceil(64)
}

/// Writes the signs of a vector into `words`, which must be as many as [`word_count`] says, and
/// gives the factor. A vector that is no direction (all zero, or not finite) gets 0: it is never
/// near anything.
pub fn encode(vector: &[f32], words: &mut [u64]) -> f32 {
    let (mut absolute, mut squared) = (0.0_f32, 0.0_f32);
    for (numbers, word) in vector.chunks(64).zip(words) {
        *word = 0;
        for (bit, number) in numbers.iter().enumerate() {
            *word |= u64::from(*number > 0.0) << bit;
            absolute += number.abs();
            squared += number * number;
        }
    }
    let factor = squared / absolute;
    if factor.is_finite() { factor } else { 0.0 }
}

/// A query in the form that kernels want.
///
/// A row's estimate is `factor × (scale × count + base) + offset × (factor × ones)`: `count` is the
/// sum of the query's levels where the row has ones, `ones` how many it has.
#[derive(Clone, Debug)]
pub struct QueryCode {
    /// For each word, that word of each plane; plane `p` weighs 2ᵖ.
    pub planes: Vec<[u64; PLANES]>,
    /// Twice the distance of two levels.
    pub scale: f32,
    /// Twice the lowest level.
    pub offset: f32,
    /// The sum of the query, negated.
    pub base: f32,
}

impl QueryCode {
    /// Brings a query to four bits a number.
    pub fn of(query: &[f32]) -> Self {
        let lowest = query.iter().copied().fold(f32::INFINITY, f32::min);
        let highest = query.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let step = (highest - lowest) / LEVEL_MAX;
        let mut planes = vec![[0; PLANES]; word_count(query.len())];
        for (numbers, word) in query.chunks(64).zip(&mut planes) {
            for (bit, number) in numbers.iter().enumerate() {
                // Without a step all numbers are the same, and the lowest level says it all.
                let level = ((number - lowest) / step).round().clamp(0.0, LEVEL_MAX) as u64;
                for (plane, bits) in word.iter_mut().enumerate() {
                    *bits |= (level >> plane & 1) << bit;
                }
            }
        }
        QueryCode {
            planes,
            scale: 2.0 * step,
            offset: 2.0 * lowest,
            base: -query.iter().sum::<f32>(),
        }
    }

    /// The estimate of a row. The kernels do the same in the same order, so that all give the same
    /// number to the last bit.
    pub fn estimate(&self, count: u32, factor: f32, ones: f32) -> f32 {
        factor * (self.scale * count as f32 + self.base) + self.offset * ones
    }
}

#[cfg(test)]
mod tests {
    use super::super::dot;
    use super::*;
    use proptest::prelude::*;

    fn estimate(query: &[f32], vector: &[f32]) -> f32 {
        let mut words = vec![0; word_count(vector.len())];
        let factor = encode(vector, &mut words);
        let code = QueryCode::of(query);
        let count = |(word, planes): (&u64, &[u64; PLANES])| {
            let ones = |(plane, bits): (usize, &u64)| (word & bits).count_ones() << plane;
            planes.iter().enumerate().map(ones).sum::<u32>()
        };
        let count = words.iter().zip(&code.planes).map(count).sum();
        let ones: u32 = words.iter().map(|word| word.count_ones()).sum();
        code.estimate(count, factor, factor * ones as f32)
    }

    proptest! {
        #[test]
        fn a_vector_of_nothing_but_signs_is_estimated_to_the_step(
            signs in prop::collection::vec(any::<bool>(), 1..200),
            query in prop::collection::vec(-1.0_f32..1.0, 200),
        ) {
            let vector: Vec<f32> = signs.iter().map(|one| if *one { 0.5 } else { -0.5 }).collect();
            let query = &query[..vector.len()];
            let step = 2.0 / LEVEL_MAX;
            let error = (estimate(query, &vector) - dot(query, &vector)).abs();
            prop_assert!(error <= 0.5 * step * 0.5 * 2.0 * vector.len() as f32 + 1e-3, "{error}");
        }

        #[test]
        fn a_vector_is_near_itself_and_far_from_its_opposite(
            vector in prop::collection::vec(-1.0_f32..1.0, 64..400),
        ) {
            let opposite: Vec<f32> = vector.iter().map(|number| -number).collect();
            let length = dot(&vector, &vector);
            prop_assert!((estimate(&vector, &vector) - length).abs() < 0.1 * length);
            prop_assert!((estimate(&vector, &opposite) + length).abs() < 0.1 * length);
        }
    }

    #[test]
    fn what_is_no_direction_has_no_factor() {
        for vector in [[0.0_f32; 3], [f32::NAN; 3], [f32::INFINITY; 3]] {
            assert_eq!(encode(&vector, &mut [0]), 0.0, "{vector:?}");
        }
    }

    #[test]
    fn a_query_of_equal_numbers_is_exact() {
        let vector = [0.5, -0.5, 0.5];
        assert!((estimate(&[0.2; 3], &vector) - 0.1).abs() < 1e-6);
    }
}
