//! Joining whole states: digest descent, both directions, quarantine and own runs.

use memnode_cluster::{BUCKET_COUNT, GROUP_COUNT, Part, Record, bucket_of, group_of, value};

use super::*;

/// Two files with histories of their own and some in common, payloads gone.
fn apart() -> (File, File) {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    for text in ["common", "dead", "fought for"] {
        a.create(text);
    }
    follow(&mut b, &a);
    for number in 0..20 {
        a.create(&format!("a {number}"));
        b.create(&format!("b {number}"));
    }
    delete(&mut a, "dead");
    update(&mut a, "fought for", "from a");
    b.now_ms += 1000;
    update(&mut b, "fought for", "from b");
    update(&mut b, "dead", "too late");
    a.create("Both");
    b.create("both");
    for file in [&mut a, &mut b] {
        file.connection
            .execute_batch("DELETE FROM op; UPDATE origin SET kept_count = 0, kept_bytes = 0")
            .unwrap();
    }
    (a, b)
}

#[test]
fn a_transfer_both_ways_makes_equal_files() {
    let (mut a, mut b) = apart();
    let (ours, theirs) = (all_records(&a), all_records(&b));
    let (left, right) = (a.reader().vector().unwrap(), b.reader().vector().unwrap());
    assert_eq!(join(&mut a, &theirs, &right).merged, theirs.len() as u64);
    join(&mut b, &ours, &left);
    check_equal(&a, &b);
    let lost = |file: &File| {
        let found = file.reader().conflicts(&NamespaceSet::All, 10, None).unwrap();
        found.into_iter().map(|lost| (lost.part, lost.value)).collect::<Vec<_>>()
    };
    let from_a = ("type".to_owned(), serde_json::json!("from a"));
    assert!(lost(&a).contains(&from_a) && lost(&b).contains(&from_a));
    for file in [&mut a, &mut b] {
        let before = file.number("SELECT max(n) FROM change_log");
        let records = all_records(file);
        let vector = file.reader().vector().unwrap();
        let again = join(file, &records, &vector);
        assert_eq!(again.merged, records.len() as u64);
        assert_eq!(file.number("SELECT max(n) FROM change_log"), before, "nothing is new");
    }
}

#[test]
fn descending_the_digest_finds_what_differs_and_no_more() {
    let (a, b) = apart();
    let mut differing = Vec::new();
    for group in 0..GROUP_COUNT as u16 {
        let (left, right) =
            (a.reader().buckets(group).unwrap(), b.reader().buckets(group).unwrap());
        assert_eq!(left.len(), BUCKET_COUNT / GROUP_COUNT);
        for (number, _) in left.iter().zip(&right).enumerate().filter(|(_, (l, r))| l != r) {
            let bucket = group * 64 + number as u16;
            let (ours, more) = a.reader().bucket_hashes(bucket, None).unwrap();
            assert!(!more);
            let (theirs, _) = b.reader().bucket_hashes(bucket, None).unwrap();
            for (id, _) in ours.iter().filter(|found| !theirs.contains(found)) {
                assert_eq!((bucket_of(id), group_of(bucket_of(id))), (bucket, group));
                differing.push(*id);
            }
        }
    }
    // 20 of its own, and those that were deleted, fought for, and written by both.
    assert_eq!(differing.len(), 23);
    let (records, more) = a.reader().transfer_records(&differing).unwrap();
    assert!(!more);
    assert_eq!(records.iter().map(TransferRecord::id).collect::<Vec<_>>(), differing);
    assert!(a.reader().buckets(GROUP_COUNT as u16).unwrap().is_empty());
    assert!(a.reader().bucket_hashes(u16::MAX, None).unwrap().0.is_empty());
}

#[test]
fn pages_of_records_make_the_whole() {
    let mut a = File::new("a");
    for number in 0..30 {
        a.create(&format!("{number} {}", "long ".repeat(10_000)));
    }
    let (page, more) = a.reader().transfer_bucket_records(0, 4095, None).unwrap();
    assert!(more && page.len() < 20, "{} records of 50 kB", page.len());
    let all = all_records(&a);
    assert_eq!(all.len(), 30);
    assert!(all.is_sorted_by_key(TransferRecord::id));
    let ids: Vec<RecordId> = all.iter().map(TransferRecord::id).collect();
    let (page, more) = a.reader().transfer_records(&ids).unwrap();
    assert!(more && page.len() < 20);
    let bucket = bucket_of(&ids[3]);
    let (one, _) = a.reader().transfer_bucket_records(bucket, bucket, None).unwrap();
    assert!(one.iter().all(|record| bucket_of(&record.id()) == bucket) && !one.is_empty());
    let mut b = File::new("b");
    join(&mut b, &all, &a.reader().vector().unwrap());
    check_equal(&a, &b);
}

