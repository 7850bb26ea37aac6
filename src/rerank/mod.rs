//! An external service that orders results anew: `POST {query, documents, top_n}`, answered by
//! `{results: [{index, relevance_score}]}`, as several servers of re-ranking models speak it.
//!
//! It is off unless an address is configured. Texts of memories leave the machine here, to that
//! address alone: redirects are not followed. Searches do not depend on it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use ureq::Agent;

use crate::config::RerankConfig;

/// Most texts that are sent for one search.
pub const DOCUMENT_COUNT_MAX: usize = 50;
/// Most bytes of one text that are sent; common models read no more.
const DOCUMENT_BYTES_MAX: usize = 4 << 10;
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Calls at the same time; further searches keep their order.
const CALL_COUNT_MAX: usize = 8;

/// Why there is no new order.
#[derive(Debug, thiserror::Error)]
pub enum RerankError {
    /// Too many calls are under way.
    #[error("the re-ranker is busy")]
    Busy,
    /// It did not answer in time, or at all.
    #[error("the re-ranker cannot be reached")]
    Unreachable(#[source] Box<ureq::Error>),
    /// It answered something else.
    #[error("the re-ranker's answer cannot be used: {0}")]
    Unusable(String),
}

/// The service.
pub struct Reranker {
    url: String,
    authorization: Option<String>,
    agent: Agent,
    calls: Arc<Semaphore>,
}

#[derive(Serialize)]
struct Request<'a> {
    query: &'a str,
    documents: Vec<&'a str>,
    top_n: usize,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    index: usize,
    relevance_score: f64,
}

impl Reranker {
    /// The service that is configured, if one is.
    pub fn new(config: &RerankConfig) -> Option<Self> {
        let url = config.url.clone()?;
        let agent = Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("memnode/", env!("CARGO_PKG_VERSION")))
            .build();
        Some(Reranker {
            url,
            authorization: config.api_key.as_ref().map(|key| format!("Bearer {}", key.expose())),
            agent: Agent::new_with_config(agent),
            calls: Arc::new(Semaphore::new(CALL_COUNT_MAX)),
        })
    }

    /// What each text is worth, in their order; `None` for those that the service left out.
    ///
    /// # Errors
    /// See [`RerankError`].
    pub async fn scores(
        self: &Arc<Self>,
        query: String,
        texts: Vec<String>,
    ) -> Result<Vec<Option<f64>>, RerankError> {
        let permit = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| RerankError::Busy)?;
        let reranker = Arc::clone(self);
        let call = tokio::task::spawn_blocking(move || {
            let scores = reranker.ask(&query, &texts);
            drop(permit);
            scores
        });
        call.await.map_err(|error| RerankError::Unusable(error.to_string()))?
    }

    fn ask(&self, query: &str, texts: &[String]) -> Result<Vec<Option<f64>>, RerankError> {
        let documents: Vec<&str> = texts.iter().map(|text| head(text)).collect();
        let body = serde_json::to_vec(&Request { query, top_n: documents.len(), documents })
            .expect("strings have a JSON form");
        let mut request = self.agent.post(&self.url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let unreachable = |error: ureq::Error| RerankError::Unreachable(Box::new(error));
        let mut response =
            request.content_type("application/json").send(&body).map_err(unreachable)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(RerankError::Unusable(format!("status {status}")));
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        scores_of(&body.map_err(unreachable)?, texts.len())
    }
}

fn scores_of(body: &[u8], count: usize) -> Result<Vec<Option<f64>>, RerankError> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| RerankError::Unusable("it is no list of results".to_owned()))?;
    let mut scores = vec![None; count];
    for one in answer.results {
        match scores.get_mut(one.index) {
            Some(score) if one.relevance_score.is_finite() => *score = Some(one.relevance_score),
            _ => return Err(RerankError::Unusable("it names no text that was sent".to_owned())),
        }
    }
    if scores.iter().all(Option::is_none) {
        return Err(RerankError::Unusable("it has no results".to_owned()));
    }
    Ok(scores)
}

/// The start of a text.
fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(DOCUMENT_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_put_where_their_texts_are() {
        let check = |body: &str, expected: Option<Vec<Option<f64>>>| {
            assert_eq!(scores_of(body.as_bytes(), 3).ok(), expected, "{body}");
        };
        let body = r#"{"results": [{"index": 2, "relevance_score": 0.9, "document": {}},
            {"index": 0, "relevance_score": -3}], "model": "m"}"#;
        check(body, Some(vec![Some(-3.0), None, Some(0.9)]));
        check(r#"{"results": [{"index": 3, "relevance_score": 1}]}"#, None);
        check(r#"{"results": []}"#, None);
        check("[]", None);
        check("", None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(head("short"), "short");
        assert_eq!(head(&"\u{e9}".repeat(3_000)).len(), DOCUMENT_BYTES_MAX);
        assert_eq!(head(&format!("x{}", "\u{e9}".repeat(3_000))).len(), DOCUMENT_BYTES_MAX - 1);
    }
}
