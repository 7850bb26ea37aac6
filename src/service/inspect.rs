//! Looking at single memories, totals, the digest and the health of the file.

use super::{Service, memory_not_found};
use crate::auth::{Access, Principal};
use crate::memory::{
    ContentHash, Filter, History, Memory, Namespace, NamespaceSet, Stats, TagCount, TypeCount,
};
use crate::store::Known;
use crate::{Error, Result};

/// Seconds of a week.
const WEEK_SECONDS: f64 = 7.0 * 24.0 * 3600.0;
/// Most memories of one page of an export.
const EXPORT_COUNT_MAX: usize = 1000;

/// What nodes compare to know that they are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestView {
    /// One hash over everything, in hexadecimal.
    pub root: String,
    /// Records, deleted ones included.
    pub count: u64,
    /// The writes applied: origin and intervals of their numbers.
    pub vector: Vec<(String, Vec<(u64, u64)>)>,
    /// Number, hash and count of each bucket that is not empty.
    pub buckets: Vec<(u16, String, u64)>,
}

impl Service {
    /// One memory.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub async fn get(
        &self,
        who: &Principal,
        namespace: &Namespace,
        hash: ContentHash,
    ) -> Result<Memory> {
        who.require(Access::Read, namespace)?;
        let namespace = namespace.clone();
        match self.read(move |reader| reader.find(&namespace, &hash)).await? {
            Known::Live(located) => Ok(located.memory),
            Known::Deleted | Known::Never => Err(memory_not_found()),
        }
    }

    /// Everything that is known of one memory's past, also of a deleted one.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub async fn history(
        &self,
        who: &Principal,
        namespace: &Namespace,
        hash: ContentHash,
    ) -> Result<History> {
        who.require(Access::Read, namespace)?;
        let namespace = namespace.clone();
        let found = self.read(move |reader| reader.history(&namespace, &hash)).await?;
        found.ok_or_else(memory_not_found)
    }

    /// Tags with their counts, most used first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn tags(&self, who: &Principal, namespaces: &NamespaceSet) -> Result<Vec<TagCount>> {
        let namespaces = who.readable(namespaces)?;
        Ok(self.read(move |reader| reader.tags(&namespaces)).await?)
    }

    /// Types with their counts, most used first.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn types(
        &self,
        who: &Principal,
        namespaces: &NamespaceSet,
    ) -> Result<Vec<TypeCount>> {
        let namespaces = who.readable(namespaces)?;
        Ok(self.read(move |reader| reader.types(&namespaces)).await?)
    }

    /// Totals. The size of the file is 0 for a caller who may not read everything in it.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn stats(&self, who: &Principal, namespaces: &NamespaceSet) -> Result<Stats> {
        let namespaces = who.readable(namespaces)?;
        let database_size_bytes = match who.require_everywhere(Access::Read) {
            Ok(()) => self.parts.store.size_bytes(),
            Err(_) => 0,
        };
        let week_start = crate::clock::now_seconds() - WEEK_SECONDS;
        let stats = self.read(move |reader| reader.stats(&namespaces, week_start)).await?;
        Ok(Stats { database_size_bytes, ..stats })
    }

    /// The digest of the replicated state. It covers every namespace.
    ///
    /// # Errors
    /// `Forbidden` without `read` everywhere.
    pub async fn digest(&self, who: &Principal) -> Result<DigestView> {
        who.require_everywhere(Access::Read)?;
        let digest = self.read(|reader| reader.digest()).await?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let vector = digest.vector.iter();
        let buckets = digest.buckets.iter().zip(0_u16..).filter(|(bucket, _)| bucket.count > 0);
        Ok(DigestView {
            root: hex(&digest.root()),
            count: digest.count(),
            vector: vector
                .map(|(origin, set)| (origin.to_string(), set.iter().collect()))
                .collect(),
            buckets: buckets
                .map(|(bucket, number)| (number, hex(&bucket.hash), bucket.count))
                .collect(),
        })
    }

    /// Share of the memory in use, 0 to 100; `None` where it cannot be told.
    pub fn memory_percent(&self) -> Option<f64> {
        crate::machine::memory_percent()
    }

    /// Share of the disk in use where the file is, 0 to 100; `None` where it cannot be told.
    pub fn disk_percent(&self) -> Option<f64> {
        crate::machine::disk_percent(self.parts.store.path())
    }

    /// A page of an export, in an order that holds while memories come and go: those after row
    /// `cursor`, 0 at first. Also gives the cursor of the next page, `None` at the end.
    ///
    /// # Errors
    /// `Forbidden`, `InvalidInput` for a limit beyond 1,000.
    pub async fn export_page(
        &self,
        who: &Principal,
        filter: &Filter,
        cursor: i64,
        limit: usize,
    ) -> Result<(Vec<Memory>, Option<i64>)> {
        if !(1..=EXPORT_COUNT_MAX).contains(&limit) {
            return Err(Error::invalid(format!("a page has 1 to {EXPORT_COUNT_MAX} memories")));
        }
        let namespaces = who.readable(&filter.namespaces)?;
        let filter = Filter { namespaces, ..filter.clone() };
        let found = self.read(move |reader| reader.after_row(&filter, cursor, limit)).await?;
        let next = found.last().filter(|_| found.len() == limit).map(|located| located.row);
        Ok((found.into_iter().map(|located| located.memory).collect(), next))
    }
}
