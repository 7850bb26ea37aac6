//! What lists, counts and writes cost in a file of many memories, through the store itself.
//!
//! Every page comes with its total, as the service asks for it. An argument changes the number of
//! memories (100,000).

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{SEED, percentile, table, texts};
use memnode::memory::time_phrase::TimeRange;
use memnode::memory::{
    ContentHash, Filter, Namespace, NamespaceSet, PageEnd, TagMatch, normalise_tags,
};
use memnode::store::{Reader, Store, StoreError, StoreOptions, Writer};
use memnode_cluster::{CreateValues, Embedding, NodeName, OpKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMENSION: usize = 384;
const MODEL: &str = "bench";
/// Tags and the share of memories that carry each.
const TAGS: [(&str, f64); 5] =
    [("half", 0.5), ("other-half", 0.5), ("tenth", 0.1), ("hundredth", 0.01), ("rare", 0.0001)];
/// Types and the share of memories of each; the rest has none.
const TYPES: [(&str, f64); 3] = [("note", 0.5), ("fact", 0.3), ("rare-type", 0.001)];
const PAGE: usize = 10;
const CALL_COUNT: usize = 200;
const WRITE_COUNT: usize = 400;
const GROUP_COUNT: usize = 256;
/// Unix seconds of the oldest memory; they are ten seconds apart.
const FIRST: f64 = 1_700_000_000.0;
const STEP: f64 = 10.0;
const DEADLINE: Duration = Duration::from_secs(600);

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run(&directory.path().join("memory.db"), count));
}

async fn run(path: &Path, count: usize) {
    let texts = texts(count + WRITE_COUNT + 20 * GROUP_COUNT, 40);
    let store = open(path);
    fill(&store, &texts[..count]).await;
    // A file that was closed has no write-ahead log to look through.
    store.close();
    let store = open(path);
    let head = ["call", "p50", "p99", "CPU", "found"].map(str::to_owned).to_vec();
    let mut rows = vec![head.clone()];
    for (name, filter) in filters(count) {
        rows.push(page(&store, name, filter, None).await);
    }
    let deep = PageEnd { created_at: FIRST + STEP * count as f64 / 2.0, row: i64::MAX };
    rows.push(page(&store, "list by cursor in the middle", default(), Some(deep)).await);
    rows.push(
        page(&store, "tag 50 % by cursor in the middle", tagged(&["half"]), Some(deep)).await,
    );
    rows.extend(questions(&store, &texts[..count]).await);
    table(&format!("{count} memories: pages of {PAGE} with their total, and questions"), &rows);
    let rows = [head, single(&store, &texts[count..]).await, group(&store, &texts[count..]).await];
    table("writes, fsync included; CPU a memory", &rows);
}

fn open(path: &Path) -> Store {
    Store::open(&StoreOptions {
        path: path.to_owned(),
        node: NodeName::new("bench").expect("a valid name"),
        model: MODEL.to_owned(),
        dimension: DIMENSION,
        any_model: false,
        reader_count: 1,
        write_queue_count_max: 1024,
        keeps_ops: false,
    })
    .expect("a store")
}

async fn fill(store: &Store, texts: &[String]) {
    let mut random = StdRng::seed_from_u64(SEED);
    for (number, group) in texts.chunks(1_000).enumerate() {
        let first = number * 1_000;
        let work: Vec<_> = group
            .iter()
            .enumerate()
            .map(|(place, text)| (values(text, first + place, &mut random), vector(&mut random)))
            .collect();
        let write = move |writer: &mut Writer<'_>| -> Result<(), StoreError> {
            work.into_iter().try_for_each(|(values, vector)| create(writer, &values, vector))
        };
        store.write(write).await.expect("a group of writes");
    }
}

fn create(
    writer: &mut Writer<'_>,
    values: &CreateValues,
    vector: Vec<f32>,
) -> Result<(), StoreError> {
    let meaning = Embedding { model: MODEL.to_owned(), vector };
    writer.create(&Namespace::default(), values, OpKind::Create, meaning).map(drop)
}

