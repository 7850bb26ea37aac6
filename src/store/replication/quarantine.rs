//! Writes that cannot be applied here: kept, shown, tried again.

use memnode_cluster::replicator::Incoming;
use memnode_cluster::{DecodeError, Dot, IntervalSet, Op, Vector};
use rusqlite::{Connection, OptionalExtension, params};

use super::super::applied;
use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::writer::Writer;
use super::batch::BatchOutcome;
use super::seal::FORGED;

/// Quarantined writes that are tried at a time.
const RETRY_COUNT: usize = 256;

/// A write in quarantine.
#[derive(Clone, Debug, PartialEq)]
pub struct Quarantined {
    /// Its name.
    pub dot: Dot,
    /// Why it is not applied.
    pub reason: String,
    /// When it came, in Unix seconds.
    pub at: f64,
    /// Its size.
    pub bytes: u64,
}

/// Changes of API keys in quarantine that prove nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ForgedKeys {
    /// How many there are.
    pub count: u64,
    /// The first.
    pub dot: Dot,
    /// When it came, in Unix seconds.
    pub first_at: f64,
    /// When the last one came.
    pub last_at: f64,
}

impl Reader<'_> {
    /// Changes of API keys that prove nothing, but for those that were given up.
    pub fn forged_keys(&self) -> Result<Option<ForgedKeys>, StoreError> {
        let sql = "SELECT origin_id, oseq, at FROM quarantine WHERE reason = ?1 \
                   ORDER BY at, origin_id, oseq";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([FORGED])?;
        let mut found: Option<ForgedKeys> = None;
        let mut voided = None;
        while let Some(row) = rows.next()? {
            let dot = applied::dot(self.connection(), row.get(0)?, row.get(1)?)?;
            let at = row.get(2)?;
            // Read only where there is anything to hold against it, and that is seldom.
            let voided = match &mut voided {
                Some(voided) => voided,
                none => none.insert(self.voided()?),
            };
            if voided.contains(&dot) {
                continue;
            }
            let known =
                found.get_or_insert(ForgedKeys { count: 0, dot, first_at: at, last_at: at });
            known.count += 1;
            known.last_at = at;
        }
        Ok(found)
    }

    /// What lies in quarantine, oldest first.
    pub fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, StoreError> {
        let sql = "SELECT origin_id, oseq, reason, at, length(payload) FROM quarantine \
                   ORDER BY at, origin_id, oseq LIMIT ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Quarantined {
                dot: applied::dot(self.connection(), row.get(0)?, row.get(1)?)?,
                reason: row.get(2)?,
                at: row.get(3)?,
                bytes: row.get(4)?,
            });
        }
        Ok(found)
    }

    /// The names of all that lies there.
    pub fn held(&self) -> Result<Vector, StoreError> {
        applied::held(self.connection())
    }
}

impl Writer<'_> {
    /// Tries quarantined writes again, one or all of them.
    ///
    /// # Errors
    /// Those of the file.
    pub fn retry_quarantine(&mut self, dot: Option<&Dot>) -> Result<BatchOutcome, StoreError> {
        let mut outcome = BatchOutcome::default();
        let all = match dot {
            Some(dot) => vec![dot.clone()],
            None => self.quarantined(usize::MAX)?.into_iter().map(|found| found.dot).collect(),
        };
        for dots in all.chunks(RETRY_COUNT) {
            let mut batch = Vec::with_capacity(dots.len());
            for dot in dots {
                batch.extend(load(self.connection(), dot)?);
            }
            // What was let in once is of this cluster, or of the one that this file came from.
            let tried = self.take_in(&batch, |_| false)?;
            outcome.add(tried);
        }
        Ok(outcome)
    }
}

impl BatchOutcome {
    fn add(&mut self, other: BatchOutcome) {
        self.applied.join(&other.applied);
        self.held.join(&other.held);
        self.far_ahead.extend(other.far_ahead);
        self.far_ahead.sort();
        self.far_ahead.dedup();
        self.contradictions.extend(other.contradictions);
        self.erased.extend(other.erased);
    }
}

fn load(connection: &Connection, dot: &Dot) -> Result<Option<Incoming>, StoreError> {
    let Some(origin_id) = applied::known_row(connection, &dot.origin)? else { return Ok(None) };
    let Some(payload) = payload_of(connection, origin_id, dot.oseq)? else { return Ok(None) };
    let op = Op::decode(&payload).map(Box::new).map_err(|error| error.to_string());
    Ok(Some(Incoming { dot: dot.clone(), payload, op }))
}

fn payload_of(
    connection: &Connection,
    origin_id: i64,
    oseq: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT payload FROM quarantine WHERE origin_id = ?1 AND oseq = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(params![origin_id, oseq], |row| row.get(0)).optional()?)
}

/// Sets a write aside; one that is there already keeps its time.
pub(super) fn put(
    writer: &Writer<'_>,
    origin_id: i64,
    incoming: &Incoming,
    reason: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO quarantine (origin_id, oseq, payload, reason, at) \
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (origin_id, oseq) \
               DO UPDATE SET payload = excluded.payload, reason = excluded.reason";
    writer.connection().prepare_cached(sql)?.execute(params![
        origin_id,
        incoming.dot.oseq,
        incoming.payload,
        reason,
        writer.now()
    ])?;
    Ok(())
}

/// Forgets writes that a joined state holds the effect of; gives those that stay, because they are
/// of another major version.
pub(super) fn settle(connection: &Connection, dots: &Vector) -> Result<Vector, StoreError> {
    let mut kept = Vector::default();
    for (origin, set) in dots.iter() {
        let origin_id = applied::origin_row(connection, origin)?;
        for oseq in set.iter().flat_map(|(lo, hi)| lo..=hi) {
            let dot = Dot { origin: origin.clone(), oseq };
            let Some(payload) = payload_of(connection, origin_id, oseq)? else { continue };
            if let Err(DecodeError::UnsupportedMajor { .. }) = Op::decode(&payload) {
                kept.insert(&dot);
            } else {
                drop_one(connection, origin_id, oseq)?;
            }
        }
    }
    Ok(kept)
}

/// Forgets a write that is applied now.
pub(super) fn drop_one(
    connection: &Connection,
    origin_id: i64,
    oseq: u64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM quarantine WHERE origin_id = ?1 AND oseq = ?2")?
        .execute(params![origin_id, oseq])?;
    Ok(())
}

/// The numbers of an origin that lie in quarantine.
pub(super) fn held_of(connection: &Connection, origin_id: i64) -> Result<IntervalSet, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT oseq FROM quarantine WHERE origin_id = ?1")?;
    let mut rows = statement.query([origin_id])?;
    let mut held = IntervalSet::default();
    while let Some(row) = rows.next()? {
        held.insert(row.get(0)?);
    }
    Ok(held)
}
