//! `memnode eval`: how good the answers are, on a set of memories and questions of one's own.
//!
//! The set goes through a node of its own, by the calls that clients make, so that what is measured
//! is what they get.

mod dataset;
mod measure;
mod report;
mod resample;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, value_parser};
use futures::{StreamExt, TryStreamExt};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::Call;
use super::args::Mode;
use super::exit::Failure;
use super::import::batch;
use super::progress::{Progress, count_and_rate};
use super::wire::ImportStatus;
use crate::client::{ApiClient, Payload};
use crate::node::{self, Need};
use dataset::{Dataset, Query};
use measure::Measures;
use report::{Measured, Report};

/// Memories that are sent together.
const BATCH_COUNT: usize = 128;
/// Questions that are asked at the same time.
const QUESTION_CONCURRENCY: usize = 4;
/// How deep each answer is looked at, at least.
const DEPTH_MIN: usize = 20;
/// Where the memories of the set are stored.
const NAMESPACE: &str = "eval";
/// The measured modes, in the order of the report.
const MODES: [Mode; 3] = [Mode::Semantic, Mode::Keyword, Mode::Hybrid];

#[derive(Args, Debug)]
pub(super) struct EvalArgs {
    /// Memories, questions and what answers them, as docs/evaluation.md tells
    #[arg(value_name = "DATASET")]
    dataset: PathBuf,
    /// How many results recall looks at; several with commas between
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_value = "5,10",
        value_parser = value_parser!(u32).range(1..=100))]
    k: Vec<u32>,
    /// What is measured; all modes when left out, several with commas between
    #[arg(long, value_delimiter = ',')]
    mode: Vec<Mode>,
    /// Which half of the questions is asked
    #[arg(long, value_enum, default_value_t = Half::All)]
    half: Half,
    /// Keep the memories and their vectors here for the next run
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
}

/// Which questions are asked: tune on one half, and believe what the other says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Half {
    /// To tune on
    Tuning,
    /// To report
    HeldOut,
    /// Both halves
    All,
}

impl Half {
    fn name(self) -> &'static str {
        match self {
            Half::Tuning => "tuning",
            Half::HeldOut => "held-out",
            Half::All => "all",
        }
    }

    fn holds(self, query: &Query) -> bool {
        match self {
            Half::Tuning => !query.is_held_out(),
            Half::HeldOut => query.is_held_out(),
            Half::All => true,
        }
    }
}

pub(super) async fn run(call: &Call, args: EvalArgs) -> Result<(), Failure> {
    let mut dataset = Dataset::read(&args.dataset)?;
    dataset.queries.retain(|query| args.half.holds(query));
    if dataset.queries.is_empty() {
        return Err(Failure::BadInput("there is no question in this half of the set".to_owned()));
    }
    let place = Place::new(args.keep.as_deref(), &dataset)?;
    let report = call.until_stopped(measure_all(call, &args, &dataset, &place)).await;
    place.clear();
    let report = report?;
    if call.output.json {
        call.output.document(&report.document())
    } else {
        call.output.write(report.text().as_bytes())
    }
}

async fn measure_all(
    call: &Call,
    args: &EvalArgs,
    dataset: &Dataset,
    place: &Place,
) -> Result<Report, Failure> {
    let mut config = call.config.clone();
    config.store.path = place.file.clone();
    config.store.base_dir = place.directory.clone();
    config.cluster.nats = None;
    config.webhooks.urls.clear();
    config.dedup.enabled = false;
    let session = node::attach(&config, Need::Model).await?;
    let measured = ask_all(&session.client, args, dataset).await;
    session.close().await;
    Ok(Report {
        name: dataset.name.clone(),
        document_count: dataset.documents.len(),
        half: args.half.name(),
        cuts: cuts(args),
        classes: dataset.queries.iter().map(|query| query.class.clone()).collect(),
        groups: dataset.queries.iter().map(|query| query.group.clone()).collect(),
        measured: measured?,
    })
}

