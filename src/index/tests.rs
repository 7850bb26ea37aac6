//! Searches against brute force, with any filter, however the rows came in.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::batch::Batch;
use super::kernels::Kernel;
use super::label::Label;
use super::nearest::Search;
use super::selection::Selection;
use super::snapshot::{Change, Snapshot};
use super::*;
use crate::memory::time_phrase::TimeRange;
use crate::memory::{Filter, Namespace, NamespaceSet, TagMatch, normalise_tags};

const DIMENSION: usize = 48;

/// A row as a file would hold it.
#[derive(Clone, Debug)]
struct Line {
    vector: Vec<f32>,
    created_at: f64,
    namespace: String,
    memory_type: Option<String>,
    tags: Vec<String>,
}

impl Line {
    fn keys(&self) -> Vec<String> {
        let namespace = Label::Namespace(&self.namespace);
        let memory_type = self.memory_type.as_deref().map(Label::Type);
        let tags = self.tags.iter().map(|tag| Label::Tag(tag));
        std::iter::once(namespace).chain(memory_type).chain(tags).map(Label::key).collect()
    }

    fn entry(&self, row: u32, snapshot: &Snapshot) -> Entry {
        let labels = self.keys().iter().map(|key| snapshot.labels().intern(key)).collect();
        Entry::new(row, self.created_at, &self.vector, labels)
    }

    fn passes(&self, filter: &Filter) -> bool {
        let NamespaceSet::Only(names) = &filter.namespaces else { return self.passes_rest(filter) };
        names.iter().any(|name| name.as_str() == self.namespace) && self.passes_rest(filter)
    }

    fn passes_rest(&self, filter: &Filter) -> bool {
        let has = |tag: &crate::memory::Tag| self.tags.iter().any(|own| own == tag.as_str());
        let tags = match filter.tag_match {
            _ if filter.tags.is_empty() => true,
            TagMatch::Any => filter.tags.iter().any(has),
            TagMatch::All => filter.tags.iter().all(has),
        };
        tags && (filter.memory_type.is_none() || filter.memory_type == self.memory_type)
            && filter.created.after.is_none_or(|after| self.created_at >= after)
            && filter.created.before.is_none_or(|before| self.created_at < before)
    }
}

/// The rows of a file.
#[derive(Clone, Debug, Default)]
struct Table(BTreeMap<u32, Line>);

impl Vectors for Table {
    fn nearest(&self, query: &[f32], limit: usize) -> Result<Vec<(i64, f32)>> {
        let rows: Vec<i64> = self.0.keys().map(|row| i64::from(*row)).collect();
        let found = score(self, query, &rows, limit)?;
        Ok(found.into_iter().map(|found| (found.row, found.distance)).collect())
    }

    fn vector(&self, row: i64) -> Result<Option<Vec<f32>>> {
        Ok(self.0.get(&(row as u32)).map(|line| line.vector.clone()))
    }

    fn count(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn limit_max(&self) -> usize {
        4096
    }
}

impl Table {
    fn batches(&self, size: usize) -> Vec<Batch> {
        let lines: Vec<(&u32, &Line)> = self.0.iter().collect();
        let batch = |lines: &[(&u32, &Line)]| {
            let mut batch = Batch::empty(DIMENSION);
            for (row, line) in lines {
                let labels: Vec<u32> =
                    line.keys().into_iter().map(|key| batch.add_key(key)).collect();
                batch.push(**row, line.created_at, &line.vector, &labels);
            }
            batch
        };
        lines.chunks(size).map(batch).collect()
    }

