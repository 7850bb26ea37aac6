use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::*;
use crate::error::Code;

/// Answers with the text's length; fails on "bad", panics on "panic", counts its calls.
struct Lengths {
    id: ModelId,
    calls: AtomicUsize,
}

fn lengths(name: &str) -> Arc<Lengths> {
    let id = ModelId { name: name.into(), dimension: 1 };
    Arc::new(Lengths { id, calls: AtomicUsize::new(0) })
}

impl Embedder for Lengths {
    fn model(&self) -> &ModelId {
        &self.id
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        assert!(!texts.contains(&"panic"), "a runtime that breaks down");
        if texts.contains(&"bad") {
            return Err(EmbedError::Failed { model: self.id.name.clone(), reason: "bad".into() });
        }
        Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| "x".repeat(n % 90)).collect()
}

#[tokio::test]
async fn vectors_come_in_the_order_of_the_texts() {
    let embedder = LazyEmbedder::loaded(lengths("a"));
    let asked = texts(500);
    let embedded = embedder.embed(asked.clone(), soon()).await.unwrap();
    let expected: Vec<_> = asked.iter().map(|text| vec![text.len() as f32]).collect();
    assert_eq!(embedded.vectors, expected);
    assert_eq!(embedded.model.name, "a");
    assert_eq!(embedder.embed(vec![], soon()).await.unwrap().vectors.len(), 0);
}

#[tokio::test]
async fn many_callers_share_jobs_and_each_gets_its_own_vector() {
    let counter = lengths("a");
    let embedder = LazyEmbedder::loaded(counter.clone());
    let mut callers = JoinSet::new();
    for text in texts(1000) {
        let embedder = Arc::clone(&embedder);
        callers.spawn(async move {
            let length = text.len() as f32;
            let embedded = embedder.embed(vec![text], soon()).await.unwrap();
            assert_eq!(embedded.vectors, [[length]]);
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert!(counter.calls.load(Ordering::Relaxed) < 500, "{:?}", counter.calls);
}

#[tokio::test]
async fn a_call_waits_until_the_model_is_loaded() {
    let (go, wait) = mpsc::channel::<()>();
    let embedder = LazyEmbedder::start_with(move || {
        wait.recv().expect("the test sends");
        Ok(lengths("late"))
    });
    assert!(!embedder.ready());
    assert!(embedder.failed().is_none());
    let refused = embedder.embed(texts(1), Instant::now()).await.unwrap_err();
    assert_eq!(refused.code, Code::DeadlineExceeded);
    go.send(()).unwrap();
    let embedded = embedder.embed(texts(1), soon()).await.unwrap();
    assert_eq!(embedded.model.name, "late");
    assert!(embedder.ready());
}

#[tokio::test]
async fn a_failed_load_is_told_to_every_caller() {
    let missing = EmbedderChoice::Builtin { model_dir: "/nonexistent/model".into() };
    let panicking = LazyEmbedder::start_with(|| panic!("a broken file"));
    for (embedder, code, word) in [
        (LazyEmbedder::start(missing), Code::Unavailable, "memnode model fetch"),
        (panicking, Code::Internal, "broke down"),
    ] {
        for _ in 0..2 {
            let refused = embedder.embed(texts(1), soon()).await.unwrap_err();
            assert_eq!(refused.code, code);
            assert!(refused.detail.contains(word), "{}", refused.detail);
        }
        assert!(embedder.failed().is_some());
        assert!(embedder.current().is_none());
    }
}

#[tokio::test]
async fn a_bad_text_fails_alone() {
    let embedder = LazyEmbedder::loaded(lengths("a"));
    let good = embedder.embed(vec!["good".into()], soon());
    let bad = embedder.embed(vec!["bad".into()], soon());
    let panicking = embedder.embed(vec!["a panic".into(), "panic".into()], soon());
    let (good, bad, panicking) = tokio::join!(good, bad, panicking);
    assert_eq!(good.unwrap().vectors, [[4.0]]);
    assert_eq!(bad.unwrap_err().code, Code::Internal);
    assert_eq!(panicking.unwrap_err().code, Code::Internal);
    // The permits of the jobs that broke down are back.
    assert_eq!(embedder.embed(texts(99), soon()).await.unwrap().vectors.len(), 99);
}

#[tokio::test]
async fn a_replaced_model_answers_what_comes_after() {
    let embedder = LazyEmbedder::loaded(lengths("old"));
    assert_eq!(embedder.embed(texts(1), soon()).await.unwrap().model.name, "old");
    embedder.replace(lengths("new"));
    assert_eq!(embedder.embed(texts(1), soon()).await.unwrap().model.name, "new");
}

#[test]
fn vectors_of_two_models_are_no_answer() {
    let model = |name: &str| Arc::new(ModelId { name: name.into(), dimension: 1 });
    let answer = |name| (model(name), vec![1.0]);
    assert!(of_one_model(vec![answer("old"), answer("new")]).is_none());
    assert!(of_one_model(vec![answer("new"), answer("new")]).is_some());
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let embedder = LazyEmbedder::loaded(lengths("a"));
    let refused = embedder.embed(texts(100_000), soon()).await.unwrap_err();
    assert_eq!((refused.code, refused.reason), (Code::Unavailable, "embedder_busy"));
}
