//! Whether writes are in, and which one gave a memory its life.

use memnode_cluster::{Dot, RecordId, Vector};
use rusqlite::params;

use super::error::StoreError;
use super::reader::Reader;
use super::record;
use crate::memory::{ContentHash, Namespace};

impl Reader<'_> {
    /// The write that created a memory as it stands; `None` for one that is dead or unknown.
    pub fn born(
        &self,
        namespace: &Namespace,
        hash: &ContentHash,
    ) -> Result<Option<Dot>, StoreError> {
        let id = RecordId::new(namespace.as_str(), hash.as_bytes());
        let stored = record::load(self.connection(), &id)?;
        let record = stored.map(|stored| stored.record).filter(memnode_cluster::Record::is_live);
        Ok(record.and_then(|record| record.born().map(|born| born.stamp.dot.clone())))
    }

    /// Whether all these writes are applied.
    pub fn has_applied(&self, writes: &Vector) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM applied JOIN origin USING (origin_id) \
                   WHERE node = ?1 AND epoch = ?2 AND lo <= ?3 AND hi >= ?4";
        let mut statement = self.connection().prepare_cached(sql)?;
        for (origin, numbers) in writes.iter() {
            for (lo, hi) in numbers.iter() {
                let epoch = origin.epoch.cast_signed();
                if !statement.exists(params![origin.node.as_str(), epoch, lo, hi])? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
