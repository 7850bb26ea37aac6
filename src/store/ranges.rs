//! The rows that a filter leaves, as ranges of indexes that are in the order of lists.
//!
//! A list of several tags or namespaces is a merge of several ranges that share no row. SQLite
//! merges the parts of `UNION ALL … ORDER BY` as they come, so a page costs what it shows, however
//! much lies behind it.

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;

use super::error::StoreError;
use super::filter::{Conditions, Sql, TagId, in_namespaces, tag_test, tally};
use crate::memory::{Filter, NamespaceSet, PageEnd, TagMatch};

/// Most ranges that one query merges; beyond, everything is looked through in order of time.
const RANGE_COUNT_MAX: usize = 32;

/// A run of one index.
#[derive(Debug)]
enum Range<'a> {
    /// All live memories.
    Everything,
    /// Those of a namespace.
    Namespace(String),
    /// Those of a type in a namespace.
    Type(String, &'a str),
    /// Those with a tag, and none of the others.
    Tag(TagId, Vec<TagId>),
}

/// What is read of each row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The columns that `memory_of` reads: the first and the seventh give the order.
    Memory,
    Row,
    Count,
}

/// The ranges of one filter.
pub(super) struct Ranges<'c, 'f> {
    conditions: &'c Conditions<'f>,
    ranges: Vec<Range<'c>>,
    /// A further test on `memory m`, preceded by `AND`.
    further: Sql,
}

impl<'c, 'f> Ranges<'c, 'f> {
    pub(super) fn of(
        connection: &Connection,
        conditions: &'c Conditions<'f>,
    ) -> Result<Self, StoreError> {
        let ranges = match tag_ranges(connection, conditions)? {
            Some(ranges) => ranges,
            None => namespace_ranges(connection, conditions)?,
        };
        Ok(Ranges { conditions, ranges, further: Sql::default() })
    }

    /// Leaves only rows whose text contains a phrase, ASCII case aside.
    pub(super) fn containing(mut self, phrase: &str) -> Self {
        let phrase = [SqlValue::Text(phrase.to_owned())];
        self.further.push(" AND instr(lower(m.content), lower(?))", phrase);
        self
    }

    /// Memories, newest first; the last two parameters, limit and offset, are still to be added.
    pub(super) fn page(&self, after: Option<PageEnd>) -> Sql {
        let mut sql = self.union(Wanted::Memory, after);
        sql.push(" ORDER BY 7 DESC, 1 DESC LIMIT ? OFFSET ?", []);
        sql
    }

    /// Rows in no order.
    pub(super) fn rows(&self) -> Sql {
        self.union(Wanted::Row, None)
    }

    /// One number.
    pub(super) fn count(&self) -> Sql {
        let mut sql = Sql::new("SELECT sum(n) FROM (");
        sql.append(self.union(Wanted::Count, None));
        sql.push(")", []);
        sql
    }

    fn union(&self, wanted: Wanted, after: Option<PageEnd>) -> Sql {
        let mut sql = Sql::default();
        for range in &self.ranges {
            if !sql.text.is_empty() {
                sql.push(" UNION ALL ", []);
            }
            sql.append(self.select(range, wanted, after));
        }
        if sql.text.is_empty() {
            sql.append(self.select(&Range::Everything, wanted, after));
            sql.push(" AND false", []);
        }
        sql
    }

    fn select(&self, range: &Range<'_>, wanted: Wanted, after: Option<PageEnd>) -> Sql {
        let tests = self.row_tests(range);
        let needs_memory = wanted == Wanted::Memory || !tests.text.is_empty();
        let is_tag = matches!(range, Range::Tag(..));
        let alias = if is_tag { "o" } else { "m" };
        let columns = match wanted {
            Wanted::Memory => columns(alias),
            Wanted::Row => format!("{alias}.row"),
            Wanted::Count => "count(*) AS n".to_owned(),
        };
        let mut sql = Sql::new(format!("SELECT {columns} FROM "));
        sql.append(match range {
            Range::Tag(tag, _) if needs_memory => {
                let text = "memory_tag o CROSS JOIN memory m ON m.row = o.row WHERE o.tag_id = ?";
                Sql { text: text.to_owned(), parameters: vec![SqlValue::Integer(tag.id)] }
            }
            Range::Tag(tag, _) => {
                let text = "memory_tag o WHERE o.tag_id = ?";
                Sql { text: text.to_owned(), parameters: vec![SqlValue::Integer(tag.id)] }
            }
            Range::Everything => Sql::new("memory m INDEXED BY memory_by_time WHERE m.live = 1"),
            Range::Namespace(name) => Sql {
                text: "memory m INDEXED BY memory_by_namespace \
                       WHERE m.live = 1 AND m.namespace = ?"
                    .to_owned(),
                parameters: vec![SqlValue::Text(name.clone())],
            },
            Range::Type(name, memory_type) => Sql {
                text: "memory m INDEXED BY memory_by_type \
                       WHERE m.live = 1 AND m.namespace = ? AND m.memory_type = ?"
                    .to_owned(),
                parameters: vec![
                    SqlValue::Text(name.clone()),
                    SqlValue::Text((*memory_type).to_owned()),
                ],
            },
        });
        sql.append(self.conditions.time_test(alias, after));
        sql.append(self.tag_tests(range, alias));
        sql.append(tests);
        sql
    }

