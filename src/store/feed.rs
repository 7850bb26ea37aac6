//! The change log as a feed: what committed, in order, and where a consumer goes on after a pause.

use memnode_cluster::{Dot, IntervalSet, Origin, Vector};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::applied;
use super::error::StoreError;
use super::open::{meta, set_meta};
use super::reader::{Reader, damaged};
use super::writer::Writer;
use crate::memory::{
    Change, ChangeKind, ContentHash, EVENT_VECTOR_BYTES_MAX, EVENT_VECTOR_SECONDS, EventId,
    PREVIEW_CHARS, Tag, preview,
};

/// Key of `meta`: when rows came that the log does not tell of, in Unix seconds.
const GAP_AT: &str = "feed_gap_at";
/// Key of `meta`: when another node's state was joined, in Unix seconds.
const JOINED_AT: &str = "feed_joined_at";
/// Key of `meta`: the last row that was dropped.
const FLOOR: &str = "feed_floor";
/// How long after a gap or a join ids may still be of before, in seconds.
const SLACK_SECONDS: f64 = 60.0;
/// Runs of the log that are remembered.
const RUN_COUNT_MAX: i64 = 1000;

/// The next rows of the log.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// Ascending.
    pub changes: Vec<Change>,
    /// Whether these are all that there are.
    pub is_end: bool,
    /// What was applied when the last of them was the last of all; empty otherwise.
    pub seen: Vector,
    /// When memories came last that the log does not tell of, in Unix seconds.
    pub gap_at: Option<f64>,
}

/// Where the feed stands.
#[derive(Clone, Debug)]
pub struct FeedHead {
    /// The last row.
    pub n: u64,
    /// What is applied, of the runs of nodes that were not silent for long.
    pub seen: Vector,
    /// As in [`FeedPage`].
    pub gap_at: Option<f64>,
}

/// Where a consumer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// After this row.
    After(u64),
    /// After this row, but for the writes that its id lists.
    Missing(u64),
    /// The log does not reach back that far.
    Reset,
}

impl Reader<'_> {
    /// Where the feed stands; `now` in Unix seconds.
    ///
    /// # Errors
    /// Those of the file.
    pub fn feed_head(&self, now: f64) -> Result<FeedHead, StoreError> {
        let connection = self.connection();
        let gap_at = meta(connection, GAP_AT)?;
        Ok(FeedHead { n: head(connection)?, seen: recent(connection, now)?, gap_at })
    }

    /// The next `limit` rows after one. `seen` is what was applied at the end of the page before,
    /// `None` when that was not the end of the log.
    ///
    /// # Errors
    /// Those of the file.
    pub fn feed_page(
        &self,
        after: u64,
        seen: Option<Vector>,
        limit: usize,
        now: f64,
    ) -> Result<FeedPage, StoreError> {
        let connection = self.connection();
        let changes = self.changes(after, limit)?;
        let is_end = changes.len() < limit;
        let seen = match seen {
            _ if !is_end => Vector::default(),
            None => recent(connection, now)?,
            Some(seen) => with_origins_of(connection, seen, &changes, now)?,
        };
        Ok(FeedPage { changes, is_end, seen, gap_at: meta(connection, GAP_AT)? })
    }

    /// The next `limit` rows after one.
    ///
    /// # Errors
    /// Those of the file.
    pub fn changes(&self, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
        let sql = "SELECT c.n, c.kind, o.node, o.epoch, c.oseq, c.at, c.changed, m.namespace, \
                   m.content_hash, substr(m.content, 1, ?3), m.tags, m.memory_type, m.updated_at, \
                   m.live, (SELECT json_extract(d.snapshot, '$.tags') FROM deleted d \
                   WHERE d.row = c.row) \
                   FROM change_log c JOIN memory m ON m.row = c.row \
                   JOIN origin o ON o.origin_id = c.origin_id \
                   WHERE c.n > ?1 ORDER BY c.n LIMIT ?2";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query(params![after, limit as i64, PREVIEW_CHARS as i64 + 1])?;
        let mut changes = Vec::new();
        while let Some(row) = rows.next()? {
            changes.push(change_of(row)?);
        }
        Ok(changes)
    }

    /// Whether rows after this one were dropped.
    ///
    /// # Errors
    /// Those of the file.
    pub fn is_cut_after(&self, n: u64) -> Result<bool, StoreError> {
        let floor: u64 = meta(self.connection(), FLOOR)?.unwrap_or_default();
        Ok(n < floor)
    }

    /// Where a consumer that has seen what an id lists goes on.
    ///
    /// # Errors
    /// Those of the file.
    pub fn feed_resume(&self, id: &EventId) -> Result<Resume, StoreError> {
        let connection = self.connection();
        let is_before = |key: &str| -> Result<bool, StoreError> {
            let at: Option<f64> = meta(connection, key)?;
            Ok(at.is_some_and(|at| id.at_s as f64 <= at + SLACK_SECONDS))
        };
        if is_before(GAP_AT)? {
            return Ok(Resume::Reset);
        }
        if is_place(connection, id)? {
            return Ok(Resume::After(id.n));
        }
        // A joined record names one write, and may hold others.
        if is_before(JOINED_AT)? {
            return Ok(Resume::Reset);
        }
        let first = first_missing(connection, id)?;
        Ok(first.map_or(Resume::Reset, Resume::Missing))
    }
}

