//! Where each row lies in a snapshot.

use std::sync::Arc;

/// Rows of a page: a change copies one.
const PAGE_ROWS: usize = 4096;
const NOWHERE: u32 = u32::MAX;

/// Highest row that can be indexed. Rows are numbered one by one, so no file of ours comes near.
pub const ROW_MAX: u32 = (1 << 30) - 1;

type Page = [u32; PAGE_ROWS];

/// From rows to places; snapshots share the pages that they do not change.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<Option<Arc<Page>>>);

impl Places {
    /// Where a row lies.
    pub fn get(&self, row: u32) -> Option<u32> {
        let page = self.0.get(row as usize / PAGE_ROWS)?.as_ref()?;
        Some(page[row as usize % PAGE_ROWS]).filter(|place| *place != NOWHERE)
    }

    /// Notes where a row lies now.
    ///
    /// # Panics
    /// For a row beyond [`ROW_MAX`].
    pub fn set(&mut self, row: u32, place: Option<u32>) {
        assert!(row <= ROW_MAX, "rows are numbered one by one");
        let number = row as usize / PAGE_ROWS;
        if self.0.len() <= number {
            self.0.resize(number + 1, None);
        }
        let page = self.0[number].get_or_insert_with(|| Arc::new([NOWHERE; PAGE_ROWS]));
        Arc::make_mut(page)[row as usize % PAGE_ROWS] = place.unwrap_or(NOWHERE);
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.0.iter().flatten().count() * size_of::<Page>()
            + self.0.capacity() * size_of::<Option<Arc<Page>>>()
    }
}
