//! Searches by words, and by meaning and words together.
//!
//! Both lists only name candidates. Each of these is then judged by its vector and by its text,
//! whichever list it came from, and turns of conversations lend their neighbours some of what they
//! are worth.

use std::collections::HashMap;

use memnode_cluster::Embedding;

use super::allowed::Allowed;
use super::candidates::Candidates;
use super::nearest::{Nearest, Snapshotted};
use crate::index;
use crate::memory::rank::{self, Ranked};
use crate::memory::relevance::question::Question;
use crate::memory::relevance::{Match, Relevance, speaker};
use crate::memory::{Filter, Memory};
use crate::store::{Located, Reader, StoreError};

/// How many candidates of each list are looked at, at least.
const LIST_COUNT_MIN: usize = 100;
/// The best, which are looked at with what was said around them.
const CONTEXT_COUNT: usize = 40;

/// A memory and what it is worth.
pub(super) type Found = (Memory, Ranked);

/// What a search looks at.
pub(super) struct Looking<'s, 'c> {
    pub(super) reader: &'s Reader<'c>,
    pub(super) nearest: &'s Nearest,
    pub(super) filter: &'s Filter,
    pub(super) question: &'s Question,
    /// How many results may be needed.
    pub(super) wanted: usize,
    /// Whether there may be memories that the caller may not read: then what their words are worth
    /// must not depend on them.
    pub(super) is_walled: bool,
}

/// A candidate, judged.
struct Judged {
    located: Located,
    matched: Match,
    similarity: Option<f64>,
    /// What it is worth by itself.
    own: f64,
    lent: Option<f64>,
}

impl Looking<'_, '_> {
    /// The best by their words, best first.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn by_words(&self) -> Result<Vec<Found>, StoreError> {
        let allowed = self.allowed(self.filter)?;
        let candidates = self.candidates(&allowed)?;
        let mut found = Vec::new();
        for located in self.reader.by_rows(&candidates.rows)? {
            let matched = candidates.relevance.of(&located.memory);
            if matched.score > 0.0 || matched.holds_phrases {
                let (keyword, total) = (Some(matched.score), rank::worded(&matched));
                let ranked = Ranked { row: located.row, keyword, total, ..Ranked::default() };
                found.push((located.memory, ranked));
            }
        }
        Ok(self.best(found))
    }

    /// The best by meaning and words, best first.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn by_both(&self, embedding: &Embedding) -> Result<Vec<Found>, StoreError> {
        let allowed = self.allowed(self.filter)?;
        let candidates = self.candidates(&allowed)?;
        let relevance = &candidates.relevance;
        let mut pool = Pool { looking: self, relevance, embedding, judged: HashMap::new() };
        pool.add_worded(&candidates.rows, self.list_count())?;
        pool.add_near(self.filter)?;
        if let Some(narrowed) = self.in_time() {
            let allowed = self.allowed(&narrowed)?;
            let rows = self.candidates(&allowed)?.rows;
            pool.add_worded(&rows, self.list_count())?;
            pool.add_near(&narrowed)?;
        }
        pool.lend(&allowed)?;
        Ok(self.best(pool.found()))
    }

    fn list_count(&self) -> usize {
        self.wanted.max(LIST_COUNT_MIN)
    }

    fn candidates(&self, allowed: &Allowed) -> Result<Candidates<'_>, StoreError> {
        let walls = self.is_walled.then_some(&self.filter.namespaces);
        Candidates::of(self.reader, self.question, allowed, walls)
    }

    fn allowed(&self, filter: &Filter) -> Result<Allowed, StoreError> {
        Allowed::of(self.reader, filter, self.nearest.snapshot(self.reader)?)
    }

    /// The filter, narrowed to the time that the question speaks of.
    fn in_time(&self) -> Option<Filter> {
        let when = self.question.when?;
        let created = self.filter.created.within(when);
        let is_empty =
            created.after.zip(created.before).is_some_and(|(after, before)| after >= before);
        (!is_empty).then(|| Filter { created, ..self.filter.clone() })
    }

    fn best(&self, mut found: Vec<Found>) -> Vec<Found> {
        found.sort_by(|(_, a), (_, b)| b.total.total_cmp(&a.total).then(a.row.cmp(&b.row)));
        found.truncate(self.wanted);
        found
    }
}

/// The candidates of a search by meaning and words.
struct Pool<'p, 's, 'c> {
    looking: &'p Looking<'s, 'c>,
    relevance: &'p Relevance<'p>,
    embedding: &'p Embedding,
    judged: HashMap<i64, Judged>,
}

