//! What does an embedding cost, and how near is that to the model's own cost?
//!
//! `cargo bench --bench embed [DIRECTORY]` prints milliseconds per text, processor time beside
//! wall time, for texts of about 12, 60 and 250 tokens. The column "limit" is the shortest loop
//! that gets the same vectors out of the same model: tokenise, sort, batches of 32, run, pool.
//! Both loops alternate; each figure is the median of the runs. The texts are made from a fixed
//! seed. The directory is that of the model, by default the one `memnode model fetch` fills.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memnode::embed::lazy::LazyEmbedder;
use memnode::embed::{Embedder, EmbedderChoice};
use rten::{Model, ModelOptions};
use rten_tensor::{AsView, NdTensor};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

/// Words per text, which makes about 12, 60 and 250 tokens.
const WORDS: [usize; 3] = [10, 56, 240];

/// Texts of each length; a multiple of the batch.
const TEXTS: usize = 64;

/// Texts in one call where texts come together.
const BATCH: usize = 32;

/// Runs per figure.
const RUNS: usize = 7;

/// Callers at once, each with one short text.
const CALLERS: usize = 1000;

/// Texts that are embedded to see whether memory grows.
const STEADY_TEXTS: usize = 1500;

/// Processor and wall time.
#[derive(Clone, Copy)]
struct Cost {
    cpu: Duration,
    wall: Duration,
}

fn main() {
    let directory = model_dir();
    let choice = EmbedderChoice::Builtin { model_dir: directory.clone() };
    choice.check_present().unwrap_or_else(|missing| panic!("{missing}"));
    let before = memory_mb("VmRSS");
    let mut embedder = None;
    let load = cost(|| embedder = Some(choice.load().expect("the model loads")));
    let embedder = embedder.expect("the closure has run");
    let first = cost(|| drop(embedder.embed(&["first"])));
    println!("load {}, first text {}", show(load), show(first));
    println!("resident {} MB before, {} MB loaded", before, memory_mb("VmRSS"));

    let texts = texts();
    steady(&*embedder, &texts);
    crowd(Arc::clone(&embedder), &texts);
    println!("resident {} MB, at most {} MB", memory_mb("VmRSS"), memory_mb("VmHWM"));
    compare(&*embedder, &texts, &directory);
}

/// Each length alone and in batches, beside the shortest loop.
fn compare(embedder: &dyn Embedder, texts: &[Vec<String>], directory: &Path) {
    let limit = Limit::load(directory);
    println!("\n{:>6}  {:<12} {:>18} {:>18} {:>7}", "tokens", "texts", "memnode", "limit", "cpu");
    for texts in texts {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokens = texts.iter().map(|text| limit.encode(text).len()).sum::<usize>() / TEXTS;
        for (name, part) in [("one by one", 1), ("32 together", BATCH)] {
            let parts = || texts.chunks(part);
            let ours = || parts().for_each(|part| drop(embedder.embed(part).expect("embeds")));
            let theirs = || parts().for_each(|part| drop(limit.embed(part)));
            let (ours, theirs) = alternate(ours, theirs);
            let ratio = ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64() * 100.0;
            let (ours, theirs) = (show(ours.per(TEXTS)), show(theirs.per(TEXTS)));
            println!("{tokens:>6}  {name:<12} {ours:>18} {theirs:>18} {ratio:>5.0} %");
        }
    }
    println!("milliseconds per text: processor / wall; median of {RUNS} runs of {TEXTS} texts");
}

/// Many callers with one text each, and one caller with all of them.
fn crowd(embedder: Arc<dyn Embedder>, texts: &[Vec<String>]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let lazy = LazyEmbedder::loaded(embedder);
    let deadline = Instant::now() + Duration::from_secs(600);
    println!("\n{CALLERS} texts through the node's queue");
    for (name, lengths) in [("12 tokens", &texts[..1]), ("12 and 60 tokens", &texts[..2])] {
        let all = lengths.iter().flatten().cloned().cycle().take(CALLERS);
        let all: Vec<String> = all.collect();
        let callers = median(|| {
            runtime.block_on(async {
                let calls = all.iter().map(|text| lazy.embed(vec![text.clone()], deadline));
                futures::future::try_join_all(calls).await.expect("embeds");
            });
        });
        let one = median(|| {
            runtime.block_on(lazy.embed(all.clone(), deadline)).expect("embeds");
        });
        for (who, spent) in [("a caller each", callers), ("one caller", one)] {
            let rate = CALLERS as f64 / spent.wall.as_secs_f64();
            let core_rate = CALLERS as f64 / spent.cpu.as_secs_f64();
            let each = show(spent.per(CALLERS));
            println!("  {name:<17} {who:<14} {each:>16}  {rate:.0}/s, {core_rate:.0}/s a core");
        }
    }
}

/// Shows that memory does not grow with the number of texts.
fn steady(embedder: &dyn Embedder, texts: &[Vec<String>]) {
    let mixed: Vec<&str> = (0..BATCH).map(|n| texts[n % 3][n].as_str()).collect();
    for part in [BATCH, STEADY_TEXTS] {
        (0..part).step_by(BATCH).for_each(|_| drop(embedder.embed(&mixed).expect("embeds")));
        println!("resident {} MB after {part} mixed texts", memory_mb("VmRSS"));
    }
}

/// The model without anything around it.
struct Limit {
    model: Model,
    tokenizer: Tokenizer,
}