    fn check(&self, snapshot: &Arc<Snapshot>, filter: &Filter, query: &[f32], limit: usize) {
        assert_eq!(snapshot.len(), self.0.len());
        let selection = Selection::of(snapshot, filter).expect("no metadata");
        let rows: Vec<i64> = self
            .0
            .iter()
            .filter(|(_, line)| line.passes(filter))
            .map(|(row, _)| i64::from(*row))
            .collect();
        assert_eq!(selection.count, rows.len());
        let expected = score(self, query, &rows, limit).expect("a table");
        for kernel in Kernel::available() {
            let search = Search { query, kernel, may_split: false, is_rough: false };
            let found = search.among(snapshot, &selection, self, limit).expect("a table");
            assert_eq!(found, expected, "{}", kernel.name());
            let listed = Selection::of_rows(snapshot, &rows);
            let found = search.among(snapshot, &listed, self, limit).expect("a table");
            assert_eq!(found, expected, "by rows, {}", kernel.name());
        }
    }
}

fn unit(numbers: Vec<f32>) -> Vec<f32> {
    let length = dot(&numbers, &numbers).sqrt().max(1e-6);
    numbers.into_iter().map(|number| number / length).collect()
}

fn vector() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-1.0_f32..1.0, DIMENSION).prop_map(unit)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn line() -> impl Strategy<Value = Line> {
    let tags = prop::collection::btree_set(name(), 0..3);
    (vector(), 0_u32..50, name(), prop::option::of(name()), tags).prop_map(
        |(vector, time, namespace, memory_type, tags)| Line {
            vector,
            created_at: f64::from(time),
            namespace,
            memory_type,
            tags: tags.into_iter().collect(),
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    let names = prop::option::of(prop::collection::btree_set(name(), 1..3));
    let tags = prop::collection::btree_set(prop_oneof![name(), Just("none".to_owned())], 0..3);
    let time = || prop::option::of((0_u32..60).prop_map(f64::from));
    (names, tags, any::<bool>(), prop::option::of(name()), time(), time()).prop_map(
        |(names, tags, all, memory_type, after, before)| Filter {
            namespaces: names.map_or(NamespaceSet::All, |names| {
                let names = names.iter().map(|name| name.parse::<Namespace>().expect("a name"));
                NamespaceSet::Only(names.collect())
            }),
            tags: normalise_tags(tags.iter().map(String::as_str)).expect("tags"),
            tag_match: if all { TagMatch::All } else { TagMatch::Any },
            memory_type,
            created: TimeRange { after, before },
            ..Filter::default()
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Put(u32, Line),
    Relabel(u32, Line),
    Drop(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u32..400, line()).prop_map(|(row, line)| Step::Put(row, line)),
        1 => (0_u32..400, line()).prop_map(|(row, line)| Step::Relabel(row, line)),
        1 => (0_u32..400).prop_map(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_search_gives_what_brute_force_over_the_filtered_rows_gives(
        lines in prop::collection::btree_map(0_u32..400, line(), 0..150),
        steps in prop::collection::vec(prop::collection::vec(step(), 0..20), 0..5),
        filters in prop::collection::vec(filter(), 1..6),
        query in vector(),
        limit in 1_usize..40,
    ) {
        let mut table = Table(lines);
        let mut snapshot = Arc::new(Snapshot::build(DIMENSION, &table.batches(60), 0));
        let first = (Arc::clone(&snapshot), table.clone());
        for (steps, head) in steps.into_iter().zip(1..) {
            let mut changes = Vec::new();
            for step in steps {
                changes.push(match step {
                    Step::Put(row, line) => {
                        table.0.insert(row, line.clone());
                        Change::Put(line.entry(row, &snapshot))
                    }
                    Step::Relabel(row, line) => {
                        let Some(own) = table.0.get_mut(&row) else { continue };
                        let (vector, created_at) = (own.vector.clone(), own.created_at);
                        *own = Line { vector, created_at, ..line };
                        Change::Put(own.entry(row, &snapshot))
                    }
                    Step::Drop(row) => {
                        table.0.remove(&row);
                        Change::Drop(row)
                    }
                });
            }
            snapshot = Arc::new(snapshot.with(changes, head));
            prop_assert_eq!(snapshot.head(), head);
        }
        for filter in &filters {
            table.check(&snapshot, filter, &query, limit);
            // Whoever began with the first snapshot still sees that.
            first.1.check(&first.0, filter, &query, limit);
        }
        let rebuilt = Arc::new(Snapshot::build(DIMENSION, &table.batches(100), 9));
        filters.iter().for_each(|filter| table.check(&rebuilt, filter, &query, limit));
    }
}

/// Directions around a few centres, as those of texts about a few things.
fn clustered(count: u32) -> Table {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let mut draw = |spread: f32, around: &[f32]| {
        unit(around.iter().map(|at| at + spread * random.random_range(-1.0..1.0)).collect())
    };
    let centres: Vec<Vec<f32>> = (0..20).map(|_| draw(1.0, &[0.0; DIMENSION])).collect();
    let mut line = |row: u32| Line {
        vector: draw(0.25, &centres[row as usize % 20]),
        created_at: f64::from(row),
        namespace: "a".to_owned(),
        memory_type: None,
        tags: [(2, "half"), (10, "tenth")]
            .iter()
            .filter(|(share, _)| row.is_multiple_of(*share))
            .map(|(_, tag)| (*tag).to_owned())
            .collect(),
    };
    Table((0..count).map(|row| (row, line(row))).collect())
}

#[test]
fn a_scan_finds_nearly_all_of_the_nearest_and_nothing_that_is_filtered() {
    let table = clustered(10_000);
    let snapshot = Arc::new(Snapshot::build(DIMENSION, &table.batches(4096), 0));
    let tagged = |tag: &str| Filter {
        namespaces: NamespaceSet::All,
        tags: normalise_tags([tag]).expect("a tag"),
        ..Filter::default()
    };
    let late = Filter {
        namespaces: NamespaceSet::All,
        created: TimeRange { after: Some(6_000.0), before: Some(8_000.0) },
        ..Filter::default()
    };
    let everything = Filter { namespaces: NamespaceSet::All, ..Filter::default() };
    for filter in [everything, tagged("half"), tagged("tenth"), late] {
        let selection = Selection::of(&snapshot, &filter).expect("no metadata");
        let rows: Vec<i64> =
            (0..10_000_u32).filter(|row| table.0[row].passes(&filter)).map(i64::from).collect();
        let (mut found_count, mut rough_count, mut query_count) = (0, 0, 0);
        for near in (0..10_000).step_by(500) {
            let query: Vec<f32> = (table.0[&near].vector.iter())
                .zip(&table.0[&(near + 1)].vector)
                .map(|(a, b)| a + 0.3 * b)
                .collect();
            let query = unit(query);
            let expected = score(&table, &query, &rows, 10).expect("a table");
            let look = |is_rough, limit| {
                let kernel = Kernel::detect();
                let search = Search { query: &query, kernel, may_split: false, is_rough };
                let found = search.among(&snapshot, &selection, &table, limit).expect("a table");
                assert!(found.iter().all(|one| rows.binary_search(&one.row).is_ok()));
                expected.iter().filter(|one| found.contains(one)).count()
            };
            found_count += look(false, 10);
            // The nearest are in a pool, too, of which the last may be missing.
            rough_count += look(true, 100);
            query_count += 1;
        }
        for count in [found_count, rough_count] {
            let recall = f64::from(count as u32) / f64::from(query_count * 10);
            assert!(recall >= 0.98, "recall {recall} of {filter:?}");
        }
    }
}

#[test]
fn both_halves_of_a_split_scan_count() {
    let table = clustered(10_000);
    let snapshot = Arc::new(Snapshot::build(DIMENSION, &table.batches(4096), 0));
    let filter = Filter { namespaces: NamespaceSet::All, ..Filter::default() };
    let selection = Selection::of(&snapshot, &filter).expect("no metadata");
    let query = &table.0[&77].vector;
    let scan = |split_from| {
        let search = Search { query, kernel: Kernel::detect(), may_split: true, is_rough: false };
        search.scan(&snapshot, &selection, 400, split_from)
    };
    assert_eq!(scan(1), scan(usize::MAX));
}

#[test]
fn batches_come_together_in_the_order_of_time() {
    let times = [5.0, -1.0, f64::MAX, -0.0, 0.0, 3.5, -1e9, 3.5, f64::MIN, 2.0];
    let mut batches = [Batch::empty(DIMENSION), Batch::empty(DIMENSION), Batch::empty(DIMENSION)];
    for (row, time) in times.into_iter().enumerate() {
        let vector = unit(vec![1.0 + row as f32; DIMENSION]);
        batches[row % 2 * 2].push(row as u32, time, &vector, &[]);
    }
    let snapshot = Snapshot::build(DIMENSION, &batches, 0);
    let rows: Vec<i64> = (0..times.len() as u32).map(|place| snapshot.row_at(place)).collect();
    assert_eq!(rows, [8, 6, 1, 3, 4, 9, 5, 7, 0, 2]);
}
