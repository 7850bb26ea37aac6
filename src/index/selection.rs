//! A filter as sets of rows.

use std::sync::Arc;

use super::bits::Bits;
use super::chunk::Chunk;
use super::label::{Label, LabelId};
use super::snapshot::Snapshot;
use crate::memory::time_phrase::TimeRange;
use crate::memory::{Filter, NamespaceSet, TagMatch};

/// Rows of a snapshot, by chunk.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Chunks that have some of the rows, and which.
    pub parts: Vec<(usize, Bits)>,
    /// How many rows that are.
    pub count: usize,
}

impl Selection {
    /// The rows that a filter leaves; `None` when the index does not know enough: it keeps no
    /// metadata.
    pub fn of(snapshot: &Snapshot, filter: &Filter) -> Option<Self> {
        if !filter.metadata.is_empty() {
            return None;
        }
        let Some(groups) = groups(snapshot, filter) else { return Some(Selection::default()) };
        let mut selection = Selection::default();
        for (number, chunk) in snapshot.chunks().iter().enumerate() {
            selection.add(number, pick(chunk, &groups, filter.created));
        }
        Some(selection)
    }

    /// Those of some rows that the snapshot holds.
    pub fn of_rows(snapshot: &Snapshot, rows: &[i64]) -> Self {
        let mut parts = vec![None; snapshot.chunks().len()];
        for (number, slot) in rows.iter().filter_map(|row| snapshot.place(*row)) {
            parts[number].get_or_insert_with(Bits::none).insert(slot);
        }
        let mut selection = Selection::default();
        for (number, bits) in parts.into_iter().enumerate() {
            selection.add(number, bits);
        }
        selection
    }

    fn add(&mut self, number: usize, bits: Option<Bits>) {
        let Some(bits) = bits else { return };
        let count = bits.count();
        if count > 0 {
            self.parts.push((number, bits));
            self.count += count;
        }
    }
}

/// Of each group a row must have at least one label; `None` when no row can.
fn groups(snapshot: &Snapshot, filter: &Filter) -> Option<Vec<Vec<LabelId>>> {
    let ids = |labels: &mut dyn Iterator<Item = Label<'_>>| {
        let known = labels.filter_map(|label| snapshot.labels().find(&label.key()));
        Some(known.collect::<Vec<_>>()).filter(|ids| !ids.is_empty())
    };
    let mut groups = Vec::new();
    if let NamespaceSet::Only(names) = &filter.namespaces {
        groups.push(ids(&mut names.iter().map(|name| Label::Namespace(name.as_str())))?);
    }
    if let Some(memory_type) = &filter.memory_type {
        groups.push(ids(&mut std::iter::once(Label::Type(memory_type)))?);
    }
    let mut tags = filter.tags.iter().map(|tag| Label::Tag(tag.as_str()));
    match filter.tag_match {
        _ if filter.tags.is_empty() => {}
        TagMatch::Any => groups.push(ids(&mut tags)?),
        TagMatch::All => {
            for tag in tags {
                groups.push(ids(&mut std::iter::once(tag))?);
            }
        }
    }
    Some(groups)
}

/// The rows of a chunk that the groups and the range leave.
fn pick(chunk: &Arc<Chunk>, groups: &[Vec<LabelId>], range: TimeRange) -> Option<Bits> {
    let (first, last) = chunk.times();
    let is_in = |time: f64| {
        range.after.is_none_or(|after| time >= after)
            && range.before.is_none_or(|before| time < before)
    };
    let is_before = range.after.is_some_and(|after| last < after);
    if is_before || range.before.is_some_and(|before| first >= before) {
        return None;
    }
    let mut rows = chunk.live().clone();
    if !(is_in(first) && is_in(last)) {
        rows.retain(chunk.len(), |slot| is_in(chunk.time(slot)));
    }
    for group in groups {
        let mut either = Bits::none();
        group.iter().for_each(|label| chunk.labels().collect(*label, &mut either));
        rows.intersect(&either);
    }
    Some(rows)
}
