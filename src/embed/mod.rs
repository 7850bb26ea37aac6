//! Text to unit-length vectors: the built-in model, a local ONNX directory, or a service.
//!
//! Owns everything that knows a model: its files, its tokens, its runtime. Knows no store, no
//! search and no transport.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::openai::Service;
use crate::error::{Code, Error};

pub mod builtin;
mod cores;
mod directory;
pub mod fetch;
pub mod lazy;
mod onnx;
pub mod openai;
mod queue;
mod settings;
mod tokens;

/// The largest dimension of an embedding space that is accepted.
pub const DIMENSION_MAX: usize = 8192;

/// Name and dimension of an embedding space, as recorded in the file; the metric is cosine.
///
/// Two vectors compare only when their model is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// The model's name, such as `all-MiniLM-L6-v2`.
    pub name: String,
    /// How many numbers a vector has.
    pub dimension: usize,
}

/// Turns text into vectors. Calls block: run them where blocking is allowed.
pub trait Embedder: Send + Sync {
    /// The space that the vectors lie in.
    fn model(&self) -> &ModelId;

    /// One unit-length vector per text, in the same order.
    ///
    /// # Errors
    /// Whatever keeps the model from answering; either all texts have a vector or none.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;

    /// From how many single texts at a time more gain nothing.
    fn parallelism(&self) -> usize {
        cores::count()
    }
}

/// What can go wrong between a text and its vector.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// A file of the built-in model is not there.
    #[error("the model file {} is missing; run `memnode model fetch`", path.display())]
    MissingModel {
        /// Where the file was looked for.
        path: PathBuf,
    },
    /// A file of the built-in model is not the one that was published.
    #[error(
        "the model file {} has sha256 {found} instead of {expected}; run `memnode model fetch`",
        path.display()
    )]
    WrongHash {
        /// The file, or the wheel and its entry.
        path: PathBuf,
        /// The published hash.
        expected: &'static str,
        /// The hash of what is there.
        found: String,
    },
    /// A file of a local model is not there.
    #[error("{} has no {file}", directory.display())]
    MissingFile {
        /// The configured directory.
        directory: PathBuf,
        /// What was looked for.
        file: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The files are there but no usable model.
    #[error("the model in {} cannot be used: {reason}", path.display())]
    Unusable {
        /// The directory or the file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings of the embedding service cannot be used.
    #[error("the embedding service cannot be used: {reason}")]
    Setting {
        /// Which setting is wrong.
        reason: String,
    },
    /// The embedding service does not answer.
    #[error("the embedding service for {model} cannot be reached")]
    Unreachable {
        /// The model's name.
        model: String,
        /// What the network said.
        source: Box<ureq::Error>,
    },
    /// The embedding service answers, and not with vectors.
    #[error("the embedding service for {model} answered with status {status}")]
    Refused {
        /// The model's name.
        model: String,
        /// The HTTP status.
        status: u16,
    },
    /// The vectors do not have the dimension that was configured or found out.
    #[error("the model {model} made a vector of {found} numbers instead of {expected}")]
    WrongDimension {
        /// The model's name.
        model: String,
        /// The dimension of its space.
        expected: usize,
        /// The dimension of the vector.
        found: usize,
    },
    /// More texts wait for the model than it accepts.
    #[error("too many texts wait to be embedded")]
    Busy,
    /// The answer did not come in time.
    #[error("embedding was not finished in time")]
    Late,
    /// The model's loading could not even begin.
    #[error("the model was not loaded: {reason}")]
    NotLoaded {
        /// The system's answer.
        reason: String,
    },
    /// The model's runtime panicked.
    #[error("the model's runtime broke down")]
    Panicked,
    /// The model gave no usable vector for a text.
    #[error("the model {model} failed: {reason}")]
    Failed {
        /// The model's name.
        model: String,
        /// What happened.
        reason: String,
    },
}

impl From<&EmbedError> for Code {
    fn from(error: &EmbedError) -> Code {
        match error {
            EmbedError::MissingModel { .. }
            | EmbedError::WrongHash { .. }
            | EmbedError::MissingFile { .. }
            | EmbedError::Unreadable { .. }
            | EmbedError::Unusable { .. }
            | EmbedError::Unreachable { .. }
            | EmbedError::Refused { .. }
            | EmbedError::WrongDimension { .. }
            | EmbedError::NotLoaded { .. }
            | EmbedError::Busy => Code::Unavailable,
            EmbedError::Setting { .. } => Code::InvalidInput,
            EmbedError::Late => Code::DeadlineExceeded,
            EmbedError::Failed { .. } | EmbedError::Panicked => Code::Internal,
        }
    }
}

impl From<Arc<EmbedError>> for Error {
    fn from(error: Arc<EmbedError>) -> Error {
        let code = Code::from(&*error);
        let reason = match *error {
            EmbedError::Busy => "embedder_busy",
            _ if code == Code::Unavailable => "model_unavailable",
            _ => code.name(),
        };
        Error::new(code, error.to_string()).reason(reason).source(error)
    }
}

impl From<EmbedError> for Error {
    fn from(error: EmbedError) -> Error {
        Error::from(Arc::new(error))
    }
}

/// Which model to use, as the settings or a request to re-embed name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EmbedderChoice {
    /// all-MiniLM-L6-v2 from the directory that `memnode model fetch` fills.
    Builtin {
        /// Where `model.onnx` and `tokenizer.json` lie.
        model_dir: PathBuf,
    },
    /// A sentence-transformers model exported to ONNX.
    Onnx {
        /// Where `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json` lie.
        directory: PathBuf,
        /// The name to record; the directory's own name when absent.
        #[serde(default)]
        name: Option<String>,
    },
    /// A service with an OpenAI-compatible `/v1/embeddings`.
    OpenAi(Service),
}

