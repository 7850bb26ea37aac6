//! The settings of the external re-ranker.

use std::time::Duration;

use super::error::ConfigError;
use super::parse;
use super::read::Reader;
use super::secret::Secret;

/// Whom searches ask for a better order, if anybody.
#[derive(Clone, Debug)]
pub struct RerankConfig {
    /// The whole address; `None` is nobody.
    pub url: Option<String>,
    /// The bearer token of the service.
    pub api_key: Option<Secret>,
    /// The longest that a search waits for it; 10 ms to 1 min.
    pub timeout: Duration,
}

/// Reads the settings of the part.
pub(super) fn read(reader: &mut Reader) -> Result<RerankConfig, ConfigError> {
    let times = Duration::from_millis(10)..=Duration::from_secs(60);
    let url = reader.optional("rerank.url", parse::url)?;
    let api_key = reader.optional("rerank.api_key", parse::secret)?;
    let timeout = reader.required("rerank.timeout", |text| parse::duration(text, times))?;
    if url.is_none() {
        reader.warn_of_unread("rerank.url is not set", &["rerank.api_key", "rerank.timeout"]);
    }
    Ok(RerankConfig { url, api_key, timeout })
}
