//! What a process did to its files, read from `strace`, and what of it a power cut leaves.
//!
//! The model is the one that POSIX promises and no more: what was written to a file is on disk
//! once that file was synced, a new name is there once its directory was, and what was not synced
//! may be there in whole, in part, or not at all, in any order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rand::Rng;

/// What `strace` is asked to write down: all that changes files, and all that syncs them.
pub const CALLS: &str = "trace=openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,\
    ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,\
    unlink,unlinkat,link,linkat,msync,copy_file_range,sendfile";
/// Disks write whole sectors; a write that is torn is torn between two.
const SECTOR_BYTES: usize = 512;

/// One change, and when the call was made, in seconds since 1970.
#[derive(Debug)]
pub struct Event {
    pub at: f64,
    path: PathBuf,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Create,
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    Resize {
        size: usize,
    },
    Remove,
    Rename {
        to: PathBuf,
    },
    /// Of a file or a directory.
    Sync,
}

/// Reads the files that `strace -ff -ttt -y -xx -o prefix` wrote, and keeps what is about the
/// given directory, in order.
pub fn read(prefix: &Path, directory: &Path) -> Vec<Event> {
    let name = prefix.file_name().expect("a name").to_string_lossy().into_owned();
    let entries = fs::read_dir(prefix.parent().expect("a parent")).expect("a directory");
    let logs = entries.map(|entry| entry.expect("an entry").path()).filter(|path| {
        path.file_name().is_some_and(|found| found.to_string_lossy().starts_with(&name))
    });
    let mut events = Vec::new();
    for log in logs {
        let text = fs::read_to_string(&log).expect("a log is text");
        events.extend(text.lines().filter_map(|line| event(line, directory)));
    }
    events.sort_by(|a, b| a.at.total_cmp(&b.at));
    events
}

/// One line: `1700000000.000001 pwrite64(9<path>, "bytes"..., 4, 0) = 4`, texts in hexadecimal.
fn event(line: &str, directory: &Path) -> Option<Event> {
    let (at, rest) = line.split_once(' ')?;
    let (call, rest) = rest.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ")?;
    if result.starts_with('-') {
        return None;
    }
    let by_name = ["open", "unlink", "rename"].iter().any(|start| call.starts_with(start));
    let path = if by_name { quoted(arguments)? } else { decoded(between(arguments, '<', '>')?)? };
    let path = PathBuf::from(String::from_utf8(path).ok()?);
    // The secret that seals keys holds no memory, and is made anew when it is lost without keys.
    if !path.starts_with(directory) || path.to_string_lossy().contains(".db.secret") {
        return None;
    }
    let last = || arguments.rsplit_once(", ")?.1.parse::<usize>().ok();
    let change = match call {
        "open" | "openat" if arguments.contains("O_CREAT") => Change::Create,
        "open" | "openat" => return None,
        "fsync" | "fdatasync" => Change::Sync,
        "pwrite64" => Change::Write { offset: last()?, bytes: quoted(arguments)? },
        "ftruncate" => Change::Resize { size: last()? },
        "unlink" | "unlinkat" => Change::Remove,
        "rename" | "renameat" | "renameat2" => {
            let to = decoded(arguments.split('"').nth(3)?)?;
            Change::Rename { to: PathBuf::from(String::from_utf8(to).ok()?) }
        }
        // The lock file says who owns the database, and means nothing once that process is gone.
        "write" if path.extension().is_some_and(|extension| extension == "lock") => return None,
        // The shared memory of SQLite is sized like this; it does not outlive a power cut.
        _ if path.to_string_lossy().ends_with("-shm") => return None,
        other => panic!("the model knows no {other} on {}", path.display()),
    };
    Some(Event { at: at.parse().ok()?, path, change })
}

fn between(text: &str, open: char, close: char) -> Option<&str> {
    Some(text.split_once(open)?.1.split_once(close)?.0)
}

