//! Records of the cluster itself: replicated like memories, seen by nobody.

use memnode_cluster::{Clock, OpKind, Part, Parts};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::store::Seal;

fn put(file: &mut File, key: &str, value: &Value) -> Dot {
    file.write(|writer| writer.write_reserved("_roster", key, value)).unwrap()
}

#[test]
fn they_are_read_back_on_every_node_and_shown_on_none() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    assert_eq!(put(&mut a, "node-1", &json!({"state": "joined"})), dot("a", 1, 1));
    put(&mut a, "Node-1", &json!(null));
    put(&mut a, "node-1", &json!({"state": "left"}));
    follow(&mut b, &a);
    for file in [&a, &b] {
        let found = file.reader().reserved("_roster").unwrap();
        let expected = [("Node-1", json!(null)), ("node-1", json!({"state": "left"}))];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value)));
        assert!(file.reader().reserved("_void").unwrap().is_empty());
        assert!(visible(file).is_empty());
        for table in ["tally", "tag", "change_log", "memory_fts_docsize", "pending_vector"] {
            let count = file.number(&format!("SELECT count(*) FROM {table}"));
            assert_eq!(count, 0, "{table}");
        }
        assert_eq!(file.reader().digest().unwrap().count(), 2);
    }
    check_equal(&a, &b);
}

#[test]
fn the_later_of_two_values_stands_everywhere() {
    let (mut a, mut b) = (File::new("a"), File::new("b"));
    put(&mut a, "key", &json!(1));
    b.now_ms += 1000;
    put(&mut b, "key", &json!(2));
    let ops = kept(&a);
    follow(&mut a, &b);
    apply(&mut b, &ops);
    check_equal(&a, &b);
    assert_eq!(a.reader().reserved("_roster").unwrap(), [("key".to_owned(), json!(2))]);
    assert!(
        a.reader().conflicts(&NamespaceSet::All, 10, None).unwrap().is_empty(),
        "they are not for people"
    );
}

#[test]
fn voided_dots_are_read_from_their_namespace() {
    let mut file = File::new("a");
    let given_up = dot("gone", 7, 3);
    for key in [given_up.to_string(), "no dot".to_owned()] {
        file.write(|writer| writer.write_reserved("_void", &key, &json!(true))).unwrap();
    }
    let taken_back = dot("gone", 7, 4).to_string();
    file.write(|writer| writer.write_reserved("_void", &taken_back, &json!(null))).unwrap();
    let start = file.reader().replica_start(9.0).unwrap();
    assert_eq!(start.voided.count(), 1);
    assert!(start.voided.contains(&given_up));
    assert_eq!(file.reader().reserved("_void").unwrap().len(), 3);
}

#[test]
fn other_namespaces_and_endless_keys_are_refused() {
    let mut file = File::new("a");
    let long = "k".repeat(1025);
    for (namespace, key) in [("default", "k"), ("_roster", ""), ("_roster", long.as_str())] {
        let refused = file.write(|writer| {
            writer.atomically(|writer| writer.write_reserved(namespace, key, &json!(1)))
        });
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{namespace} {key}");
    }
}

fn seal() -> Seal {
    Seal::new("a secret of the cluster that is long")
}

/// A file of a node that knows the secret.
fn sealed_file(node: &str) -> File {
    let mut file = File::new(node);
    file.write(|writer| {
        writer.set_seal(seal());
        Ok(())
    })
    .unwrap();
    file
}

fn put_sealed(file: &mut File, key: &str, value: &Value, seal: &Seal) {
    file.write(|writer| writer.write_sealed(key, value, seal)).unwrap();
}

