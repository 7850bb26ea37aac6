//! Files that are damaged, newer, not ours or not to be written.

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::json;

use crate::common::eventually;
use crate::common::node::Place;

/// Bytes of a page of our files.
const PAGE_BYTES: usize = 16_384;

fn filled(count: usize) -> Place {
    let place = Place::new();
    let line = |n: usize| json!({"content": format!("Sheet {n} of the log"), "tags": ["log"]});
    let lines: String = (0..count).map(|n| format!("{}\n", line(n))).collect();
    place.run_with_input(&["import", "-"], lines.as_bytes()).ok();
    place
}

/// Overwrites the start of some pages of a file.
fn damage(path: &Path, pages: impl Iterator<Item = usize>) {
    let mut bytes = fs::read(path).expect("a file");
    for page in pages.filter(|page| (page + 1) * PAGE_BYTES <= bytes.len()).collect::<Vec<_>>() {
        bytes[page * PAGE_BYTES..page * PAGE_BYTES + 64].fill(0xa5);
    }
    fs::write(path, bytes).expect("a file");
}

#[test]
fn files_that_are_no_database_are_named_and_left_untouched() {
    let cases: [(&str, &[u8]); 4] = [
        ("text", b"Dear diary, this is not a database, but it is long enough for a header.\n"),
        ("one byte", b"x"),
        ("a header alone", b"SQLite format 3\0"),
        ("zeros", &[0; 4096]),
    ];
    for (what, bytes) in cases {
        let place = Place::new();
        fs::write(place.database(), bytes).expect("a file");
        for arguments in [&["serve", "--http-port", "0"][..], &["add", "x"], &["list"]] {
            let refused = place.run(arguments).expect_code(74);
            assert!(refused.stderr.contains("not a memnode database"), "{what}: {refused:#?}");
        }
        assert_eq!(fs::read(place.database()).expect("a file"), bytes, "{what}");
        place.run(&["doctor"]).expect_code(1);
    }
    let place = Place::new();
    fs::create_dir(place.database()).expect("a directory");
    place.run(&["list"]).expect_code(74);
}

