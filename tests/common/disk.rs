//! A disk that a test can fill.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::node::Place;
use super::skip;

/// A small file system of its own.
pub struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    /// `None` where file systems cannot be mounted.
    pub fn new(kibibytes: usize) -> Option<Disk> {
        let directory = tempfile::tempdir().expect("a directory");
        let size = format!("size={kibibytes}k");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(directory.path())
            .status();
        if !mount.is_ok_and(|status| status.success()) {
            skip("no file system can be mounted here: not root");
            return None;
        }
        Some(Disk { directory })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Takes all the room that is left but so many KiB.
    pub fn fill_up(&self, but_kibibytes: usize) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file =
            fs::OpenOptions::new().create(true).append(true).open(&path).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
        let size = file.metadata().expect("a file").len();
        file.set_len(size.saturating_sub(but_kibibytes as u64 * 1024)).expect("shorter");
        path
    }

    /// A node whose files lie here.
    pub fn place(&self) -> Place {
        Place::new().with("MCP_MEMORY_BASE_DIR", self.path().to_string_lossy())
    }

    /// The files here but the ballast, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("a directory");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.flatten().map(name).collect();
        names.retain(|name| name != "ballast");
        names.sort();
        names
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that still looks at it must not keep the test from ending.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