/// The text in quotes.
fn quoted(arguments: &str) -> Option<Vec<u8>> {
    let text = between(arguments, '"', '"')?;
    assert!(!arguments.contains("\"..."), "strace cut a write short: raise -s");
    decoded(text)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    text.split("\\x").skip(1).map(|digits| u8::from_str_radix(digits, 16).ok()).collect()
}

/// A disk: what is safe, and what is under way.
#[derive(Default)]
pub struct Disk {
    files: Vec<FileOnDisk>,
    names: BTreeMap<PathBuf, Name>,
}

/// What stands under a name now, and what is there for sure after a power cut; by number.
#[derive(Default)]
struct Name {
    now: Option<usize>,
    safe: Option<usize>,
}

#[derive(Default)]
struct FileOnDisk {
    safe: Vec<u8>,
    /// The numbers of the events that were not synced.
    under_way: Vec<usize>,
}

impl Disk {
    /// Takes the next event, of this number, in.
    pub fn apply(&mut self, events: &[Event], number: usize) {
        let Event { path, change: what, .. } = &events[number];
        let now = self.names.get(path).and_then(|name| name.now);
        match (what, now) {
            (Change::Create, None) => {
                self.names.entry(path.clone()).or_default().now = Some(self.files.len());
                self.files.push(FileOnDisk::default());
            }
            (Change::Write { .. } | Change::Resize { .. }, Some(file)) => {
                self.files[file].under_way.push(number);
            }
            (Change::Remove, _) => self.names.entry(path.clone()).or_default().now = None,
            (Change::Rename { to }, _) => {
                self.names.entry(path.clone()).or_default().now = None;
                self.names.entry(to.clone()).or_default().now = now;
            }
            (Change::Sync, Some(file)) => {
                let file = &mut self.files[file];
                for number in std::mem::take(&mut file.under_way) {
                    change(&mut file.safe, &events[number].change);
                }
            }
            (Change::Sync, None) => {
                for (_, name) in
                    self.names.iter_mut().filter(|(name, _)| name.parent() == Some(path))
                {
                    name.safe = name.now;
                }
            }
            (Change::Create, Some(_)) | (Change::Write { .. } | Change::Resize { .. }, None) => {}
        }
    }

    /// Writes what a power cut at this moment may leave into another directory.
    pub fn cut(&self, events: &[Event], from: &Path, to: &Path, dice: &mut impl Rng) {
        for (path, name) in &self.names {
            let left = if dice.random() { name.now } else { name.safe };
            // Shared memory is rebuilt at every start, and a lock or a socket is of its process.
            let text = path.to_string_lossy();
            let is_lasting = [".db", "-wal", "-journal"].iter().any(|end| text.ends_with(end));
            if let (Some(file), true) = (left, is_lasting) {
                let relative = path.strip_prefix(from).expect("below the directory");
                let bytes = self.files[file].after_cut(events, dice);
                fs::write(to.join(relative), bytes).expect("a file");
            }
        }
    }

    /// Whether a file of this name was ever made.
    pub fn knows(&self, path: &Path) -> bool {
        self.names.contains_key(path)
    }
}

impl FileOnDisk {
    /// Its bytes when each write under way is kept, lost or torn.
    fn after_cut(&self, events: &[Event], dice: &mut impl Rng) -> Vec<u8> {
        let mut found = self.safe.clone();
        // Either all is lost, all is kept, or each goes its own way.
        let habit = dice.random_range(0..4);
        for &number in &self.under_way {
            let fate = if habit < 2 { habit } else { dice.random_range(0..3) };
            match (fate, &events[number].change) {
                (0, _) => {}
                (2, Change::Write { offset, bytes }) => {
                    for (sector, part) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        if dice.random() {
                            put(&mut found, offset + sector * SECTOR_BYTES, part);
                        }
                    }
                }
                (_, whole) => change(&mut found, whole),
            }
        }
        found
    }
}

fn change(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => put(file, *offset, bytes),
        Change::Resize { size } => file.resize(*size, 0),
        Change::Create | Change::Remove | Change::Rename { .. } | Change::Sync => {}
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}
