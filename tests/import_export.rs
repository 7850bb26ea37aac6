//! Files in, files out: nothing lost, nothing twice, bad lines named.

use serde_json::{Value, json};

use crate::common::node::Place;

fn write(place: &Place, name: &str, bytes: &[u8]) -> String {
    let path = place.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    path.display().to_string()
}

fn total(place: &Place) -> u64 {
    let listed = place.run(&["list", "--json", "-A"]).ok().json();
    listed["total"].as_u64().expect("a total")
}

#[test]
fn a_bad_line_is_named_and_the_rest_comes_in() {
    let place = Place::new();
    let lines = b"\xef\xbb\xbf{\"content\": \"first\", \"tags\": \"a, b\"}\r\n\
        {\"tags\": [\"x\"], \"content\": \"second\", \"created_at\": 1700000000.25}\n\
        {\"content\": 7}\n\n\
        {\"content\": \"\xff\"}\n\
        {\"content\": \"third\"}\n\
        {\"content\": \"cut of";
    let file = write(&place, "notes.jsonl", lines);
    let dry = place.run(&["import", &file, "--dry-run"]).expect_code(65);
    assert_eq!(total(&place), 0, "{dry:#?}");
    let finished = place.run(&["import", &file]).expect_code(65);
    for line in [":3", ":5", ":7"] {
        assert!(finished.stderr.contains(line), "no line {line} in {finished:#?}");
    }
    assert_eq!(total(&place), 3, "{finished:#?}");
    let again = place.run(&["import", &file]).expect_code(65);
    assert!(again.stdout.contains("already there 3"), "{again:#?}");
}

#[test]
fn text_markdown_and_directories_are_cut_with_their_place() {
    let place = Place::new();
    let directory = place.path().join("texts");
    std::fs::create_dir_all(directory.join("deep")).expect("a directory");
    std::fs::write(directory.join("a.md"), "# Garden\n\nWater at dawn.\n\n# House\n\nLock up.\n")
        .expect("a file");
    std::fs::write(directory.join("deep/b.txt"), "A plain text.\n").expect("a file");
    std::fs::write(directory.join("deep/c.bin"), [0_u8; 64]).expect("a file");
    let path = directory.display().to_string();
    place.run(&["import", &path, "--tag", "files"]).ok();
    let listed = place.run(&["list", "--json"]).ok().json();
    let memories = listed["memories"].as_array().expect("a list");
    assert_eq!(memories.len(), 3, "{listed}");
    for memory in memories {
        assert_eq!(memory["tags"], json!(["files"]), "{memory}");
        assert_eq!(memory["memory_type"], "document", "{memory}");
        assert!(memory["metadata"]["source"].is_string(), "{memory}");
    }
}

#[test]
fn an_export_comes_back_the_same() {
    let place = Place::new();
    let lines = [
        json!({"content": "one", "tags": ["x", "y"], "created_at": 1_600_000_000.125,
               "updated_at": 1_600_000_100.5, "metadata": {"n": 1.1, "deep": {"a": [1, null]}}}),
        json!({"content": "two", "namespace": "other", "memory_type": "note"}),
        json!({"content": "drei \u{1f333} \"quoted\"\nlines"}),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let file = write(&place, "in.jsonl", text.as_bytes());
    place.run(&["import", &file]).ok();
    let out = place.path().join("out.jsonl").display().to_string();
    place.run(&["export", &out, "-A"]).ok();

    let copy = Place::new();
    copy.run(&["import", &out]).ok();
    let exported = |place: &Place| {
        let finished = place.run(&["export", "-", "-A"]).ok();
        let parse = |line: &str| -> Value { serde_json::from_str(line).expect("JSON") };
        let mut memories: Vec<Value> = finished.stdout.lines().map(parse).collect();
        for memory in &mut memories {
            // These two belong to the node that holds the memory.
            memory
                .as_object_mut()
                .expect("an object")
                .retain(|key, _| !matches!(key.as_str(), "version" | "origin"));
        }
        memories.sort_by_key(|memory| memory["content_hash"].to_string());
        memories
    };
    assert_eq!(exported(&place).len(), 3);
    assert_eq!(exported(&place), exported(&copy));
}
