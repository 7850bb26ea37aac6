//! Clocks that are wrong, as Debian's faketime makes them.

use std::path::{Path, PathBuf};

use super::node::Place;
use super::skip;

/// How far a clock is ahead: a day, a year.
pub const AHEAD: [&str; 2] = ["+1d", "+365d"];

/// The library that tells a program another time; `None`, after [`skip`], where it is not.
pub fn faketime() -> Option<PathBuf> {
    let architectures = std::fs::read_dir("/usr/lib").ok()?;
    let mut libraries =
        architectures.flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.find(|path| path.exists());
    if found.is_none() {
        skip("there is no libfaketime: apt-get install faketime");
    }
    found
}

impl Place {
    /// The same place, whose processes believe that it is later.
    pub fn at_time(self, library: &Path, offset: &str) -> Self {
        self.with("LD_PRELOAD", library.to_string_lossy())
            .with("FAKETIME", offset)
            // Time-outs are to be what they are.
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}
