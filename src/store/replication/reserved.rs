//! Records of the cluster itself: a key and a JSON value in a namespace that no caller sees.

use std::collections::BTreeMap;

use memnode_cluster::{Clock, CreateValues, Dot, OpKind, Record, UpdateValues};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::record::{self, is_reserved};
use super::super::writer::Writer;
use crate::Error;

/// The metadata key that holds the value.
pub(super) const VALUE: &str = "value";
/// Longest key.
const KEY_BYTES_MAX: usize = 1024;
/// Says to SQLite which of its indexes lists reserved records.
pub(super) const IS_RESERVED: &str = "namespace >= '_' AND namespace < '`'";

impl Reader<'_> {
    /// The live records of a reserved namespace, by key.
    ///
    /// # Errors
    /// Those of the file.
    pub fn reserved(&self, namespace: &str) -> Result<Vec<(String, Value)>, StoreError> {
        let sql =
            format!("SELECT record, content FROM memory WHERE namespace = ?1 AND {IS_RESERVED}");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut rows = statement.query([namespace])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let blob: Vec<u8> = row.get(0)?;
            let content: Option<String> = row.get(1)?;
            found.extend(entry(&record::decode(&blob, content.as_deref())?));
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }
}

fn entry(record: &Record) -> Option<(String, Value)> {
    let key = record.is_live().then(|| record.content()).flatten()?;
    let json = record.metadata().get(VALUE).copied().unwrap_or("null");
    Some((key.to_owned(), serde_json::from_str(json).unwrap_or_default()))
}

impl Writer<'_> {
    /// Writes a record of a reserved namespace and gives the write's name.
    ///
    /// # Errors
    /// `Refused` for a namespace that is not reserved, and a key that is empty or too long.
    pub fn write_reserved(
        &mut self,
        namespace: &str,
        key: &str,
        value: &Value,
    ) -> Result<Dot, StoreError> {
        self.write_reserved_with(namespace, key, |_| value.to_string())
    }

    /// The same with a value that is made for the clock of the write.
    pub(super) fn write_reserved_with(
        &mut self,
        namespace: &str,
        key: &str,
        value: impl FnOnce(Clock) -> String,
    ) -> Result<Dot, StoreError> {
        if !is_reserved(namespace) || !(1..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(Error::invalid(format!("`{namespace}` cannot hold this key")).into());
        }
        // Unlike texts, keys that differ in case differ.
        let content_hash: [u8; 32] = Sha256::digest(key).into();
        let seconds = self.now();
        let id = memnode_cluster::RecordId::new(namespace, &content_hash);
        let stored = record::load(self.connection(), &id)?;
        let is_live = stored.is_some_and(|stored| stored.record.is_live());
        let kind = if is_live { OpKind::Update } else { OpKind::Create };
        self.write_to(namespace, &content_hash, kind, None, |record, clock| {
            let json = value(clock);
            if is_live {
                let metadata = BTreeMap::from([(VALUE.to_owned(), Some(json))]);
                let values =
                    UpdateValues { updated_at: Some(seconds), metadata, ..Default::default() };
                memnode_cluster::update(record, &values)
            } else {
                let values = CreateValues {
                    created_at: seconds,
                    updated_at: seconds,
                    content: key.to_owned(),
                    metadata: BTreeMap::from([(VALUE.to_owned(), json)]),
                    ..Default::default()
                };
                memnode_cluster::create(record, clock, &values)
            }
        })
    }
}
