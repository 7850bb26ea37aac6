//! How long a search by meaning takes, beside brute force on the same file in the same run.
//!
//! `cargo bench --bench search -- [COUNT ...] [DIRECTORY] [FILE]`, by default 10,000, 100,000 and
//! 1,000,000 memories, in files that stay only in a directory that is given, and are used again.
//! Vectors are resampled: each lies between the real embedding of a text and that of one of its
//! nearest others, so that they are as near to each other as real ones are where many texts are
//! alike. Questions are embeddings of other texts, and no vector of the file. CPU is that of the
//! thread that searches. Texts are made of words at random, or are the lines of a FILE:
//! `apt-cache dumpavail | sed -n 's/^Description: //p' | sort -u | shuf -n 8000` gives some.

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{SEED, Server, cpu_seconds, ms, percentile, status_mib, table, texts};
use memnode::embed::EmbedderChoice;
use memnode::index::batch::Batch;
use memnode::index::dot;
use memnode::index::kernels::Kernel;
use memnode::index::label::Label;
use memnode::index::nearest::Search;
use memnode::index::selection::Selection;
use memnode::index::snapshot::Snapshot;
use memnode::index::{Neighbour, Vectors};
use memnode::memory::time_phrase::TimeRange;
use memnode::memory::{Filter, Namespace, NamespaceSet, normalise_tags};
use memnode::store::{Reader, Store, StoreOptions};
use memnode_cluster::{CreateValues, Embedding, NodeName, OpKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Texts whose real embeddings the others are made of, at most.
const SAMPLE_COUNT: usize = 12_000;
/// Between a text and so many of its nearest others new ones are made.
const NEAR_COUNT: usize = 8;
/// Questions of each measurement.
const QUERY_COUNT: usize = 60;
/// Questions that brute force answers too.
const EXACT_COUNT: usize = 20;
const LIMIT: usize = 10;
/// Memories of one transaction.
const GROUP_COUNT: usize = 500;
const DEADLINE: Duration = Duration::from_secs(600);
/// Tags, and of how many memories each marks one.
const TAGS: [(&str, usize); 4] =
    [("one-in-10000", 10_000), ("one-in-100", 100), ("one-in-10", 10), ("half", 2)];

/// A reader as the index sees it.
struct Snapshotted<'r, 'c>(&'r Reader<'c>);

impl Vectors for Snapshotted<'_, '_> {
    fn nearest(&self, query: &[f32], limit: usize) -> memnode::Result<Vec<(i64, f32)>> {
        Ok(self.0.nearest(query, limit)?)
    }

    fn vector(&self, row: i64) -> memnode::Result<Option<Vec<f32>>> {
        Ok(self.0.embedding(row)?)
    }

    fn visit(&self, rows: &[i64], visit: &mut dyn FnMut(i64, &[f32])) -> memnode::Result<()> {
        Ok(self.0.visit_embeddings(rows, visit)?)
    }

    fn count(&self) -> memnode::Result<u64> {
        Ok(self.0.live_count()?)
    }

    fn limit_max(&self) -> usize {
        memnode::store::NEIGHBOUR_COUNT_MAX
    }
}

fn main() {
    let arguments = || std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut counts: Vec<usize> = arguments().filter_map(|argument| argument.parse().ok()).collect();
    let paths = || arguments().map(PathBuf::from);
    let kept = paths().find(|path| path.is_dir());
    let lines = paths().find(|path| path.is_file()).map(|path| {
        let text = std::fs::read_to_string(path).expect("a file of texts");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    if counts.is_empty() {
        counts = vec![10_000, 100_000, 1_000_000];
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let model_dir = std::env::home_dir().expect("a home directory").join(".cache/memnode/model");
    let choice = EmbedderChoice::Builtin { model_dir };
    let embedder = choice.load().expect("the model: `memnode model fetch` gets it");
    let model = embedder.model().name.clone();
    let embed = |texts: &[String]| -> Vec<Vec<f32>> {
        let parts = texts.chunks(64).flat_map(|part| {
            let part: Vec<&str> = part.iter().map(String::as_str).collect();
            embedder.embed(&part).expect("an embedding")
        });
        parts.collect()
    };
    let (samples, queries) = match lines {
        Some(mut lines) => {
            let queries = lines.split_off(lines.len() - QUERY_COUNT);
            lines.truncate(SAMPLE_COUNT);
            (lines, queries)
        }
        None => (texts(SAMPLE_COUNT, 14), texts(QUERY_COUNT, 9)),
    };
    let (vectors, queries) = (embed(&samples), embed(&queries));
    let samples = Samples::new(samples, vectors);
    for count in counts {
        let passing = tempfile::tempdir().expect("a directory");
        let directory = match &kept {
            Some(kept) => kept.join(count.to_string()),
            None => passing.path().to_owned(),
        };
        std::fs::create_dir_all(&directory).expect("a directory");
        runtime.block_on(measure(&directory, count, &model, &samples, &queries));
    }
}

async fn measure(
    directory: &Path,
    count: usize,
    model: &str,
    samples: &Samples,
    queries: &[Vec<f32>],
) {
    let store = open(directory, model, samples.vectors[0].len());
    let mut rows = Vec::new();
    let live_count = store.read(DEADLINE, |reader| reader.live_count()).await.expect("a count");
    if live_count == 0 {
        let (wall, cpu) = fill(&store, count, model, samples).await;
        rows.push(vec![
            "import of ready vectors".to_owned(),
            format!("{:.0} a second", count as f64 / wall.as_secs_f64()),
            format!("{:.0} µs CPU each", cpu * 1e6 / count as f64),
        ]);
    }
    let started = Instant::now();
    let snapshot = index(&store).await;
    rows.push(vec!["codes made of vectors".to_owned(), ms(started.elapsed())]);
    rows.push(vec!["index".to_owned(), format!("{} MiB", snapshot.size_bytes() >> 20)]);
    table(&format!("{count} memories, {}", Kernel::detect().name()), &rows);

    let everything = Filter { namespaces: NamespaceSet::All, ..Filter::default() };
    let last = 1.7e9 + count as f64;
    let recent = TimeRange { after: Some(last - count as f64 / 10.0), before: None };
    let mut filters = vec![("unfiltered".to_owned(), everything.clone())];
    for (tag, share) in TAGS {
        let tags = normalise_tags([tag]).expect("a tag");
        let share = format!("a tag of {} %", 100.0 / share as f64);
        filters.push((share, Filter { tags, ..everything.clone() }));
    }
    filters.push(("a time range of 10 %".to_owned(), Filter { created: recent, ..everything }));
    let mut lines = vec![
        ["", "CPU p50", "CPU p95", "wall p50", "wall p95", "recall@10"].map(str::to_owned).to_vec(),
    ];
    for (name, filter) in filters {
        lines.push(by_index(&store, &snapshot, name, filter, queries).await);
    }
    lines.push(by_brute_force(&store, queries).await);
    table("a search for ten, without embedding the question", &lines);
    candidates(&store, &snapshot, queries).await;
    drop(snapshot);
    store.close();
    start(directory);
}

fn open(directory: &Path, model: &str, dimension: usize) -> Store {
    let options = StoreOptions {
        path: directory.join("memnode.db"),
        node: NodeName::new("bench").expect("a name"),
        model: model.to_owned(),
        dimension,
        any_model: false,
        reader_count: 2,
        write_queue_count_max: 64,
        keeps_ops: false,
    };
    Store::open(&options).expect("a store")
}

/// Texts with their real embeddings, and which lie near which.
struct Samples {
    texts: Vec<String>,
    vectors: Vec<Vec<f32>>,
    near: Vec<Vec<usize>>,
}

impl Samples {
    fn new(texts: Vec<String>, vectors: Vec<Vec<f32>>) -> Self {
        let near = |vector: &Vec<f32>| {
            let mut all: Vec<(f32, usize)> =
                vectors.iter().map(|v| dot(v, vector)).zip(0..).collect();
            // The first is the vector itself.
            all.select_nth_unstable_by(NEAR_COUNT, |a, b| b.0.total_cmp(&a.0));
            all[..=NEAR_COUNT].iter().map(|(_, number)| *number).collect()
        };
        let near = vectors.iter().map(near).collect();
        Samples { texts, vectors, near }
    }

    /// A vector between two that are near each other, a little beside the line, and a text of the
    /// beginning of the one's and the end of the other's.
    fn between(&self, random: &mut StdRng) -> (String, Vec<f32>) {
        let a = random.random_range(0..self.vectors.len());
        let b = self.near[a][random.random_range(0..=NEAR_COUNT)];
        let share: f32 = random.random_range(0.0..1.0);
        let numbers = self.vectors[a].iter().zip(&self.vectors[b]);
        let mixed =
            numbers.map(|(a, b)| a + share * (b - a) + random.random_range(-0.01..0.01_f32));
        let words = |number: usize| self.texts[number].split_whitespace();
        let begin = words(a).take(words(a).count().div_ceil(2));
        let text: Vec<&str> = begin.chain(words(b).skip(words(b).count() / 2)).collect();
        (text.join(" "), unit(mixed.collect()))
    }
}

/// Writes memories with vectors between those of the samples.
async fn fill(store: &Store, count: usize, model: &str, samples: &Samples) -> (Duration, f64) {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut group = |first: usize| -> Vec<(CreateValues, Embedding)> {
        let memory = |number| {
            let (text, vector) = samples.between(&mut random);
            (values(number, &text), Embedding { model: model.to_owned(), vector })
        };
        (first..count.min(first + GROUP_COUNT)).map(memory).collect()
    };
    let mut next = group(0);
    let started = Instant::now();
    let cpu = cpu_seconds(std::process::id());
    for first in (0..count).step_by(GROUP_COUNT) {
        let present = std::mem::take(&mut next);
        let written = store.write(move |writer| {
            for (values, embedding) in present {
                writer.create(&Namespace::default(), &values, OpKind::Create, embedding)?;
            }
            Ok(())
        });
        // The vectors are to be ready: those of the next group are made while this one is written.
        let (written, made) = tokio::join!(written, async { group(first + GROUP_COUNT) });
        written.expect("a write");
        next = made;
    }
    (started.elapsed(), cpu_seconds(std::process::id()) - cpu)
}

fn values(number: usize, text: &str) -> CreateValues {
    let tags = TAGS.iter().filter(|(_, share)| number.is_multiple_of(*share));
    CreateValues {
        created_at: 1.7e9 + number as f64,
        updated_at: 1.7e9 + number as f64,
        content: format!("{text} {number}"),
        tags: tags.map(|(tag, _)| (*tag).to_owned()).collect(),
        memory_type: Some("note".to_owned()),
        metadata: BTreeMap::new(),
    }
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt();
    vector.into_iter().map(|number| number / length).collect()
}

/// The index of a file, from its vectors.
async fn index(store: &Store) -> Arc<Snapshot> {
    let made = store.read(DEADLINE, |reader| {
        let dimension = reader.dimension()?;
        let mut batches = Vec::new();
        for chunk in reader.code_chunks()? {
            let mut batch = Batch::empty(dimension);
            let mut places: BTreeMap<String, u32> = BTreeMap::new();
            reader.visit_code_rows(chunk, |row| {
                let labels = std::iter::once(Label::Namespace(&row.namespace))
                    .chain(row.tags.iter().map(|tag| Label::Tag(tag)))
                    .map(Label::key);
                let labels: Vec<u32> = labels
                    .map(|key| {
                        *places.entry(key).or_insert_with_key(|key| batch.add_key(key.clone()))
                    })
                    .collect();
                batch.push(row.row as u32, row.created_at, &row.vector, &labels);
                Ok(())
            })?;
            batches.push(batch);
        }
        Ok(Snapshot::build(dimension, &batches, reader.code_head()?))
    });
    Arc::new(made.await.expect("an index"))
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// CPU time, wall time and answer of one search.
type Answered = (Duration, Duration, Vec<Neighbour>);

fn timed(work: impl FnOnce() -> Vec<Neighbour>) -> Answered {
    let (cpu, wall) = (thread_cpu(), Instant::now());
    let found = work();
    (thread_cpu() - cpu, wall.elapsed(), found)
}

async fn by_index(
    store: &Store,
    snapshot: &Arc<Snapshot>,
    name: String,
    filter: Filter,
    queries: &[Vec<f32>],
) -> Vec<String> {
    let (mut answered, mut hits, mut expected_count) = (Vec::new(), 0, 0);
    for (number, query) in queries.iter().enumerate() {
        let (snapshot, filter, query) = (Arc::clone(snapshot), filter.clone(), query.clone());
        let one = store.read(DEADLINE, move |reader| {
            let vectors = Snapshotted(reader);
            let one = timed(|| {
                let selection = Selection::of(&snapshot, &filter).expect("no metadata");
                let search = Search {
                    query: &query,
                    kernel: Kernel::detect(),
                    may_split: false,
                    is_rough: false,
                };
                search.among(&snapshot, &selection, &vectors, LIMIT).expect("an answer")
            });
            let expected = match number < EXACT_COUNT {
                true => Some(brute_force(reader, &filter, &query)),
                false => None,
            };
            Ok((one, expected))
        });
        let (one, expected) = one.await.expect("a read");
        if let Some(expected) = expected {
            let farthest = expected.last().map_or(0.0, |(_, distance)| distance + 1e-5);
            hits += one.2.iter().filter(|near| near.distance <= farthest).count();
            expected_count += expected.len();
        }
        answered.push(one);
    }
    line(name, &answered, format!("{:.4}", hits as f64 / f64::from(expected_count.max(1) as u32)))
}

/// How many of the nearest ten are among the first so many candidates of a scan.
async fn candidates(store: &Store, snapshot: &Arc<Snapshot>, queries: &[Vec<f32>]) {
    const COUNTS: [usize; 6] = [200, 400, 600, 800, 1_200, 2_000];
    let (mut hits, mut expected_count, mut spent) = ([0_usize; COUNTS.len()], 0, Vec::new());
    for query in queries.iter().take(EXACT_COUNT) {
        let (snapshot, query) = (Arc::clone(snapshot), query.clone());
        let one = store.read(DEADLINE, move |reader| {
            let filter = Filter { namespaces: NamespaceSet::All, ..Filter::default() };
            let selection = Selection::of(&snapshot, &filter).expect("no metadata");
            let search = Search {
                query: &query,
                kernel: Kernel::detect(),
                may_split: false,
                is_rough: false,
            };
            let cpu = thread_cpu();
            let last = COUNTS[COUNTS.len() - 1];
            let found = search.scan(&snapshot, &selection, last, usize::MAX);
            let spent = thread_cpu() - cpu;
            let rows: Vec<i64> =
                found.iter().map(|candidate| snapshot.row_at(candidate.place)).collect();
            Ok((rows, spent, brute_force(reader, &filter, &query)))
        });
        let (rows, time, expected) = one.await.expect("a read");
        for (hits, count) in hits.iter_mut().zip(COUNTS) {
            let among = &rows[..count.min(rows.len())];
            *hits += expected.iter().filter(|(row, _)| among.contains(row)).count();
        }
        expected_count += expected.len();
        spent.push(time);
    }
    spent.sort();
    let mut lines: Vec<Vec<String>> = COUNTS
        .iter()
        .zip(hits)
        .map(|(count, hits)| {
            let share = hits as f64 / f64::from(expected_count.max(1) as u32);
            vec![format!("{count} candidates"), format!("{share:.4} of the nearest ten")]
        })
        .collect();
    lines.push(vec!["the scan alone".to_owned(), format!("CPU {}", ms(percentile(&spent, 0.5)))]);
    table("candidates", &lines);
}

/// What sqlite-vec itself finds among the rows of a filter.
fn brute_force(reader: &Reader<'_>, filter: &Filter, query: &[f32]) -> Vec<(i64, f32)> {
    let vectors = Snapshotted(reader);
    if !filter.has_conditions() {
        return vectors.nearest(query, LIMIT).expect("an answer");
    }
    let rows = reader.rows(filter).expect("rows");
    let found = memnode::index::score(&vectors, query, &rows, LIMIT).expect("an answer");
    found.into_iter().map(|near| (near.row, near.distance)).collect()
}

async fn by_brute_force(store: &Store, queries: &[Vec<f32>]) -> Vec<String> {
    let mut answered = Vec::new();
    for query in queries.iter().take(EXACT_COUNT) {
        let query = query.clone();
        let one = store.read(DEADLINE, move |reader| {
            Ok(timed(|| {
                let found = reader.nearest(&query, LIMIT).expect("an answer");
                found.into_iter().map(|(row, distance)| Neighbour { row, distance }).collect()
            }))
        });
        answered.push(one.await.expect("a read"));
    }
    line("sqlite-vec, every vector".to_owned(), &answered, "1".to_owned())
}

fn line(name: String, answered: &[Answered], recall: String) -> Vec<String> {
    let sorted = |of: fn(&Answered) -> Duration| {
        let mut times: Vec<Duration> = answered.iter().map(of).collect();
        times.sort();
        times
    };
    let (cpu, wall) = (sorted(|one| one.0), sorted(|one| one.1));
    let at = |times: &[Duration], share| ms(percentile(times, share));
    vec![name, at(&cpu, 0.5), at(&cpu, 0.95), at(&wall, 0.5), at(&wall, 0.95), recall]
}

/// Starts a node on the file twice: the first makes the codes, the second reads them.
fn start(directory: &Path) {
    let mut rows = Vec::new();
    for name in ["first start, codes are made", "second start, codes are read"] {
        let (server, elapsed) = Server::start(directory);
        let started = Instant::now();
        server.wait_ready();
        let ready = elapsed + started.elapsed();
        let url = format!("{}/api/index", server.url);
        let indexed = loop {
            let body = ureq::get(&url).call().expect("an answer").body_mut().read_to_string();
            if body.expect("text").contains("\"ready\"") {
                break elapsed + started.elapsed();
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        rows.push(vec![
            name.to_owned(),
            format!("takes requests {}", ms(elapsed)),
            format!("ready {}", ms(ready)),
            format!("index {}", ms(indexed)),
            format!("RssAnon {:.0} MiB", status_mib(server.pid(), "RssAnon")),
        ]);
    }
    table("start", &rows);
}
