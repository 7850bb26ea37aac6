//! The digest buckets, kept in step with every write.

use memnode_cluster::{BUCKET_COUNT, Bucket, RecordId, Vector, bucket_of};
use rusqlite::{Connection, OptionalExtension, params};

use super::applied;
use super::error::StoreError;
use super::reader::Reader;

/// What nodes compare to know that they are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// All buckets, empty ones included.
    pub buckets: Vec<Bucket>,
    /// The writes that the state is the join of.
    pub vector: Vector,
}

impl Digest {
    /// One hash over everything.
    pub fn root(&self) -> [u8; 16] {
        memnode_cluster::root(&self.buckets)
    }

    /// Records, dead ones included.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }
}

impl Reader<'_> {
    /// The digest as kept.
    pub fn digest(&self) -> Result<Digest, StoreError> {
        read(self.connection())
    }
}

/// Replaces a record's hash in its bucket.
pub(super) fn replace(
    connection: &Connection,
    id: &RecordId,
    old: Option<&[u8; 16]>,
    new: &[u8; 16],
) -> Result<(), StoreError> {
    let number = i64::from(bucket_of(id));
    let mut select = connection.prepare_cached("SELECT hash, count FROM bucket WHERE b = ?1")?;
    let found = select
        .query_row([number], |row| Ok(Bucket { hash: row.get(0)?, count: row.get(1)? }))
        .optional()?;
    let mut bucket = found.unwrap_or_default();
    if let Some(old) = old {
        bucket.remove(old);
    }
    bucket.insert(new);
    connection
        .prepare_cached("INSERT OR REPLACE INTO bucket (b, hash, count) VALUES (?1, ?2, ?3)")?
        .execute(params![number, bucket.hash, bucket.count])?;
    Ok(())
}

/// The digest as kept.
pub(super) fn read(connection: &Connection) -> Result<Digest, StoreError> {
    Ok(Digest { buckets: buckets(connection)?, vector: applied::read(connection)? })
}

/// All buckets as kept, empty ones included.
pub(super) fn buckets(connection: &Connection) -> Result<Vec<Bucket>, StoreError> {
    let mut buckets = vec![Bucket::default(); BUCKET_COUNT];
    let mut statement = connection.prepare_cached("SELECT b, hash, count FROM bucket")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: usize = row.get(0)?;
        if let Some(bucket) = buckets.get_mut(number) {
            *bucket = Bucket { hash: row.get(1)?, count: row.get(2)? };
        }
    }
    Ok(buckets)
}
