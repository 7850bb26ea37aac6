//! Records of the cluster itself: replicated like memories, seen by nobody.

use serde_json::{Value, json};

use super::*;

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
    assert!(a.reader().conflicts(10, None).unwrap().is_empty(), "they are not for people");
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
