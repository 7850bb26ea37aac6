//! The backups that a node has made: their names, their order, and which are to go.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{PART_SUFFIX, checksum};

/// How the time stands in a name, in UTC: names sort as times do.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%S%.3fZ";
/// The end of the name of a whole backup.
const SUFFIX: &str = ".db";

/// Where one node keeps its backups. Other nodes may keep theirs there too: names begin with that
/// of the node, and no file with another beginning is ever touched.
#[derive(Clone, Debug)]
pub struct BackupDirectory {
    path: PathBuf,
    prefix: String,
}

/// A whole backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFile {
    /// Its name in the directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was begun, in milliseconds since 1970: what was written later is not in it.
    pub at_ms: u64,
}

impl BackupDirectory {
    /// The backups of a node in a directory, which need not be there yet.
    pub fn new(path: PathBuf, node: &str) -> Self {
        BackupDirectory { path, prefix: format!("memnode-{node}-") }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory, for this user alone, unless it is there.
    ///
    /// # Errors
    /// As the system says.
    pub fn create(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)
    }

    /// The whole backups, newest first; none where there is no directory.
    ///
    /// # Errors
    /// As the system says.
    pub fn list(&self) -> io::Result<Vec<BackupFile>> {
        let mut found = Vec::new();
        for name in self.names()? {
            let Some(at_ms) = self.time_of(&name) else { continue };
            // One that is gone by now is no backup any more.
            let Ok(metadata) = fs::metadata(self.path.join(&name)) else { continue };
            if metadata.is_file() {
                found.push(BackupFile { bytes: metadata.len(), at_ms, name });
            }
        }
        found.sort_by_key(|backup| std::cmp::Reverse(backup.at_ms));
        Ok(found)
    }

    /// The path of a backup that is begun at this time, and the time in its name: a little later
    /// where another has that name.
    pub fn free_name(&self, now_ms: u64) -> (PathBuf, u64) {
        (now_ms..)
            .map(|at_ms| (self.path.join(self.name_at(at_ms)), at_ms))
            .find(|(path, _)| fs::symlink_metadata(path).is_err())
            .expect("a directory does not hold a file for every millisecond")
    }

    /// Removes all but the newest `count_max` backups, and those that were begun before
    /// `oldest_ms`; the newest one stays in any case. Gives the names of those that went.
    ///
    /// # Errors
    /// As the system says.
    pub fn prune(&self, oldest_ms: u64, count_max: usize) -> io::Result<Vec<String>> {
        let mut gone = Vec::new();
        for (position, backup) in self.list()?.into_iter().enumerate().skip(1) {
            if position >= count_max || backup.at_ms < oldest_ms {
                let path = self.path.join(&backup.name);
                fs::remove_file(&path)?;
                remove_if_there(&checksum::path_of(&path))?;
                gone.push(backup.name);
            }
        }
        Ok(gone)
    }

