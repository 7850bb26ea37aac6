//! Comparing states and giving records away.

use memnode_cluster::wire::{RECORD_PAGE_BYTES_MAX, TransferEmbedding, TransferRecord};
use memnode_cluster::{BUCKET_COUNT, Bucket, GROUP_COUNT, RecordId};
use rusqlite::{OptionalExtension, Row, params};

use super::super::digest;
use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::record;

/// Most state hashes of one page.
const HASH_COUNT_MAX: usize = 8192;
/// What a record adds to a page beside its text, registers and vector.
const RECORD_OVERHEAD_BYTES: usize = 128;
/// What `transfer_of` reads, in its order.
const COLUMNS: &str = "m.namespace, m.content_hash, m.record, m.content, \
     (SELECT embedding FROM memory_embeddings e WHERE m.live = 1 AND e.rowid = m.row)";

/// State hashes by id, and whether there are more.
type HashPage = (Vec<(RecordId, [u8; 16])>, bool);

impl Reader<'_> {
    /// The digests of a group's buckets, in order; none for a group that there is not.
    pub fn buckets(&self, group: u16) -> Result<Vec<Bucket>, StoreError> {
        let per_group = BUCKET_COUNT / GROUP_COUNT;
        let first = usize::from(group) * per_group;
        let buckets = digest::buckets(self.connection())?;
        Ok(buckets.into_iter().skip(first).take(per_group).collect())
    }

    /// A page of the state hashes of a bucket by id, and whether there are more.
    pub fn bucket_hashes(
        &self,
        bucket: u16,
        after: Option<RecordId>,
    ) -> Result<HashPage, StoreError> {
        let sql = "SELECT id, version FROM memory WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3";
        let (start, end) = bounds(bucket, bucket, after);
        let mut statement = self.connection().prepare_cached(sql)?;
        let limit = HASH_COUNT_MAX as i64 + 1;
        let found = statement.query_map(params![start, end, limit], |row| {
            Ok((RecordId(row.get(0)?), row.get(1)?))
        })?;
        let mut hashes = found.collect::<Result<Vec<_>, _>>()?;
        let more = hashes.len() > HASH_COUNT_MAX;
        hashes.truncate(HASH_COUNT_MAX);
        Ok((hashes, more))
    }

    /// The records of these ids that are here, as many as a page holds, and whether some of the
    /// ids were left for another page.
    pub fn transfer_records(
        &self,
        ids: &[RecordId],
    ) -> Result<(Vec<TransferRecord>, bool), StoreError> {
        let model = self.model()?;
        let sql = format!("SELECT {COLUMNS} FROM memory m WHERE m.id = ?1");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut page = Page::default();
        for id in ids {
            if page.is_full() {
                return Ok((page.records, true));
            }
            let found = statement.query_row([id.0], |row| Ok(page.add(row, &model))).optional()?;
            found.transpose()?;
        }
        Ok((page.records, false))
    }

    /// The records of some buckets after an id, as many as a page holds, and whether there are
    /// more.
    pub fn transfer_bucket_records(
        &self,
        first: u16,
        last: u16,
        after: Option<RecordId>,
    ) -> Result<(Vec<TransferRecord>, bool), StoreError> {
        let model = self.model()?;
        let (start, end) = bounds(first, last, after);
        let sql =
            format!("SELECT {COLUMNS} FROM memory m WHERE m.id > ?1 AND m.id < ?2 ORDER BY m.id");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut rows = statement.query(params![start, end])?;
        let mut page = Page::default();
        while let Some(row) = rows.next()? {
            if page.is_full() {
                return Ok((page.records, true));
            }
            page.add(row, &model)?;
        }
        Ok((page.records, false))
    }
}

/// Keys between which the ids of some buckets lie, both excluded. They compare as byte strings, so
/// a key that is a prefix of an id comes before it.
fn bounds(first: u16, last: u16, after: Option<RecordId>) -> (Vec<u8>, Vec<u8>) {
    let key = |bucket: u16| (bucket << 4).to_be_bytes().to_vec();
    let start = after.map_or_else(|| key(first), |id| id.0.to_vec().max(key(first)));
    // After the last bucket there is no key of two bytes: one that is longer than any id.
    let end = if last >= BUCKET_COUNT as u16 - 1 { vec![0xff; 17] } else { key(last + 1) };
    (start, end)
}

#[derive(Default)]
struct Page {
    records: Vec<TransferRecord>,
    bytes: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.bytes >= RECORD_PAGE_BYTES_MAX
    }

    fn add(&mut self, row: &Row<'_>, model: &str) -> Result<(), StoreError> {
        let blob = row.get_ref(2)?.as_blob().map_err(super::super::reader::damaged)?;
        let content: Option<String> = row.get(3)?;
        let numbers: Option<Vec<u8>> = row.get(4)?;
        self.bytes += RECORD_OVERHEAD_BYTES
            + blob.len()
            + content.as_ref().map_or(0, String::len)
            + numbers.as_ref().map_or(0, Vec::len);
        self.records.push(TransferRecord {
            namespace: row.get(0)?,
            content_hash: row.get(1)?,
            record: record::decode(blob, content.as_deref())?,
            embedding: numbers.map(|numbers| TransferEmbedding {
                model: model.to_owned(),
                numbers: numbers.into(),
            }),
        });
        Ok(())
    }
}
