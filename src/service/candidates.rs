//! Which memories may answer a question by their words: those that hold its rarest ones.
//!
//! How much of the word index is looked at is bounded, so that a question of common words stays
//! affordable among a million memories: of a word that is everywhere only the newest memories
//! count, and those that hold it together with the other words.
//!
//! What a word is worth depends on how many memories hold it. For a caller who may not read all of
//! them only those count that are allowed: else scores would tell what others wrote.

use std::collections::HashMap;

use super::allowed::Allowed;
use crate::memory::relevance::irregular::other_forms;
use crate::memory::relevance::question::Question;
use crate::memory::relevance::{Corpus, Relevance};
use crate::memory::{Filter, NamespaceSet};
use crate::store::{Bounds, Occurrences, Reader, StoreError, Wanted};

/// Memories that are judged.
const CANDIDATE_COUNT: usize = 300;
/// Memories that are kept of each word.
const WORD_ROW_COUNT_MAX: usize = 4_000;
/// Rows of the word index that are looked at for all words together, and at least for each.
const LOOKED_AT_MAX: usize = 60_000;
const LOOKED_AT_MIN: usize = 2_000;
/// Occurrences of the rarest of several words that are held against the others.
const TOGETHER_COUNT_MAX: u64 = 10_000;
/// Words that nobody wrote for which others are looked for.
const REPLACED_COUNT_MAX: usize = 8;
/// Words of a memory, on average, where that must not be asked of those of others.
const USUAL_WORDS: f64 = 25.0;
/// Words that are looked for together in pairs.
const PAIRED_COUNT: usize = 3;

/// Memories that may answer, and what their words are worth.
pub(super) struct Candidates<'q> {
    /// Judges memories.
    pub(super) relevance: Relevance<'q>,
    /// The most promising first.
    pub(super) rows: Vec<i64>,
}

/// A search of the word index within its bounds.
struct Search<'s, 'c> {
    reader: &'s Reader<'c>,
    allowed: &'s Allowed,
    looked_at_max: usize,
    /// What the rows are worth as far as their words are known.
    worth: HashMap<i64, f64>,
}

impl<'q> Candidates<'q> {
    /// Looks the words of a question up. `walls` are the namespaces that are asked, where the
    /// caller may not read every other.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn of(
        reader: &Reader<'_>,
        question: &'q Question,
        allowed: &Allowed,
        walls: Option<&NamespaceSet>,
    ) -> Result<Self, StoreError> {
        let term_count = question.terms.len().max(1);
        let looked_at_max = (LOOKED_AT_MAX / term_count).max(LOOKED_AT_MIN);
        let mut search = Search { reader, allowed, looked_at_max, worth: HashMap::new() };
        let mut found = Vec::with_capacity(term_count);
        let mut similar = Vec::with_capacity(term_count);
        let mut replaced_count = 0;
        for term in &question.terms {
            let mut of_word = search.look(Wanted::Word(&term.word), WORD_ROW_COUNT_MAX)?;
            for form in other_forms(&term.word) {
                of_word.join(search.look(Wanted::Word(form), WORD_ROW_COUNT_MAX)?);
            }
            of_word.join(search.look(Wanted::Part(&term.stem), WORD_ROW_COUNT_MAX)?);
            if walls.is_some() {
                of_word.count = of_word.rows.len() as u64;
            }
            let is_nowhere = of_word.count == 0 && replaced_count < REPLACED_COUNT_MAX;
            replaced_count += usize::from(is_nowhere);
            let is_known = |word: &str| {
                Ok(walls.is_none() || !search.look(Wanted::Word(word), 1)?.rows.is_empty())
            };
            let instead = match is_nowhere {
                true => reader.similar_words(&term.stem, is_known)?,
                false => Vec::new(),
            };
            found.push(of_word);
            similar.push(instead);
        }
        let counts: Vec<u64> = found.iter().map(|found| found.count).collect();
        let corpus = match walls {
            None => reader.corpus()?,
            Some(namespaces) => corpus_within(reader, namespaces)?,
        };
        let relevance = Relevance::new(question, corpus, &counts, &similar);
        for (found, worth) in found.iter().zip(relevance.worth()) {
            search.add(&found.rows, *worth);
        }
        for (words, worth) in similar.iter().zip(relevance.worth()) {
            for word in words {
                let rows = search.look(Wanted::Word(word), CANDIDATE_COUNT)?.rows;
                search.add(&rows, *worth);
            }
        }
        search.look_together(question, &found, relevance.worth())?;
        for phrase in &question.phrases {
            let rows = search.look(Wanted::Phrase(phrase), CANDIDATE_COUNT)?.rows;
            search.add(&rows, relevance.worth().iter().sum());
        }
        let rows = match allowed {
            Allowed::Few(rows) => rows.clone(),
            _ => search.best(),
        };
        Ok(Candidates { relevance, rows })
    }
}

