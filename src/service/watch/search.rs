//! Searches, as events.

use std::time::{Duration, Instant};

use tracing::warn;

use super::super::Service;
use crate::events::Notice;
use crate::memory::{NamespaceSet, SearchAnswer};
use crate::telemetry::metrics;

impl Service {
    /// Measures a search, and logs a slow one: by its mode and trace, never by its text.
    fn note_search(&self, mode: &'static str, results_count: usize, took: Duration) {
        let limit = self.parts.slow_query;
        let is_slow = !limit.is_zero() && took > limit;
        metrics().searched(mode, took, is_slow);
        if is_slow {
            let ms = took.as_secs_f64() * 1000.0;
            warn!(search.mode = mode, search.results = results_count, ms, "slow search ({mode})");
        }
    }

    /// Tells that a search was answered.
    pub(in super::super) fn announce_search(
        &self,
        namespaces: NamespaceSet,
        query: &str,
        answer: &SearchAnswer,
        started: Instant,
    ) {
        let results_count = answer.hits.len();
        self.note_search(answer.search_type, results_count, started.elapsed());
        self.announce(&Notice::SearchCompleted {
            namespaces,
            query: query.to_owned(),
            search_type: answer.search_type,
            results_count,
            processing_time_ms: started.elapsed().as_secs_f64() * 1000.0,
            message: format!("found {results_count} memories"),
        });
    }
}
