//! Two axes through the vectors of memories, so that they can be drawn on a map.
//!
//! The axes are principal axes: of all flat pictures they keep the most of the distances. They are
//! found once and kept; a place on the map follows from a memory's own vector and the kept axes
//! alone, so that storing a memory moves no other. Methods that look at all neighbours at once
//! (t-SNE, UMAP) make clearer islands, but one more memory may turn the whole picture over.

use serde::{Deserialize, Serialize};

/// Rounds of the power method. Each makes the error smaller by the ratio of two eigenvalues.
const ROUND_COUNT: usize = 24;
/// A place at this many standard deviations is at three quarters of the way to the edge.
const SPREAD: f32 = 2.0;
/// Below this, vectors have no direction to speak of.
const LENGTH_MIN: f32 = 1e-6;

/// What a vector is laid on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axes {
    /// The middle of the vectors that the axes were made from.
    middle: Vec<f32>,
    /// Two directions of unit length, at a right angle.
    directions: [Vec<f32>; 2],
    /// What a step along each is divided by.
    scales: [f32; 2],
}

impl Axes {
    /// The principal axes of vectors of one dimension.
    pub fn of(vectors: &[Vec<f32>], dimension: usize) -> Self {
        let middle = mean(vectors, dimension);
        let first = principal(vectors, &middle, &[]);
        let second = principal(vectors, &middle, std::slice::from_ref(&first));
        let directions = [first, second];
        let scales = [0, 1].map(|axis| {
            let squares = vectors.iter().map(|vector| along(vector, &middle, &directions[axis]));
            let sum: f32 = squares.map(|step| step * step).sum();
            let deviation = (sum / vectors.len().max(1) as f32).sqrt();
            if deviation > LENGTH_MIN { deviation * SPREAD } else { 1.0 }
        });
        Axes { middle, directions, scales }
    }

    /// How many numbers a vector must have.
    pub fn dimension(&self) -> usize {
        self.middle.len()
    }

    /// Where a vector is on the map: each coordinate is within -1 and 1, however far out it lies.
    pub fn place(&self, vector: &[f32]) -> [f32; 2] {
        [0, 1].map(|axis| {
            (along(vector, &self.middle, &self.directions[axis]) / self.scales[axis]).tanh()
        })
    }
}

fn mean(vectors: &[Vec<f32>], dimension: usize) -> Vec<f32> {
    let mut sum = vec![0.0; dimension];
    for vector in vectors {
        add(&mut sum, vector, 1.0);
    }
    let count = vectors.len().max(1) as f32;
    sum.iter_mut().for_each(|number| *number /= count);
    sum
}

/// The direction, at right angles to `others`, along which the vectors differ most.
fn principal(vectors: &[Vec<f32>], middle: &[f32], others: &[Vec<f32>]) -> Vec<f32> {
    let mut direction = start(middle.len(), others.len());
    straighten(&mut direction, others);
    for _ in 0..ROUND_COUNT {
        let mut next = vec![0.0; middle.len()];
        for vector in vectors {
            let step = along(vector, middle, &direction);
            add(&mut next, vector, step);
            add(&mut next, middle, -step);
        }
        if !straighten(&mut next, others) {
            break;
        }
        direction = next;
    }
    direction
}

/// A direction that no data favours, the same on every machine: a fixed sequence of numbers
/// (Knuth's multiplier of 64-bit linear congruential generators).
fn start(dimension: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u64 + 1;
    let number = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..dimension).map(number).collect()
}

/// Takes the parts along the others out and makes the length 1; `false` when nothing is left.
fn straighten(direction: &mut [f32], others: &[Vec<f32>]) -> bool {
    for other in others {
        let step = -dot(direction, other);
        add(direction, other, step);
    }
    let length = dot(direction, direction).sqrt();
    if length <= LENGTH_MIN {
        return false;
    }
    direction.iter_mut().for_each(|number| *number /= length);
    true
}

fn along(vector: &[f32], middle: &[f32], direction: &[f32]) -> f32 {
    dot(vector, direction) - dot(middle, direction)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn add(sum: &mut [f32], vector: &[f32], times: f32) {
    for (total, number) in sum.iter_mut().zip(vector) {
        *total += number * times;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
        prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 8), 0..60)
    }

    proptest! {
        #[test]
        fn axes_are_straight_and_places_are_on_the_map(vectors in vectors()) {
            let axes = Axes::of(&vectors, 8);
            let [first, second] = &axes.directions;
            prop_assert!((dot(first, first) - 1.0).abs() < 1e-3);
            prop_assert!((dot(second, second) - 1.0).abs() < 1e-3);
            prop_assert!(dot(first, second).abs() < 1e-3);
            for vector in &vectors {
                prop_assert!(axes.place(vector).iter().all(|step| step.abs() <= 1.0));
            }
        }
    }

    #[test]
    fn the_first_axis_is_where_vectors_differ_most() {
        let line = |number: i32| vec![number as f32, 0.1 * (number % 2) as f32, 0.5];
        let axes = Axes::of(&(-20..=20).map(line).collect::<Vec<_>>(), 3);
        assert!(axes.directions[0][0].abs() > 0.99, "{axes:?}");
        let [left, right] = [-20, 20].map(|number| axes.place(&line(number))[0]);
        assert!(left * right < 0.0 && (left - right).abs() > 1.0, "{left} {right}");
    }

    #[test]
    fn nothing_and_equal_vectors_have_axes_too() {
        for vectors in [vec![], vec![vec![0.5; 4]], vec![vec![0.5; 4]; 3]] {
            let axes = Axes::of(&vectors, 4);
            assert!(axes.place(&[0.1, 0.2, 0.3, 0.4]).iter().all(|step| step.is_finite()));
            assert_eq!(axes, Axes::of(&vectors, 4), "they are the same each time");
        }
    }
}
