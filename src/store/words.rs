//! Search by words: FTS5 with BM25, every word first, then any of the rarest.

use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use super::error::StoreError;
use super::filter::Conditions;
use super::reader::Reader;
use crate::memory::Filter;

/// Words of a query that count; the rest is ignored.
const WORD_COUNT_MAX: usize = 32;
/// Longest word, in characters.
const WORD_CHARS_MAX: usize = 64;
/// How far the matches of one word are counted to find the rarest.
const FREQUENCY_CAP: i64 = 20_000;
/// Rows that the any-word query may have to score: a query of common words stays affordable.
const ANY_ROW_COUNT_MAX: i64 = 40_000;
/// BM25 weights of the columns content and tags.
const WEIGHTS: &str = "1.0, 0.5";

/// A row and its BM25 score; larger is better.
pub type Scored = (i64, f64);

impl Reader<'_> {
    /// The best rows for a text: those with every word of it, then those with any.
    pub fn by_words(
        &self,
        filter: &Filter,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Scored>, StoreError> {
        let words = words(text);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let every = words.join(" ");
        let mut found = self.matching(filter, &every, limit)?;
        if found.len() < limit && words.len() > 1 {
            let any = self.rarest(&words)?.join(" OR ");
            for scored in self.matching(filter, &any, limit)? {
                if found.len() < limit && !found.iter().any(|(row, _)| *row == scored.0) {
                    found.push(scored);
                }
            }
        }
        Ok(found)
    }

    fn matching(
        &self,
        filter: &Filter,
        expression: &str,
        limit: usize,
    ) -> Result<Vec<Scored>, StoreError> {
        let tests = Conditions::of(self.connection(), filter)?.tests();
        let sql = format!(
            "SELECT m.row, -bm25(memory_fts, {WEIGHTS}) AS score \
             FROM memory_fts JOIN memory m ON m.row = memory_fts.rowid \
             WHERE memory_fts MATCH ?{} ORDER BY score DESC, m.row DESC LIMIT ?",
            tests.text
        );
        let mut parameters = vec![SqlValue::Text(expression.to_owned())];
        parameters.extend(tests.parameters);
        parameters.push(SqlValue::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let mut statement = self.connection().prepare_cached(&sql)?;
        let rows = statement
            .query_map(params_from_iter(parameters), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The words that occur, rarest first, as long as their rows together stay affordable.
    fn rarest<'w>(&self, words: &'w [String]) -> Result<Vec<&'w str>, StoreError> {
        let sql = "SELECT count(*) FROM \
                   (SELECT 1 FROM memory_fts WHERE memory_fts MATCH ?1 LIMIT ?2)";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut counted = Vec::with_capacity(words.len());
        for word in words {
            let count: i64 =
                statement.query_row(rusqlite::params![word, FREQUENCY_CAP], |row| row.get(0))?;
            counted.push((count, word.as_str()));
        }
        counted.sort();
        let mut budget = ANY_ROW_COUNT_MAX;
        let affordable = counted.iter().enumerate().take_while(|(place, (count, _))| {
            budget -= count;
            *place == 0 || budget >= 0
        });
        Ok(affordable.map(|(_, (_, word))| *word).collect())
    }
}

/// The words of a text as quoted FTS5 strings, so that no character of it is an operator.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word: String = word.chars().take(WORD_CHARS_MAX).collect();
        let quoted = format!("\"{word}\"");
        if !words.contains(&quoted) {
            words.push(quoted);
        }
        if words.len() == WORD_COUNT_MAX {
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn nothing_in_a_text_is_an_operator() {
        let check = |text: &str, expected: &[&str]| assert_eq!(words(text), expected, "{text}");
        check("convert a PDF", &["\"convert\"", "\"a\"", "\"PDF\""]);
        check("NOT \"a* OR (b", &["\"NOT\"", "\"a\"", "\"OR\"", "\"b\""]);
        check("x-y_z NEAR/2", &["\"x\"", "\"y\"", "\"z\"", "\"NEAR\"", "\"2\""]);
        check("\u{1f600} \"' ^ :", &[]);
        check("a a a", &["\"a\""]);
    }

    #[test]
    fn long_queries_are_cut() {
        let text = (0..100).map(|n| format!("w{n} ")).collect::<String>();
        assert_eq!(words(&text).len(), 32);
        assert_eq!(words(&"x".repeat(1000)), [format!("\"{}\"", "x".repeat(64))]);
    }
}