impl EmbedderChoice {
    /// A cheap look before anything is created: the files are there, the address is readable.
    ///
    /// # Errors
    /// [`EmbedError::MissingModel`] names the command that mends it.
    pub fn check_present(&self) -> Result<(), EmbedError> {
        match self {
            EmbedderChoice::Builtin { model_dir } => builtin::check_present(model_dir),
            EmbedderChoice::Onnx { directory, .. } => directory::find(directory).map(drop),
            EmbedderChoice::OpenAi(service) => service.check(),
        }
    }

    /// The space a new file would record. Loads or asks only when nothing cheaper tells.
    ///
    /// # Errors
    /// As [`EmbedderChoice::load`].
    pub fn model_id(&self) -> Result<ModelId, EmbedError> {
        match self {
            EmbedderChoice::Builtin { .. } => Ok(builtin::model_id()),
            _ => self.load().map(|embedder| embedder.model().clone()),
        }
    }

    /// Loads the model, checking the files' hashes where they are known.
    ///
    /// # Errors
    /// Missing, changed, unreadable or unusable files.
    pub fn load(&self) -> Result<Arc<dyn Embedder>, EmbedError> {
        match self {
            EmbedderChoice::Builtin { model_dir } => Ok(Arc::new(builtin::load(model_dir)?)),
            EmbedderChoice::Onnx { directory, name } => {
                Ok(Arc::new(directory::load(directory, name.as_deref())?))
            }
            EmbedderChoice::OpenAi(service) => Ok(Arc::new(service.connect()?)),
        }
    }
}

/// Scales a vector to length one; `None` when it has no direction.
fn normalized(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !length.is_finite() || length < f32::MIN_POSITIVE {
        return None;
    }
    vector.iter_mut().for_each(|x| *x /= length);
    Some(vector)
}

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    std::fs::read(path)
        .map_err(|source| EmbedError::Unreadable { path: path.to_path_buf(), source })
}
