//! The word index (FTS5): in which memories words occur. What they are worth there is judged by
//! `memory::relevance`.

use rusqlite::types::Value as SqlValue;
use rusqlite::{OptionalExtension, params, params_from_iter};

use super::error::StoreError;
use super::filter::Conditions;
use super::reader::{Located, MEMORY_COLUMNS, Reader, memory_of};
use super::wanted::Wanted;
use crate::memory::Filter;
use crate::memory::relevance::{Corpus, similar};

/// Words of the index that are compared with one that nobody wrote.
const VOCABULARY_COUNT_MAX: usize = 10_000;
/// Occurrences that are passed over on the way.
const VOCABULARY_ROW_COUNT_MAX: u64 = 200_000;
/// Words that take the place of one that nobody wrote.
const SIMILAR_COUNT_MAX: usize = 3;
/// Characters with which such words must start alike.
const SIMILAR_START: usize = 2;

/// How much of the word index one look may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Allowed rows that are enough.
    pub limit: usize,
    /// Rows that are looked at.
    pub looked_at_max: usize,
    /// Rows before this one are left out.
    pub first_row: i64,
}

/// Where something occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    /// Rows that are allowed, newest first.
    pub rows: Vec<i64>,
    /// In how many rows it occurs, allowed or not; estimated where not all were looked at.
    pub count: u64,
    /// Whether all rows were looked at.
    pub is_complete: bool,
}

impl Occurrences {
    /// Takes in where another form of the same word occurs.
    pub fn join(&mut self, other: Occurrences) {
        if other == (Occurrences { is_complete: true, ..Occurrences::default() }) {
            return;
        }
        self.rows.extend(other.rows);
        self.rows.sort_unstable_by(|a, b| b.cmp(a));
        self.rows.dedup();
        self.count += other.count;
        self.is_complete &= other.is_complete;
    }
}

/// Words that resemble one, as far as they are found.
struct Near<'w> {
    stem: &'w str,
    /// Each with its distance, and before others the one that occurs more often.
    words: Vec<(usize, u64, String)>,
    /// Words and occurrences that were passed.
    word_count: usize,
    row_count: u64,
}

impl Near<'_> {
    fn take(&mut self, word: String, count: u64) {
        self.word_count += 1;
        self.row_count += count;
        let is_known = self.words.iter().any(|(_, _, known)| *known == word);
        if let Some(distance) = similar::distance(self.stem, &word).filter(|_| !is_known) {
            self.words.push((distance, u64::MAX - count, word));
        }
    }

    fn keep(
        &mut self,
        is_known: impl Fn(&str) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut kept = Vec::with_capacity(self.words.len());
        for word in self.words.drain(..) {
            if is_known(&word.2)? {
                kept.push(word);
            }
        }
        self.words = kept;
        Ok(())
    }
}