impl Writer<'_> {
    /// Begins a run of the log: ids that name it name a place in this file and in no copy of it.
    ///
    /// # Errors
    /// Those of the file.
    pub fn begin_feed(&mut self, run: u64) -> Result<(), StoreError> {
        let connection = self.connection();
        let first = head(connection)? + 1;
        connection.execute(
            "INSERT INTO feed_run (run, first_n) VALUES (?1, ?2)",
            params![run.cast_signed(), first],
        )?;
        let sql = "DELETE FROM feed_run WHERE k <= (SELECT max(k) FROM feed_run) - ?1";
        connection.execute(sql, [RUN_COUNT_MAX])?;
        Ok(())
    }

    /// Drops rows of the log beyond the newest `keep`, about `limit` of them; says whether there
    /// are more.
    ///
    /// # Errors
    /// Those of the file.
    pub fn cut_changes(&mut self, keep: u64, limit: u64) -> Result<bool, StoreError> {
        let connection = self.connection();
        let floor: u64 = meta(connection, FLOOR)?.unwrap_or_default();
        let bound = head(connection)?.saturating_sub(keep);
        let last = bound.min(floor + limit);
        if last <= floor {
            return Ok(false);
        }
        let sql = "INSERT INTO feed_floor (origin_id, oseq, at) \
                   SELECT origin_id, max(oseq), max(at) FROM change_log WHERE n <= ?1 \
                   GROUP BY origin_id ON CONFLICT (origin_id) DO UPDATE \
                   SET oseq = max(oseq, excluded.oseq), at = max(at, excluded.at)";
        connection.prepare_cached(sql)?.execute([last])?;
        connection.prepare_cached("DELETE FROM change_log WHERE n <= ?1")?.execute([last])?;
        set_meta(connection, FLOOR, last)?;
        Ok(last < bound)
    }

    /// Notes that another node's state is joined.
    pub(super) fn note_join(&mut self) -> Result<(), StoreError> {
        set_meta(self.connection(), JOINED_AT, self.now())
    }
}

/// When states of a peer were last joined, in Unix seconds.
pub(super) fn joined_at(connection: &Connection) -> Result<Option<f64>, StoreError> {
    meta(connection, JOINED_AT)
}

/// Notes that memories came of which the log does not tell; `now` in Unix seconds.
pub(super) fn note_gap(connection: &Connection, now: f64) -> Result<(), StoreError> {
    set_meta(connection, GAP_AT, now)
}

