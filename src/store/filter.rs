//! A [`Filter`] with its names looked up, as tests on one row; `ranges` finds the rows.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde_json::Value;

use super::error::StoreError;
use crate::memory::time_phrase::TimeRange;
use crate::memory::{Filter, Namespace, NamespaceSet, PageEnd, Tag, TagMatch};

/// Text and its parameters, in the order of its question marks.
#[derive(Clone, Debug, Default)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) parameters: Vec<SqlValue>,
}

impl Sql {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Sql { text: text.into(), parameters: Vec::new() }
    }

    /// Adds text with its parameters.
    pub(super) fn push(&mut self, text: &str, parameters: impl IntoIterator<Item = SqlValue>) {
        self.text.push_str(text);
        self.parameters.extend(parameters);
    }

    /// Adds another piece of text.
    pub(super) fn append(&mut self, other: Sql) {
        self.push(&other.text, other.parameters);
    }
}

/// A tag in one namespace, and how many live memories carry it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TagId {
    pub(super) id: i64,
    pub(super) count: u64,
}

/// A filter with its tags looked up.
pub(super) struct Conditions<'f> {
    pub(super) filter: &'f Filter,
    /// What each tag is called in the namespaces. Where all are wanted, the rarest is first: it
    /// leaves the least for the others to look at. Else it is last, held against the others.
    pub(super) tags: Vec<Vec<TagId>>,
    /// How many rows match, where a counter says so.
    pub(super) known_count: Option<u64>,
}

impl<'f> Conditions<'f> {
    pub(super) fn of(connection: &Connection, filter: &'f Filter) -> Result<Self, StoreError> {
        let mut tags = Vec::with_capacity(filter.tags.len());
        for tag in &filter.tags {
            tags.push(tag_ids(connection, &filter.namespaces, tag)?);
        }
        tags.sort_by_key(|ids| ids.iter().map(|tag| tag.count).sum::<u64>());
        if filter.tag_match == TagMatch::Any {
            tags.reverse();
        }
        let known_count = known_count(connection, filter, &tags)?;
        Ok(Conditions { filter, tags, known_count })
    }

    /// Every condition as a test on `memory m`, each preceded by `AND`.
    pub(super) fn tests(&self) -> Sql {
        let mut sql = Sql::new(" AND m.live = 1");
        sql.append(in_namespaces("m.namespace", &self.filter.namespaces));
        sql.append(self.type_test());
        sql.append(self.time_test("m", None));
        match self.filter.tag_match {
            _ if self.tags.is_empty() => {}
            TagMatch::Any => sql.append(tag_test("m", "", &self.tags.concat())),
            TagMatch::All => self.tags.iter().for_each(|ids| sql.append(tag_test("m", "", ids))),
        }
        sql.append(self.metadata_tests());
        sql
    }

    pub(super) fn type_test(&self) -> Sql {
        let mut sql = Sql::default();
        if let Some(memory_type) = &self.filter.memory_type {
            sql.push(" AND m.memory_type = ?", [SqlValue::Text(memory_type.clone())]);
        }
        sql
    }

    /// The range of time, from where the page before ended. Of two upper bounds one follows from
    /// the other: left to choose, SQLite might seek to the later and step through all between.
    pub(super) fn time_test(&self, alias: &str, end: Option<PageEnd>) -> Sql {
        let TimeRange { after, before } = self.filter.created;
        let mut sql = Sql::default();
        if let Some(after) = after {
            sql.push(&format!(" AND {alias}.created_at >= ?"), [SqlValue::Real(after)]);
        }
        match (end, before) {
            (Some(end), before) if before.is_none_or(|before| end.created_at < before) => {
                let parameters = [SqlValue::Real(end.created_at), SqlValue::Integer(end.row)];
                sql.push(&format!(" AND ({alias}.created_at, {alias}.row) < (?, ?)"), parameters);
            }
            (_, Some(before)) => {
                sql.push(&format!(" AND {alias}.created_at < ?"), [SqlValue::Real(before)]);
            }
            (_, None) => {}
        }
        sql
    }

    pub(super) fn metadata_tests(&self) -> Sql {
        let mut sql = Sql::default();
        for (key, value) in &self.filter.metadata {
            sql.append(metadata_test(key, value));
        }
        sql
    }
}

