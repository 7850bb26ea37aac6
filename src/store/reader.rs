//! Questions to one connection; the writer asks them too, inside its transaction.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::error::StoreError;
use super::filter::{Conditions, Sql, in_namespaces, tally};
use super::open::meta;
use super::ranges::Ranges;
use crate::memory::{
    ContentHash, Filter, Memory, Namespace, NamespaceSet, PageEnd, Stats, TagCount, TypeCount,
};

/// What `memory_of` reads, in its order.
pub(super) const MEMORY_COLUMNS: &str = "m.row, m.content, m.content_hash, m.tags, m.memory_type, \
     m.metadata, m.created_at, m.updated_at, m.namespace, m.origin, m.version";

/// Most neighbours that one KNN query of sqlite-vec gives (its compiled-in limit).
pub const NEIGHBOUR_COUNT_MAX: usize = 4096;

/// Memories that a page makes room for before it knows how many there are.
const PAGE_ROOM: usize = 128;

/// A memory and the row it lives in.
#[derive(Clone, Debug)]
pub struct Located {
    /// Key of the row; also of its vector.
    pub row: i64,
    /// The memory.
    pub memory: Memory,
}

/// What became of an identity.
#[derive(Clone, Debug)]
pub enum Known {
    /// Never seen.
    Never,
    /// A live memory.
    Live(Box<Located>),
    /// It was deleted.
    Deleted,
}

/// One connection, in a transaction.
pub struct Reader<'c> {
    connection: &'c Connection,
}

