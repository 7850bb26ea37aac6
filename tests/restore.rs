//! `memnode restore`: what comes back, what is kept, what is refused; and peers lose nothing.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::cluster::{Cluster, HEAL_DEADLINE};
use crate::common::damage::flip_bits;
use crate::common::nats::Version;
use crate::common::node::{Finished, Place};
use crate::common::rest::{path, store_text, text};

/// A place with some texts, and a backup of them.
fn backed_up(texts: &[&str]) -> (Place, PathBuf) {
    let place = Place::new();
    for content in texts {
        place.run(&["add", content]).ok();
    }
    let made = place.run(&["backup", "--json"]).ok().json();
    (place, PathBuf::from(text(&made["path"])))
}

fn restore(place: &Place, backup: &Path, more: &[&str]) -> Finished {
    let backup = backup.to_string_lossy();
    let arguments: Vec<&str> = ["restore", &*backup].iter().chain(more).copied().collect();
    place.run(&arguments)
}

fn texts(place: &Place) -> Vec<String> {
    let lines = place.run(&["export", "-"]).ok().stdout;
    let content = |line: &str| text(&serde_json::from_str::<Value>(line).expect("JSON")["content"]);
    lines.lines().map(content).collect()
}

/// Files beside the database that a restore made.
fn leftovers(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path()).expect("a directory").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(".restoring") || name.contains(".before-")).collect()
}

#[test]
fn the_file_of_the_backup_takes_the_place_of_the_present_one_which_is_kept() {
    let (place, backup) = backed_up(&["In both"]);
    // Written by a process that was killed, so that it lies in the write-ahead log.
    let server = place.serve();
    store_text(&server.client(), "Written later");
    server.kill();
    let refused = restore(&place, &backup, &[]).expect_code(64);
    assert!(refused.stderr.contains("--yes"), "{refused:#?}");
    assert_eq!(leftovers(&place), [""; 0]);
    let restored = restore(&place, &backup, &["--yes", "--json"]).ok().json();
    assert_eq!(restored["records"], 1);
    assert_eq!(texts(&place), ["In both"]);
    let kept = PathBuf::from(text(&restored["kept"]));
    assert_eq!(leftovers(&place), [kept.file_name().expect("a file").to_string_lossy()]);
    // The way back.
    let again = restore(&place, &kept, &["--yes"]).ok();
    assert!(again.stdout.contains("is kept as"), "{again:#?}");
    assert_eq!(texts(&place), ["In both", "Written later"]);
    place.run(&["verify"]).ok();
}

#[test]
fn a_node_that_runs_is_named_and_nothing_is_touched() {
    let (place, backup) = backed_up(&["Here"]);
    let server = place.serve();
    let refused = restore(&place, &backup, &["--yes"]).expect_code(75);
    assert!(refused.stderr.contains(&format!("process {}", server.pid())), "{refused:#?}");
    assert!(refused.stderr.contains(&server.url) && refused.stderr.contains("hint:"));
    assert_eq!(leftovers(&place), [""; 0]);
    store_text(&server.client(), "Still works");
}

#[test]
fn what_is_no_sound_backup_of_ours_is_refused_and_nothing_is_touched() {
    let (place, backup) = backed_up(&["The one", "The other"]);
    place.run(&["add", "Later"]).ok();
    let at = |name: &str| place.path().join(name);
    let check = |file: &Path, code: i32, why: &str| {
        let refused = restore(&place, file, &["--yes"]).expect_code(code);
        assert!(refused.stderr.contains(why), "{why}: {refused:#?}");
        assert_eq!(leftovers(&place), [""; 0], "{why}");
    };
    let copy = |name: &str| {
        fs::copy(&backup, at(name)).expect("a copy");
        at(name)
    };
    check(&at("none.db"), 74, "cannot read");
    check(place.path(), 65, "not a file");
    fs::write(at("list.txt"), "a shopping list, longer than a header of a file\n").expect("a file");
    check(&at("list.txt"), 65, "not a memnode database");
    let sql = |file: &Path, sql: &str| {
        Connection::open(file).expect("a database").execute_batch(sql).expect("valid SQL");
    };
    sql(&at("foreign.db"), "CREATE TABLE t (x)");
    check(&at("foreign.db"), 65, "not a memnode database");
    let newer = copy("newer.db");
    sql(&newer, "PRAGMA user_version = 999");
    check(&newer, 74, "schema version 999");
    let damaged = copy("damaged.db");
    flip_bits(&damaged);
    // Some bits are only the checksum's to find: no other check reads unused room or vectors.
    fs::copy(format!("{}.sha256", backup.display()), at("damaged.db.sha256")).expect("a copy");
    check(&damaged, 74, "checksum");
    let short = copy("short.db");
    let bytes = fs::metadata(&short).expect("a file").len();
    fs::File::options().write(true).open(&short).expect("a file").set_len(bytes / 2).expect("cut");
    check(&short, 74, "cannot be restored");
    let changed = copy("changed.db");
    sql(&changed, "UPDATE memory SET content = 'Forged'");
    check(&changed, 74, "cannot be restored");
    // A checksum tells even what no other check can see.
    let summed = copy("summed.db");
    fs::write(at("summed.db.sha256"), format!("{}  summed.db\n", "0".repeat(64))).expect("a file");
    check(&summed, 74, "checksum");
    let busy = copy("busy.db");
    fs::write(at("busy.db-wal"), "x").expect("a file");
    check(&busy, 74, "write-ahead log");
    check(&place.database(), 64, "the database itself");
    fs::write(at("empty.db"), "").expect("a file");
    check(&at("empty.db"), 74, "empty");
    assert_eq!(texts(&place).len(), 3);
}

