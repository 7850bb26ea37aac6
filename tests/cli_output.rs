//! What commands print: one JSON document where that is asked for, and scripts that shells read.

use std::process::{Command, Stdio};

use crate::common::node::Place;
use crate::common::skip;

#[test]
fn every_command_prints_one_json_document_when_asked() {
    let place = Place::new();
    let added = place.run(&["add", "Bees fly at ten degrees", "--tag", "bees", "--json"]).ok();
    let hash = added.json()["content_hash"].as_str().expect("a hash").to_owned();
    let file = place.path().join("notes.txt");
    std::fs::write(&file, "A note about hives.\n").expect("a file");
    let out = place.path().join("out.jsonl");
    let (file, out) = (file.to_string_lossy(), out.to_string_lossy());
    for (arguments, key) in [
        (&["search", "when do bees fly"][..], "/results/0/memory/content_hash"),
        (&["search", "--tag", "bees"], "/results/0/memory/content_hash"),
        (&["search", "--time", "today"], "/results/0/memory/content_hash"),
        (&["list"], "/memories/0/content_hash"),
        (&["get", &hash], "/content_hash"),
        (&["update", &hash, "--type", "fact"], "/memory/memory_type"),
        (&["history", &hash], "/entries/1/kind"),
        (&["tags"], "/tags/0/tag"),
        (&["stats"], "/storage/total_memories"),
        (&["delete", "--tag", "bees", "--dry-run"], "/content_hashes/0"),
        (&["delete", &hash], "/content_hash"),
        (&["restore", &hash], "/content_hash"),
        (&["import", &file], "/stored"),
        (&["export", &out], "/exported"),
        (&["verify"], "/ok"),
        (&["doctor"], "/0/check"),
        (&["config", "show"], ""),
        (&["model", "show"], "/files/0/name"),
        (&["model", "verify"], "/files/0/sha256"),
        (&["reembed"], "/state"),
    ] {
        let mut words = arguments.to_vec();
        words.push("--json");
        let finished = place.run(&words).ok();
        let document = finished.json();
        let found = document.pointer(key).is_some_and(|found| !found.is_null());
        assert!(found, "no {key}: {finished:#?}");
        // What people get is something else, and is something.
        let text = place.run(arguments);
        if !matches!(arguments[0], "delete" | "restore") {
            assert!(!text.stdout.trim().is_empty(), "{text:#?}");
            assert!(text.stdout != finished.stdout, "{text:#?}");
        }
    }
}

#[test]
fn shells_can_read_their_completions() {
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = Place::new().run(&["completions", shell]).ok().stdout;
        for word in ["search", "--namespace", "--http-port"] {
            assert!(script.contains(word.trim_start_matches('-')), "{shell}: no {word}");
        }
        let path = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(path.path(), script).expect("a file");
        let read = Command::new(shell).arg(check).arg(path.path()).stdin(Stdio::null()).output();
        match read {
            Ok(read) => {
                let said = String::from_utf8_lossy(&read.stderr).into_owned();
                assert!(read.status.success() && said.is_empty(), "{shell}: {said}");
            }
            Err(_) if shell == "bash" => skip("there is no bash"),
            // Few machines have all three; the script has at least the right words in it.
            Err(_) => eprintln!("{shell} is not there to read its script"),
        }
    }
}

#[test]
fn text_for_people_cannot_steer_their_terminal() {
    let place = Place::new();
    place.run_with_input(&["add", "-"], b"\x1b[31mred\x1b[0m and a bell \x07").ok();
    for arguments in [&["list"][..], &["search", "red"], &["search", "--time", "today"]] {
        let shown = place.run(arguments).ok().stdout;
        assert!(shown.contains("red"), "{shown}");
        assert!(!shown.contains(['\x1b', '\x07']), "{shown:?}");
    }
}

#[test]
fn texts_on_standard_input_have_bounds() {
    let place = Place::new();
    for (input, part) in [
        (vec![b'x'; 100_000], "memnode import"),
        (b"not \xff UTF-8".to_vec(), "UTF-8"),
        (b" \n".to_vec(), "empty"),
        (b"a\0b".to_vec(), "NUL"),
    ] {
        let refused = place.run_with_input(&["add", "-"], &input).expect_code(65);
        assert!(refused.stderr.contains(part), "{refused:#?}");
    }
    assert_eq!(place.run(&["list", "--json"]).ok().json()["total"], 0);
}
