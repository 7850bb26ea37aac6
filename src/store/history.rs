//! Everything that is known of one memory's past.

use memnode_cluster::{Clock, Part, Record, RecordId};

use super::applied;
use super::error::StoreError;
use super::reader::{Reader, damaged};
use super::record::{self, value_json};
use crate::memory::{ContentHash, FieldHistory, History, HistoryEntry, Losing, Namespace};

/// Most writes and most losing values of one answer, newest kept.
const ENTRY_COUNT_MAX: i64 = 1000;

impl Reader<'_> {
    /// The history of a memory, live or dead; `None` when it was never seen.
    pub fn history(
        &self,
        namespace: &Namespace,
        hash: &ContentHash,
    ) -> Result<Option<History>, StoreError> {
        let id = RecordId::new(namespace.as_str(), hash.as_bytes());
        let Some(stored) = record::load(self.connection(), &id)? else { return Ok(None) };
        Ok(Some(History {
            content_hash: *hash,
            namespace: namespace.clone(),
            live: stored.record.is_live(),
            fields: fields(&stored.record),
            entries: self.entries(stored.row)?,
            losing: self.losing(stored.row)?,
        }))
    }

    fn entries(&self, row: i64) -> Result<Vec<HistoryEntry>, StoreError> {
        let sql = "SELECT kind, at, origin_id, oseq, changed FROM \
                   (SELECT * FROM change_log WHERE row = ?1 ORDER BY n DESC LIMIT ?2) ORDER BY n";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([row, ENTRY_COUNT_MAX])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let changed: String = row.get(4)?;
            entries.push(HistoryEntry {
                kind: row.get(0)?,
                at: row.get(1)?,
                origin: applied::origin_of(self.connection(), row.get(2)?)?.to_string(),
                oseq: row.get(3)?,
                changed: serde_json::from_str(&changed).map_err(damaged)?,
            });
        }
        Ok(entries)
    }

    fn losing(&self, row: i64) -> Result<Vec<Losing>, StoreError> {
        let sql = "SELECT part, value, clock, origin_id, winner_origin_id, winner_oseq \
                   FROM conflict WHERE row = ?1 ORDER BY n LIMIT ?2";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([row, ENTRY_COUNT_MAX])?;
        let mut losing = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let value: Vec<u8> = row.get(1)?;
            let clock: i64 = row.get(2)?;
            let winner = applied::dot(self.connection(), row.get(4)?, row.get(5)?)?;
            losing.push(Losing {
                value: value_json(&Part::from_name(&name), &value),
                field: name,
                clock_ms: Clock::from_u64(clock.cast_unsigned()).millis(),
                origin: applied::origin_of(self.connection(), row.get(3)?)?.to_string(),
                winner: winner.to_string(),
            });
        }
        Ok(losing)
    }
}

fn fields(record: &Record) -> Vec<FieldHistory> {
    let field = |(part, register): (&Part, &memnode_cluster::Register)| FieldHistory {
        field: part.name().into_owned(),
        value: value_json(part, &register.value),
        clock_ms: register.stamp.clock.millis(),
        origin: register.stamp.dot.origin.to_string(),
        oseq: register.stamp.dot.oseq,
    };
    record.parts().map(field).collect()
}
