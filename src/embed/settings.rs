//! From the settings to the embedder that they choose.

use super::EmbedderChoice;
use super::openai::{ApiKey, Service};
use crate::config::{EmbedConfig, EmbedderConfig};

impl From<&EmbedConfig> for EmbedderChoice {
    fn from(config: &EmbedConfig) -> Self {
        match &config.embedder {
            EmbedderConfig::Builtin => {
                EmbedderChoice::Builtin { model_dir: config.model_dir.clone() }
            }
            EmbedderConfig::Onnx(onnx) => {
                EmbedderChoice::Onnx { directory: onnx.dir.clone(), name: onnx.model.clone() }
            }
            EmbedderConfig::OpenAi(service) => EmbedderChoice::OpenAi(Service {
                url: service.url.clone(),
                model: service.model.clone(),
                dimension: Some(service.dimension.get()),
                api_key: service.api_key.as_ref().map(|key| ApiKey::new(key.expose())),
                timeout: service.timeout,
            }),
        }
    }
}
