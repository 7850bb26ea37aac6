//! Databases of mcp-memory-service: recognised, never touched, imported.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::node::Place;

/// The table of version 10, and what came with version 12.
const VERSIONS: [(&str, &str); 2] = [
    (
        "10",
        "CREATE TABLE memories (id INTEGER PRIMARY KEY AUTOINCREMENT,
           content_hash TEXT UNIQUE NOT NULL, content TEXT NOT NULL, tags TEXT, memory_type TEXT,
           metadata TEXT, created_at REAL, updated_at REAL, created_at_iso TEXT,
           updated_at_iso TEXT, deleted_at REAL DEFAULT NULL);",
    ),
    (
        "12",
        "CREATE TABLE memories (id INTEGER PRIMARY KEY AUTOINCREMENT,
           store TEXT NOT NULL DEFAULT 'default', content_hash TEXT NOT NULL,
           content TEXT NOT NULL, tags TEXT, memory_type TEXT, metadata TEXT,
           created_at REAL, updated_at REAL, created_at_iso TEXT, updated_at_iso TEXT,
           deleted_at REAL DEFAULT NULL, UNIQUE (store, content_hash));",
    ),
];

/// A file as the peer leaves it, its vector table included.
fn make(path: &Path, tables: &str) {
    let file = Connection::open(path).expect("a database");
    file.execute_batch(tables).expect("valid SQL");
    // The text alone: reading the memories must not need what makes the vectors readable.
    file.execute_batch(
        "PRAGMA writable_schema = ON;
         INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('table',
           'memory_embeddings', 'memory_embeddings', 0, 'CREATE VIRTUAL TABLE memory_embeddings
           USING vec0 (content_embedding FLOAT[384] distance_metric=cosine)');
         PRAGMA writable_schema = OFF;",
    )
    .expect("valid SQL");
}

fn add(path: &Path, columns: &str, rows: &[&str]) {
    let file = Connection::open(path).expect("a database");
    for row in rows {
        let sql = format!("INSERT INTO memories ({columns}) VALUES ({row})");
        file.execute(&sql, []).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
}

/// A file of either version with three memories, one of them deleted.
fn filled(place: &Place, version: usize) -> PathBuf {
    let path = place.path().join(format!("sqlite_vec_{}.db", VERSIONS[version].0));
    make(&path, VERSIONS[version].1);
    add(
        &path,
        "content_hash, content, tags, memory_type, metadata, created_at, updated_at, \
         created_at_iso, updated_at_iso, deleted_at",
        &[
            "'0ld', 'The router stands in the cellar', 'Home,net', 'note', '{\"floor\": -1}', \
             1500000000.25, 1500000100.5, '2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z', NULL",
            "'h2', 'A secret nobody wants back', '', 'note', '{}', 1, 1, '', '', 1700000000.0",
            "'h3', 'Tea is brewed at eighty degrees', '[\"tea\"]', NULL, 'not json', NULL, NULL, \
             '2020-05-05T10:00:00.5Z', '2020-05-05T11:00:00+00:00', NULL",
        ],
    );
    path
}

fn exported(place: &Place) -> Vec<Value> {
    let text = place.run(&["export", "-A", "-"]).ok().stdout;
    let parse = |line: &str| serde_json::from_str(line).expect("a line is JSON");
    let mut memories: Vec<Value> = text.lines().map(parse).collect();
    memories.sort_by_key(|memory| memory["content"].to_string());
    memories
}

#[test]
fn a_database_of_the_peer_at_the_configured_path_is_named_and_left_untouched() {
    for version in 0..VERSIONS.len() {
        let place = Place::new();
        let path = filled(&place, version);
        let place = place.with("MCP_MEMORY_SQLITE_PATH", path.to_string_lossy());
        let before = fs::read(&path).expect("a file");
        for arguments in [
            &["serve", "--http-port", "0"][..],
            &["add", "a text"],
            &["search", "tea"],
            &["list"],
            &["stats"],
            &["verify"],
            &["export", "-"],
        ] {
            let refused = place.run(arguments).expect_code(74);
            assert!(refused.stderr.contains("mcp-memory-service"), "{refused:#?}");
            assert!(refused.stderr.contains("memnode import"), "{refused:#?}");
            assert_eq!(refused.stdout, "", "{refused:#?}");
        }
        let mut window = place.command(&["mcp"]).stdin(Stdio::piped()).spawn().expect("it runs");
        let input = window.stdin.take();
        assert_eq!(window.wait().expect("it ends").code(), Some(74));
        drop(input);
        let doctor = place.run(&["doctor"]).expect_code(1);
        assert!(doctor.stdout.contains("belongs to mcp-memory-service"), "{doctor:#?}");
        assert_eq!(fs::read(&path).expect("a file"), before);
        let mut names: Vec<_> = fs::read_dir(place.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        names.sort();
        assert_eq!(names, [path.file_name().expect("a name").to_string_lossy()]);
    }
}

#[test]
fn an_import_takes_texts_times_tags_types_and_metadata_over() {
    for version in 0..VERSIONS.len() {
        let place = Place::new();
        let path = filled(&place, version);
        let (before, shown) = (fs::read(&path).expect("a file"), path.to_string_lossy());

        let rehearsal = place.run(&["import", &shown, "--dry-run", "--json"]).ok().json();
        assert_eq!(rehearsal["would_store"], 2, "{rehearsal}");
        assert_eq!(rehearsal["skipped_deleted"], 1, "{rehearsal}");
        assert_eq!(exported(&place), [Value::Null; 0]);

        let imported = place.run(&["import", &shown]).ok();
        assert!(imported.stdout.starts_with("stored 2, already there 0, failed 0"), "{imported:?}");
        assert!(imported.stdout.contains("deleted memories left out: 1"), "{imported:?}");

        let found = exported(&place);
        let (tea, router) = (&found[0], &found[1]);
        assert_eq!(router["tags"], json!(["home", "net"]));
        assert_eq!(router["memory_type"], "note");
        assert_eq!(router["metadata"], json!({"floor": -1, "legacy_content_hash": "0ld"}));
        assert_eq!(times(router), [Some(1500000000.25), Some(1500000100.5)]);
        assert_eq!(router["namespace"], "default");
        assert_eq!((&tea["tags"], &tea["memory_type"]), (&json!(["tea"]), &Value::Null));
        assert_eq!(tea["metadata"]["legacy_metadata"], "not json");
        assert_eq!(times(tea), [Some(1588672800.5), Some(1588676400.0)]);

        let again = place.run(&["import", &shown, "--json"]).ok().json();
        assert_eq!((&again["stored"], &again["already_there"]), (&json!(0), &json!(2)));
        let hit = place.run(&["search", "how hot should the water be", "--json"]).ok().json();
        assert_eq!(hit["results"][0]["memory"]["content"], "Tea is brewed at eighty degrees");
        assert_eq!(fs::read(&path).expect("a file"), before);
        place.run(&["verify"]).ok();
    }
}

fn times(memory: &Value) -> [Option<f64>; 2] {
    ["created_at", "updated_at"].map(|key| memory[key].as_f64())
}

#[test]
fn an_import_goes_through_the_server_that_owns_the_file() {
    let place = Place::new();
    let path = filled(&place, 1);
    let server = place.serve();
    let arguments = ["import", &*path.to_string_lossy(), "--json", "--tag", "old"];
    assert_eq!(place.run(&arguments).ok().json()["stored"], 2);
    let page = server.client().get("/api/memories?tag=old").expect(200).value();
    assert_eq!(page["total"], 2, "{page}");
}

#[test]
fn stores_of_version_12_become_namespaces() {
    let place = Place::new();
    let path = place.path().join("sqlite_vec.db");
    make(&path, VERSIONS[1].1);
    let columns = "store, content_hash, content, memory_type";
    add(
        &path,
        columns,
        &["'work', 'a', 'One', NULL", "'default', 'a', 'One', ''", "'My Shop', 'b', 'Two', 'x'"],
    );
    let shown = path.to_string_lossy();
    place.run(&["import", &shown, "--type", "note"]).ok();
    let found: Vec<Value> = exported(&place)
        .iter()
        .map(|memory| json!([memory["namespace"], memory["content"], memory["memory_type"]]))
        .collect();
    assert!(found.contains(&json!(["work", "One", "note"])), "{found:?}");
    assert!(found.contains(&json!(["default", "One", "note"])), "{found:?}");
    assert!(found.contains(&json!(["default", "Two", "x"])), "{found:?}");

    let all = place.run(&["import", &shown, "--namespace", "old", "--json"]).ok().json();
    assert_eq!((&all["stored"], &all["already_there"]), (&json!(2), &json!(1)), "{all}");
}

#[test]
fn rows_that_cannot_be_memories_are_named_and_the_rest_is_imported() {
    let place = Place::new();
    let path = place.path().join("sqlite_vec.db");
    make(&path, VERSIONS[0].1);
    let long = format!("'c', '{}'", "x".repeat(100_000));
    let rows = ["'a', 'Good'", "'b', '  '", &*long, "'d', 'x' || char(0) || 'y'", "'e', 'Fine'"];
    add(&path, "content_hash, content", &rows);
    let imported = place.run(&["import", &path.to_string_lossy()]).expect_code(65);
    assert!(imported.stdout.starts_with("stored 2, already there 0, failed 3"), "{imported:#?}");
    for (row, part) in [(2, "empty"), (3, "100000 bytes"), (4, "NUL")] {
        let line = imported.stderr.lines().find(|line| line.contains(&format!(": row {row}: ")));
        assert!(line.is_some_and(|line| line.contains(part)), "{row}: {imported:#?}");
    }
}

#[test]
fn other_sqlite_files_are_refused() {
    let place = Place::new();
    let path = place.path().join("other.db");
    make(&path, "CREATE TABLE memories (content TEXT);");
    let refused = place.run(&["import", &path.to_string_lossy()]).expect_code(65);
    assert!(refused.stderr.contains("not one of mcp-memory-service"), "{refused:#?}");

    place.run(&["add", "Our own"]).ok();
    let ours = place.database();
    let refused = place.run(&["import", &ours.to_string_lossy()]).expect_code(65);
    assert!(refused.stderr.contains("export -A"), "{refused:#?}");
    assert!(!place.path().join("memnode.db-wal").exists(), "a file at rest was opened to write");
}

#[test]
fn a_broken_database_of_the_peer_is_reported_and_left_untouched() {
    let place = Place::new();
    let path = place.path().join("sqlite_vec.db");
    make(&path, VERSIONS[0].1);
    let texts: Vec<String> =
        (0..200).map(|n| format!("'h{n}', 'text {n} {}'", "x".repeat(200))).collect();
    let rows: Vec<&str> = texts.iter().map(String::as_str).collect();
    add(&path, "content_hash, content", &rows);
    let mut bytes = fs::read(&path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&path, &bytes).expect("a file");
    let imported = place.run(&["import", &path.to_string_lossy()]).expect_code(65);
    assert!(imported.stderr.contains("sqlite_vec.db"), "{imported:#?}");
    assert!(imported.stderr.to_lowercase().contains("malformed"), "{imported:#?}");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
}
