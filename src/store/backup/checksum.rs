//! The line beside a backup that `sha256sum -c` understands.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::with_suffix;

/// Bytes that are hashed at a time.
const CHUNK_BYTES: usize = 1 << 16;
/// More than a line ever has: a sum and a file name.
const LINE_BYTES_MAX: u64 = 4096;

/// Where the line of a backup is.
pub(super) fn path_of(backup: &Path) -> PathBuf {
    with_suffix(backup, ".sha256")
}

/// Hashes `file`, which is to be named `backup`, and writes its line to disk.
pub(super) fn write(file: &Path, backup: &Path) -> io::Result<()> {
    let name = backup.file_name().unwrap_or_default().to_string_lossy();
    let line = format!("{}  {name}\n", hash(file)?);
    let mut options = fs::OpenOptions::new();
    let mut out =
        options.create(true).write(true).truncate(true).mode(0o600).open(path_of(backup))?;
    let written = out.write_all(line.as_bytes()).and_then(|()| out.sync_all());
    if written.is_err() {
        // A line without its backup is also found by the next `clean`.
        let _ = fs::remove_file(path_of(backup));
    }
    written
}

/// Whether a backup is what the line beside it says; `None` where there is no line.
pub(super) fn is_right(file: &Path, backup: &Path) -> io::Result<Option<bool>> {
    let mut line = String::new();
    match File::open(path_of(backup)) {
        Ok(found) => found.take(LINE_BYTES_MAX).read_to_string(&mut line)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let said = line.split_whitespace().next().unwrap_or_default();
    Ok(Some(hash(file)?.eq_ignore_ascii_case(said)))
}

fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sum = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => sum.update(&chunk[..count]),
        }
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