impl<'c> Reader<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Reader { connection }
    }

    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// What is known of a text in a namespace.
    pub fn find(&self, namespace: &Namespace, hash: &ContentHash) -> Result<Known, StoreError> {
        let id = memnode_cluster::RecordId::new(namespace.as_str(), hash.as_bytes());
        let sql = format!("SELECT {MEMORY_COLUMNS}, m.live FROM memory m WHERE m.id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([id.0])?;
        let Some(row) = rows.next()? else { return Ok(Known::Never) };
        if row.get(11)? { Ok(Known::Live(Box::new(memory_of(row)?))) } else { Ok(Known::Deleted) }
    }

    /// Live memories by row, in the order asked; rows that are gone are left out.
    pub fn by_rows(&self, rows: &[i64]) -> Result<Vec<Located>, StoreError> {
        let sql = format!("SELECT {MEMORY_COLUMNS} FROM memory m WHERE m.row = ?1 AND m.live = 1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = Vec::with_capacity(rows.len());
        for wanted in rows {
            let mut rows = statement.query([wanted])?;
            if let Some(row) = rows.next()? {
                found.push(memory_of(row)?);
            }
        }
        Ok(found)
    }

    /// A page of what a filter leaves, newest first.
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<PageEnd>,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<Located>, StoreError> {
        let conditions = Conditions::of(self.connection, filter)?;
        let page = Ranges::of(self.connection, &conditions)?.page(after);
        self.memories(page, limit, offset)
    }

    /// How many live memories a filter leaves.
    pub fn count(&self, filter: &Filter) -> Result<u64, StoreError> {
        let conditions = Conditions::of(self.connection, filter)?;
        if let Some(count) = conditions.known_count {
            return Ok(count);
        }
        let Sql { text, parameters } = Ranges::of(self.connection, &conditions)?.count();
        let mut statement = self.connection.prepare_cached(&text)?;
        Ok(statement.query_row(params_from_iter(parameters), |row| row.get(0))?)
    }

    /// The rows that a filter leaves, ascending.
    pub fn rows(&self, filter: &Filter) -> Result<Vec<i64>, StoreError> {
        let conditions = Conditions::of(self.connection, filter)?;
        let Sql { text, parameters } = Ranges::of(self.connection, &conditions)?.rows();
        let mut statement = self.connection.prepare_cached(&text)?;
        let rows = statement.query_map(params_from_iter(parameters), |row| row.get(0))?;
        let mut rows = rows.collect::<Result<Vec<i64>, _>>()?;
        rows.sort_unstable();
        Ok(rows)
    }

    /// A page in the order of rows, for exports: stable while memories come and go.
    pub fn after_row(
        &self,
        filter: &Filter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Located>, StoreError> {
        let conditions = Conditions::of(self.connection, filter)?;
        let mut sql = Sql::new(format!("SELECT {MEMORY_COLUMNS} FROM memory m NOT INDEXED"));
        sql.push(" WHERE m.row > ?", [SqlValue::Integer(after)]);
        sql.append(conditions.tests());
        sql.push(" ORDER BY m.row LIMIT ? OFFSET ?", []);
        self.memories(sql, limit, 0)
    }

    /// Live memories whose text contains `phrase`, ASCII case aside, newest first.
    pub fn containing(
        &self,
        filter: &Filter,
        phrase: &str,
        limit: usize,
    ) -> Result<Vec<Located>, StoreError> {
        let conditions = Conditions::of(self.connection, filter)?;
        let page = Ranges::of(self.connection, &conditions)?.containing(phrase).page(None);
        self.memories(page, limit, 0)
    }

    /// Runs a query of memories; limit and offset are its last parameters.
    fn memories(&self, sql: Sql, limit: usize, offset: u64) -> Result<Vec<Located>, StoreError> {
        let Sql { text, mut parameters } = sql;
        parameters.extend([integer(limit as u64), integer(offset)]);
        let mut statement = self.connection.prepare_cached(&text)?;
        let mut rows = statement.query(params_from_iter(parameters))?;
        let mut found = Vec::with_capacity(limit.min(PAGE_ROOM));
        while let Some(row) = rows.next()? {
            found.push(memory_of(row)?);
        }
        Ok(found)
    }

    /// The `limit` rows nearest to a vector over the whole file, with cosine distances.
    pub fn nearest(&self, query: &[f32], limit: usize) -> Result<Vec<(i64, f32)>, StoreError> {
        let sql = "SELECT rowid, distance FROM memory_embeddings \
                   WHERE embedding MATCH ?1 AND k = ?2 ORDER BY distance";
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = i64::try_from(limit.min(NEIGHBOUR_COUNT_MAX)).expect("a small number");
        let found = statement
            .query_map(params![vector_bytes(query), limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The vector of a row.
    pub fn embedding(&self, row: i64) -> Result<Option<Vec<f32>>, StoreError> {
        let sql = "SELECT embedding FROM memory_embeddings WHERE rowid = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let bytes: Option<Vec<u8>> = statement.query_row([row], |row| row.get(0)).optional()?;
        Ok(bytes.map(|bytes| vector_of(&bytes)))
    }

    /// How many vectors the file holds.
    pub fn live_count(&self) -> Result<u64, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT ifnull(sum(count), 0) FROM tally")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Tags of the namespaces with their counts, most used first.
    pub fn tags(&self, namespaces: &NamespaceSet) -> Result<Vec<TagCount>, StoreError> {
        let Sql { text: condition, parameters } = in_namespaces("namespace", namespaces);
        let sql = format!(
            "SELECT name, sum(count) AS total FROM tag WHERE count > 0{condition} \
             GROUP BY name ORDER BY total DESC, name"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(parameters), |row| {
            Ok(TagCount { tag: row.get(0)?, count: row.get(1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Types of the namespaces with their counts, most used first.
    pub fn types(&self, namespaces: &NamespaceSet) -> Result<Vec<TypeCount>, StoreError> {
        let Sql { text: condition, parameters } = in_namespaces("namespace", namespaces);
        let sql = format!(
            "SELECT nullif(memory_type, ''), sum(count) AS total FROM tally WHERE true{condition} \
             GROUP BY memory_type ORDER BY total DESC, memory_type"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(parameters), |row| {
            Ok(TypeCount { memory_type: row.get(0)?, count: row.get(1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Counts for people. `week_start` in Unix seconds.
    pub fn stats(&self, namespaces: &NamespaceSet, week_start: f64) -> Result<Stats, StoreError> {
        let mut recent = Filter { namespaces: namespaces.clone(), ..Filter::default() };
        recent.created.after = Some(week_start);
        let Sql { text: condition, parameters } = in_namespaces("namespace", namespaces);
        let sql = format!(
            "SELECT namespace, sum(count) FROM tally WHERE true{condition} GROUP BY namespace \
             ORDER BY namespace"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let by_namespace = statement
            .query_map(params_from_iter(parameters), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        Ok(Stats {
            total_memories: tally(self.connection, namespaces, None)?,
            unique_tags: self.tags(namespaces)?.len() as u64,
            memories_this_week: self.count(&recent)?,
            namespaces: by_namespace,
            database_size_bytes: 0,
            embedding_model: meta(self.connection, "model")?.unwrap_or_default(),
            embedding_dimension: meta::<i64>(self.connection, "dimension")?
                .and_then(|dimension| usize::try_from(dimension).ok())
                .unwrap_or_default(),
        })
    }
}

fn integer(number: u64) -> SqlValue {
    SqlValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Reads the columns of [`MEMORY_COLUMNS`].
pub(super) fn memory_of(row: &Row<'_>) -> Result<Located, StoreError> {
    let hash: [u8; 32] = row.get(2)?;
    let namespace: String = row.get(8)?;
    let version: [u8; 16] = row.get(10)?;
    let memory = Memory {
        content: row.get(1)?,
        content_hash: ContentHash::from_bytes(hash),
        tags: json(row.get_ref(3)?.as_str().map_err(damaged)?)?,
        memory_type: row.get(4)?,
        metadata: json(row.get_ref(5)?.as_str().map_err(damaged)?)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        namespace: namespace.parse().map_err(damaged)?,
        origin: row.get(9)?,
        version: hex(&version),
    };
    Ok(Located { row: row.get(0)?, memory })
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(damaged)
}

pub(super) fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(error.to_string())
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A vector as sqlite-vec stores it: little-endian f32.
pub(super) fn vector_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The inverse of [`vector_bytes`]; a ragged end is dropped.
pub(super) fn vector_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}