#[test]
fn an_empty_file_becomes_a_database() {
    let place = Place::new();
    fs::write(place.database(), b"").expect("a file");
    place.run(&["add", "The first"]).ok();
    place.run(&["verify"]).ok();
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_untouched() {
    let place = filled(3);
    let file = Connection::open(place.database()).expect("a database");
    file.pragma_update(None, "user_version", 99).expect("a number");
    drop(file);
    let before = fs::read(place.database()).expect("a file");
    for arguments in [&["serve", "--http-port", "0"][..], &["list"], &["export", "-"]] {
        let refused = place.run(arguments).expect_code(74);
        assert!(refused.stderr.contains("newer memnode"), "{refused:#?}");
        assert!(refused.stderr.contains("99"), "{refused:#?}");
    }
    assert_eq!(fs::read(place.database()).expect("a file"), before);
}

#[test]
fn damaged_pages_are_found_by_verify() {
    let place = filled(300);
    let pages = fs::metadata(place.database()).expect("a file").len() as usize / PAGE_BYTES;
    damage(&place.database(), (1..pages).step_by(3));
    let found = place.run(&["verify"]).expect_code(74);
    assert!(!found.stdout.is_empty() || found.stderr.contains("damaged"), "{found:#?}");
    let json = place.run(&["verify", "--json"]).expect_code(74);
    if !json.stdout.is_empty() {
        assert_eq!(json.json()["ok"], false, "{json:#?}");
    }
    assert!(json.stderr.contains("restore a backup"), "{json:#?}");
}

#[test]
fn a_file_that_lost_its_first_page_is_refused() {
    let place = filled(3);
    let mut bytes = fs::read(place.database()).expect("a file");
    // The header still says what it is; the b-tree of the schema behind it is gone.
    bytes[100..PAGE_BYTES].fill(0xa5);
    fs::write(place.database(), &bytes).expect("a file");
    for arguments in [&["serve", "--http-port", "0"][..], &["list"]] {
        let refused = place.run(arguments).expect_code(74);
        assert!(refused.stderr.contains("damaged"), "{refused:#?}");
        assert!(refused.stderr.contains("restore a backup"), "{refused:#?}");
    }
}

#[test]
fn a_server_that_meets_damage_takes_no_more_writes() {
    let place = filled(300);
    let file = Connection::open(place.database()).expect("a database");
    // The index of words, which nobody reads before a search by words does: pages that a reader
    // read already would hide the damage. Its root is on the page that the schema names.
    let sql = "SELECT rootpage FROM sqlite_master WHERE name = 'memory_fts_data'";
    let root: usize = file.query_row(sql, [], |row| row.get(0)).expect("a table");
    drop(file);
    let server = place.serve().ready();
    let client = server.client();
    damage(&place.database(), std::iter::once(root - 1));
    eventually("a read meets the damage", || {
        let body = json!({"query": "a sheet of the log", "mode": "keyword", "n_results": 50});
        (client.post("/api/search", body).status >= 500).then_some(())
    });
    let ready = client.get("/readyz").expect(503).text();
    assert!(ready.contains("takes no writes"), "{ready}");
    client.post("/api/memories", json!({"content": "more"})).expect_problem(503, "store_read_only");
    let state = client.get("/api/health/detailed").expect(200).value();
    let status = state["storage"]["status"].as_str().unwrap_or_default();
    assert!(status.starts_with("read-only"), "{state}");
}

#[test]
fn a_database_without_its_log_opens_as_it_was_before() {
    let place = filled(5);
    let server = place.serve().ready();
    server.client().post("/api/memories", json!({"content": "Only in the log"})).expect(200);
    server.kill();
    fs::remove_file(place.path().join("memnode.db-wal")).expect("a log");
    place.run(&["verify"]).ok();
    assert_eq!(place.run(&["list", "--json"]).ok().json()["total"], 5);
    place.run(&["add", "Only in the log"]).ok();
}

#[test]
fn a_cut_log_ends_at_its_last_whole_commit() {
    let place = filled(5);
    let server = place.serve().ready();
    for n in 0..6 {
        let body = json!({"content": format!("Only in the log, {n}")});
        server.client().post("/api/memories", body).expect(200);
    }
    server.kill();
    let log = place.path().join("memnode.db-wal");
    let bytes = fs::read(&log).expect("a log");
    fs::write(&log, &bytes[..bytes.len() * 2 / 3]).expect("a log");
    let total = place.run(&["list", "--json"]).ok().json()["total"].as_u64().expect("a number");
    assert!((5..11).contains(&total), "{total}");
    place.run(&["verify"]).ok();
}

/// Makes a file or directory unchangeable, for root too; back again when dropped.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    /// `None` where that cannot be done.
    fn new(path: &'a Path) -> Option<Frozen<'a>> {
        let frozen = Command::new("chattr").arg("+i").arg(path).output();
        if frozen.is_ok_and(|output| output.status.success()) {
            return Some(Frozen(path));
        }
        crate::common::skip("chattr +i does not work here: not root, or the file system cannot");
        None
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // Left over it would only keep the temporary directory from being removed.
        let _ = Command::new("chattr").arg("-i").arg(self.0).status();
    }
}

#[test]
fn a_file_that_may_not_be_written_is_refused() {
    let place = filled(3);
    let database = place.database();
    let before = fs::read(&database).expect("a file");
    let Some(frozen) = Frozen::new(&database) else { return };
    for arguments in [&["serve", "--http-port", "0"][..], &["add", "x"], &["list"]] {
        let refused = place.run(arguments).expect_code(77);
        assert!(refused.stderr.contains("cannot be opened for writing"), "{refused:#?}");
    }
    place.run(&["doctor"]).expect_code(1);
    drop(frozen);
    assert_eq!(fs::read(&database).expect("a file"), before);
    place.run(&["list"]).ok();
}

#[test]
fn a_directory_that_may_not_be_written_is_refused() {
    let place = Place::new();
    let directory = place.path().join("frozen");
    fs::create_dir(&directory).expect("a directory");
    let place = place.with("MCP_MEMORY_BASE_DIR", directory.to_string_lossy());
    let Some(frozen) = Frozen::new(&directory) else { return };
    for arguments in [&["serve", "--http-port", "0"][..], &["add", "x"]] {
        let refused = place.run(arguments).expect_code(73);
        assert!(refused.stderr.contains("cannot be created"), "{refused:#?}");
    }
    let doctor = place.run(&["doctor"]).expect_code(1);
    assert!(doctor.stdout.contains("cannot write into"), "{doctor:#?}");
    drop(frozen);
    assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 0);
}

#[test]
fn a_base_directory_below_a_file_is_refused() {
    let place = Place::new();
    let file = place.path().join("file");
    fs::write(&file, "x").expect("a file");
    let place = place.with("MCP_MEMORY_BASE_DIR", file.join("base").to_string_lossy());
    place.run(&["add", "x"]).expect_code(73);
}