#[test]
fn a_damaged_database_makes_way_and_a_foreign_one_of_a_peer_does_not() {
    let (place, backup) = backed_up(&["Saved"]);
    flip_bits(&place.database());
    fs::write(place.path().join("memnode.db-wal"), "nonsense").expect("a file");
    restore(&place, &backup, &["--yes"]).ok();
    assert_eq!(texts(&place), ["Saved"]);
    place.run(&["verify"]).ok();
    let peer = Place::new();
    Connection::open(peer.database())
        .expect("a database")
        .execute_batch(
            "CREATE TABLE memories (id INTEGER, content_hash TEXT, content TEXT, tags TEXT, \
             memory_type TEXT, metadata TEXT)",
        )
        .expect("valid SQL");
    let refused = restore(&peer, &backup, &["--yes"]).expect_code(74);
    assert!(refused.stderr.contains("mcp-memory-service"), "{refused:#?}");
}

#[test]
fn a_hash_still_brings_one_memory_back() {
    let place = Place::new();
    let hash = text(&place.run(&["add", "Gone and back", "--json"]).ok().json()["content_hash"]);
    place.run(&["delete", &hash]).ok();
    place.run(&["restore", &hash]).ok();
    assert_eq!(texts(&place), ["Gone and back"]);
}

#[test]
fn a_restored_node_rolls_no_peer_back_and_gets_everything_back() {
    let Some(mut cluster) = Cluster::start(3, Version::Newer) else { return };
    let client = cluster.nodes[2].client();
    let changed = store_text(&client, "Changed after the backup");
    let deleted = store_text(&client, "Deleted after the backup");
    cluster.digests_equal(HEAL_DEADLINE);
    let made = client.post("/api/backup/now", json!({})).expect(200).value();
    let backup = PathBuf::from(text(&made["path"]));

    client.put(&path(&changed), json!({"tags": ["new"], "memory_type": "later"})).expect(200);
    client.delete(&path(&deleted)).expect(200);
    for number in 0..20 {
        store_text(&client, &format!("On the restored node, {number}"));
        store_text(&cluster.nodes[0].client(), &format!("On a peer, {number}"));
    }
    cluster.digests_equal(HEAL_DEADLINE);
    let before = cluster.contents();

    cluster.nodes[2].stop();
    // While it is away, and before it knows of that.
    let missed = store_text(&cluster.nodes[1].client(), "While the node was restored");
    restore(&cluster.nodes[2].place, &backup, &["--yes"]).ok();
    let restored = cluster.nodes[2].place.run(&["get", &deleted]);
    restored.ok();
    cluster.nodes[2].start();
    let own = store_text(&cluster.nodes[2].client(), "The first of the new run");
    cluster.digests_equal(HEAL_DEADLINE);

    let after = cluster.contents();
    for (name, contents) in &after {
        let (_, old) = before.iter().find(|(known, _)| known == name).expect("the same nodes");
        let kept = old.iter().all(|(hash, seen)| contents.get(hash) == Some(seen));
        assert!(kept, "{name} lost something");
        assert!(contents.contains_key(&missed) && contents.contains_key(&own), "{name}");
        assert!(!contents.contains_key(&deleted), "{name}: what was deleted came back");
        assert_eq!(contents.len(), old.len() + 2, "{name}");
    }
    cluster.assert_no_defects();
}
