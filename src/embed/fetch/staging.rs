//! A place beside the model's files where new ones become whole before they count.

use std::fs::{self, File, TryLockError};
use std::io::{self as std_io, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{FetchError, io};
use crate::embed::builtin::{ModelFile, hex};

/// Where the new files are made; whatever a killed fetch left there is removed by the next.
const SCRATCH: &str = ".fetch";

/// Held by the fetch that is running.
const LOCK: &str = ".fetch.lock";

/// The scratch directory of one fetch, removed with it.
pub(super) struct Staging {
    directory: PathBuf,
    scratch: PathBuf,
    _lock: File,
}

impl Staging {
    /// Creates the model's directory where needed and takes its lock.
    pub(super) fn open(directory: &Path) -> Result<Self, FetchError> {
        fs::create_dir_all(directory).map_err(|source| io(directory, source))?;
        let lock_path = directory.join(LOCK);
        let lock = File::create(&lock_path).map_err(|source| io(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FetchError::Busy { directory: directory.to_path_buf() });
            }
            Err(TryLockError::Error(source)) => return Err(io(&lock_path, source)),
        }
        let scratch = directory.join(SCRATCH);
        match fs::remove_dir_all(&scratch) {
            Err(source) if source.kind() != std_io::ErrorKind::NotFound => {
                return Err(io(&scratch, source));
            }
            _ => fs::create_dir(&scratch).map_err(|source| io(&scratch, source))?,
        }
        Ok(Staging { directory: directory.to_path_buf(), scratch, _lock: lock })
    }

    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Writes a new file, through to the disk, and returns its sha256. Reads at most one byte more
    /// than the file should have, so that no archive can fill the disk.
    pub(super) fn write(
        &self,
        file: &ModelFile,
        reader: &mut dyn Read,
    ) -> Result<String, FetchError> {
        let path = self.scratch.join(file.name);
        let mut reader = reader.take(file.bytes + 1);
        let copied = File::create(&path).and_then(|to| {
            let mut to = Hashing { to, hash: Sha256::new() };
            std_io::copy(&mut reader, &mut to)?;
            to.to.sync_all()?;
            Ok(hex(&to.hash.finalize()))
        });
        copied.map_err(|source| io(&path, source))
    }

    /// Moves a written file into the model's directory.
    pub(super) fn place(&self, file: &ModelFile) -> Result<(), FetchError> {
        let path = self.directory.join(file.name);
        fs::rename(self.scratch.join(file.name), &path).map_err(|source| io(&path, source))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next fetch.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// Writes and hashes in one pass.
struct Hashing {
    to: File,
    hash: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std_io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std_io::Result<()> {
        self.to.flush()
    }
}
