//! The shortest history that still fails.

use super::plan::{Plan, Step};
use super::play;

/// Leaves out steps, many at a time and then one by one, as long as the run still fails.
pub(super) fn shrink(seed: u64) -> String {
    let mut steps = Plan::new(seed).steps;
    let mut chunk = steps.len().div_ceil(2);
    loop {
        let mut start = 0;
        let before = steps.len();
        while start < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(start..(start + chunk).min(steps.len()));
            if failure(seed, &fewer).is_some() {
                steps = fewer;
            } else {
                start += chunk;
            }
        }
        if chunk == 1 && steps.len() == before {
            break;
        }
        chunk = chunk.div_ceil(2);
    }
    let failure = failure(seed, &steps).unwrap_or_default();
    let shortest = Plan { steps, ..Plan::new(seed) };
    format!("{shortest}\n{failure}")
}

fn failure(seed: u64, steps: &[(u64, Step)]) -> Option<String> {
    play(Plan { steps: steps.to_vec(), ..Plan::new(seed) }, None).failure
}