    /// The tests that need the row itself.
    fn row_tests(&self, range: &Range<'_>) -> Sql {
        let mut sql = Sql::default();
        if let Range::Everything = range {
            sql.append(in_namespaces("m.namespace", &self.conditions.filter.namespaces));
        }
        if !matches!(range, Range::Type(..)) {
            sql.append(self.conditions.type_test());
        }
        sql.append(self.conditions.metadata_tests());
        sql.append(self.further.clone());
        sql
    }

    /// The tests on tags that the range itself does not answer.
    fn tag_tests(&self, range: &Range<'_>, alias: &str) -> Sql {
        let mut sql = Sql::default();
        let tags = &self.conditions.tags;
        match (range, self.conditions.filter.tag_match) {
            _ if tags.is_empty() => {}
            (Range::Tag(_, others), TagMatch::Any) if others.is_empty() => {}
            (Range::Tag(_, others), TagMatch::Any) => sql.append(tag_test(alias, "NOT", others)),
            (_, TagMatch::Any) => sql.append(tag_test(alias, "", &tags.concat())),
            (range, TagMatch::All) => {
                let leading = usize::from(matches!(range, Range::Tag(..)));
                tags[leading..].iter().for_each(|ids| sql.append(tag_test(alias, "", ids)));
            }
        }
        sql
    }
}

/// The columns of `MEMORY_COLUMNS`, the order's from the table that gives it.
fn columns(alias: &str) -> String {
    super::reader::MEMORY_COLUMNS
        .replace("m.row", &format!("{alias}.row"))
        .replace("m.created_at", &format!("{alias}.created_at"))
}

/// A range for each tag, in each namespace; `None` when there are no tags, too many of them, or
/// fewer memories of the wanted type than with them.
fn tag_ranges<'c>(
    connection: &Connection,
    conditions: &Conditions<'_>,
) -> Result<Option<Vec<Range<'c>>>, StoreError> {
    let ids = match (conditions.tags.as_slice(), conditions.filter.tag_match) {
        ([], _) => return Ok(None),
        (tags, TagMatch::Any) => tags.concat(),
        // One tag has other ids in other namespaces, and no row is in two.
        ([first, ..], TagMatch::All) => first.clone(),
    };
    let Filter { namespaces, memory_type, .. } = conditions.filter;
    let typed = match memory_type.as_deref() {
        Some(memory_type) => tally(connection, namespaces, Some(memory_type))?,
        None => u64::MAX,
    };
    if ids.len() > RANGE_COUNT_MAX || typed < ids.iter().map(|tag| tag.count).sum() {
        return Ok(None);
    }
    let others = |place: usize| match conditions.filter.tag_match {
        TagMatch::Any => ids[..place].to_vec(),
        TagMatch::All => Vec::new(),
    };
    let range = |(place, tag): (usize, &TagId)| Range::Tag(*tag, others(place));
    Ok(Some(ids.iter().enumerate().map(range).collect()))
}

fn namespace_ranges<'c>(
    connection: &Connection,
    conditions: &'c Conditions<'_>,
) -> Result<Vec<Range<'c>>, StoreError> {
    let memory_type = conditions.filter.memory_type.as_deref();
    let names: Vec<String> = match &conditions.filter.namespaces {
        NamespaceSet::All => used_namespaces(connection, memory_type)?,
        NamespaceSet::Only(names) => names.iter().map(|name| name.as_str().to_owned()).collect(),
    };
    if names.len() > RANGE_COUNT_MAX {
        return Ok(vec![Range::Everything]);
    }
    let range = |name| match memory_type {
        Some(memory_type) => Range::Type(name, memory_type),
        None => Range::Namespace(name),
    };
    Ok(names.into_iter().map(range).collect())
}

/// The namespaces that hold live memories, or such of a type; one more than can be merged at most.
fn used_namespaces(
    connection: &Connection,
    memory_type: Option<&str>,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT namespace FROM tally WHERE namespace NOT GLOB '[_]*' \
               AND count > 0 AND (?1 IS NULL OR memory_type = ?1) LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = RANGE_COUNT_MAX as i64 + 1;
    let names = statement.query_map(rusqlite::params![memory_type, limit], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
