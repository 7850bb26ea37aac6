//! A service that speaks the OpenAI embeddings protocol.
//!
//! Texts leave the machine here, and only here; a key is sent to the configured address alone:
//! redirects are not followed.

use std::fmt;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::http::Uri;

use super::tokens::head;
use super::{DIMENSION_MAX, EmbedError, Embedder, ModelId, normalized};

/// The most texts in one request.
const REQUEST_TEXTS_MAX: usize = 64;

/// Single texts at a time: what two requests hold.
const PARALLELISM: usize = 64;

/// The most bytes of one text that are sent; common models read no more.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The largest answer that is read: every vector of the largest dimension, written out.
const RESPONSE_BYTES_MAX: u64 = 16 << 20;

/// The waits before the second and the third try.
const BACKOFF: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// A credential for the service; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    /// Keeps a key.
    pub fn new(key: impl Into<String>) -> Self {
        ApiKey(key.into())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// Where the service is and what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its address: the base, the base with `/v1`, or the whole path.
    pub url: String,
    /// The model to ask for, and the name to record.
    pub model: String,
    /// How many numbers its vectors have; found out by a request when absent.
    #[serde(default)]
    pub dimension: Option<usize>,
    /// Sent as a bearer token.
    #[serde(default)]
    pub api_key: Option<ApiKey>,
    /// How long one try may take; there are up to three.
    pub timeout: Duration,
}

/// An embedder that asks the service.
pub(super) struct OpenAiEmbedder {
    id: ModelId,
    endpoint: String,
    authorization: Option<String>,
    agent: Agent,
    backoff: [Duration; 2],
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Response {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

/// Why a try failed, and whether another may help.
enum Attempt {
    Again(EmbedError),
    Final(EmbedError),
}

impl Service {
    /// Looks at the settings without asking the service.
    pub(super) fn check(&self) -> Result<(), EmbedError> {
        let wrong = |reason: &str| Err(EmbedError::Setting { reason: reason.into() });
        let Ok(uri) = self.url.parse::<Uri>() else {
            return wrong("its URL cannot be read");
        };
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return wrong("its URL does not begin with http:// or https://");
        }
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return wrong("its URL must name a host and no user: the key is a setting of its own");
        }
        if uri.query().is_some() {
            return wrong("its URL must not have a query");
        }
        if self.model.is_empty() {
            return wrong("its model has no name");
        }
        if self.dimension.is_some_and(|dimension| !(1..=DIMENSION_MAX).contains(&dimension)) {
            return wrong("its dimension is out of range");
        }
        if self
            .api_key
            .as_ref()
            .is_some_and(|key| !key.0.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return wrong("its key holds characters that a header cannot carry");
        }
        Ok(())
    }

    /// Makes the embedder; asks the service for one vector when the dimension is not given.
    pub(super) fn connect(&self) -> Result<OpenAiEmbedder, EmbedError> {
        self.connect_with(BACKOFF)
    }

    fn connect_with(&self, backoff: [Duration; 2]) -> Result<OpenAiEmbedder, EmbedError> {
        self.check()?;
        let config = Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("memnode/", env!("CARGO_PKG_VERSION")))
            .build();
        let mut embedder = OpenAiEmbedder {
            id: ModelId { name: self.model.clone(), dimension: self.dimension.unwrap_or(0) },
            endpoint: endpoint(&self.url),
            authorization: self.api_key.as_ref().map(|key| format!("Bearer {}", key.0)),
            agent: Agent::new_with_config(config),
            backoff,
        };
        if self.dimension.is_none() {
            embedder.id.dimension = embedder.request(&["dimension"])?[0].len();
        }
        Ok(embedder)
    }
}

impl OpenAiEmbedder {
    /// Asks for the vectors of one request's texts, up to three times.
    fn request(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        for wait in self.backoff {
            match self.attempt(texts) {
                Ok(vectors) => return Ok(vectors),
                Err(Attempt::Final(error)) => return Err(error),
                Err(Attempt::Again(_)) => thread::sleep(wait),
            }
        }
        self.attempt(texts).map_err(|(Attempt::Again(error) | Attempt::Final(error))| error)
    }

    fn attempt(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Attempt> {
        let mut request = self.agent.post(&self.endpoint);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let input = texts.iter().map(|text| sendable(text)).collect();
        let body = serde_json::to_vec(&Request { model: &self.id.name, input })
            .expect("strings have a JSON form");
        let response = request.content_type("application/json").send(&body);
        let mut response = response.map_err(|error| self.unreachable(error))?;
        match response.status().as_u16() {
            200 => {}
            status @ (400 | 413 | 422) => {
                let reason = format!("the service refused the texts with status {status}");
                return Err(Attempt::Final(self.failed(reason)));
            }
            status => {
                let refused = EmbedError::Refused { model: self.id.name.clone(), status };
                let passes = status == 429 || status >= 500;
                return Err(if passes { Attempt::Again(refused) } else { Attempt::Final(refused) });
            }
        }
        let body = response.body_mut().with_config().limit(RESPONSE_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.unreachable(error))?;
        self.vectors(&body, texts.len()).map_err(Attempt::Final)
    }

    /// Reads the answer: one vector per text, in the order of their indexes.
    fn vectors(&self, body: &[u8], count: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
        let response: Response = serde_json::from_slice(body)
            .map_err(|_| self.failed("the service's answer cannot be read".into()))?;
        let mut vectors = vec![None; count];
        for item in response.data {
            if let Some(place) = vectors.get_mut(item.index) {
                *place = normalized(item.embedding);
            }
        }
        let vectors: Option<Vec<Vec<f32>>> = vectors.into_iter().collect();
        let vectors = vectors
            .ok_or_else(|| self.failed("the service left out a vector or its numbers".into()))?;
        vectors.iter().try_for_each(|vector| self.check_dimension(vector.len()))?;
        Ok(vectors)
    }

    fn check_dimension(&self, found: usize) -> Result<(), EmbedError> {
        let expected = self.id.dimension;
        let probing = expected == 0 && found <= DIMENSION_MAX;
        if probing || found == expected {
            return Ok(());
        }
        Err(EmbedError::WrongDimension { model: self.id.name.clone(), expected, found })
    }

    fn unreachable(&self, error: ureq::Error) -> Attempt {
        let timed_out = matches!(error, ureq::Error::Timeout(_));
        let model = self.id.name.clone();
        let error = EmbedError::Unreachable { model, source: Box::new(error) };
        // A try that took all its time leaves none for another.
        if timed_out { Attempt::Final(error) } else { Attempt::Again(error) }
    }

    fn failed(&self, reason: String) -> EmbedError {
        EmbedError::Failed { model: self.id.name.clone(), reason }
    }
}

impl Embedder for OpenAiEmbedder {
    fn model(&self) -> &ModelId {
        &self.id
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for part in texts.chunks(REQUEST_TEXTS_MAX) {
            vectors.extend(self.request(part)?);
        }
        Ok(vectors)
    }

    /// Elsewhere there may be more cores than here, and texts that wait together share a request.
    fn parallelism(&self) -> usize {
        PARALLELISM
    }
}

/// The address to post to: a base, a base with `/v1`, or the whole path is given.
fn endpoint(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url {
        _ if url.ends_with("/embeddings") => url.into(),
        _ if url.ends_with("/v1") => format!("{url}/embeddings"),
        _ => format!("{url}/v1/embeddings"),
    }
}

/// The part of a text that is sent; services refuse an empty one.
fn sendable(text: &str) -> &str {
    match head(text, TEXT_BYTES_MAX) {
        "" => " ",
        head => head,
    }
}

#[cfg(test)]
mod tests;
