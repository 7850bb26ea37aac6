//! The model every node has: all-MiniLM-L6-v2, its two files and their published hashes.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::onnx::{Graph, OnnxEmbedder, Pooling};
use super::tokens::Tokens;
use super::{EmbedError, ModelId, read};

/// The model's name, as files record it.
pub const NAME: &str = "all-MiniLM-L6-v2";

/// How many numbers a vector has.
pub const DIMENSION: usize = 384;

/// Text beyond this many tokens does not count; the model was trained on no more.
const TOKENS_MAX: usize = 256;

/// A file of the model as it was published.
#[derive(Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Its name in the model's directory.
    pub name: &'static str,
    /// Its sha256, in lower-case hex.
    pub sha256: &'static str,
    /// Its size.
    pub bytes: u64,
}

/// The network: weight-only int8, 6 layers.
pub const NETWORK: ModelFile = ModelFile {
    name: "model.onnx",
    sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    bytes: 22_928_619,
};

/// The tokenizer: WordPiece, 30,522 words.
pub const TOKENIZER: ModelFile = ModelFile {
    name: "tokenizer.json",
    sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    bytes: 466_247,
};

/// Every file of the model.
pub const FILES: [&ModelFile; 2] = [&NETWORK, &TOKENIZER];

/// What was found of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is not there.
    Missing,
    /// It is there with another size.
    WrongSize {
        /// The size it has.
        bytes: u64,
    },
    /// It has the right size and other bytes.
    WrongHash {
        /// The sha256 it has.
        found: String,
    },
    /// It has the right size; its hash was not looked at.
    Present,
    /// It has the published hash.
    Verified,
}

/// One file of the model and what was found of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// The file as published.
    pub file: &'static ModelFile,
    /// Where it belongs.
    pub path: PathBuf,
    /// What is there.
    pub state: FileState,
}

/// What a model directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelStatus {
    /// The directory.
    pub directory: PathBuf,
    /// Each file.
    pub files: Vec<FileStatus>,
}

impl ModelStatus {
    /// Whether nothing is missing and nothing is known to be wrong.
    pub fn is_whole(&self) -> bool {
        let good =
            |file: &FileStatus| matches!(file.state, FileState::Present | FileState::Verified);
        self.files.iter().all(good)
    }
}

/// The space of the built-in model.
pub fn model_id() -> ModelId {
    ModelId { name: NAME.into(), dimension: DIMENSION }
}

/// What the directory holds, by name and size only.
pub fn show(directory: &Path) -> ModelStatus {
    status(directory, |_, _| FileState::Present)
}

/// What the directory holds, every byte checked.
///
/// # Errors
/// [`EmbedError::Unreadable`] for a file that is there and cannot be read.
pub fn verify(directory: &Path) -> Result<ModelStatus, EmbedError> {
    let mut failed = None;
    let status = status(directory, |file, path| match read(path) {
        Ok(bytes) => match sha256(&bytes) {
            found if found == file.sha256 => FileState::Verified,
            found => FileState::WrongHash { found },
        },
        Err(error) => {
            failed = Some(error);
            FileState::Missing
        }
    });
    failed.map_or(Ok(status), Err)
}

fn status(directory: &Path, mut look: impl FnMut(&ModelFile, &Path) -> FileState) -> ModelStatus {
    let files = FILES.map(|file| {
        let path = directory.join(file.name);
        let state = match path.metadata() {
            Err(_) => FileState::Missing,
            Ok(found) if found.len() != file.bytes => FileState::WrongSize { bytes: found.len() },
            Ok(_) => look(file, &path),
        };
        FileStatus { file, path, state }
    });
    ModelStatus { directory: directory.to_path_buf(), files: files.into() }
}

pub(super) fn check_present(directory: &Path) -> Result<(), EmbedError> {
    let paths = FILES.map(|file| directory.join(file.name));
    match paths.into_iter().find(|path| !path.is_file()) {
        Some(path) => Err(EmbedError::MissingModel { path }),
        None => Ok(()),
    }
}

/// Loads the model after checking both files; the tokenizer is read beside the network.
pub(super) fn load(directory: &Path) -> Result<OnnxEmbedder, EmbedError> {
    check_present(directory)?;
    let unusable =
        |file: &ModelFile, reason| EmbedError::Unusable { path: directory.join(file.name), reason };
    std::thread::scope(|scope| {
        let tokens = scope.spawn(|| {
            let json = read_checked(directory, &TOKENIZER)?;
            Tokens::new(&json, TOKENS_MAX).map_err(|error| unusable(&TOKENIZER, error.to_string()))
        });
        let network = read_checked(directory, &NETWORK).and_then(|network| {
            Graph::load(network, Pooling::Mean).map_err(|reason| unusable(&NETWORK, reason))
        });
        let tokens = tokens.join().map_err(|_| unusable(&TOKENIZER, "reading it failed".into()))?;
        Ok(OnnxEmbedder::new(model_id(), network?, tokens?))
    })
}

/// The bytes of a file with the published hash.
fn read_checked(directory: &Path, file: &ModelFile) -> Result<Vec<u8>, EmbedError> {
    let path = directory.join(file.name);
    let bytes = read(&path)?;
    match sha256(&bytes) {
        found if found == file.sha256 => Ok(bytes),
        found => Err(EmbedError::WrongHash { path, expected: file.sha256, found }),
    }
}

/// The sha256 of these bytes in lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
