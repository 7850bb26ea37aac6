//! Searches, as events.

use std::time::Instant;

use super::super::Service;
use crate::events::Notice;
use crate::memory::{NamespaceSet, SearchAnswer};

impl Service {
    /// Tells that a search was answered.
    pub(in super::super) fn announce_search(
        &self,
        namespaces: NamespaceSet,
        query: &str,
        answer: &SearchAnswer,
        started: Instant,
    ) {
        let results_count = answer.hits.len();
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
