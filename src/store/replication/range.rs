//! Answers to a peer that asks for single writes.

use memnode_cluster::IntervalSet;
use memnode_cluster::Origin;
use memnode_cluster::wire::{Held, RECORD_PAGE_BYTES_MAX, Reply};
use rusqlite::{Connection, params};

use super::super::applied;
use super::super::error::StoreError;
use super::super::reader::Reader;

impl Reader<'_> {
    /// What is known of some writes of an origin: those that are kept, in quarantine too, as many
    /// as a page holds; which were applied and are kept no longer; which were never seen.
    ///
    /// # Errors
    /// Those of the file.
    pub fn ops(&self, origin: &Origin, wanted: &IntervalSet) -> Result<Reply, StoreError> {
        let connection = self.connection();
        let Some(origin_id) = applied::known_row(connection, origin)? else {
            let not_held = wanted.iter().collect();
            return Ok(Reply::Range { ops: Vec::new(), pruned: Vec::new(), not_held });
        };
        let mut page = Page::default();
        for (lo, hi) in wanted.iter() {
            page.fill(connection, origin_id, lo, hi)?;
        }
        let applied = applied::intervals(connection, "applied", origin_id)?;
        let absent = wanted.subtract(&page.found);
        Ok(Reply::Range {
            ops: page.ops,
            pruned: absent.intersect(&applied).iter().collect(),
            not_held: absent.subtract(&applied).iter().collect(),
        })
    }
}

#[derive(Default)]
struct Page {
    ops: Vec<Held>,
    bytes: usize,
    /// What is kept, whether it is on the page or not.
    found: IntervalSet,
}

impl Page {
    fn fill(
        &mut self,
        connection: &Connection,
        origin_id: i64,
        lo: u64,
        hi: u64,
    ) -> Result<(), StoreError> {
        let sql = "SELECT oseq, payload FROM op WHERE origin_id = ?1 AND oseq BETWEEN ?2 AND ?3 \
                   UNION ALL SELECT oseq, payload FROM quarantine \
                   WHERE origin_id = ?1 AND oseq BETWEEN ?2 AND ?3 ORDER BY oseq";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![origin_id, lo, hi])?;
        while let Some(row) = rows.next()? {
            let oseq = row.get(0)?;
            self.found.insert(oseq);
            if self.bytes < RECORD_PAGE_BYTES_MAX {
                let payload: Vec<u8> = row.get(1)?;
                self.bytes += payload.len();
                self.ops.push(Held { oseq, payload: payload.into() });
            }
        }
        Ok(())
    }
}
