//! Who owns a database file: a lock beside it, and in the lock how to reach the owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::StartError;

/// Longest path that a Unix socket address holds on every system, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 100;
/// Links to a file that is not there yet that are followed, one after another.
const LINK_COUNT_MAX: usize = 8;
/// More than a lock file ever holds, in bytes.
const LOCK_BYTES_MAX: u64 = 64 * 1024;

/// The process that owns a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// Its local socket.
    pub socket: PathBuf,
    /// Where it serves the API, if it does.
    pub url: Option<String>,
}

/// Ownership of a database file, held until dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a database, unless another process has it.
    ///
    /// # Errors
    /// `CannotCreate` when the lock file cannot be made, `Permission` or `Io` otherwise.
    pub fn try_take(database: &Path) -> Result<Option<Lock>, StartError> {
        let path = lock_path(database);
        let cannot = |source| StartError::CannotCreate { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            // What people remember is theirs alone, as is what tells how to reach it.
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(cannot)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { file, path })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(StartError::Io { path, source }),
        }
    }

    /// Says who the owner is, once it can be reached.
    ///
    /// # Errors
    /// `Io`.
    pub fn announce(&mut self, owner: &Owner) -> Result<(), StartError> {
        let text = serde_json::to_vec(owner).map_err(|error| {
            StartError::Internal(format!("the lock cannot be written: {error}"))
        })?;
        let written = self.file.set_len(0).and_then(|()| {
            self.file.rewind()?;
            self.file.write_all(&text)
        });
        written.map_err(|source| StartError::Io { path: self.path.clone(), source })
    }

    /// Takes the announcement back before the lock goes.
    pub fn retract(&mut self) {
        if let Err(error) = self.file.set_len(0) {
            tracing::warn!(%error, "the lock file could not be emptied");
        }
    }
}

/// The owner as it announced itself; `None` while there is none or it is still starting.
pub fn owner(database: &Path) -> Option<Owner> {
    let mut text = Vec::new();
    File::open(lock_path(database)).ok()?.take(LOCK_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The lock file of a database, the same one whichever of its names is given.
pub fn lock_path(database: &Path) -> PathBuf {
    with_suffix(&resolved(database, LINK_COUNT_MAX), ".lock")
}

/// Follows links as SQLite does, also to a file that is not there yet.
fn resolved(path: &Path, link_count_max: usize) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    match path.read_link() {
        Ok(target) if link_count_max > 0 => resolved(&parent.join(target), link_count_max - 1),
        _ => match (parent.canonicalize(), path.file_name()) {
            (Ok(parent), Some(name)) => parent.join(name),
            _ => path.to_owned(),
        },
    }
}

/// Where the owner of a database listens: beside it, or in a private directory for temporary
/// files when that path is too long for a socket.
///
/// # Errors
/// `CannotCreate` when the private directory cannot be made or is somebody else's.
pub fn socket_path(database: &Path) -> Result<PathBuf, StartError> {
    let database = &resolved(database, LINK_COUNT_MAX);
    let beside = with_suffix(database, ".sock");
    if beside.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(beside);
    }
    let io = |path: &Path, source| StartError::CannotCreate { path: path.to_owned(), source };
    let uid = std::fs::metadata(lock_path(database)).map_err(|source| io(database, source))?.uid();
    let directory = PathBuf::from(format!("/tmp/memnode-{uid}"));
    match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(&directory, error)),
    }
    let found = std::fs::symlink_metadata(&directory).map_err(|source| io(&directory, source))?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
        let source = std::io::Error::other("it is not a private directory of this user");
        return Err(io(&directory, source));
    }
    let hash = Sha256::digest(database.as_os_str().as_encoded_bytes());
    let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(directory.join(name + ".sock"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("memnode.db");
        let mut first = Lock::try_take(&database).expect("a lock file").expect("free");
        assert!(Lock::try_take(&database).expect("a lock file").is_none());
        assert_eq!(owner(&database), None);
        let announced = Owner { pid: 7, socket: PathBuf::from("/s"), url: None };
        first.announce(&announced).expect("room for a line");
        assert_eq!(owner(&database), Some(announced));
        first.retract();
        assert_eq!(owner(&database), None);
        drop(first);
        assert!(Lock::try_take(&database).expect("a lock file").is_some());
    }

    #[test]
    fn a_long_path_gets_a_short_socket() {
        let directory = tempfile::tempdir().expect("a directory");
        let short = directory.path().join("m.db");
        let real = directory.path().canonicalize().expect("it is there");
        assert_eq!(socket_path(&short).expect("short"), real.join("m.db.sock"));
        let deep = directory.path().join("d".repeat(120));
        let long = deep.join("m.db");
        let _lock = Lock::try_take(&long).expect("a lock file").expect("free");
        let socket = socket_path(&long).expect("a private directory");
        assert!(socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX, "{}", socket.display());
    }

    #[test]
    fn every_name_of_a_file_leads_to_one_lock() {
        let directory = tempfile::tempdir().expect("a directory");
        let real = directory.path().canonicalize().expect("it is there");
        let link = |name: &str, target: &str| {
            let link = directory.path().join(name);
            std::os::unix::fs::symlink(target, &link).expect("a link");
            link
        };
        let (first, second) = (link("first", "m.db"), link("second", "first"));
        let endless = link("endless", "endless");
        for exists in [false, true] {
            for name in [&first, &second, &directory.path().join("./m.db")] {
                assert_eq!(lock_path(name), real.join("m.db.lock"), "{exists}");
            }
            std::fs::write(directory.path().join("m.db"), "").expect("a file");
        }
        assert_eq!(lock_path(&endless), real.join("endless.lock"));
    }
}
