use std::fs;
use std::sync::OnceLock;

use super::*;
use crate::embed::{Embedder, EmbedderChoice};

/// Where the tests look for the model. They are skipped without it, except in CI.
#[expect(clippy::disallowed_methods, reason = "a test asks where the model was fetched to")]
fn model_dir() -> Option<PathBuf> {
    let cache = || Some(std::env::home_dir()?.join(".cache/memnode/model"));
    let directory = std::env::var_os("MEMNODE_MODEL_DIR").map(PathBuf::from).or_else(cache)?;
    if check_present(&directory).is_ok() {
        return Some(directory);
    }
    assert!(std::env::var_os("CI").is_none(), "no model in {}", directory.display());
    println!("skipped: no model in {}; run `memnode model fetch`", directory.display());
    None
}

fn model() -> Option<&'static OnnxEmbedder> {
    static MODEL: OnceLock<Option<OnnxEmbedder>> = OnceLock::new();
    MODEL.get_or_init(|| Some(load(&model_dir()?).expect("the model loads"))).as_ref()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn like_meanings_lie_close() {
    let Some(model) = model() else { return };
    let texts = ["a cat sat on the mat", "a kitten rests on a rug", "quarterly tax filing"];
    let vectors = model.embed(&texts).unwrap();
    let (close, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
    assert!(close > far + 0.3, "{close} {far}");
}

#[test]
fn a_text_has_the_same_vector_alone_and_among_others() {
    let Some(model) = model() else { return };
    let text = "watch a directory for changes and convert what arrives to plain text ".repeat(3);
    let texts: Vec<&str> = (0..40).map(|n| &text[..n * 5]).collect();
    let together = model.embed(&texts).unwrap();
    for (text, vector) in texts.iter().zip(together) {
        let alone = &model.embed(&[text]).unwrap()[0];
        assert!(cosine(alone, &vector) > 0.9999, "{text}");
        assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn text_beyond_256_tokens_does_not_count() {
    let Some(model) = model() else { return };
    let words = |count| "memory ".repeat(count);
    let check = |a: &str, b: &str, same: bool| {
        let vectors = model.embed(&[a, b]).unwrap();
        assert_eq!(cosine(&vectors[0], &vectors[1]) > 0.9999, same);
    };
    // Two tokens mark the start and the end.
    check(&(words(254) + "tax"), &(words(254) + "cat"), true);
    check(&(words(253) + "tax"), &(words(253) + "cat"), false);
    check(&words(200_000), &words(254), true);
    check(&("memory".to_owned() + &" ".repeat(20_000) + "tax"), "memory tax", true);
}

#[test]
fn no_text_is_too_strange() {
    let Some(model) = model() else { return };
    let long = "x".repeat(1 << 20);
    let texts = ["", " \t\n", "\0", "\u{fffd}\u{200d}", "日本語", "🐈‍⬛", &long, "[CLS] [SEP]"];
    for vector in model.embed(&texts).unwrap() {
        assert_eq!(vector.len(), DIMENSION);
        assert!(vector.iter().all(|x| x.is_finite()));
    }
    assert!(model.embed(&[]).unwrap().is_empty());
}

#[test]
fn the_same_files_work_as_a_local_model() {
    let Some(model_dir) = model_dir() else { return };
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("my-model");
    fs::create_dir(&directory).unwrap();
    for file in FILES {
        std::os::unix::fs::symlink(model_dir.join(file.name), directory.join(file.name)).unwrap();
    }
    let choice = EmbedderChoice::Onnx { directory, name: None };
    choice.check_present().unwrap();
    let expected = ModelId { name: "my-model".into(), dimension: DIMENSION };
    assert_eq!(choice.model_id().unwrap(), expected);
}

/// A directory with these bytes as the model's files.
fn directory_of(network: Option<Vec<u8>>, tokenizer: Option<Vec<u8>>) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (file, bytes) in FILES.into_iter().zip([network, tokenizer]) {
        if let Some(bytes) = bytes {
            fs::write(place.path().join(file.name), bytes).unwrap();
        }
    }
    place
}

#[test]
fn missing_files_name_the_command_that_fetches_them() {
    let check = |network, tokenizer, missing: &str| {
        let place = directory_of(network, tokenizer);
        let choice = EmbedderChoice::Builtin { model_dir: place.path().into() };
        for refused in [choice.check_present().err(), choice.load().err()] {
            let refused = refused.unwrap().to_string();
            assert!(refused.contains(missing), "{refused}");
            assert!(refused.contains("`memnode model fetch`"), "{refused}");
        }
        assert!(!show(place.path()).is_whole());
    };
    check(None, None, "model.onnx");
    check(Some(vec![]), None, "tokenizer.json");
    check(None, Some(vec![]), "model.onnx");
}

#[test]
fn changed_files_are_never_loaded() {
    let place = directory_of(Some(b"changed".into()), Some(b"{}".into()));
    let refused = load(place.path()).err().unwrap().to_string();
    assert!(refused.contains("model.onnx"), "{refused}");
    assert!(refused.contains(NETWORK.sha256) && refused.contains(&sha256(b"changed")));
}

#[test]
fn the_status_tells_what_is_wrong_with_each_file() {
    let size = usize::try_from(TOKENIZER.bytes).unwrap();
    let place = directory_of(Some(b"short".into()), Some(vec![b' '; size]));
    let states = |status: ModelStatus| status.files.into_iter().map(|file| file.state);
    let wrong_size = FileState::WrongSize { bytes: 5 };
    let shown: Vec<_> = states(show(place.path())).collect();
    assert_eq!(shown, [wrong_size.clone(), FileState::Present]);
    let found = sha256(&vec![b' '; size]);
    let verified: Vec<_> = states(verify(place.path()).unwrap()).collect();
    assert_eq!(verified, [wrong_size, FileState::WrongHash { found }]);
    let absent: Vec<_> = states(show(&place.path().join("absent"))).collect();
    assert_eq!(absent, [FileState::Missing, FileState::Missing]);
}
