//! The rows with the highest estimates.

use std::cmp::Ordering;

/// How many times more than it keeps it gathers before it chooses again.
const SLACK: usize = 4;

/// An estimate and where its row lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The estimated inner product.
    pub estimate: f32,
    /// The place of the row in the snapshot.
    pub place: u32,
}

/// Keeps the `count` best of all that are offered; of equal ones those of lower places.
#[derive(Debug)]
pub struct Best {
    gathered: Vec<Candidate>,
    count: usize,
    /// Whatever is not above it cannot be among the best.
    threshold: f32,
}

impl Best {
    /// For the `count` best, at least one.
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        Best { gathered: Vec::with_capacity(count * SLACK), count, threshold: f32::NEG_INFINITY }
    }

    /// The bound that an estimate must be above to be worth offering; it only rises.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Offers a row; places come in ascending order.
    pub fn offer(&mut self, estimate: f32, place: u32) {
        if estimate > self.threshold {
            self.gathered.push(Candidate { estimate, place });
            if self.gathered.len() >= self.count * SLACK {
                self.choose();
            }
        }
    }

    /// Takes in what another found among later places.
    pub fn join(&mut self, other: Best) {
        self.gathered.extend(other.gathered);
    }

    /// The best, highest estimates first.
    pub fn into_sorted(mut self) -> Vec<Candidate> {
        self.gathered.sort_unstable_by(order);
        self.gathered.truncate(self.count);
        self.gathered
    }

    #[cold]
    fn choose(&mut self) {
        let (_, last, _) = self.gathered.select_nth_unstable_by(self.count - 1, order);
        self.threshold = last.estimate;
        self.gathered.truncate(self.count);
    }
}

fn order(a: &Candidate, b: &Candidate) -> Ordering {
    b.estimate.total_cmp(&a.estimate).then(a.place.cmp(&b.place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_are_those_of_a_full_sort(
            estimates in prop::collection::vec(-20_i8..20, 0..400),
            count in 1_usize..40,
            split in 0.0_f64..1.0,
        ) {
            let all: Vec<Candidate> = estimates
                .iter()
                .zip(0..)
                .map(|(estimate, place)| Candidate { estimate: f32::from(*estimate), place })
                .collect();
            let (early, late) = all.split_at((all.len() as f64 * split) as usize);
            let of = |part: &[Candidate]| {
                let mut best = Best::new(count);
                part.iter().for_each(|one| best.offer(one.estimate, one.place));
                best
            };
            let mut joined = of(early);
            joined.join(of(late));
            let mut expected = all.clone();
            expected.sort_by(order);
            expected.truncate(count);
            prop_assert_eq!(of(&all).into_sorted(), expected.clone());
            prop_assert_eq!(joined.into_sorted(), expected);
        }
    }
}
