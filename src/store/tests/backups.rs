//! Copies of a file that is written to, and what is made of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::{BackupStep, back_up, stage};
use super::*;

fn never() -> bool {
    false
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_one_file_with_the_digest_of_its_source() {
    let mut file = File::new("node-1");
    file.create("one");
    file.create("two");
    file.write(|writer| writer.delete(&target("two"))).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("b.db");
    let mut steps = Vec::new();
    let contents = back_up(&file.path(), &path, |step| steps.push(step), never).unwrap();
    assert_eq!(contents.root, file.reader().digest().unwrap().root());
    assert_eq!(contents.record_count, 2);
    assert_eq!(names(place.path()), ["b.db", "b.db.sha256"]);
    assert_eq!(steps.last(), Some(&BackupStep::Checking));
    let bytes = contents.bytes;
    let copied = BackupStep::Copied { bytes_done: bytes, bytes_total: bytes };
    assert_eq!(steps[steps.len() - 2], copied);
    let taken = back_up(&file.path(), &path, |_| {}, never).unwrap_err();
    assert!(matches!(taken, StoreError::CannotCreate { .. }), "{taken:?}");
}

#[test]
fn writes_between_two_steps_are_neither_held_up_nor_copied() {
    let mut file = File::new("node-1");
    // More than one step of pages.
    for number in 0..150 {
        file.create(&format!("Text {number} {}", "x".repeat(60_000)));
    }
    let root = file.reader().digest().unwrap().root();
    let (source, place) = (file.path(), tempfile::tempdir().unwrap());
    let mut step_count = 0;
    let written = |_| {
        step_count += 1;
        file.create(&format!("Written in step {step_count}"));
    };
    let contents = back_up(&source, &place.path().join("b.db"), written, never).unwrap();
    assert!(step_count > 2, "{step_count}");
    assert_eq!((contents.root, contents.record_count), (root, 150));
    file.check_sound();
}

#[test]
fn a_backup_that_is_stopped_leaves_nothing() {
    let mut file = File::new("node-1");
    file.create("one");
    let place = tempfile::tempdir().unwrap();
    // Before the copy and before its check.
    for allowed in 0..2 {
        let asked = Arc::new(AtomicUsize::new(0));
        let is_over = move || asked.fetch_add(1, Ordering::Relaxed) >= allowed;
        let stopped = back_up(&file.path(), &place.path().join("b.db"), |_| {}, is_over);
        assert!(matches!(stopped, Err(StoreError::Deadline)), "{allowed}: {stopped:?}");
        assert_eq!(names(place.path()), [""; 0], "{allowed}");
    }
}

#[test]
fn a_copy_that_is_not_what_the_file_holds_is_no_backup() {
    let mut file = File::new("node-1");
    file.create("one");
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("b.db");
    let forge = |step| {
        if step == BackupStep::Checking {
            let copy = Connection::open(place.path().join("b.db.part")).unwrap();
            copy.execute("UPDATE memory SET content = 'forged'", []).unwrap();
        }
    };
    let refused = back_up(&file.path(), &path, forge, never).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged(_)), "{refused:?}");
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn what_was_there_is_kept_with_its_write_ahead_log() {
    let mut file = File::new("node-1");
    file.create("one");
    let place = tempfile::tempdir().unwrap();
    let (backup, database) = (place.path().join("b.db"), place.path().join("memory.db"));
    back_up(&file.path(), &backup, |_| {}, never).unwrap();
    // As a process leaves its files that is killed: the second write lies in the log alone.
    file.connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    file.create("two");
    for suffix in ["", "-wal"] {
        let from = with_suffix(&file.path(), suffix);
        std::fs::copy(from, with_suffix(&database, suffix)).unwrap();
    }
    let aside = place.path().join("aside.db");
    let staged = stage(&backup, &database, never).unwrap();
    assert_eq!(staged.contents.record_count, 1);
    staged.install(&database, Some(&aside)).unwrap();
    let texts = |path: &Path| {
        let connection = super::super::open::open_reader(path).unwrap();
        Reader::new(&connection).list(&everything(), None, 0, 10).unwrap().len()
    };
    assert_eq!((texts(&database), texts(&aside)), (1, 2));
    let taken = stage(&backup, &database, never).unwrap().install(&database, Some(&aside));
    assert!(matches!(taken, Err(StoreError::CannotCreate { .. })), "{taken:?}");
    assert!(!place.path().join("memory.db.restoring").exists());
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    super::super::with_suffix(path, suffix)
}
