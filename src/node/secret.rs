//! The secret that proves API keys: the cluster's, or one of this node's own.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StartError;
use crate::auth::{Authenticator, Issuers};
use crate::config::{Config, ConfigError};
use crate::service::KeyParts;
use crate::store::Seal;

/// What API keys need of a node with these settings.
///
/// A node on its own makes its secret, beside the database and not in it: a copy of the database
/// alone is no use to who wants to make keys. A node with peers has the cluster's, or makes none.
///
/// # Errors
/// `CannotCreate` and `Io` for the file of the secret, `Config` for the key of an issuer.
pub(super) fn key_parts(config: &Config) -> Result<KeyParts, StartError> {
    let api_key = config.auth.api_key.as_ref().map(|key| key.expose());
    let issuers = Issuers::open(&config.auth.jwt_issuers.0)
        .map_err(|error| ConfigError::Contradiction(error.to_string()))?;
    let authenticator = Arc::new(Authenticator::new(api_key, issuers, config.auth.anonymous));
    let path = path(&config.store.path);
    let own = read(&path)?;
    let is_alone = config.cluster.nats.is_none();
    let (seal, former) = match (&config.cluster.secret, is_alone) {
        (Some(secret), _) => (Some(Seal::new(secret.expose())), own),
        (None, true) => (Some(own.map_or_else(|| make(&path), Ok)?), None),
        (None, false) => (own, None),
    };
    let is_shared = is_alone || config.cluster.secret.is_some();
    Ok(KeyParts { authenticator, seal, former, is_shared })
}

/// Where the secret of a node on its own lies.
fn path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".secret");
    PathBuf::from(name)
}

fn read(path: &Path) -> Result<Option<Seal>, StartError> {
    match std::fs::read_to_string(path) {
        // What was cut off while it was made has sealed nothing.
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(Seal::new(text.trim()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StartError::Io { path: path.to_owned(), source }),
    }
}

/// Makes the file, for its owner alone: it gets its name when all of it is on the disk.
fn make(path: &Path) -> Result<Seal, StartError> {
    let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let written = || -> std::io::Result<()> {
        // Only the owner of the database comes here, so nobody else makes it meanwhile.
        if std::fs::metadata(path).is_ok_and(|there| there.len() > 0) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&aside)?;
        file.write_all(format!("{secret}\n").as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, path)?;
        match path.parent() {
            Some(directory) => std::fs::File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    written().map_err(|source| StartError::CannotCreate { path: path.to_owned(), source })?;
    Ok(Seal::new(&secret))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_secret_is_made_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory.path().join("memnode.db"));
        assert!(read(&path).unwrap().is_none());
        make(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim().len(), 64);
        assert!(read(&path).unwrap().is_some());
        assert!(make(&path).is_err(), "it is never overwritten");
        std::fs::write(&path, "").unwrap();
        assert!(read(&path).unwrap().is_none(), "it was cut off while it was made");
        make(&path).unwrap();
        assert!(read(&path).unwrap().is_some());
    }
}