    /// Removes what a backup that was cut short left behind. None may be under way.
    ///
    /// # Errors
    /// As the system says.
    pub fn clean(&self) -> io::Result<()> {
        for name in self.names()? {
            let Some(end) = name.find(SUFFIX).map(|at| at + SUFFIX.len()) else { continue };
            let (backup, rest) = name.split_at(end);
            let is_ours = self.time_of(backup).is_some();
            let is_lone_sum = rest == ".sha256" && !self.path.join(backup).exists();
            if is_ours && (rest.starts_with(PART_SUFFIX) || is_lone_sum) {
                remove_if_there(&self.path.join(&name))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // Names of ours are ASCII; others are of no interest.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn name_at(&self, at_ms: u64) -> String {
        let time = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let time = time.unwrap_or(Timestamp::MAX).strftime(TIME_FORMAT);
        format!("{}{time}{SUFFIX}", self.prefix)
    }

    /// The time in the name of a whole backup of this node, `None` for any other name.
    fn time_of(&self, name: &str) -> Option<u64> {
        let time = name.strip_prefix(&self.prefix)?.strip_suffix(SUFFIX)?;
        let time = DateTime::strptime("%Y%m%dT%H%M%S%.fZ", time).ok()?;
        let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
        let at_ms = u64::try_from(time).ok()?;
        (self.name_at(at_ms) == name).then_some(at_ms)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T15:26:24Z.
    const NOW_MS: u64 = 1_795_361_184_000;

    fn directory(names: &[&str]) -> (tempfile::TempDir, BackupDirectory) {
        let place = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(place.path().join(name), "x").unwrap();
        }
        let backups = BackupDirectory::new(place.path().to_owned(), "node-1");
        (place, backups)
    }

    fn listed(backups: &BackupDirectory) -> Vec<String> {
        backups.list().unwrap().into_iter().map(|backup| backup.name).collect()
    }

    fn all(backups: &BackupDirectory) -> Vec<String> {
        let mut names = backups.names().unwrap();
        names.sort();
        names
    }

    #[test]
    fn a_name_tells_node_and_time_and_is_never_given_twice() {
        let (_place, backups) = directory(&[]);
        let (path, at_ms) = backups.free_name(NOW_MS);
        assert_eq!(path, backups.path().join("memnode-node-1-20261122T152624.000Z.db"));
        fs::write(&path, "x").unwrap();
        assert_eq!(backups.free_name(NOW_MS).1, at_ms + 1);
        let expected =
            BackupFile { name: "memnode-node-1-20261122T152624.000Z.db".into(), bytes: 1, at_ms };
        assert_eq!(backups.list().unwrap(), [expected]);
    }

    #[test]
    fn only_whole_backups_of_this_node_are_listed_newest_first() {
        let (_place, backups) = directory(&[
            "memnode-node-1-20261122T152624.000Z.db",
            "memnode-node-1-20261122T152624.001Z.db",
            "memnode-node-1-20251122T152624.000Z.db",
            "memnode-node-1-20261122T152624.002Z.db.part",
            "memnode-node-1-20261122T152624.000Z.db.sha256",
            "memnode-node-1-20261122T152624Z.db",
            "memnode-node-1-20261322T152624.000Z.db",
            "memnode-node-1-2-20261122T152624.000Z.db",
            "memnode-node-2-20261122T152624.000Z.db",
            "shopping.db",
        ]);
        let expected = [
            "memnode-node-1-20261122T152624.001Z.db",
            "memnode-node-1-20261122T152624.000Z.db",
            "memnode-node-1-20251122T152624.000Z.db",
        ];
        assert_eq!(listed(&backups), expected);
        let absent = BackupDirectory::new(backups.path().join("none"), "node-1");
        assert_eq!(listed(&absent), [""; 0]);
        absent.clean().unwrap();
    }

    #[test]
    fn old_ones_and_those_beyond_the_count_go_and_the_newest_stays() {
        let check = |oldest_ms: u64, count_max: usize, left: &[u64]| {
            let (_place, backups) = directory(&["memnode-node-2-20261122T152624.000Z.db"]);
            for hour in 0..4 {
                let path = backups.free_name(NOW_MS + hour * 3_600_000).0;
                fs::write(&path, "x").unwrap();
                fs::write(checksum::path_of(&path), "x").unwrap();
            }
            backups.prune(oldest_ms, count_max).unwrap();
            let kept = backups.list().unwrap();
            let hours: Vec<u64> =
                kept.iter().map(|backup| (backup.at_ms - NOW_MS) / 3_600_000).collect();
            assert_eq!(hours, left);
            // Those of the other node, and a checksum each.
            assert_eq!(all(&backups).len(), 1 + 2 * left.len());
        };
        check(0, 10, &[3, 2, 1, 0]);
        check(0, 2, &[3, 2]);
        check(NOW_MS + 3_600_000, 10, &[3, 2, 1]);
        check(NOW_MS * 2, 10, &[3]);
        check(NOW_MS * 2, 0, &[3]);
    }

    #[test]
    fn what_was_cut_short_goes_and_nothing_else() {
        let kept = [
            "memnode-node-1-20261122T152624.000Z.db",
            "memnode-node-1-20261122T152624.000Z.db.sha256",
            "memnode-node-2-20261122T152624.000Z.db.part",
            "notes.db.part",
        ];
        let (place, backups) = directory(&kept);
        for end in [".part", ".part-wal", ".part-journal", ".sha256"] {
            let name = format!("memnode-node-1-20261122T152624.001Z.db{end}");
            fs::write(place.path().join(name), "x").unwrap();
        }
        backups.clean().unwrap();
        assert_eq!(all(&backups), kept);
    }
}
