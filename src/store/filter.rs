//! A [`Filter`] as SQL over `memory m`.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::error::StoreError;
use crate::memory::{Filter, Namespace, NamespaceSet, Tag, TagMatch};

/// Up to this many tagged rows are collected into a set; beyond, rows are probed one by one.
const TAG_SET_COUNT_MAX: u64 = 20_000;

/// Conditions and their parameters, in order.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Joined by `AND`; never empty.
    clauses: Vec<String>,
    /// For the `?` of the clauses.
    pub(super) parameters: Vec<SqlValue>,
    /// One tag in one namespace: the table `memory_tag` alone gives the order.
    pub(super) leading_tag: Option<i64>,
    /// How many rows match, where a counter says so.
    pub(super) known_count: Option<u64>,
}

impl Conditions {
    fn push(&mut self, clause: impl Into<String>, parameters: impl IntoIterator<Item = SqlValue>) {
        self.clauses.push(clause.into());
        self.parameters.extend(parameters);
    }

    /// The text after `WHERE`.
    pub(super) fn sql(&self) -> String {
        self.clauses.join(" AND ")
    }

    /// Adds the place after which a page starts.
    pub(super) fn push_after(&mut self, alias: &str, created_at: f64, row: i64) {
        self.push(
            format!("({alias}.created_at, {alias}.row) < (?, ?)"),
            [SqlValue::Real(created_at), SqlValue::Integer(row)],
        );
    }

    /// Translates a filter; tags and counters are looked up on the way.
    pub(super) fn of(connection: &Connection, filter: &Filter) -> Result<Self, StoreError> {
        let mut conditions = Conditions::default();
        conditions.push("m.live = 1", []);
        conditions.push_namespaces(&filter.namespaces);
        if let Some(memory_type) = &filter.memory_type {
            conditions.push("m.memory_type = ?", [SqlValue::Text(memory_type.clone())]);
        }
        if let Some(after) = filter.created.after {
            conditions.push("m.created_at >= ?", [SqlValue::Real(after)]);
        }
        if let Some(before) = filter.created.before {
            conditions.push("m.created_at < ?", [SqlValue::Real(before)]);
        }
        for (key, value) in &filter.metadata {
            conditions.push_metadata(key, value);
        }
        conditions.push_tags(connection, filter)?;
        conditions.count_cheaply(connection, filter)?;
        Ok(conditions)
    }

    fn push_namespaces(&mut self, namespaces: &NamespaceSet) {
        match namespaces {
            NamespaceSet::All => {
                // Reserved namespaces are never memories to show.
                self.push("m.namespace NOT GLOB '[_]*'", []);
            }
            NamespaceSet::Only(names) => {
                let marks = vec!["?"; names.len()].join(", ");
                let names = names.iter().map(text);
                self.push(format!("m.namespace IN ({marks})"), names);
            }
        }
    }

    fn push_metadata(&mut self, key: &str, value: &Value) {
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
        self.push(
            format!("EXISTS (SELECT 1 FROM json_each(m.metadata) j WHERE j.key = ? AND {test})"),
            std::iter::once(SqlValue::Text(key.to_owned())).chain(operand),
        );
    }

    fn push_tags(&mut self, connection: &Connection, filter: &Filter) -> Result<(), StoreError> {
        if filter.tags.is_empty() {
            return Ok(());
        }
        let mut found: Vec<Vec<(i64, u64)>> = Vec::with_capacity(filter.tags.len());
        for tag in &filter.tags {
            found.push(tag_ids(connection, &filter.namespaces, tag)?);
        }
        if let [only] = found.as_slice()
            && let [(tag_id, _)] = only.as_slice()
        {
            self.leading_tag = Some(*tag_id);
        }
        match filter.tag_match {
            TagMatch::Any => self.push_any(&found.concat()),
            TagMatch::All => {
                // The rarest first: it leaves the least for the others to look at.
                found.sort_by_key(|ids| ids.iter().map(|(_, count)| count).sum::<u64>());
                found.iter().for_each(|ids| self.push_any(ids));
            }
        }
        Ok(())
    }

    /// Rows that carry at least one of these tags.
    fn push_any(&mut self, ids: &[(i64, u64)]) {
        if ids.is_empty() {
            return self.push("0", []);
        }
        let marks = vec!["?"; ids.len()].join(", ");
        let count: u64 = ids.iter().map(|(_, count)| count).sum();
        let clause = if count <= TAG_SET_COUNT_MAX {
            format!("m.row IN (SELECT t.row FROM memory_tag t WHERE t.tag_id IN ({marks}))")
        } else {
            format!(
                "EXISTS (SELECT 1 FROM memory_tag t WHERE t.tag_id IN ({marks}) \
                 AND t.created_at = m.created_at AND t.row = m.row)"
            )
        };
        self.push(clause, ids.iter().map(|(id, _)| SqlValue::Integer(*id)));
    }

    /// Fills `known_count` where the counters that the triggers keep can tell.
    fn count_cheaply(
        &mut self,
        connection: &Connection,
        filter: &Filter,
    ) -> Result<(), StoreError> {
        let plain = filter.created == Default::default() && filter.metadata.is_empty();
        // The tally keeps memories without a type under the empty one.
        if !plain || filter.memory_type.as_deref() == Some("") {
            return Ok(());
        }
        self.known_count = match (filter.tags.as_slice(), &filter.memory_type) {
            ([], memory_type) => {
                Some(tally(connection, &filter.namespaces, memory_type.as_deref())?)
            }
            ([tag], None) => Some(
                tag_ids(connection, &filter.namespaces, tag)?.iter().map(|(_, count)| count).sum(),
            ),
            _ => None,
        };
        Ok(())
    }
}

fn text(namespace: &Namespace) -> SqlValue {
    SqlValue::Text(namespace.as_str().to_owned())
}

/// The ids of a tag in the namespaces, with their counts of live memories.
fn tag_ids(
    connection: &Connection,
    namespaces: &NamespaceSet,
    tag: &Tag,
) -> Result<Vec<(i64, u64)>, StoreError> {
    match namespaces {
        NamespaceSet::All => {
            let sql = "SELECT tag_id, count FROM tag \
                       WHERE name = ?1 AND count > 0 AND namespace NOT GLOB '[_]*'";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([tag.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        }
        NamespaceSet::Only(names) => {
            let sql =
                "SELECT tag_id, count FROM tag WHERE namespace = ?1 AND name = ?2 AND count > 0";
            let mut statement = connection.prepare_cached(sql)?;
            let mut found = Vec::new();
            for name in names {
                found.extend(
                    statement
                        .query_row([name.as_str(), tag.as_str()], |row| {
                            Ok((row.get(0)?, row.get(1)?))
                        })
                        .optional()?,
                );
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
    let mut sql = String::from("SELECT ifnull(sum(count), 0) FROM tally WHERE ");
    let mut parameters = Vec::new();
    match namespaces {
        NamespaceSet::All => sql.push_str("namespace NOT GLOB '[_]*'"),
        NamespaceSet::Only(names) => {
            sql.push_str(&format!("namespace IN ({})", vec!["?"; names.len()].join(", ")));
            parameters.extend(names.iter().map(text));
        }
    }
    if let Some(memory_type) = memory_type {
        sql.push_str(" AND memory_type = ?");
        parameters.push(SqlValue::Text(memory_type.to_owned()));
    }
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(rusqlite::params_from_iter(parameters), |row| row.get(0))?)
}