/// The last row there ever was.
fn head(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'change_log'";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// What is applied of the origins that changed lately, the latest first, as far as an id holds it.
fn recent(connection: &Connection, now: f64) -> Result<Vector, StoreError> {
    let sql = "SELECT origin_id, node, epoch FROM origin WHERE changed_at >= ?1 \
               ORDER BY changed_at DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([now - EVENT_VECTOR_SECONDS])?;
    let (mut vector, mut bytes) = (Vector::default(), 9);
    while let Some(row) = rows.next()? {
        let origin = applied::origin_at(row, 1)?;
        let known = applied::intervals(connection, "applied", row.get(0)?)?;
        if known.is_empty() {
            continue;
        }
        // Numbers take nine bytes at most, and so do the heads of lists and texts.
        bytes += origin.node.as_str().len() + 27 + 18 * known.iter().count();
        if bytes > EVENT_VECTOR_BYTES_MAX {
            break;
        }
        vector.replace(&origin, known);
    }
    Ok(vector)
}

/// Brings what is known of the origins of some changes up to date.
fn with_origins_of(
    connection: &Connection,
    mut seen: Vector,
    changes: &[Change],
    now: f64,
) -> Result<Vector, StoreError> {
    let mut last: Option<&Origin> = None;
    for Change { dot, .. } in changes {
        if last == Some(&dot.origin) {
            continue;
        }
        last = Some(&dot.origin);
        let Some(row) = applied::known_row(connection, &dot.origin)? else { continue };
        seen.replace(&dot.origin, applied::intervals(connection, "applied", row)?);
    }
    let is_small = seen.encode().len() <= EVENT_VECTOR_BYTES_MAX;
    if is_small { Ok(seen) } else { recent(connection, now) }
}

/// Whether the id names a place in this very log, from which every row is still there.
fn is_place(connection: &Connection, id: &EventId) -> Result<bool, StoreError> {
    let floor: u64 = meta(connection, FLOOR)?.unwrap_or_default();
    let sql = "SELECT first_n, (SELECT first_n FROM feed_run o WHERE o.k > r.k ORDER BY o.k \
               LIMIT 1) FROM feed_run r WHERE run = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let run: Option<(u64, Option<u64>)> = statement
        .query_row([id.run.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((first, next)) = run else { return Ok(false) };
    let end = next.map_or(head(connection)?, |next| next - 1);
    Ok(id.n >= floor && id.n + 1 >= first && id.n <= end)
}

/// The row before the first whose write the id does not list; `None` when such a row was dropped.
fn first_missing(connection: &Connection, id: &EventId) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT o.origin_id, o.node, o.epoch, f.oseq, f.at FROM origin o \
               LEFT JOIN feed_floor f ON f.origin_id = o.origin_id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut first = head(connection)? + 1;
    while let Some(row) = rows.next()? {
        let (origin_id, origin): (i64, _) = (row.get(0)?, applied::origin_at(row, 1)?);
        let floor: Option<(u64, f64)> = row.get::<_, Option<u64>>(3)?.zip(row.get(4)?);
        let found = match id.seen.get(&origin) {
            Some(known) => {
                let missing = applied::intervals(connection, "applied", origin_id)?.subtract(known);
                if floor.is_some_and(|(oseq, _)| missing.first().is_some_and(|lo| lo <= oseq)) {
                    return Ok(None);
                }
                first_of(connection, origin_id, &missing)?
            }
            None => {
                if floor.is_some_and(|(_, at)| at >= id.horizon()) {
                    return Ok(None);
                }
                first_since(connection, origin_id, id.horizon())?
            }
        };
        first = first.min(found.unwrap_or(first));
    }
    Ok(Some(first - 1))
}

fn first_of(
    connection: &Connection,
    origin_id: i64,
    missing: &IntervalSet,
) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT min(n) FROM change_log WHERE origin_id = ?1 AND oseq BETWEEN ?2 AND ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut first: Option<u64> = None;
    for (lo, hi) in missing.iter() {
        let found: Option<u64> =
            statement.query_row(params![origin_id, lo, hi], |row| row.get(0))?;
        first = [first, found].into_iter().flatten().min();
    }
    Ok(first)
}

fn first_since(
    connection: &Connection,
    origin_id: i64,
    since: f64,
) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT min(n) FROM change_log WHERE origin_id = ?1 AND at >= ?2";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(params![origin_id, since], |row| row.get(0))?)
}

fn change_of(row: &Row<'_>) -> Result<Change, StoreError> {
    let kind = match row.get_ref(1)?.as_str().map_err(damaged)? {
        "stored" => ChangeKind::Stored,
        "updated" => ChangeKind::Updated,
        "deleted" => ChangeKind::Deleted,
        other => return Err(damaged(format!("a change of the kind {other}"))),
    };
    let hash: [u8; 32] = row.get(8)?;
    let is_live: bool = row.get(13)?;
    let content: Option<String> = row.get(9)?;
    let tags: Option<String> = if is_live { row.get(10)? } else { row.get(14)? };
    let read_tags = |text: String| serde_json::from_str::<Vec<Tag>>(&text).map_err(damaged);
    Ok(Change {
        n: row.get(0)?,
        kind,
        dot: Dot { origin: applied::origin_at(row, 2)?, oseq: row.get(4)? },
        at: row.get(5)?,
        changed: serde_json::from_str(row.get_ref(6)?.as_str().map_err(damaged)?)
            .map_err(damaged)?,
        namespace: row.get_ref(7)?.as_str().map_err(damaged)?.parse().map_err(damaged)?,
        content_hash: ContentHash::from_bytes(hash),
        preview: content.filter(|_| is_live).map(|start| preview(&start)),
        tags: tags.map(read_tags).transpose()?,
        memory_type: row.get(11)?,
        updated_at: row.get(12)?,
    })
}
