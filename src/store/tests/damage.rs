//! What `verify` finds.

use memnode_cluster::UpdateValues;

use super::*;

/// A sound file with live, changed and dead memories; then one thing is broken in it.
fn check(damage: &str, expected: &str) {
    let mut file = File::new("a");
    for number in 0..20 {
        file.create(&format!("text {number}"));
    }
    let tags = UpdateValues { tags: Some(vec!["few".to_owned()]), ..UpdateValues::default() };
    file.write(|writer| writer.update(&target("text 3"), &tags)).unwrap();
    file.write(|writer| writer.delete(&target("text 4"))).unwrap();
    file.check_sound();
    file.connection.execute_batch(damage).unwrap();
    let problems = file.reader().verify().unwrap();
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{damage}: {problems:?}");
}

#[test]
fn every_planted_damage_is_found() {
    check("UPDATE tally SET count = count + 1", "totals");
    check(
        "PRAGMA foreign_keys = OFF; UPDATE memory SET write_origin = 99 WHERE row = 7",
        "name a row of origin",
    );
    check("DELETE FROM tally", "totals");
    check("INSERT INTO tally VALUES ('ghost', '', 1)", "totals");
    check("UPDATE tag SET count = count - 1 WHERE name = 'all'", "tag counts");
    check("DELETE FROM tag WHERE name = 'few'", "tag counts");
    check("INSERT INTO tag (namespace, name, count) VALUES ('default', 'ghost', 1)", "tag counts");
    check("DELETE FROM memory_tag WHERE row = 7", "tag entries");
    check("UPDATE memory_tag SET created_at = 5 WHERE row = 7", "tag entries");
    check("INSERT INTO memory_tag SELECT tag_id, 1, 999 FROM tag LIMIT 1", "tag entries");
    check("UPDATE bucket SET count = count + 1 WHERE b = (SELECT max(b) FROM bucket)", "digest");
    check("UPDATE bucket SET hash = zeroblob(16) WHERE b = (SELECT min(b) FROM bucket)", "digest");
    check("DELETE FROM bucket WHERE b = (SELECT min(b) FROM bucket)", "digest");
    check(
        "INSERT INTO memory_fts (memory_fts, rowid, content, tags) \
         SELECT 'delete', row, content, tags FROM memory WHERE row = 7",
        "word index",
    );
    check(
        "INSERT INTO memory_fts (rowid, content, tags) SELECT row, 'text 4', '' FROM memory \
         WHERE live = 0",
        "word index",
    );
    check("DELETE FROM memory_embeddings WHERE rowid = 7", "vectors");
    check("UPDATE memory_embeddings_rowids SET rowid = 999 WHERE rowid = 7", "vectors");
    check("DELETE FROM meta WHERE key = 'dimension'", "which vectors");
    check("DELETE FROM applied", "not applied");
    check("UPDATE applied SET lo = 2", "not applied");
}

#[test]
fn a_row_that_contradicts_its_record_is_found() {
    let contradicts = "row 7";
    check("UPDATE memory SET record = x'00' WHERE row = 7", contradicts);
    check(
        "UPDATE memory SET record = (SELECT record FROM memory WHERE row = 8) WHERE row = 7",
        contradicts,
    );
    check("UPDATE memory SET version = zeroblob(16) WHERE row = 7", contradicts);
    check("UPDATE memory SET content = 'another' WHERE row = 7", contradicts);
    check("UPDATE memory SET tags = '[\"other\"]' WHERE row = 7", contradicts);
    check("UPDATE memory SET metadata = '{}' WHERE row = 7", contradicts);
    check("UPDATE memory SET memory_type = 'other' WHERE row = 7", contradicts);
    check("UPDATE memory SET created_at = 5 WHERE row = 7", contradicts);
    check("UPDATE memory SET updated_at = 5 WHERE row = 7", contradicts);
    check("UPDATE memory SET origin = 'other' WHERE row = 7", contradicts);
    check("UPDATE memory SET namespace = 'other' WHERE row = 7", contradicts);
    check("UPDATE memory SET live = 0 WHERE row = 7", contradicts);
    check("DELETE FROM memory WHERE row = 7", "digest");
}

#[test]
fn flipped_bytes_are_found() {
    let mut file = File::new("a");
    for number in 0..200 {
        file.create(&format!("a text of some length, number {number}"));
    }
    file.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let path = file.path();
    let sound = std::fs::read(&path).unwrap();
    let mut found = 0;
    let pages = sound.len() / 16_384;
    // The first bytes of a page are the header of its b-tree.
    for page in 1..pages {
        let mut bytes = sound.clone();
        bytes[page * 16_384 + 1..page * 16_384 + 8].fill(0xff);
        let copy = file.directory.path().join(format!("copy-{page}.db"));
        std::fs::write(&copy, bytes).unwrap();
        let damaged = Connection::open(&copy).unwrap();
        let problems = Reader::new(&damaged).verify();
        found += usize::from(problems.is_err() || problems.is_ok_and(|found| !found.is_empty()));
    }
    // Pages on the free list have no header.
    let free = usize::try_from(file.number("PRAGMA freelist_count")).unwrap();
    let overflow_and_free = pages - 1 - found;
    assert!(overflow_and_free <= free + pages / 2, "{found} of {pages}, {free} free");
    assert!(found > 5, "{found} of {pages}");
}