fn values(text: &str, number: usize, random: &mut StdRng) -> CreateValues {
    let created_at = FIRST + STEP * number as f64;
    let tags = TAGS.iter().filter(|(_, share)| random.random_bool(*share));
    let tags = tags.map(|(tag, _)| (*tag).to_owned()).collect();
    let mut draw = random.random::<f64>();
    let mut drawn = |share: f64| {
        draw -= share;
        draw < 0.0
    };
    let kind = TYPES.iter().find(|(_, share)| drawn(*share));
    CreateValues {
        created_at,
        updated_at: created_at,
        content: text.to_owned(),
        tags,
        memory_type: kind.map(|(kind, _)| (*kind).to_owned()),
        metadata: [("source".to_owned(), format!("\"bench {}\"", number % 100))].into(),
    }
}

fn vector(random: &mut StdRng) -> Vec<f32> {
    let numbers: Vec<f32> = (0..DIMENSION).map(|_| random.random_range(-1.0..1.0)).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.into_iter().map(|number| number / length).collect()
}

fn default() -> Filter {
    Filter::default()
}

fn tagged(tags: &[&str]) -> Filter {
    let tags = normalise_tags(tags.iter().copied()).expect("valid tags");
    Filter { tags, ..default() }
}

/// The filters of the first pages, by name.
fn filters(count: usize) -> Vec<(&'static str, Filter)> {
    let every = |tags: &[&str]| Filter { tag_match: TagMatch::All, ..tagged(tags) };
    let kind = |name: &str| Filter { memory_type: Some(name.to_owned()), ..default() };
    let everywhere = |filter: Filter| Filter { namespaces: NamespaceSet::All, ..filter };
    let at = |share: f64| Some(FIRST + STEP * count as f64 * share);
    let between = |after, before| Filter {
        created: TimeRange { after: at(after), before: at(before) },
        ..default()
    };
    let source = serde_json::Value::from("bench 7");
    let metadata = [("source".to_owned(), source)].into_iter().collect();
    vec![
        ("list", default()),
        ("list, every namespace", everywhere(default())),
        ("tag 50 %", tagged(&["half"])),
        ("tag 10 %", tagged(&["tenth"])),
        ("tag 1 %", tagged(&["hundredth"])),
        ("tag 0.01 %", tagged(&["rare"])),
        ("tag 10 %, every namespace", everywhere(tagged(&["tenth"]))),
        ("tags 50 % or 50 %", tagged(&["half", "other-half"])),
        ("tags 10 % or 1 %", tagged(&["tenth", "hundredth"])),
        ("tags 50 % or 0.01 %", tagged(&["half", "rare"])),
        ("tags 50 % and 50 %", every(&["half", "other-half"])),
        ("tags 10 % and 1 %", every(&["tenth", "hundredth"])),
        ("tags 50 % and 0.01 %", every(&["half", "rare"])),
        ("type 50 %", kind("note")),
        ("type 0.1 %", kind("rare-type")),
        ("type 0.1 %, every namespace", everywhere(kind("rare-type"))),
        ("tag 10 % and type 0.1 %", Filter { tags: tagged(&["tenth"]).tags, ..kind("rare-type") }),
        ("1 % of the time", between(0.5, 0.51)),
        ("half of the time", between(0.25, 0.75)),
        ("half of the time, every namespace", everywhere(between(0.25, 0.75))),
        (
            "tag 10 %, half of the time",
            Filter { tags: tagged(&["tenth"]).tags, ..between(0.25, 0.75) },
        ),
        ("metadata 1 %", Filter { metadata, ..default() }),
    ]
}

async fn page(store: &Store, name: &str, filter: Filter, after: Option<PageEnd>) -> Vec<String> {
    measure(store, name, move |reader| {
        reader.list(&filter, after, 0, PAGE + 1)?;
        Ok(reader.count(&filter)?.to_string())
    })
    .await
}

