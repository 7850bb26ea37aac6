//! Which nodes have confirmed that nothing is left of an erased memory.

use memnode_cluster::{Part, RecordId};
use serde_json::Value;

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::record;
use super::super::writer::{Target, Writer};
use super::erasing::NAMESPACE;

impl Reader<'_> {
    /// Whether nothing of a memory is left but that it was erased.
    ///
    /// # Errors
    /// Those of the file.
    pub fn is_erased(&self, target: &Target) -> Result<bool, StoreError> {
        let stored = record::load(self.connection(), &id_of(target))?;
        Ok(stored.is_some_and(|stored| {
            let mut parts = stored.record.parts();
            stored.record.get(&Part::Erased).is_some()
                && parts.all(|(part, _)| matches!(part, Part::Erased | Part::Reset))
        }))
    }

    /// The nodes that confirmed, and when, in Unix seconds.
    ///
    /// # Errors
    /// Those of the file.
    pub fn confirmations(&self, id: &RecordId) -> Result<Vec<(String, f64)>, StoreError> {
        let prefix = format!("{id}/");
        let of_memory = |(key, value): (String, Value)| {
            let node = key.strip_prefix(&prefix)?.to_owned();
            Some((node, value["at"].as_f64()?))
        };
        Ok(self.reserved(NAMESPACE)?.into_iter().filter_map(of_memory).collect())
    }
}

impl Writer<'_> {
    /// Takes back what nodes confirmed of an earlier erasure; call before the next one.
    ///
    /// # Errors
    /// Those of the file.
    pub fn withdraw_confirmations(&mut self, target: &Target) -> Result<(), StoreError> {
        let id = id_of(target);
        for (node, _) in self.confirmations(&id)? {
            self.write_reserved(NAMESPACE, &format!("{id}/{node}"), &Value::Null)?;
        }
        Ok(())
    }
}

fn id_of(target: &Target) -> RecordId {
    RecordId::new(target.namespace.as_str(), target.content_hash.as_bytes())
}