/// What may be known of all memories in some namespaces. How long they are is not kept for each.
fn corpus_within(reader: &Reader<'_>, namespaces: &NamespaceSet) -> Result<Corpus, StoreError> {
    let filter = Filter { namespaces: namespaces.clone(), ..Filter::default() };
    Ok(Corpus { count: reader.count(&filter)?, average_words: USUAL_WORDS })
}

impl Search<'_, '_> {
    fn look(&self, wanted: Wanted<'_>, limit: usize) -> Result<Occurrences, StoreError> {
        self.look_from(0, wanted, limit)
    }

    /// The same of rows from one on.
    fn look_from(
        &self,
        first_row: i64,
        wanted: Wanted<'_>,
        limit: usize,
    ) -> Result<Occurrences, StoreError> {
        let bounds = Bounds { limit, looked_at_max: self.looked_at_max, first_row };
        self.reader.occurrences(wanted, |row| self.allowed.holds(self.reader, row), bounds)
    }

    fn add(&mut self, rows: &[i64], worth: f64) {
        for row in rows {
            *self.worth.entry(*row).or_default() += worth;
        }
    }

    /// Where some words are so common that not all of their rows were seen: the rows that hold all
    /// words, and two of the rarest.
    fn look_together(
        &mut self,
        question: &Question,
        found: &[Occurrences],
        worth: &[f64],
    ) -> Result<(), StoreError> {
        if found.iter().all(|found| found.is_complete) {
            return Ok(());
        }
        let mut rarest: Vec<usize> = (0..found.len()).filter(|at| found[*at].count > 0).collect();
        rarest.sort_by_key(|at| found[*at].count);
        let mut groups = vec![rarest.clone()];
        rarest.truncate(PAIRED_COUNT);
        for (place, one) in rarest.iter().enumerate() {
            groups.extend(rarest[place + 1..].iter().map(|other| vec![*one, *other]));
        }
        for group in groups.iter().filter(|group| group.len() > 1) {
            let words: Vec<&str> =
                group.iter().map(|at| question.terms[*at].word.as_str()).collect();
            let together: f64 = group.iter().map(|at| worth[*at]).sum();
            let first_row = self.first_row(group.iter().map(|at| found[*at].count).min())?;
            for row in self.look_from(first_row, Wanted::Every(&words), CANDIDATE_COUNT)?.rows {
                let known = self.worth.entry(row).or_default();
                *known = known.max(together);
            }
        }
        Ok(())
    }

    /// From where on a word that occurs so often occurs as often as can be looked at.
    fn first_row(&self, count: Option<u64>) -> Result<i64, StoreError> {
        let newest = self.reader.newest_row()?;
        let count = count.unwrap_or(0).max(1);
        let share = TOGETHER_COUNT_MAX as f64 / count as f64;
        Ok(if share >= 1.0 { 0 } else { newest - (newest as f64 * share) as i64 })
    }

    /// The rows worth most, newest first among equal ones.
    fn best(self) -> Vec<i64> {
        let mut rows: Vec<(i64, f64)> = self.worth.into_iter().collect();
        rows.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        rows.truncate(CANDIDATE_COUNT);
        rows.into_iter().map(|(row, _)| row).collect()
    }
}
