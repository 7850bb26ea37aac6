//! `memnode eval`: what it measures, what it keeps, and what it refuses.

use std::fs;

use crate::common::node::Place;

const SET: &str = r#"
{"document": "a", "content": "Ann: I painted the lake yesterday", "created_at": 1683540000}
{"document": "b", "content": "Bob: I bought a bicycle", "created_at": 1683540030}
{"document": "c", "content": "the printer wants A5 paper", "memory_type": "note"}
{"query": "1", "text": "What did Ann paint?", "class": "who", "relevant": ["a"]}
{"query": "2", "text": "which paper for the printer", "class": "what", "relevant": {"c": 2}}
{"query": "3", "text": "printer", "class": "what", "relevant": ["c"], "memory_type": "note"}
"#;

#[test]
fn a_set_is_measured_in_every_mode() {
    let place = Place::new();
    let set = place.path().join("set.jsonl");
    fs::write(&set, SET).expect("written");
    let set = set.to_str().expect("UTF-8");
    let keep = place.path().join("kept");
    let keep = keep.to_str().expect("UTF-8");

    let found = place.run(&["eval", set, "--json", "--keep", keep]).ok().json();
    assert_eq!((&found["documents"], &found["queries"]), (&3.into(), &3.into()));
    let all = &found["classes"][0];
    assert_eq!(all["class"], "all");
    for mode in ["semantic", "keyword", "hybrid"] {
        assert_eq!(all["modes"][mode]["recall@5"]["mean"], 1.0, "{mode}: {found}");
        assert_eq!(all["modes"][mode]["nDCG@10"]["mean"], 1.0, "{mode}: {found}");
    }
    assert_eq!(all["hybrid_minus_best_single"]["MRR"]["mean"], 0.0);
    let kept = fs::read_dir(keep).expect("it is kept");
    let databases = kept.filter(|entry| {
        let path = entry.as_ref().expect("readable").path();
        path.extension().is_some_and(|extension| extension == "db")
    });
    assert_eq!(databases.count(), 1);
    assert!(!place.database().exists(), "one's own memories are left alone");

    let again = place.run(&["eval", set, "--keep", keep, "--mode", "keyword", "--k", "1"]).ok();
    assert!(again.stdout.contains("recall@1"), "{}", again.stdout);
    assert!(!again.stdout.contains("hybrid"), "{}", again.stdout);
}

#[test]
fn a_set_that_contradicts_itself_is_refused() {
    let place = Place::new();
    let set = place.path().join("set.jsonl");
    let check = |text: &str, arguments: &[&str], code: i32, expected: &str| {
        fs::write(&set, text).expect("written");
        let arguments = [&["eval", set.to_str().expect("UTF-8")], arguments].concat();
        let refused = place.run(&arguments).expect_code(code);
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    };
    check("{\"query\": \"q\", \"text\": \"t\", \"relevant\": [\"x\"]}", &[], 65, "not there");
    check("\n\nnonsense", &[], 65, "set.jsonl:3:");
    check("", &[], 65, "no question");
    check(SET, &["--k", "0"], 64, "--k");
    check(SET, &["--half", "best"], 64, "--half");
    let missing = place.run(&["eval", "/nowhere/set.jsonl"]).expect_code(74);
    assert!(missing.stderr.contains("/nowhere/set.jsonl"), "{}", missing.stderr);
}
