//! Nearest vectors against brute force.

use memnode_cluster::UpdateValues;
use proptest::prelude::*;

use super::super::NEIGHBOUR_COUNT_MAX;
use super::*;
use crate::index::exact::{self, Candidates};
use crate::index::{self, Neighbour, Vectors};

/// A reader as the index sees it.
struct Snapshot<'r, 'c>(&'r Reader<'c>);

impl Vectors for Snapshot<'_, '_> {
    fn nearest(&self, query: &[f32], limit: usize) -> crate::Result<Vec<(i64, f32)>> {
        Ok(self.0.nearest(query, limit)?)
    }

    fn vector(&self, row: i64) -> crate::Result<Option<Vec<f32>>> {
        Ok(self.0.embedding(row)?)
    }

    fn visit(&self, rows: &[i64], visit: &mut dyn FnMut(i64, &[f32])) -> crate::Result<()> {
        Ok(self.0.visit_embeddings(rows, visit)?)
    }

    fn count(&self) -> crate::Result<u64> {
        Ok(self.0.live_count()?)
    }

    fn limit_max(&self) -> usize {
        NEIGHBOUR_COUNT_MAX
    }
}

/// Rows of live memories with the distances of their texts.
fn brute_force(texts: &[(i64, String)], query: &[f32]) -> Vec<(i64, f32)> {
    let distance = |text: &str| 1.0 - index::dot(query, &direction(text, DIMENSION));
    let mut all: Vec<(i64, f32)> = texts.iter().map(|(row, text)| (*row, distance(text))).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all
}

/// Equal up to rounding, which may swap rows that are equally far.
fn check_same(found: &[(i64, f32)], expected: &[(i64, f32)]) {
    assert_eq!(found.len(), expected.len());
    for ((row, distance), (_, at)) in found.iter().zip(expected) {
        assert!((distance - at).abs() < 1e-5, "row {row}: {distance}, expected {at}");
    }
    let rows = |of: &[(i64, f32)]| of.iter().map(|(row, _)| *row).collect::<Vec<_>>();
    let (mut found, mut expected) = (rows(found), rows(expected));
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// 300 memories, more than four chunks of vectors; a third of them deleted, some revived.
fn filled() -> (File, Vec<(i64, String)>) {
    let mut file = File::new("a");
    let mut texts: Vec<(i64, String)> = (0..300)
        .map(|number| {
            let text = format!("text {number}");
            (file.create(&text).row, text)
        })
        .collect();
    let mut place = 0;
    texts.retain(|(_, text)| {
        place += 1;
        let dies = place % 3 == 0;
        if dies {
            file.write(|writer| writer.delete(&target(text))).unwrap();
        }
        !dies
    });
    for number in [2, 5, 8] {
        let text = format!("text {number}");
        texts.push((file.create(&text).row, text));
    }
    let rare = UpdateValues { tags: Some(vec!["rare".to_owned()]), ..UpdateValues::default() };
    for (row, text) in &texts {
        if row % 50 == 1 {
            file.write(|writer| writer.update(&target(text), &rare)).unwrap();
        }
    }
    file.check_sound();
    (file, texts)
}

#[test]
fn the_nearest_are_those_of_brute_force_and_none_is_deleted() {
    let (file, texts) = filled();
    let reader = file.reader();
    for query in ["text 3", "text 2", "something else", "text 299"] {
        let query = direction(query, DIMENSION);
        let expected = brute_force(&texts, &query);
        for limit in [1, 10, 100, 1000, NEIGHBOUR_COUNT_MAX + 1] {
            let found = reader.nearest(&query, limit).unwrap();
            check_same(&found, &expected[..limit.min(expected.len())]);
        }
    }
    assert!(reader.nearest(&direction("x", DIMENSION), 0).unwrap().is_empty());
    assert!(reader.nearest(&direction("x", DIMENSION + 1), 1).is_err(), "another dimension");
}

#[test]
fn a_filter_leaves_the_nearest_of_what_it_leaves() {
    let (file, texts) = filled();
    let reader = file.reader();
    let tagged =
        |tag: &str| Filter { tags: crate::memory::normalise_tags([tag]).unwrap(), ..everything() };
    // Six rows are scored one by one, the others are looked for in a scan.
    for filter in [tagged("rare"), tagged("all"), everything()] {
        let rows = reader.rows(&filter).unwrap();
        let left: Vec<(i64, String)> =
            texts.iter().filter(|(row, _)| rows.contains(row)).cloned().collect();
        assert_eq!(left.len(), rows.len());
        for query in ["text 3", "text 2", "something else"] {
            let query = direction(query, DIMENSION);
            for limit in [1, 7, 50, 500] {
                let candidates = Candidates::Rows(&rows);
                let found = exact::search(&Snapshot(&reader), &query, candidates, limit).unwrap();
                let found: Vec<(i64, f32)> =
                    found.iter().map(|Neighbour { row, distance }| (*row, *distance)).collect();
                let expected = brute_force(&left, &query);
                check_same(&found, &expected[..limit.min(expected.len())]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Vectors come back bit for bit.
    #[test]
    fn a_vector_is_kept_as_it_is(numbers in prop::collection::vec(-1e3_f32..1e3, DIMENSION)) {
        let mut file = File::new("a");
        let embedding = Embedding { model: MODEL.to_owned(), vector: numbers.clone() };
        let space = Namespace::default();
        let located = file.write(|writer| {
            writer.create(&space, &values("text"), OpKind::Create, embedding)
        });
        let found = file.reader().embedding(located.unwrap().row).unwrap();
        prop_assert_eq!(found, Some(numbers));
    }
}

#[test]
fn many_vectors_at_once_are_what_the_vector_table_says_of_each() {
    let (file, texts) = filled();
    let mut rows: Vec<i64> = texts.iter().map(|(row, _)| *row).collect();
    rows.extend([0, 1_000_000]);
    rows.sort_unstable();
    let reader = file.reader();
    let mut found = Vec::new();
    reader.visit_embeddings(&rows, |row, vector| found.push((row, vector.to_vec()))).unwrap();
    let one_by_one = rows.iter().filter_map(|row| Some((*row, reader.embedding(*row).unwrap()?)));
    assert_eq!(found, one_by_one.collect::<Vec<_>>());
    assert_eq!(found.len(), texts.len());
}
