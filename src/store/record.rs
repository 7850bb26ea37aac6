//! A replicated record as a row of `memory`: what is read back and what is projected.

use std::collections::BTreeMap;

use memnode_cluster::{Part, Record, RecordId, Register, value};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::error::StoreError;
use super::reader::damaged;

/// A record and the row that holds it.
pub(super) struct Stored {
    pub(super) row: i64,
    pub(super) record: Record,
    pub(super) version: [u8; 16],
}

/// The columns that follow from a record.
pub(super) struct Projection<'r> {
    pub(super) live: bool,
    pub(super) created_at: Option<f64>,
    pub(super) updated_at: Option<f64>,
    pub(super) memory_type: Option<&'r str>,
    pub(super) tags: String,
    pub(super) metadata: String,
    pub(super) origin: Option<&'r str>,
    pub(super) content: Option<&'r str>,
}

/// Reads the record of an identity, dead or live.
pub(super) fn load(connection: &Connection, id: &RecordId) -> Result<Option<Stored>, StoreError> {
    let sql = "SELECT row, record, version, content FROM memory WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement
        .query_row([id.0], |row| {
            let blob: Vec<u8> = row.get(1)?;
            let content: Option<String> = row.get(3)?;
            Ok((row.get(0)?, blob, row.get(2)?, content))
        })
        .optional()?;
    let Some((row, blob, version, content)) = found else { return Ok(None) };
    Ok(Some(Stored { row, record: decode(&blob, content.as_deref())?, version }))
}

/// Encodes a record; the body is left out where the column `content` gives it back exactly.
pub(super) fn encode(record: &Record, projection: &Projection<'_>) -> Vec<u8> {
    let Some(content) = projection.content else { return record.encode() };
    let body = value::text(content);
    let same = record.get(&Part::Body).is_some_and(|register| register.value == body);
    if same { record.encode_with_body(&value::text("")) } else { record.encode() }
}

/// The inverse of [`encode`].
pub(super) fn decode(blob: &[u8], content: Option<&str>) -> Result<Record, StoreError> {
    let record = Record::decode(blob).map_err(damaged)?;
    let empty = value::text("");
    let left_out = record.get(&Part::Body).is_some_and(|register| register.value == empty);
    match content {
        Some(content) if left_out => Ok(with_body(&record, &value::text(content))),
        _ => Ok(record),
    }
}

fn with_body(record: &Record, body: &[u8]) -> Record {
    let parts = record.parts().map(|(part, register)| {
        let value = if *part == Part::Body { body.to_vec() } else { register.value.clone() };
        (part.clone(), Register { stamp: register.stamp.clone(), value })
    });
    parts.collect()
}

/// Whether a namespace holds records of the cluster itself, which no caller may see as memories.
pub(super) fn is_reserved(namespace: &str) -> bool {
    namespace.starts_with('_')
}

/// What a caller sees of a record; a dead one shows nothing, nor does one of the cluster itself.
///
/// # Errors
/// `Damaged` when what is shown cannot be written as JSON.
pub(super) fn project<'r>(
    record: &'r Record,
    namespace: &str,
) -> Result<Projection<'r>, StoreError> {
    let is_shown = record.is_live() && !is_reserved(namespace);
    let (Some(created_at), Some(content), true) = (record.created_at(), record.content(), is_shown)
    else {
        return Ok(Projection {
            live: false,
            created_at: None,
            updated_at: None,
            memory_type: None,
            tags: "[]".to_owned(),
            metadata: "{}".to_owned(),
            origin: None,
            content: None,
        });
    };
    let metadata: BTreeMap<&str, Value> =
        record.metadata().into_iter().map(|(key, json)| (key, metadata_value(json))).collect();
    Ok(Projection {
        live: true,
        created_at: Some(created_at),
        updated_at: record.updated_at().or(Some(created_at)),
        memory_type: record.memory_type().filter(|memory_type| !memory_type.is_empty()),
        tags: serde_json::to_string(&record.tags()).map_err(damaged)?,
        metadata: serde_json::to_string(&metadata).map_err(damaged)?,
        origin: record.born().map(|register| register.stamp.dot.origin.node.as_str()),
        content: Some(content),
    })
}

/// A metadata value. The protocol promises text, not JSON: what is none is shown as it is.
fn metadata_value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| json.into())
}

/// A register's value as JSON, for people.
pub(super) fn value_json(part: &Part, bytes: &[u8]) -> Value {
    match part {
        Part::Born | Part::UpdatedAt => value::read_f64(bytes).into(),
        Part::Body | Part::MemoryType => value::read_text_or_null(bytes).flatten().into(),
        Part::Tag(_) => value::read_bool(bytes).into(),
        Part::Reset | Part::Erased => value::read_clock(bytes).map(|clock| clock.millis()).into(),
        Part::Metadata(_) => {
            value::read_text_or_null(bytes).flatten().map_or(Value::Null, metadata_value)
        }
        Part::Other(_) => super::reader::hex(bytes).into(),
    }
}
