//! Which files are opened, and what is left of those that are not.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use super::super::{FileKind, identify, recorded_model};
use super::*;
use crate::store::open::known_version;

/// Every file of a directory with its bytes.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let bytes = if entry.file_type().unwrap().is_dir() {
            b"(a directory)".to_vec()
        } else {
            std::fs::read(entry.path()).unwrap()
        };
        (entry.file_name().into_string().unwrap(), bytes)
    };
    std::fs::read_dir(directory).unwrap().map(entry).collect()
}

/// Makes something at a path and holds that opening it fails and changes nothing.
fn check_refused(make: impl FnOnce(&Path), kind: Option<FileKind>, expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a file, 100% odd?.db");
    make(&path);
    let before = contents(directory.path());
    if let Some(kind) = kind {
        assert_eq!(identify(&path).unwrap(), kind);
    }
    let error = Store::open(&options(&path)).err().expect("must be refused");
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(recorded_model(&path).ok().flatten(), None);
    assert!(contents(directory.path()) == before, "{expected}");
}

fn sqlite(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn files_of_others_are_named_and_left_untouched() {
    let peer = "CREATE TABLE memories (id INTEGER PRIMARY KEY, content_hash TEXT, content TEXT,
                tags TEXT, memory_type TEXT, metadata TEXT); INSERT INTO memories (content)
                VALUES ('x');";
    let foreign = Some(FileKind::Foreign);
    let text =
        |path: &Path| std::fs::write(path, "a shopping list, longer than a header\n").unwrap();
    check_refused(text, foreign, "not a memnode database");
    check_refused(
        |path| std::fs::write(path, "x").unwrap(),
        Some(FileKind::Foreign),
        "not a memnode",
    );
    check_refused(
        |path| sqlite(path, "CREATE TABLE t (x)"),
        Some(FileKind::Foreign),
        "not a memnode",
    );
    check_refused(
        |path| std::fs::create_dir(path).unwrap(),
        Some(FileKind::Foreign),
        "not a memnode",
    );
    check_refused(|path| sqlite(path, peer), Some(FileKind::Peer), "memnode import");
    let with_log = |path: &Path| sqlite(path, &format!("PRAGMA journal_mode = WAL; {peer}"));
    check_refused(with_log, Some(FileKind::Peer), "memnode import");
    let header = |path: &Path| std::fs::write(path, "SQLite format 3\0").unwrap();
    check_refused(header, Some(FileKind::Foreign), "not a memnode database");
}

/// The tables of another program may lie in its write-ahead log alone. The memory that the users
/// of a log share may note one more of them; the file and the log stay as they are.
#[test]
fn a_file_of_others_in_use_is_left_untouched() {
    let columns = "content_hash, content, tags, memory_type, metadata";
    for (table, kind) in [("x", FileKind::Foreign), (columns, FileKind::Peer)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in-use.db");
        let other = Connection::open(&path).unwrap();
        let tables = format!("PRAGMA journal_mode = WAL; CREATE TABLE memories ({table})");
        other.execute_batch(&tables).unwrap();
        let lasting = || {
            let mut files = contents(directory.path());
            files.retain(|name, _| !name.ends_with("-shm"));
            files
        };
        let before = lasting();
        assert_eq!(before.len(), 2);
        assert_eq!(identify(&path).unwrap(), kind);
        assert!(Store::open(&options(&path)).is_err());
        assert!(lasting() == before);
    }
}

#[test]
fn a_newer_file_is_refused_and_left_untouched() {
    let newer = |path: &Path| {
        Store::open(&options(path)).unwrap().close();
        sqlite(path, "PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("newer.db");
    newer(&path);
    let before = contents(directory.path());
    assert_eq!(identify(&path).unwrap(), FileKind::Ours(99));
    let error = Store::open(&options(&path)).err().expect("must be refused");
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert!(contents(directory.path()) == before);
}

/// A newer binary that was killed leaves its version in the write-ahead log only.
#[test]
fn a_newer_version_in_the_log_is_refused_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    Store::open(&options(&path)).unwrap().close();
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    let copy = directory.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    let error = Store::open(&options(&copy)).err().expect("must be refused");
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert!(std::fs::read(&copy).unwrap() == std::fs::read(&path).unwrap());
}

#[test]
fn a_file_of_another_model_is_refused_and_left_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    Store::open(&options(&path)).unwrap().close();
    let before = contents(directory.path());
    for other in [
        StoreOptions { model: "other".to_owned(), ..options(&path) },
        StoreOptions { dimension: 9, ..options(&path) },
    ] {
        let error = Store::open(&other).err().expect("must be refused");
        assert!(matches!(error, StoreError::OtherModel { .. }), "{error}");
        assert!(contents(directory.path()) == before);
        Store::open(&StoreOptions { any_model: true, ..other }).unwrap().close();
    }
    assert_eq!(recorded_model(&path).unwrap(), Some((MODEL.to_owned(), DIMENSION)));
}