impl Limit {
    fn load(directory: &Path) -> Self {
        let mut options = ModelOptions::with_all_ops();
        let model = options.prepack_weights(true).load_file(directory.join("model.onnx"));
        let tokenizer = Tokenizer::from_file(directory.join("tokenizer.json"));
        let mut tokenizer = tokenizer.expect("a tokenizer");
        let cut = TruncationParams { max_length: 256, ..TruncationParams::default() };
        tokenizer.with_padding(None::<PaddingParams>);
        tokenizer.with_truncation(Some(cut)).expect("256 is above the stride");
        Limit { model: model.expect("a model"), tokenizer }
    }

    fn encode(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode_fast(text, true).expect("encodes").get_ids().to_vec()
    }

    fn embed(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let mut ids: Vec<_> = texts.iter().map(|text| self.encode(text)).enumerate().collect();
        ids.sort_by_key(|(_, ids)| ids.len());
        let mut vectors = vec![vec![]; texts.len()];
        for batch in ids.chunks(BATCH) {
            for ((index, _), vector) in batch.iter().zip(self.run(batch)) {
                vectors[*index] = vector;
            }
        }
        vectors
    }

    fn run(&self, batch: &[(usize, Vec<u32>)]) -> Vec<Vec<f32>> {
        let length = batch.iter().map(|(_, ids)| ids.len()).max().unwrap_or_default();
        let shape = [batch.len(), length];
        let token = |[row, at]: [usize; 2]| batch[row].1.get(at).map_or(0, |&id| id as i32);
        let ids = NdTensor::from_fn(shape, token);
        let mask = NdTensor::from_fn(shape, |[row, at]| i32::from(at < batch[row].1.len()));
        let types = NdTensor::<i32, 2>::zeros(shape);
        let node = |name| self.model.node_id(name).expect("the model has this input");
        let inputs = vec![
            (node("input_ids"), ids.view().into()),
            (node("attention_mask"), mask.view().into()),
            (node("token_type_ids"), types.view().into()),
        ];
        let outputs = [self.model.output_ids()[0]];
        let [hidden] = self.model.run_n(inputs, outputs, None).expect("the model runs");
        let ([_, _, dimension], hidden) =
            hidden.into_shape_vec::<f32, 3>().expect("three dimensions");
        let rows = hidden.chunks_exact(length * dimension).zip(batch);
        rows.map(|(row, (_, ids))| pool(&row[..ids.len() * dimension], dimension)).collect()
    }
}

fn pool(tokens: &[f32], dimension: usize) -> Vec<f32> {
    let mut sum = vec![0.0; dimension];
    for token in tokens.chunks_exact(dimension) {
        sum.iter_mut().zip(token).for_each(|(total, x)| *total += x);
    }
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    sum.iter_mut().for_each(|x| *x /= length);
    sum
}

/// Texts of the three lengths, made of plain words by a fixed linear congruential generator.
fn texts() -> Vec<Vec<String>> {
    const PLAIN: &str = "the project moves its database to another server before winter and \
        every agent should remember which port answers requests from outside while tests run \
        against local files that hold only sample text about people places tools and decisions";
    let words: Vec<&str> = PLAIN.split(' ').filter(|word| !word.is_empty()).collect();
    let mut state = 7u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words[(state >> 33) as usize % words.len()]
    };
    let mut text = |count| (0..count).map(|_| next()).collect::<Vec<_>>().join(" ");
    let lengths = |(at, words): (usize, &usize)| {
        // Lengths differ a little, as they do in life.
        (0..TEXTS).map(|n| text(words - at + n % (2 * at + 1))).collect()
    };
    WORDS.iter().enumerate().map(lengths).collect()
}

/// The median costs of two pieces of work that take turns, after a first turn that is not counted.
fn alternate(mut a: impl FnMut(), mut b: impl FnMut()) -> (Cost, Cost) {
    a();
    b();
    let (a, b): (Vec<_>, Vec<_>) = (0..RUNS).map(|_| (cost(&mut a), cost(&mut b))).unzip();
    (middle(a), middle(b))
}

fn median(mut work: impl FnMut()) -> Cost {
    work();
    middle((0..3).map(|_| cost(&mut work)).collect())
}

fn middle(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.cpu);
    let cpu = costs[costs.len() / 2].cpu;
    costs.sort_by_key(|cost| cost.wall);
    Cost { cpu, wall: costs[costs.len() / 2].wall }
}

fn cost(work: impl FnOnce()) -> Cost {
    let (cpu, wall) = (cpu_time(), Instant::now());
    work();
    Cost { cpu: cpu_time() - cpu, wall: wall.elapsed() }
}

impl Cost {
    fn per(self, count: usize) -> Cost {
        let count = u32::try_from(count).expect("small");
        Cost { cpu: self.cpu / count, wall: self.wall / count }
    }
}

fn show(cost: Cost) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    format!("{:.2} / {:.2} ms", ms(cost.cpu), ms(cost.wall))
}

/// The processor time of all threads of this process.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Linux, and `time` is a valid place for the answer.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "the process has a clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A line of `/proc/self/status`, in megabytes.
fn memory_mb(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kilobytes.unwrap_or_default() / 1024
}

fn model_dir() -> PathBuf {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let cache = || Some(std::env::home_dir()?.join(".cache/memnode/model"));
    given.map(PathBuf::from).or_else(cache).expect("a home directory or an argument")
}