async fn questions(store: &Store, texts: &[String]) -> Vec<Vec<String>> {
    let mut random = StdRng::seed_from_u64(SEED);
    let hashes: Vec<ContentHash> = (0..CALL_COUNT)
        .map(|_| ContentHash::of(&texts[random.random_range(0..texts.len())]))
        .collect();
    let mut next = hashes.into_iter().cycle();
    let get = measure_each(store, "get", move || {
        let hash = next.next().expect("it goes round");
        move |reader: &Reader<'_>| {
            reader.find(&Namespace::default(), &hash)?;
            Ok("1".to_owned())
        }
    })
    .await;
    let week = FIRST + STEP * texts.len() as f64 - 7.0 * 24.0 * 3600.0;
    let half = tagged(&["half"]);
    vec![
        get,
        measure(store, "tags", |reader| Ok(reader.tags(&NamespaceSet::All)?.len().to_string()))
            .await,
        measure(store, "types", |reader| Ok(reader.types(&NamespaceSet::All)?.len().to_string()))
            .await,
        measure(store, "stats", move |reader| {
            Ok(reader.stats(&NamespaceSet::All, week)?.memories_this_week.to_string())
        })
        .await,
        measure(store, "rows of everything", |reader| {
            Ok(reader.rows(&default())?.len().to_string())
        })
        .await,
        measure(store, "rows of tag 50 %", move |reader| Ok(reader.rows(&half)?.len().to_string()))
            .await,
        measure(store, "rows of tag 0.01 %", |reader| {
            Ok(reader.rows(&tagged(&["rare"]))?.len().to_string())
        })
        .await,
    ]
}

async fn measure(
    store: &Store,
    name: &str,
    ask: impl Fn(&Reader<'_>) -> Result<String, StoreError> + Clone + Send + 'static,
) -> Vec<String> {
    measure_each(store, name, || ask.clone()).await
}

/// Asks again and again, for two seconds at most: wall time of each, CPU time on average.
async fn measure_each<W>(store: &Store, name: &str, mut ask: impl FnMut() -> W) -> Vec<String>
where
    W: FnOnce(&Reader<'_>) -> Result<String, StoreError> + Send + 'static,
{
    let mut found = store.read(DEADLINE, ask()).await.expect("an answer");
    let (mut walls, begun, cpu) = (Vec::with_capacity(CALL_COUNT), Instant::now(), cpu());
    while walls.len() < CALL_COUNT && begun.elapsed() < Duration::from_secs(2) {
        let started = Instant::now();
        found = store.read(DEADLINE, ask()).await.expect("an answer");
        walls.push(started.elapsed());
    }
    let cpu = self::cpu().saturating_sub(cpu) / u32::try_from(walls.len()).expect("few calls");
    row(name, walls, cpu, found)
}

async fn single(store: &Store, texts: &[String]) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(SEED + 1);
    let (mut walls, cpu) = (Vec::with_capacity(WRITE_COUNT), cpu());
    for (number, text) in texts[..WRITE_COUNT].iter().enumerate() {
        let (values, vector) = (values(text, number, &mut random), vector(&mut random));
        let started = Instant::now();
        store.write(move |writer| create(writer, &values, vector)).await.expect("a write");
        walls.push(started.elapsed());
    }
    let cpu = self::cpu().saturating_sub(cpu) / WRITE_COUNT as u32;
    row("one memory", walls, cpu, WRITE_COUNT.to_string())
}

async fn group(store: &Store, texts: &[String]) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(SEED + 2);
    let groups = texts[WRITE_COUNT..].chunks_exact(GROUP_COUNT);
    let (mut walls, mut count, cpu) = (Vec::new(), 0, cpu());
    for group in groups {
        let writes = group.iter().enumerate().map(|(number, text)| {
            let (values, vector) = (values(text, number, &mut random), vector(&mut random));
            store.write(move |writer| create(writer, &values, vector))
        });
        let writes: Vec<_> = writes.collect();
        let started = Instant::now();
        for written in futures::future::join_all(writes).await {
            written.expect("a write");
            count += 1;
        }
        walls.push(started.elapsed());
    }
    let cpu = self::cpu().saturating_sub(cpu) / count;
    row(&format!("{GROUP_COUNT} memories at once"), walls, cpu, count.to_string())
}

fn row(name: &str, mut walls: Vec<Duration>, cpu: Duration, found: String) -> Vec<String> {
    walls.sort_unstable();
    let ms = |duration: Duration| format!("{:.3} ms", duration.as_secs_f64() * 1000.0);
    let (p50, p99) = (percentile(&walls, 0.5), percentile(&walls, 0.99));
    vec![name.to_owned(), ms(p50), ms(p99), ms(cpu), found]
}

/// Time that all threads have spent on a processor (Linux, in nanoseconds).
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}