#[test]
fn a_path_that_cannot_be_made_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = Store::open(&options(&file.join("memory.db"))).err().expect("must be refused");
    assert!(error.to_string().contains("memory.db"), "{error}");
    assert_eq!(contents(directory.path()).len(), 1);
}

/// Root may write what `chmod` forbids, so a read-only mount stands for the missing right.
#[test]
fn a_file_that_may_not_be_written_is_refused_and_left_untouched() {
    let Some(mount) = full_disk::Mount::new("4m") else { return };
    let path = mount.path().join("memory.db");
    Store::open(&options(&path)).unwrap().close();
    let before = contents(mount.path());
    mount.remount("ro");
    let error = Store::open(&options(&path)).err().expect("must be refused");
    assert!(matches!(error, StoreError::Permission { .. }), "{error}");
    let error = Store::open(&options(&mount.path().join("new.db"))).err().expect("no right");
    assert!(matches!(error, StoreError::CannotCreate { .. }), "{error}");
    assert!(contents(mount.path()) == before);
}

#[test]
fn a_first_open_makes_a_file_that_says_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    assert_eq!(identify(&empty).unwrap(), FileKind::Absent);
    assert_eq!(std::fs::metadata(&empty).unwrap().len(), 0);
    for path in [empty, directory.path().join("deep/er/new.db")] {
        Store::open(&options(&path)).unwrap().close();
        assert_eq!(identify(&path).unwrap(), FileKind::Ours(known_version()));
        let connection = Connection::open(&path).unwrap();
        let pragma = |name: &str| -> i64 {
            connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(pragma("application_id"), 0x6d65_6d6e);
        assert_eq!(pragma("user_version"), known_version());
        assert_eq!(pragma("page_size"), 16_384);
        let mode: String =
            connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        drop(connection);
        let names: Vec<String> = contents(path.parent().unwrap()).into_keys().collect();
        assert!(names.iter().all(|name| !name.ends_with("-wal")), "{names:?}");
    }
}

#[test]
fn a_file_of_the_first_schema_is_brought_up_to_date() {
    let mut file = File::new("node-1");
    file.state.keeps_ops = false;
    file.create("one");
    file.create("two");
    file.write(|writer| writer.delete(&target("two"))).unwrap();
    // What the later migrations added, taken away again.
    file.connection.execute_batch(WORDS_BY_TRIGGER).unwrap();
    file.connection
        .execute_batch(
            "DROP TABLE compound_part; DROP TABLE memory_word; DROP TABLE audit;
             DROP TABLE webhook; DROP TABLE webhook_dead;
             DROP TRIGGER code_log_insert; DROP TRIGGER code_log_update;
             DROP TRIGGER code_log_model; DROP TABLE code_chunk; DROP TABLE code_log;
             DROP INDEX change_log_by_write; DROP TABLE feed_run; DROP TABLE feed_floor;
             DROP TABLE published; DROP TABLE message; DROP TABLE pending_vector;
             DROP TABLE erasure; DROP INDEX memory_reserved; DROP TABLE op;
             CREATE TABLE op (origin_id INTEGER NOT NULL, oseq INTEGER NOT NULL, id BLOB NOT NULL,
               payload BLOB NOT NULL, stream_seq INTEGER, PRIMARY KEY (origin_id, oseq))
               STRICT, WITHOUT ROWID;
             ALTER TABLE roster DROP COLUMN applied;
             ALTER TABLE roster ADD COLUMN state TEXT NOT NULL DEFAULT '';
             ALTER TABLE origin DROP COLUMN changed_at;
             ALTER TABLE origin DROP COLUMN kept_count; ALTER TABLE origin DROP COLUMN kept_bytes;
             PRAGMA user_version = 1",
        )
        .unwrap();
    let before = file.reader().digest().unwrap();
    file.reopen("node-1", 2);
    assert_eq!(file.number("PRAGMA user_version"), known_version());
    assert_eq!(file.reader().digest().unwrap(), before);
    file.create("three");
    file.check_sound();
}

