//! Which traces the last writes belong to: known in memory only, for whoever tells of them next.

use std::collections::{HashMap, VecDeque};

use memnode_cluster::Dot;
use parking_lot::Mutex;

/// Writes that are remembered; those before them are told without their traces.
const WRITE_COUNT_MAX: usize = 4_096;

/// The traces of the last writes.
#[derive(Default)]
pub struct Traces(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_dot: HashMap<Dot, String>,
    oldest_first: VecDeque<Dot>,
}

impl Traces {
    /// Remembers what a write says of its trace.
    pub(super) fn keep(&self, dot: &Dot, traceparent: &str) {
        let mut kept = self.0.lock();
        if kept.by_dot.insert(dot.clone(), traceparent.to_owned()).is_none() {
            kept.oldest_first.push_back(dot.clone());
        }
        if kept.oldest_first.len() > WRITE_COUNT_MAX
            && let Some(oldest) = kept.oldest_first.pop_front()
        {
            kept.by_dot.remove(&oldest);
        }
    }

    /// What a write said of its trace.
    pub(super) fn of(&self, dot: &Dot) -> Option<String> {
        let kept = self.0.lock();
        // As a rule nothing is traced.
        if kept.by_dot.is_empty() { None } else { kept.by_dot.get(dot).cloned() }
    }
}

#[cfg(test)]
mod tests {
    use memnode_cluster::{NodeName, Origin};

    use super::*;

    #[test]
    fn only_the_last_writes_are_remembered() {
        let node = NodeName::new("a").unwrap();
        let dot = |oseq| Dot { origin: Origin { node: node.clone(), epoch: 1 }, oseq };
        let traces = Traces::default();
        assert_eq!(traces.of(&dot(1)), None);
        (1..=WRITE_COUNT_MAX as u64 + 1).for_each(|oseq| traces.keep(&dot(oseq), "00-a"));
        traces.keep(&dot(2), "00-b");
        assert_eq!(traces.of(&dot(1)), None);
        assert_eq!(traces.of(&dot(2)).as_deref(), Some("00-b"));
        assert_eq!(traces.0.lock().by_dot.len(), WRITE_COUNT_MAX);
    }
}
