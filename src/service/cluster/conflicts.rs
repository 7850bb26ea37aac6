//! Values that lost against concurrent writes.

use super::super::Service;
use crate::auth::Principal;
use crate::memory::NamespaceSet;
use crate::store::Conflict;
use crate::{Error, Result};

/// Most conflicts of one page.
pub const CONFLICT_COUNT_MAX: usize = 1000;

/// Conflicts, newest first.
#[derive(Clone, Debug)]
pub struct ConflictPage {
    /// Those of namespaces that the caller may read.
    pub conflicts: Vec<Conflict>,
    /// Where the next page starts; `None` at the end.
    pub next_before: Option<i64>,
}

impl Service {
    /// A page of the values that lost, newest first, those before entry `before`.
    ///
    /// # Errors
    /// `Forbidden` without `read`; `InvalidInput` for a limit beyond [`CONFLICT_COUNT_MAX`]; those
    /// of the file.
    pub async fn conflicts(
        &self,
        who: &Principal,
        limit: usize,
        before: Option<i64>,
    ) -> Result<ConflictPage> {
        if !(1..=CONFLICT_COUNT_MAX).contains(&limit) {
            let detail = format!("a page has 1 to {CONFLICT_COUNT_MAX} conflicts");
            return Err(Error::invalid(detail).reason("out_of_range"));
        }
        let namespaces = who.readable(&NamespaceSet::All)?;
        let found = self.read(move |reader| reader.conflicts(&namespaces, limit, before)).await?;
        let next_before = found.last().filter(|_| found.len() == limit).map(|last| last.n);
        Ok(ConflictPage { conflicts: found, next_before })
    }
}