/// Whether a row carries at least one of these tags, or, after `NOT`, none of them.
pub(super) fn tag_test(alias: &str, not: &str, ids: &[TagId]) -> Sql {
    let text = format!(
        " AND {not} EXISTS (SELECT 1 FROM memory_tag t WHERE t.tag_id IN ({}) \
         AND t.created_at = {alias}.created_at AND t.row = {alias}.row)",
        marks(ids.len())
    );
    let parameters = ids.iter().map(|tag| SqlValue::Integer(tag.id)).collect();
    Sql { text, parameters }
}

fn metadata_test(key: &str, value: &Value) -> Sql {
    let (test, operand) = match value {
        Value::Null => ("j.type = 'null'", None),
        Value::Bool(true) => ("j.type = 'true'", None),
        Value::Bool(false) => ("j.type = 'false'", None),
        Value::Number(number) => (
            "j.type IN ('integer', 'real') AND j.value = ?",
            Some(match number.as_i64() {
                Some(integer) => SqlValue::Integer(integer),
                None => SqlValue::Real(number.as_f64().unwrap_or(f64::NAN)),
            }),
        ),
        Value::String(string) => {
            ("j.type = 'text' AND j.value = ?", Some(SqlValue::Text(string.clone())))
        }
        Value::Array(_) | Value::Object(_) => (
            "j.type IN ('array', 'object') AND j.value = json(?)",
            Some(SqlValue::Text(value.to_string())),
        ),
    };
    let text =
        format!(" AND EXISTS (SELECT 1 FROM json_each(m.metadata) j WHERE j.key = ? AND {test})");
    let key = SqlValue::Text(key.to_owned());
    Sql { text, parameters: std::iter::once(key).chain(operand).collect() }
}

/// Whether a column names one of the namespaces. Reserved ones are never memories to show.
pub(super) fn in_namespaces(column: &str, namespaces: &NamespaceSet) -> Sql {
    match namespaces {
        NamespaceSet::All => Sql::new(format!(" AND {column} NOT GLOB '[_]*'")),
        NamespaceSet::Only(names) => Sql {
            text: format!(" AND {column} IN ({})", marks(names.len())),
            parameters: names.iter().map(text).collect(),
        },
    }
}

fn text(namespace: &Namespace) -> SqlValue {
    SqlValue::Text(namespace.as_str().to_owned())
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// How many rows a filter leaves, where the counters that the triggers keep can tell.
fn known_count(
    connection: &Connection,
    filter: &Filter,
    tags: &[Vec<TagId>],
) -> Result<Option<u64>, StoreError> {
    let plain = filter.created == Default::default() && filter.metadata.is_empty();
    Ok(match (tags, filter.memory_type.as_deref()) {
        _ if !plain => None,
        // The tally keeps memories without a type under the empty one.
        (_, Some("")) => None,
        ([], memory_type) => Some(tally(connection, &filter.namespaces, memory_type)?),
        ([only], None) => Some(only.iter().map(|tag| tag.count).sum()),
        _ => None,
    })
}

/// What a tag is called in the namespaces.
fn tag_ids(
    connection: &Connection,
    namespaces: &NamespaceSet,
    tag: &Tag,
) -> Result<Vec<TagId>, StoreError> {
    let read = |row: &rusqlite::Row<'_>| Ok(TagId { id: row.get(0)?, count: row.get(1)? });
    match namespaces {
        NamespaceSet::All => {
            let sql = "SELECT tag_id, count FROM tag \
                       WHERE name = ?1 AND count > 0 AND namespace NOT GLOB '[_]*'";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_map([tag.as_str()], read)?;
            Ok(found.collect::<Result<_, _>>()?)
        }
        NamespaceSet::Only(names) => {
            let sql =
                "SELECT tag_id, count FROM tag WHERE namespace = ?1 AND name = ?2 AND count > 0";
            let mut statement = connection.prepare_cached(sql)?;
            let mut found = Vec::new();
            for name in names {
                let key = [name.as_str(), tag.as_str()];
                found.extend(statement.query_row(key, read).optional()?);
            }
            Ok(found)
        }
    }
}

/// Live memories in the namespaces, of one type if one is asked for.
pub(super) fn tally(
    connection: &Connection,
    namespaces: &NamespaceSet,
    memory_type: Option<&str>,
) -> Result<u64, StoreError> {
    let mut sql = Sql::new("SELECT ifnull(sum(count), 0) FROM tally WHERE true");
    sql.append(in_namespaces("namespace", namespaces));
    if let Some(memory_type) = memory_type {
        sql.push(" AND memory_type = ?", [SqlValue::Text(memory_type.to_owned())]);
    }
    let mut statement = connection.prepare_cached(&sql.text)?;
    Ok(statement.query_row(params_from_iter(sql.parameters), |row| row.get(0))?)
}