/// The first op of a file, held by another as `payload`.
fn held_by_another(payload: impl FnOnce(&mut Vec<u8>)) -> (File, File) {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("one");
    a.create("two");
    let mut bad = Incoming { op: Err("unreadable".to_owned()), ..kept(&a).remove(0) };
    payload(&mut bad.payload);
    apply(&mut b, &[bad]);
    (a, b)
}

#[test]
fn what_is_held_here_for_its_major_version_is_not_adopted() {
    // After the head of the map, its first key and the head of a pair stands the major version.
    let (a, mut b) = held_by_another(|payload| payload[3] = 2);
    let vector_of_a = a.reader().vector().unwrap();
    let added = b.write(|writer| writer.adopt(&vector_of_a)).unwrap();
    assert_eq!(added, vector(&[("a", 2, 2)]));
    assert_eq!(b.reader().vector().unwrap(), vector(&[("a", 2, 2)]));
    let none = b.write(|writer| writer.adopt(&vector_of_a)).unwrap();
    assert!(none.is_empty());
}

#[test]
fn what_was_damaged_on_its_way_here_leaves_the_quarantine_with_a_joined_state() {
    let (a, mut b) = held_by_another(|payload| payload.truncate(40));
    let vector_of_a = a.reader().vector().unwrap();
    join(&mut b, &all_records(&a), &vector_of_a);
    check_equal(&a, &b);
    assert!(b.reader().held().unwrap().is_empty());
}

/// A backup that is restored learns of its own writes since.
#[test]
fn own_writes_of_earlier_runs_may_be_adopted() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("one");
    let backup = a.directory.path().join("backup.db");
    let sql = format!("VACUUM INTO '{}'", backup.display());
    a.connection.execute_batch(&sql).unwrap();
    a.create("two");
    a.create("three");
    follow(&mut b, &a);
    let (connection, state) = open_file(&backup, "a", 2);
    let mut restored =
        File { directory: tempfile::tempdir().unwrap(), connection, state, now_ms: NOW_MS };
    restored.create("after");
    let records = all_records(&b);
    join(&mut restored, &records, &b.reader().vector().unwrap());
    restored.check_sound();
    assert_eq!(restored.reader().vector().unwrap().get(&origin("a", 1)).unwrap().head(), 3);
    restored.create("more");
    restored.check_sound();
    follow(&mut b, &restored);
    check_equal(&restored, &b);
    let start = restored.reader().replica_start(9.0).unwrap();
    let unpublished: Vec<_> =
        start.unpublished.iter().map(|(o, set)| (o.epoch, set.count())).collect();
    assert_eq!(unpublished, [(1, 1), (2, 2)]);
}

#[test]
fn a_record_that_breaks_the_rules_is_refused_and_the_rest_joined() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    a.create("one");
    a.create("two");
    let mut records = all_records(&a);
    let bad = records[0].id();
    let parts = records[0].record.parts().map(|(part, register)| {
        let mut register = register.clone();
        if *part == Part::Body {
            register.value = value::text("");
        }
        (part.clone(), register)
    });
    records[0].record = parts.collect::<Record>();
    let outcome = join(&mut b, &records, &a.reader().vector().unwrap());
    assert_eq!(outcome.merged, 1);
    assert_eq!(outcome.refused.len(), 1);
    assert_eq!(outcome.refused[0].0, bad);
    assert!(b.reader().vector().unwrap().is_empty(), "not adopted");
    b.check_sound();
}

#[test]
fn another_cluster_takes_state_and_dots_over_and_nothing_else() {
    let mut a = File::new("a");
    a.create("one");
    let before = a.reader().digest().unwrap();
    let id = memnode_cluster::ClusterId([9; 16]);
    a.write(|writer| writer.set_cluster(id)).unwrap();
    assert_eq!(a.reader().digest().unwrap(), before);
    let start = a.reader().replica_start(9.0).unwrap();
    assert_eq!((a.reader().cluster_id().unwrap(), start.cursor), (id, None));
    assert!(start.unpublished.is_empty() && !start.is_fresh);
    assert_eq!(a.reader().op_bytes().unwrap(), (0, 0));
    a.create("two");
    assert_eq!(kept(&a).remove(0).op.unwrap().cluster, id);
    a.check_sound();
}
