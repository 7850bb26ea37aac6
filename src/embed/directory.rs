//! A local directory with a sentence-transformers model exported to ONNX.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::onnx::{Graph, OnnxEmbedder, Pooling};
use super::tokens::Tokens;
use super::{EmbedError, read};

/// Where exports put the network, in order of preference.
const NETWORKS: [&str; 2] = ["model.onnx", "onnx/model.onnx"];

/// The limit on tokens when the directory states none; every BERT has room for it.
const TOKENS_MAX_DEFAULT: usize = 256;

/// The limits on tokens that are accepted.
const TOKENS_MAX_RANGE: std::ops::RangeInclusive<usize> = 8..=8192;

/// The largest network that is read.
const NETWORK_BYTES_MAX: u64 = 4 << 30;

/// The files of a model directory that must be there.
pub(super) struct Files {
    network: PathBuf,
    tokenizer: PathBuf,
}

/// `sentence_bert_config.json`.
#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

/// `1_Pooling/config.json`.
#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

/// Finds the files without reading them.
pub(super) fn find(directory: &Path) -> Result<Files, EmbedError> {
    let missing = |file| EmbedError::MissingFile { directory: directory.to_path_buf(), file };
    let network = NETWORKS
        .iter()
        .map(|name| directory.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| missing(NETWORKS[0]))?;
    let tokenizer = directory.join("tokenizer.json");
    if !tokenizer.is_file() {
        return Err(missing("tokenizer.json"));
    }
    Ok(Files { network, tokenizer })
}

/// Loads the model and asks it for its dimension.
pub(super) fn load(directory: &Path, name: Option<&str>) -> Result<OnnxEmbedder, EmbedError> {
    let files = find(directory)?;
    let tokens_max = tokens_max(directory)?;
    let pooling = pooling(directory)?;
    let size = files.network.metadata().map_or(0, |found| found.len());
    if size > NETWORK_BYTES_MAX {
        return Err(unusable(&files.network, format!("it has {size} bytes")));
    }
    let tokens = Tokens::new(&read(&files.tokenizer)?, tokens_max)
        .map_err(|error| unusable(&files.tokenizer, error.to_string()))?;
    let graph = Graph::load(read(&files.network)?, pooling)
        .map_err(|reason| unusable(&files.network, reason))?;
    OnnxEmbedder::probed(model_name(directory, name)?, directory, graph, tokens)
}

/// The given name, else the directory's own.
fn model_name(directory: &Path, name: Option<&str>) -> Result<String, EmbedError> {
    if let Some(name) = name {
        return Ok(name.to_owned());
    }
    let path = directory
        .canonicalize()
        .map_err(|source| EmbedError::Unreadable { path: directory.to_path_buf(), source })?;
    match path.file_name() {
        Some(name) => Ok(name.to_string_lossy().into_owned()),
        None => Err(unusable(directory, "its directory has no name".into())),
    }
}

fn tokens_max(directory: &Path) -> Result<usize, EmbedError> {
    let path = directory.join("sentence_bert_config.json");
    let config: Option<SentenceConfig> = read_config(&path)?;
    let stated = config.and_then(|config| config.max_seq_length);
    let tokens_max = stated.unwrap_or(TOKENS_MAX_DEFAULT);
    if !TOKENS_MAX_RANGE.contains(&tokens_max) {
        return Err(unusable(&path, format!("max_seq_length {tokens_max} is out of range")));
    }
    Ok(tokens_max)
}

fn pooling(directory: &Path) -> Result<Pooling, EmbedError> {
    let path = directory.join("1_Pooling/config.json");
    let Some(config) = read_config::<PoolingConfig>(&path)? else {
        return Ok(Pooling::Mean);
    };
    match (config.pooling_mode_mean_tokens, config.pooling_mode_cls_token) {
        (true, false) => Ok(Pooling::Mean),
        (false, true) => Ok(Pooling::First),
        _ => Err(unusable(&path, "only mean and first-token pooling are known".into())),
    }
}

/// A configuration file that may be absent.
fn read_config<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, EmbedError> {
    if !path.is_file() {
        return Ok(None);
    }
    let config = serde_json::from_slice(&read(path)?);
    config.map(Some).map_err(|error| unusable(path, error.to_string()))
}

fn unusable(path: &Path, reason: String) -> EmbedError {
    EmbedError::Unusable { path: path.to_path_buf(), reason }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(directory: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn both_places_of_the_network_are_known() {
        let check = |files: &[(&str, &str)], expected: Result<&str, &str>| {
            let place = tempfile::tempdir().unwrap();
            write(place.path(), files);
            match (find(place.path()), expected) {
                (Ok(files), Ok(name)) => assert_eq!(files.network, place.path().join(name)),
                (Err(EmbedError::MissingFile { file, .. }), Err(name)) => assert_eq!(file, name),
                (_, expected) => panic!("{files:?} is not {expected:?}"),
            }
        };
        let tokenizer = ("tokenizer.json", "{}");
        check(&[tokenizer, ("model.onnx", "")], Ok("model.onnx"));
        check(&[tokenizer, ("onnx/model.onnx", "")], Ok("onnx/model.onnx"));
        check(&[tokenizer], Err("model.onnx"));
        check(&[("model.onnx", "")], Err("tokenizer.json"));
    }

    #[test]
    fn the_optional_settings_are_read() {
        let check = |files: &[(&str, &str)], expected: Option<(usize, Pooling)>| {
            let place = tempfile::tempdir().unwrap();
            write(place.path(), files);
            let found = tokens_max(place.path()).and_then(|max| Ok((max, pooling(place.path())?)));
            assert_eq!(found.ok(), expected, "{files:?}");
        };
        let (length, pooling) = ("sentence_bert_config.json", "1_Pooling/config.json");
        check(&[], Some((256, Pooling::Mean)));
        check(&[(length, r#"{"max_seq_length": 512}"#)], Some((512, Pooling::Mean)));
        check(&[(length, r#"{"max_seq_length": null}"#)], Some((256, Pooling::Mean)));
        check(&[(length, r#"{"max_seq_length": 0}"#)], None);
        check(&[(length, r#"{"max_seq_length": 100000}"#)], None);
        check(&[(length, "{")], None);
        let first = r#"{"pooling_mode_cls_token": true, "word_embedding_dimension": 384}"#;
        check(&[(pooling, first)], Some((256, Pooling::First)));
        check(&[(pooling, r#"{"pooling_mode_mean_tokens": true}"#)], Some((256, Pooling::Mean)));
        check(&[(pooling, r#"{"pooling_mode_max_tokens": true}"#)], None);
    }

    #[test]
    fn a_directory_with_broken_files_is_refused_by_name() {
        let place = tempfile::tempdir().unwrap();
        write(place.path(), &[("model.onnx", "no network"), ("tokenizer.json", "{}")]);
        let refused = load(place.path(), None).err().unwrap().to_string();
        assert!(refused.contains("tokenizer.json"), "{refused}");
    }
}