fn cuts(args: &EvalArgs) -> Vec<usize> {
    let mut cuts: Vec<usize> = args.k.iter().map(|k| *k as usize).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

async fn ask_all(
    client: &ApiClient,
    args: &EvalArgs,
    dataset: &Dataset,
) -> Result<Vec<Measured>, Failure> {
    load(client, dataset).await?;
    let cuts = cuts(args);
    let depth = cuts.iter().copied().max().unwrap_or(DEPTH_MIN).max(DEPTH_MIN);
    let modes = MODES.into_iter().filter(|mode| args.mode.is_empty() || args.mode.contains(mode));
    let mut measured = Vec::new();
    for mode in modes {
        let mut progress = Progress::start(dataset.queries.len() as u64);
        let mut answers = futures::stream::iter(&dataset.queries)
            .map(|query| ask(client, query, mode, depth))
            .buffered(QUESTION_CONCURRENCY);
        let mut of_queries = Vec::with_capacity(dataset.queries.len());
        for query in &dataset.queries {
            let found = answers.try_next().await?.expect("an answer for each question");
            of_queries.push(Measures::of(&found, &query.relevant, &cuts));
            let done = of_queries.len() as u64;
            progress.update(done, || format!("{}: {done} asked", mode.name()));
        }
        progress.finish();
        measured.push(Measured { mode: mode.name(), of_queries });
    }
    Ok(measured)
}

/// Stores the memories; those that are there already are left alone.
async fn load(client: &ApiClient, dataset: &Dataset) -> Result<(), Failure> {
    let path = format!("/api/import?namespace={NAMESPACE}");
    let total = dataset.documents.len() as u64;
    let mut progress = Progress::start(total);
    let mut done = 0;
    for documents in dataset.documents.chunks(BATCH_COUNT) {
        let lines: Vec<u8> =
            documents.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
        let answer = batch::post(client, &path, &lines).await?;
        if let Some(trouble) = answer.trouble {
            return Err(trouble);
        }
        let failed = answer.results.iter().find(|result| result.status == ImportStatus::Failed);
        if let Some(failed) = failed {
            let reason = failed.detail.as_deref().unwrap_or("refused");
            return Err(Failure::BadInput(format!("a memory of the set: {reason}")));
        }
        done += documents.len() as u64;
        let elapsed = progress.elapsed();
        progress.update(done, || count_and_rate(done, "memory", "memories", elapsed));
    }
    progress.finish();
    Ok(())
}

#[derive(Deserialize)]
struct Found {
    results: Vec<FoundHit>,
}

#[derive(Deserialize)]
struct FoundHit {
    memory: FoundMemory,
}

#[derive(Deserialize)]
struct FoundMemory {
    content_hash: String,
}

/// The hashes of what is found, best first.
async fn ask(
    client: &ApiClient,
    query: &Query,
    mode: Mode,
    depth: usize,
) -> Result<Vec<String>, Failure> {
    let mut body = json!({"query": query.text, "mode": mode.name(), "n_results": depth,
        "namespace": NAMESPACE});
    body.as_object_mut().expect("an object").extend(query.filter.clone());
    let found: Found = client.json(Method::POST, "/api/search", Payload::Json(body)).await?;
    Ok(found.results.into_iter().map(|hit| hit.memory.content_hash).collect())
}

/// Where the memories are stored meanwhile.
struct Place {
    directory: PathBuf,
    file: PathBuf,
    is_kept: bool,
}

impl Place {
    /// A file in the directory that is kept, named after the memories; else in one of its own.
    fn new(keep: Option<&Path>, dataset: &Dataset) -> Result<Self, Failure> {
        let directory = match keep {
            Some(directory) => directory.to_owned(),
            None => std::env::temp_dir().join(format!("memnode-eval-{}", std::process::id())),
        };
        std::fs::create_dir_all(&directory).map_err(|error| Failure::create(&directory, error))?;
        let file = directory.join(format!("{}.db", dataset.digest()));
        Ok(Place { directory, file, is_kept: keep.is_some() })
    }

    fn clear(&self) {
        if !self.is_kept {
            // What is left lies in the directory for temporary files.
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}