impl Reader<'_> {
    /// Rows in which something occurs, newest first, of those that `allows` leaves.
    pub fn occurrences(
        &self,
        wanted: Wanted<'_>,
        allows: impl Fn(i64) -> Result<bool, StoreError>,
        bounds: Bounds,
    ) -> Result<Occurrences, StoreError> {
        let mut statement = self.connection().prepare_cached(rows_sql(wanted))?;
        let mut found = Occurrences { is_complete: true, ..Occurrences::default() };
        let mut rows = statement.query(params![wanted.expression(), bounds.first_row])?;
        let mut last = 0;
        while let Some(row) = rows.next()? {
            let is_enough = found.rows.len() == bounds.limit;
            if is_enough || found.count == bounds.looked_at_max as u64 {
                found.is_complete = false;
                break;
            }
            last = row.get(0)?;
            found.count += 1;
            if allows(last)? {
                found.rows.push(last);
            }
        }
        drop(rows);
        if !found.is_complete {
            found.count = self.extrapolated(found.count, last)?;
        }
        Ok(found)
    }

    /// How often something occurs, that occurs `count` times from the newest row down to `last`.
    fn extrapolated(&self, count: u64, last: i64) -> Result<u64, StoreError> {
        let newest = self.newest_row()?;
        let looked_at = (newest - last + 1).max(1) as f64;
        Ok((count as f64 * newest.max(1) as f64 / looked_at) as u64)
    }

    /// The last row; 0 when there is none.
    pub fn newest_row(&self) -> Result<i64, StoreError> {
        let sql = "SELECT ifnull(max(row), 0) FROM memory";
        Ok(self.connection().prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// What is known of all memories together.
    pub fn corpus(&self) -> Result<Corpus, StoreError> {
        // The averages record of FTS5: rows, then words of each column, as SQLite varints.
        let sql = "SELECT block FROM memory_fts_data WHERE id = 1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let block: Option<Vec<u8>> = statement.query_row([], |row| row.get(0)).optional()?;
        let numbers = varints(&block.unwrap_or_default());
        let count = numbers.first().copied().unwrap_or(0);
        let words = numbers.get(1).copied().unwrap_or(0);
        Ok(Corpus { count, average_words: words as f64 / count.max(1) as f64 })
    }

    /// Words of the index that resemble a stem that is not in it, nearest first: words that start
    /// alike, and where there are none, words that start otherwise by one slip. Of all of them only
    /// those that `is_known`.
    pub fn similar_words(
        &self,
        stem: &str,
        is_known: impl Fn(&str) -> Result<bool, StoreError>,
    ) -> Result<Vec<String>, StoreError> {
        let start: String = stem.chars().take(SIMILAR_START).collect();
        let mut near = Near { stem, words: Vec::new(), word_count: 0, row_count: 0 };
        self.look_near(&mut near, &start)?;
        near.keep(&is_known)?;
        if near.words.is_empty() {
            for start in similar::other_starts(stem) {
                self.look_near(&mut near, &start)?;
            }
            near.keep(&is_known)?;
        }
        near.words.sort();
        near.words.truncate(SIMILAR_COUNT_MAX);
        Ok(near.words.into_iter().map(|(_, _, word)| word).collect())
    }

    /// Looks for words among those with a start.
    fn look_near(&self, near: &mut Near<'_>, start: &str) -> Result<(), StoreError> {
        let sql = "SELECT term, doc FROM memory_word WHERE term >= ?1 AND term < ?2";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query(params![start, format!("{start}\u{10ffff}")])?;
        while near.word_count < VOCABULARY_COUNT_MAX && near.row_count <= VOCABULARY_ROW_COUNT_MAX {
            let Some(row) = rows.next()? else { break };
            near.take(row.get(0)?, row.get(1)?);
        }
        Ok(())
    }

    /// The memories made right before and right after one in its namespace.
    pub fn beside(&self, one: &Located) -> Result<[Option<Located>; 2], StoreError> {
        let side = |comparison: &str, order: &str| {
            let sql = format!(
                "SELECT {MEMORY_COLUMNS} FROM memory m INDEXED BY memory_by_namespace \
                 WHERE m.namespace = ?1 AND m.live = 1 \
                 AND (m.created_at, m.row) {comparison} (?2, ?3) \
                 ORDER BY m.created_at {order}, m.row {order} LIMIT 1"
            );
            let memory = &one.memory;
            let at = params![memory.namespace.as_str(), memory.created_at, one.row];
            let mut statement = self.connection().prepare_cached(&sql)?;
            let mut rows = statement.query(at)?;
            rows.next()?.map(memory_of).transpose()
        };
        Ok([side("<", "DESC")?, side(">", "ASC")?])
    }

    /// Whether a filter leaves a row.
    pub fn leaves(&self, filter: &Filter, row: i64) -> Result<bool, StoreError> {
        let tests = Conditions::of(self.connection(), filter)?.tests();
        let sql = format!("SELECT 1 FROM memory m WHERE m.row = ?{}", tests.text);
        let parameters = std::iter::once(SqlValue::Integer(row)).chain(tests.parameters);
        Ok(self.connection().prepare_cached(&sql)?.exists(params_from_iter(parameters))?)
    }
}

/// Where rows are looked up, newest first, by what the expression of `wanted` gives.
fn rows_sql(wanted: Wanted<'_>) -> &'static str {
    match wanted {
        Wanted::Part(_) => {
            "SELECT row FROM compound_part WHERE stem = ?1 AND row >= ?2 ORDER BY row DESC"
        }
        Wanted::Word(_) | Wanted::Every(_) | Wanted::Phrase(_) => {
            "SELECT rowid FROM memory_fts WHERE memory_fts MATCH ?1 AND rowid >= ?2 \
             ORDER BY rowid DESC"
        }
    }
}

/// Numbers as SQLite writes them (fileformat2.html, "varint").
fn varints(mut bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        let mut number = 0_u64;
        for place in 0..9 {
            let Some((byte, rest)) = bytes.split_first() else { return numbers };
            bytes = rest;
            if place == 8 {
                number = number << 8 | u64::from(*byte);
                break;
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        numbers.push(number);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_to_the_last_whole_one() {
        assert_eq!(varints(&[5, 0x81, 0x00, 0x7f]), [5, 128, 127]);
        assert_eq!(varints(&[0xff; 9]), [u64::MAX]);
        assert_eq!(varints(&[3, 0x80]), [3]);
        assert!(varints(&[]).is_empty());
    }
}