/// What filled the word index before version 9.
const WORDS_BY_TRIGGER: &str = "\
    CREATE TRIGGER memory_fts_insert AFTER INSERT ON memory WHEN NEW.live = 1 BEGIN \
      INSERT INTO memory_fts (rowid, content, tags) VALUES (NEW.row, NEW.content, NEW.tags); \
    END";

#[test]
fn a_new_memory_is_in_the_word_index_once_before_and_after_an_upgrade() {
    let mut file = File::new("node-1");
    file.create("before");
    file.connection.execute_batch(WORDS_BY_TRIGGER).unwrap();
    file.connection.execute_batch("PRAGMA user_version = 8").unwrap();
    file.reopen("node-1", 2);
    file.create("after");
    let sql = "SELECT sum(cnt) FROM memory_word WHERE term IN ('befor', 'after')";
    assert_eq!(file.number(sql), 2);
    let checks = "SELECT count(*) FROM sqlite_schema WHERE name = 'memory' AND sql LIKE \
                  '%id BLOB NOT NULL UNIQUE,%' AND sql NOT LIKE '%length(%'";
    assert_eq!(file.number(checks), 1);
    file.check_sound();
}

#[test]
fn a_file_of_before_compounds_finds_their_parts() {
    let mut file = File::new("node-1");
    file.create("call getUserName first");
    file.create("call sendMail last");
    file.write(|writer| writer.delete(&target("call sendMail last"))).unwrap();
    file.connection.execute_batch(WORDS_BY_TRIGGER).unwrap();
    file.connection.execute_batch("DROP TABLE compound_part; PRAGMA user_version = 7").unwrap();
    file.reopen("node-1", 2);
    assert_eq!(file.number("PRAGMA user_version"), known_version());
    assert_eq!(file.number("SELECT count(*) FROM compound_part WHERE stem = 'user'"), 1);
    assert_eq!(file.number("SELECT count(*) FROM compound_part WHERE stem = 'mail'"), 0);
    file.check_sound();
}

#[tokio::test]
async fn the_writer_syncs_every_commit_and_readers_cannot_write() {
    let opened = Opened::new();
    let pragma = |connection: &Connection, name: &str| -> i64 {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
    };
    let synchronous = opened
        .store
        .write(move |writer| Ok(pragma(writer.connection(), "synchronous")))
        .await
        .unwrap();
    assert_eq!(synchronous, 2, "FULL");
    let refused = opened
        .store
        .read(PATIENCE, |reader| Ok(reader.connection().execute("DELETE FROM meta", []).is_err()))
        .await;
    assert!(refused.unwrap());
}

#[tokio::test]
async fn a_second_open_keeps_what_is_there_and_draws_another_epoch() {
    let Opened { directory, store } = Opened::new();
    store.write(|writer| create(writer, "first").map(drop)).await.unwrap();
    let before = store.read(PATIENCE, |reader| reader.digest()).await.unwrap();
    store.close();
    assert!(matches!(
        store.write(|writer| create(writer, "late").map(drop)).await,
        Err(StoreError::Closed)
    ));
    let path = directory.path().join("memory.db");
    let store = Store::open(&options(&path)).unwrap();
    let digest = store.read(PATIENCE, |reader| reader.digest()).await.unwrap();
    assert_eq!(digest, before);
    assert_eq!(digest.vector.iter().count(), 1, "no epoch before the first write");
    store.write(|writer| create(writer, "second").map(drop)).await.unwrap();
    let found = store
        .read(PATIENCE, |reader| {
            assert!(is_live(&reader.find(&Namespace::default(), &ContentHash::of("first"))?));
            reader.digest()
        })
        .await
        .unwrap();
    let epochs: Vec<u64> = found.vector.iter().map(|(origin, _)| origin.epoch).collect();
    assert_eq!(epochs.len(), 2);
    assert_ne!(epochs[0], epochs[1]);
    assert_eq!(found.count(), 2);
}

/// After a crash the version of the schema may lie in the write-ahead log alone.
#[tokio::test]
async fn a_file_that_was_never_closed_opens_with_its_model() {
    let opened = Opened::new();
    opened.store.write(|writer| create(writer, "first").map(drop)).await.unwrap();
    let path = opened.directory.path().join("memory.db");
    let copy = opened.directory.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    assert_eq!(recorded_model(&copy).unwrap(), Some((MODEL.to_owned(), DIMENSION)));
    let store = Store::open(&options(&copy)).unwrap();
    let known = store
        .read(PATIENCE, |reader| reader.find(&Namespace::default(), &ContentHash::of("first")))
        .await
        .unwrap();
    assert!(is_live(&known));
}