/// The genuine keys and values of a file.
fn genuine(file: &File) -> Vec<(String, Value)> {
    let found = file.reader().sealed(&seal()).unwrap();
    let mut found: Vec<_> = found.into_iter().filter_map(|sealed| sealed.entry).collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

#[test]
fn api_keys_are_known_on_every_node_and_shown_on_none() {
    let (mut a, mut b) = (sealed_file("a"), sealed_file("b"));
    let before = a.reader().sealed_mark().unwrap();
    assert!(!a.reader().has_sealed().unwrap());
    put_sealed(&mut a, "0f", &json!({"name": "x"}), &seal());
    let made = a.reader().sealed_mark().unwrap();
    put_sealed(&mut a, "0f", &json!({"name": "y"}), &seal());
    let changed = a.reader().sealed_mark().unwrap();
    assert!(before != made && made != changed);
    assert!(follow(&mut b, &a).held.is_empty());
    for file in [&a, &b] {
        assert_eq!(genuine(file), [("0f".to_owned(), json!({"name": "y"}))]);
        assert!(visible(file).is_empty());
    }
    assert_eq!(b.reader().sealed_mark().unwrap(), changed);
    check_equal(&a, &b);
    let other = Seal::new("another secret that is also long enough");
    let found = b.reader().sealed(&other).unwrap();
    assert!(found.len() == 1 && found[0].entry.is_none());
}

#[test]
fn a_key_that_is_not_proven_lies_in_quarantine() {
    let (mut thief, mut file) = (File::new("thief"), sealed_file("b"));
    let other = Seal::new("another secret that is also long enough");
    put_sealed(&mut thief, "0f", &json!({"name": "forged"}), &other);
    thief.write(|writer| writer.write_reserved("_keys", "1f", &json!({"name": "x"}))).unwrap();
    assert_eq!(follow(&mut file, &thief).held.count(), 2);
    assert!(genuine(&file).is_empty() && !file.reader().has_sealed().unwrap());
    let held = file.reader().quarantined(10).unwrap();
    assert!(held.iter().all(|held| held.reason.contains("without proof")), "{held:?}");
    // Who knows no secret takes it in, as it must hold what the others hold, and uses none.
    let mut ignorant = File::new("c");
    assert!(follow(&mut ignorant, &thief).held.is_empty());
    assert!(genuine(&ignorant).is_empty());
}

#[test]
fn nobody_without_the_secret_takes_a_revocation_back() {
    let (mut a, mut file) = (sealed_file("a"), sealed_file("b"));
    put_sealed(&mut a, "0f/revoked", &json!({"revoked_at": 1.0}), &seal());
    follow(&mut file, &a);
    let revoked = genuine(&file);
    // The thief has all that NATS carries: it may write anew, delete, erase, or send again.
    let mut thief = File::new("thief");
    follow(&mut thief, &a);
    thief.now_ms += 60_000;
    thief.write(|writer| writer.write_reserved("_keys", "0f/revoked", &json!(null))).unwrap();
    follow(&mut file, &thief);
    let content_hash: [u8; 32] = Sha256::digest("0f/revoked").into();
    for (kind, parts) in [
        (OpKind::Delete, memnode_cluster::delete as fn(Clock) -> Parts),
        (OpKind::Purge, memnode_cluster::purge),
    ] {
        thief
            .write(|writer| {
                writer.write_to("_keys", &content_hash, kind, None, |_, clock| parts(clock))
            })
            .unwrap();
        follow(&mut file, &thief);
    }
    assert_eq!(file.reader().held().unwrap().count(), 3);
    assert_eq!(genuine(&file), revoked);
    // By the other road, as a state that is joined, it can destroy the record but not hide it.
    join(&mut file, &all_records(&thief), &thief.reader().vector().unwrap());
    let found = file.reader().sealed(&seal()).unwrap();
    assert!(found.len() == 1 && found[0].entry.is_none());
    assert_eq!(found[0].key_hash, content_hash);
}

#[test]
fn an_older_value_of_a_key_cannot_be_sent_again() {
    let (mut a, mut file) = (sealed_file("a"), sealed_file("b"));
    put_sealed(&mut a, "0f", &json!({"hash": "old"}), &seal());
    let old = kept(&a).remove(0);
    put_sealed(&mut a, "0f", &json!({"hash": "new"}), &seal());
    follow(&mut file, &a);
    let mut thief = File::new("thief");
    follow(&mut thief, &a);
    thief.now_ms += 60_000;
    let value = Part::Metadata("value".to_owned());
    let bytes = old.op.unwrap().parts[&value].clone();
    let content_hash: [u8; 32] = Sha256::digest("0f").into();
    thief
        .write(|writer| {
            writer.write_to("_keys", &content_hash, OpKind::Update, None, |_, _| {
                Parts::from([(value, bytes)])
            })
        })
        .unwrap();
    assert_eq!(follow(&mut file, &thief).held.count(), 1);
    assert_eq!(genuine(&file), [("0f".to_owned(), json!({"hash": "new"}))]);
}
