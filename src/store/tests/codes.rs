//! The log that the index follows, and the codes that are kept.

use memnode_cluster::UpdateValues;

use super::super::{CODE_CHUNK_ROWS, CodeChange, SavedCodes};
use super::*;

fn all_rows(file: &File, after: i64) -> Vec<Option<i64>> {
    let changes = file.reader().code_changes(after, 1000).unwrap();
    assert!(changes.is_sorted_by_key(|CodeChange { n, .. }| *n));
    changes.into_iter().map(|change| change.row).collect()
}

fn head(file: &File) -> i64 {
    file.reader().code_head().unwrap()
}

fn codes(n: i64) -> SavedCodes {
    SavedCodes { n, bytes: b"codes".to_vec() }
}

#[test]
fn whatever_the_index_must_know_is_in_the_log() {
    let mut file = File::new("a");
    assert_eq!(all_rows(&file, 0), [None], "a new file is of a model");
    let start = head(&file);
    let row = file.create("one").row;
    let tags = UpdateValues { tags: Some(vec!["new".to_owned()]), ..UpdateValues::default() };
    file.write(|writer| writer.update(&target("one"), &tags)).unwrap();
    let found = file.reader().code_row(row).unwrap().expect("a live row");
    assert_eq!((found.tags, found.namespace.as_str()), (vec!["new".to_owned()], "default"));
    assert_eq!(found.vector, direction("one", DIMENSION));
    file.write(|writer| writer.delete(&target("one"))).unwrap();
    assert_eq!(file.reader().code_row(row).unwrap(), None);
    assert_eq!(file.create("one").row, row, "it is brought back");
    assert_eq!(all_rows(&file, start), [Some(row); 4]);

    // A text whose vector comes later.
    let after = head(&file);
    let late = file.create("late").row;
    file.connection.execute("DELETE FROM memory_embeddings WHERE rowid = ?1", [late]).unwrap();
    file.connection.execute("INSERT INTO pending_vector (row) VALUES (?1)", [late]).unwrap();
    assert_eq!(file.reader().code_row(late).unwrap(), None, "no vector yet");
    let vector = direction("late", DIMENSION);
    assert!(file.write(|writer| writer.put_vector(late, "late", &vector)).unwrap());
    assert_eq!(all_rows(&file, after), [Some(late), Some(late)]);
    assert_eq!(file.reader().code_row(late).unwrap().map(|found| found.vector), Some(vector));
    file.check_sound();
}

#[test]
fn kept_codes_take_their_entries_out_of_the_log() {
    let mut file = File::new("a");
    let first = file.create("one").row;
    let last = file.create("two").row;
    let n = head(&file);
    assert_eq!(file.reader().code_chunks().unwrap(), [0]);
    assert_eq!(file.reader().stale_chunks().unwrap()[0].count, 2);
    assert!(file.write(|writer| writer.keep_codes(0, last, &codes(n))).unwrap());
    assert_eq!(file.reader().saved_codes(0).unwrap(), Some(codes(n)));
    assert_eq!(file.reader().saved_codes(1).unwrap(), None);
    assert!(file.reader().stale_chunks().unwrap().is_empty());
    assert_eq!(head(&file), n, "the head stays");

    // A row that came later does not matter, one that changed does.
    file.create("three");
    assert!(file.write(|writer| writer.keep_codes(0, last, &codes(n))).unwrap());
    assert_eq!(file.reader().stale_chunks().unwrap()[0].count, 1, "that of the third");
    file.write(|writer| writer.delete(&target("one"))).unwrap();
    assert!(!file.write(|writer| writer.keep_codes(0, last, &codes(n))).unwrap());
    assert!(first < last && last < CODE_CHUNK_ROWS);
}

#[test]
fn erased_text_leaves_no_codes_behind() {
    let mut file = File::new("a");
    let row = file.create("secret").row;
    let n = head(&file);
    file.write(|writer| writer.delete(&target("secret"))).unwrap();
    assert!(!file.write(|writer| writer.keep_codes(0, row, &codes(n))).unwrap());
    let n = head(&file);
    assert!(file.write(|writer| writer.keep_codes(0, row, &codes(n))).unwrap());
    file.write(|writer| writer.purge(&target("secret"))).unwrap();
    assert_eq!(file.reader().saved_codes(0).unwrap(), None);
}

#[test]
fn another_model_or_a_rebuild_drops_all_codes() {
    let mut file = File::new("a");
    let row = file.create("one").row;
    let n = head(&file);
    assert!(file.write(|writer| writer.keep_codes(0, row, &codes(n))).unwrap());
    file.write(|writer| writer.drop_codes()).unwrap();
    assert_eq!(file.reader().saved_codes(0).unwrap(), None);
    assert_eq!(all_rows(&file, n), [None]);

    let n = head(&file);
    assert!(file.write(|writer| writer.keep_codes(0, row, &codes(n))).unwrap());
    file.write(|writer| writer.reembed_begin("other", 4)).unwrap();
    let texts = file.reader().unembedded(0, 10).unwrap();
    let done: Vec<_> =
        texts.into_iter().map(|text| (text.clone(), direction(&text.content, 4))).collect();
    file.write(|writer| writer.reembed_keep(&done)).unwrap();
    assert!(file.write(|writer| writer.reembed_finish()).unwrap());
    assert_eq!(file.reader().saved_codes(0).unwrap(), None);
    assert!(all_rows(&file, n).contains(&None));
    assert!(!file.write(|writer| writer.keep_codes(0, row, &codes(n))).unwrap(), "of the old one");
}
