//! The files of a directory in a stable order, without loops.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::{IngestError, IngestOptions, Skipped};

/// A file to read.
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Whether the caller named this very file.
    pub(super) named: bool,
}

/// Walks depth first, names in order. Links are followed only to files and directories below the
/// directory that the caller named, so that a walk never leaves what it was allowed to read.
pub(super) struct Walk {
    top: PathBuf,
    canonical_top: PathBuf,
    started: bool,
    recursive: bool,
    extensions: Vec<String>,
    /// What is still to be visited, the next one last.
    pending: Vec<PathBuf>,
    visited: HashSet<PathBuf>,
    skipped: Skipped,
}

impl Walk {
    pub(super) fn new(path: &Path, options: &IngestOptions) -> Self {
        Walk {
            top: path.to_owned(),
            canonical_top: PathBuf::new(),
            started: false,
            recursive: options.recursive,
            extensions: options.extensions.clone(),
            pending: Vec::new(),
            visited: HashSet::new(),
            skipped: Skipped::default(),
        }
    }

    /// What the caller named.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    pub(super) fn skipped(&self) -> Skipped {
        self.skipped
    }

    fn start(&mut self) -> io::Result<Option<Entry>> {
        let metadata = fs::metadata(&self.top)?;
        if !metadata.is_dir() {
            let entry = Entry { path: self.top.clone(), bytes: metadata.len(), named: true };
            return Ok(Some(entry));
        }
        self.canonical_top = self.top.canonicalize()?;
        self.visited.insert(self.canonical_top.clone());
        self.list(&self.top.clone())?;
        Ok(None)
    }

    /// Queues what a directory holds.
    fn list(&mut self, directory: &Path) -> io::Result<()> {
        let entries = fs::read_dir(directory)?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        paths.sort_unstable_by(|a, b| b.cmp(a));
        self.pending.append(&mut paths);
        Ok(())
    }

    /// The file at `path`, if it is one to read; queues what is inside a directory.
    fn visit(&mut self, path: PathBuf) -> io::Result<Option<Entry>> {
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            self.skipped.hidden += 1;
            return Ok(None);
        }
        let is_link = fs::symlink_metadata(&path)?.is_symlink();
        if is_link && !path.canonicalize()?.starts_with(&self.canonical_top) {
            self.skipped.special += 1;
            return Ok(None);
        }
        let metadata = fs::metadata(&path)?;
        if metadata.is_dir() {
            self.enter(&path)?;
            return Ok(None);
        }
        Ok(self.choose(path, &metadata))
    }

    fn enter(&mut self, directory: &Path) -> io::Result<()> {
        if !self.recursive {
            return Ok(());
        }
        if !self.visited.insert(directory.canonicalize()?) {
            self.skipped.special += 1;
            return Ok(());
        }
        self.list(directory)
    }

    fn choose(&mut self, path: PathBuf, metadata: &Metadata) -> Option<Entry> {
        if !metadata.is_file() {
            self.skipped.special += 1;
            return None;
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if !self.extensions.contains(&extension) {
            self.skipped.other += 1;
            return None;
        }
        Some(Entry { path, bytes: metadata.len(), named: false })
    }
}

impl Iterator for Walk {
    type Item = Result<Entry, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (path, visited) = if self.started {
                let path = self.pending.pop()?;
                (path.clone(), self.visit(path))
            } else {
                self.started = true;
                (self.top.clone(), self.start())
            };
            match visited {
                Ok(Some(entry)) => return Some(Ok(entry)),
                Ok(None) => {}
                Err(source) => return Some(Err(IngestError::Io { path, source })),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().expect("inside a directory")).expect("directory");
        fs::write(path, "x").expect("file");
    }

    fn walk(top: &Path, options: &IngestOptions) -> (Vec<String>, Skipped) {
        let mut walk = Walk::new(top, options);
        let mut names = Vec::new();
        for entry in walk.by_ref() {
            let entry = entry.expect("readable");
            let name = entry.path.strip_prefix(top).expect("below the top");
            names.push(name.display().to_string());
        }
        (names, walk.skipped())
    }

    #[test]
    fn files_come_in_order_and_everything_else_is_counted() {
        let directory = tempfile::tempdir().expect("directory");
        let top = directory.path();
        for name in ["b.md", "a/z.txt", "a/b.TXT", ".hidden.md", ".git/x.md", "c.png", "d"] {
            touch(&top.join(name));
        }
        let (names, skipped) = walk(top, &IngestOptions::default());
        assert_eq!(names, ["a/b.TXT", "a/z.txt", "b.md"]);
        assert_eq!(skipped, Skipped { hidden: 2, other: 2, binary: 0, special: 0 });
        let flat = IngestOptions { recursive: false, ..IngestOptions::default() };
        assert_eq!(walk(top, &flat).0, ["b.md"]);
    }

    #[test]
    fn links_never_loop_and_never_leave_the_directory() {
        let directory = tempfile::tempdir().expect("directory");
        let (top, outside) = (directory.path().join("top"), directory.path().join("secret.txt"));
        touch(&top.join("a/x.txt"));
        touch(&outside);
        symlink(&top, top.join("a/loop")).expect("link");
        symlink(&outside, top.join("leak.txt")).expect("link");
        symlink(top.join("a/x.txt"), top.join("y.txt")).expect("link");
        let (names, skipped) = walk(&top, &IngestOptions::default());
        assert_eq!(names, ["a/x.txt", "y.txt"]);
        assert_eq!(skipped.special, 2);
    }

    #[test]
    fn what_is_missing_is_reported_and_the_walk_goes_on() {
        let directory = tempfile::tempdir().expect("directory");
        let top = directory.path();
        touch(&top.join("z.txt"));
        symlink(top.join("nowhere"), top.join("a.txt")).expect("link");
        let found: Vec<bool> =
            Walk::new(top, &IngestOptions::default()).map(|entry| entry.is_ok()).collect();
        assert_eq!(found, [false, true]);
        assert!(Walk::new(&top.join("none"), &IngestOptions::default()).all(|e| e.is_err()));
    }
}