impl Pool<'_, '_, '_> {
    /// Adds the best of some rows by their words.
    fn add_worded(&mut self, rows: &[i64], limit: usize) -> Result<(), StoreError> {
        let mut worded: Vec<(Located, Match)> = Vec::with_capacity(rows.len());
        for located in self.looking.reader.by_rows(rows)? {
            let matched = self.relevance.of(&located.memory);
            worded.push((located, matched));
        }
        worded.sort_by(|(a, x), (b, y)| {
            rank::worded(y).total_cmp(&rank::worded(x)).then(b.row.cmp(&a.row))
        });
        for (located, matched) in worded.into_iter().take(limit) {
            if !self.judged.contains_key(&located.row) {
                let similarity = self.similarity(located.row)?;
                self.insert(located, matched, similarity);
            }
        }
        Ok(())
    }

    /// Adds the nearest rows.
    fn add_near(&mut self, filter: &Filter) -> Result<(), StoreError> {
        let Looking { reader, nearest, .. } = self.looking;
        let limit = self.looking.list_count();
        for near in nearest.pool(reader, filter, &self.embedding.vector, limit)? {
            if !self.judged.contains_key(&near.row)
                && let Some(located) = reader.by_rows(&[near.row])?.pop()
            {
                let matched = self.relevance.of(&located.memory);
                self.insert(located, matched, Some(rank::similarity(f64::from(near.distance))));
            }
        }
        Ok(())
    }

    fn insert(&mut self, located: Located, matched: Match, similarity: Option<f64>) {
        let own = rank::fused(similarity, &matched, self.looking.question.is_literal);
        let row = located.row;
        self.judged.insert(row, Judged { located, matched, similarity, own, lent: None });
    }

    fn similarity(&self, row: i64) -> Result<Option<f64>, StoreError> {
        let vectors = Snapshotted(self.looking.reader);
        let distance = index::distance(&vectors, &self.embedding.vector, row)?;
        Ok(distance.map(|distance| rank::similarity(f64::from(distance))))
    }

    /// Lets turns of conversations lend each other some of what they are worth.
    fn lend(&mut self, allowed: &Allowed) -> Result<(), StoreError> {
        let mut best: Vec<(i64, f64)> =
            self.judged.values().map(|judged| (judged.located.row, judged.own)).collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        best.truncate(CONTEXT_COUNT);
        let mut pairs: Vec<(i64, i64)> = Vec::new();
        for (row, _) in best {
            let [before, after] = self.beside(row, allowed)?;
            pairs.extend(before.map(|before| (before, row)));
            pairs.extend(after.map(|after| (row, after)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let own = |pool: &Self, row: i64| pool.judged.get(&row).map(|judged| judged.own);
        for (before, after) in pairs {
            let (of_before, of_after) = (own(self, before), own(self, after));
            self.add_lent(after, rank::lent(of_before, None));
            self.add_lent(before, rank::lent(None, of_after));
        }
        Ok(())
    }

    /// The turns around one, judged.
    fn beside(&mut self, row: i64, allowed: &Allowed) -> Result<[Option<i64>; 2], StoreError> {
        let reader = self.looking.reader;
        let judged = &self.judged[&row];
        if !speaker::may_be_turn(&judged.located.memory) {
            return Ok([None, None]);
        }
        let sides = reader.beside(&judged.located)?;
        let memory = judged.located.memory.clone();
        let mut rows = [None, None];
        for (side, row) in sides.into_iter().zip(&mut rows) {
            let Some(side) = side else { continue };
            if !speaker::are_one_conversation(&memory, &side.memory)
                || !allowed.holds(reader, side.row)?
            {
                continue;
            }
            *row = Some(side.row);
            if !self.judged.contains_key(&side.row) {
                let (matched, similarity) =
                    (self.relevance.of(&side.memory), self.similarity(side.row)?);
                self.insert(side, matched, similarity);
            }
        }
        Ok(rows)
    }

    fn add_lent(&mut self, row: i64, more: f64) {
        if let Some(judged) = self.judged.get_mut(&row) {
            *judged.lent.get_or_insert_default() += more;
        }
    }

    fn found(self) -> Vec<Found> {
        let ranked = |judged: Judged| {
            let ranked = Ranked {
                row: judged.located.row,
                semantic: judged.similarity,
                keyword: Some(judged.matched.score).filter(|score| *score > 0.0),
                context: judged.lent,
                total: judged.own + judged.lent.unwrap_or(0.0),
            };
            (judged.located.memory, ranked)
        };
        self.judged.into_values().map(ranked).collect()
    }
}
