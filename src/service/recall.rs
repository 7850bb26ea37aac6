//! Finding: by meaning, by words, by both, by tag and time, and by likeness.

use std::time::Instant;

use memnode_cluster::Embedding;

use super::nearest::{Nearest, Snapshotted};
use super::{MODEL_CHANGE_TRY_COUNT, Service, memory_not_found, model_keeps_changing};
use crate::auth::Principal;
use crate::index::{self, Neighbour};
use crate::memory::rank::{self, Ranked};
use crate::memory::{
    ContentHash, Filter, Hit, ListQuery, METADATA_KEY_COUNT_MAX, Memory, Namespace, Page, PageAt,
    QUERY_BYTES_MAX, RESULT_COUNT_MAX, ScoreParts, SearchAnswer, SearchMode, SearchQuery, Tag,
};
use crate::store::{Known, Located, PageEnd, Reader, StoreError};
use crate::{Error, Result};

/// How many of each list a fusion looks at, at least.
const FUSION_COUNT_MIN: usize = 50;
/// How many times more candidates a quality boost looks at than results are asked for.
const QUALITY_FACTOR: usize = 3;

impl Service {
    /// The best memories for a text among those that the filter leaves.
    ///
    /// # Errors
    /// `InvalidInput` for bounds that are not held; `Forbidden`; those of the model and the file.
    pub async fn search(&self, who: &Principal, mut query: SearchQuery) -> Result<SearchAnswer> {
        let started = Instant::now();
        query.filter.namespaces = who.readable(&query.filter.namespaces)?;
        check(&query)?;
        let (namespaces, text) = (query.filter.namespaces.clone(), query.text.clone());
        let answer = self.search_checked(query).await?;
        self.announce_search(namespaces, &text, &answer, started);
        Ok(answer)
    }

    async fn search_checked(&self, query: SearchQuery) -> Result<SearchAnswer> {
        if query.mode == SearchMode::Keyword {
            let hits = self.read(move |reader| by_words(reader, &query)).await?;
            return Ok(answer(hits, SearchMode::Keyword));
        }
        let mode = query.mode;
        for _ in 0..MODEL_CHANGE_TRY_COUNT {
            let embedding = self.embed_one(&query.text).await?;
            let query = query.clone();
            let found = self
                .read_near(query.is_exact, move |reader, nearest| {
                    if reader.model()? != embedding.model {
                        return Err(StoreError::ModelChanged);
                    }
                    match query.mode {
                        SearchMode::Hybrid => by_both(reader, nearest, &query, &embedding),
                        SearchMode::Semantic | SearchMode::Keyword => {
                            by_meaning(reader, nearest, &query, &embedding)
                        }
                    }
                })
                .await;
            match found {
                Err(StoreError::ModelChanged) => {}
                other => return Ok(answer(other?, mode)),
            }
        }
        Err(model_keeps_changing())
    }

    /// What a filter leaves, newest first, in the shape of a search. `search_type` names what
    /// the filter is about.
    ///
    /// # Errors
    /// `InvalidInput` for a wrong cursor; `Forbidden`; those of the file.
    pub async fn search_newest(
        &self,
        who: &Principal,
        filter: Filter,
        limit: usize,
        cursor: Option<String>,
        search_type: &'static str,
    ) -> Result<SearchAnswer> {
        let at = cursor.map_or(PageAt::Offset(0), PageAt::Cursor);
        let started = Instant::now();
        let namespaces = who.readable(&filter.namespaces)?;
        let tags: Vec<&str> = filter.tags.iter().map(Tag::as_str).collect();
        let query = tags.join(", ");
        let page = self.list(who, ListQuery { filter, at, limit }).await?;
        let hit = |memory| Hit {
            memory,
            similarity: None,
            reason: format!("matches the {search_type} filter"),
            score: ScoreParts::default(),
        };
        let answer = SearchAnswer {
            hits: page.memories.into_iter().map(hit).collect(),
            search_type,
            next_cursor: page.next_cursor,
        };
        self.announce_search(namespaces, &query, &answer, started);
        Ok(answer)
    }

    /// Memories whose text contains a phrase, ASCII case aside, newest first.
    ///
    /// # Errors
    /// As [`Service::search`].
    pub async fn search_exact(&self, who: &Principal, query: SearchQuery) -> Result<SearchAnswer> {
        let started = Instant::now();
        let mut filter = query.filter.clone();
        filter.namespaces = who.readable(&filter.namespaces)?;
        check(&query)?;
        let (namespaces, text) = (filter.namespaces.clone(), query.text.clone());
        let found = self
            .read(move |reader| reader.containing(&filter, query.text.trim(), query.limit))
            .await?;
        let hit = |located: Located| Hit {
            memory: located.memory,
            similarity: Some(1.0),
            reason: "contains the phrase".to_owned(),
            score: ScoreParts::default(),
        };
        let answer = SearchAnswer {
            hits: found.into_iter().map(hit).collect(),
            search_type: "exact",
            next_cursor: None,
        };
        self.announce_search(namespaces, &text, &answer, started);
        Ok(answer)
    }

    /// Memories of the same namespace that mean nearly what this one does, itself left out.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, those of the file.
    pub async fn similar(
        &self,
        who: &Principal,
        namespace: &Namespace,
        hash: ContentHash,
        limit: usize,
    ) -> Result<SearchAnswer> {
        who.require(crate::auth::Access::Read, namespace)?;
        check_limit(limit)?;
        let started = Instant::now();
        let (namespace, looked_at) = (namespace.clone(), namespace.clone());
        let hits = self
            .read_near(false, move |reader, nearest| {
                let Known::Live(own) = reader.find(&namespace, &hash)? else {
                    return Err(memory_not_found().into());
                };
                let Some(vector) = reader.embedding(own.row)? else { return Ok(Vec::new()) };
                let filter = Filter { namespaces: namespace.into(), ..Filter::default() };
                let mut found = nearest.neighbours(reader, &filter, &vector, limit + 1)?;
                found.retain(|neighbour| neighbour.row != own.row);
                found.truncate(limit);
                hits_of(reader, found.iter().map(semantic).collect())
            })
            .await?;
        let answer = SearchAnswer { hits, search_type: "similar", next_cursor: None };
        self.announce_search(looked_at.into(), &hash.to_string(), &answer, started);
        Ok(answer)
    }

    /// A page of what a filter leaves, newest first.
    ///
    /// # Errors
    /// `InvalidInput` for a wrong cursor or limit; `Forbidden`; those of the file.
    pub async fn list(&self, who: &Principal, query: ListQuery) -> Result<Page> {
        let ListQuery { mut filter, at, limit } = query;
        filter.namespaces = who.readable(&filter.namespaces)?;
        check_limit(limit)?;
        let (after, offset) = match at {
            PageAt::Offset(offset) => (None, offset),
            PageAt::Cursor(cursor) => (Some(parse_cursor(&cursor)?), 0),
        };
        let page = self
            .read(move |reader| {
                let mut found = reader.list(&filter, after, offset, limit + 1)?;
                let more = found.len() > limit;
                found.truncate(limit);
                let next_cursor = found.last().filter(|_| more).map(cursor_of);
                let memories = found.into_iter().map(|located| located.memory).collect();
                Ok(Page { memories, total: reader.count(&filter)?, next_cursor })
            })
            .await?;
        Ok(page)
    }
}

fn answer(hits: Vec<Hit>, mode: SearchMode) -> SearchAnswer {
    SearchAnswer { hits, search_type: mode.name(), next_cursor: None }
}

fn check(query: &SearchQuery) -> Result<()> {
    check_limit(query.limit)?;
    if query.text.trim().is_empty() {
        return Err(Error::invalid("the query is empty").reason("empty_query"));
    }
    if query.text.len() > QUERY_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the query has {} bytes; at most {QUERY_BYTES_MAX} are allowed",
            query.text.len()
        ))
        .reason("query_too_long"));
    }
    if query.filter.metadata.len() > METADATA_KEY_COUNT_MAX {
        return Err(Error::invalid(format!(
            "the filter has {} metadata keys; at most {METADATA_KEY_COUNT_MAX} are allowed",
            query.filter.metadata.len()
        ))
        .reason("invalid_metadata"));
    }
    let shares = [
        ("similarity_threshold", query.similarity_threshold),
        ("quality_weight", query.quality_weight),
    ];
    for (name, share) in shares {
        if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(
                Error::invalid(format!("{name} must be from 0 to 1")).reason("out_of_range")
            );
        }
    }
    Ok(())
}

fn check_limit(limit: usize) -> Result<()> {
    if (1..=RESULT_COUNT_MAX).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid(format!("ask for 1 to {RESULT_COUNT_MAX} results, not {limit}"))
        .reason("out_of_range"))
}

fn by_meaning(
    reader: &Reader<'_>,
    nearest: &Nearest,
    query: &SearchQuery,
    embedding: &Embedding,
) -> Result<Vec<Hit>, StoreError> {
    let wanted = candidate_count(query);
    let found = nearest.neighbours(reader, &query.filter, &embedding.vector, wanted)?;
    let ranked = found.iter().map(semantic).collect();
    finish(reader, query, ranked)
}

fn by_words(reader: &Reader<'_>, query: &SearchQuery) -> Result<Vec<Hit>, StoreError> {
    let found = reader.by_words(&query.filter, &query.text, candidate_count(query))?;
    let ranked = found
        .into_iter()
        .map(|(row, score)| Ranked { row, semantic: None, keyword: Some(score), total: score })
        .collect();
    finish(reader, query, ranked)
}

fn by_both(
    reader: &Reader<'_>,
    nearest: &Nearest,
    query: &SearchQuery,
    embedding: &Embedding,
) -> Result<Vec<Hit>, StoreError> {
    let wanted = candidate_count(query).max(FUSION_COUNT_MIN);
    let near = nearest.neighbours(reader, &query.filter, &embedding.vector, wanted)?;
    let near: Vec<(i64, f64)> =
        near.iter().map(|n| (n.row, rank::similarity(f64::from(n.distance)))).collect();
    let worded = reader.by_words(&query.filter, &query.text, wanted)?;
    let mut ranked = rank::fuse(&near, &worded);
    for one in ranked.iter_mut().filter(|one| one.semantic.is_none()) {
        let distance = index::distance(&Snapshotted(reader), &embedding.vector, one.row)?;
        one.semantic = distance.map(|distance| rank::similarity(f64::from(distance)));
    }
    ranked.truncate(candidate_count(query));
    finish(reader, query, ranked)
}

/// A quality boost reorders more candidates than it returns.
fn candidate_count(query: &SearchQuery) -> usize {
    if query.quality_weight.is_some() { query.limit * QUALITY_FACTOR } else { query.limit }
}

fn semantic(neighbour: &Neighbour) -> Ranked {
    let similarity = rank::similarity(f64::from(neighbour.distance));
    Ranked { row: neighbour.row, semantic: Some(similarity), keyword: None, total: similarity }
}

/// Threshold, quality, cut.
fn finish(
    reader: &Reader<'_>,
    query: &SearchQuery,
    mut ranked: Vec<Ranked>,
) -> Result<Vec<Hit>, StoreError> {
    if let Some(threshold) = query.similarity_threshold {
        ranked.retain(|one| one.semantic.is_none_or(|similarity| similarity >= threshold));
    }
    let mut hits = hits_of(reader, ranked)?;
    if let Some(weight) = query.quality_weight {
        for hit in &mut hits {
            let quality = rank::quality(&hit.memory.metadata);
            let base = hit.score.total.unwrap_or_default();
            hit.score.quality = Some(quality);
            hit.score.total = Some((1.0 - weight) * base + weight * quality);
        }
        hits.sort_by(|a, b| {
            b.score.total.unwrap_or_default().total_cmp(&a.score.total.unwrap_or_default())
        });
    }
    hits.truncate(query.limit);
    Ok(hits)
}

/// The memories of ranked rows, in their order.
fn hits_of(reader: &Reader<'_>, ranked: Vec<Ranked>) -> Result<Vec<Hit>, StoreError> {
    let mut hits = Vec::with_capacity(ranked.len());
    for one in ranked {
        let Some(Located { memory, .. }) = reader.by_rows(&[one.row])?.pop() else { continue };
        hits.push(hit(memory, one));
    }
    Ok(hits)
}

fn hit(memory: Memory, ranked: Ranked) -> Hit {
    let reason = match (ranked.semantic, ranked.keyword) {
        (Some(similarity), None) => format!("semantic similarity {similarity:.3}"),
        (None, Some(score)) => format!("keyword score {score:.2}"),
        (Some(similarity), Some(score)) => {
            format!("semantic similarity {similarity:.3}, keyword score {score:.2}")
        }
        (None, None) => "matches the filter".to_owned(),
    };
    let score = ScoreParts {
        semantic: ranked.semantic,
        keyword: ranked.keyword,
        quality: None,
        total: Some(ranked.total),
    };
    Hit { memory, similarity: ranked.semantic, reason, score }
}

/// Opaque: the bits of the creation time and the row, in hexadecimal.
fn cursor_of(located: &Located) -> String {
    format!("{:016x}{:016x}", located.memory.created_at.to_bits(), located.row)
}

fn parse_cursor(cursor: &str) -> Result<PageEnd> {
    let wrong = || Error::invalid("the cursor is not one that a page gave").reason("bad_cursor");
    if cursor.len() != 32 || !cursor.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let (time, row) = cursor.split_at(16);
    let created_at = f64::from_bits(u64::from_str_radix(time, 16).map_err(|_| wrong())?);
    let row = i64::from_str_radix(row, 16).map_err(|_| wrong())?;
    if !created_at.is_finite() {
        return Err(wrong());
    }
    Ok(PageEnd { created_at, row })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_opaque_and_checked() {
        let good = format!("{:016x}{:016x}", 1.5_f64.to_bits(), 7);
        assert_eq!(parse_cursor(&good).ok(), Some(PageEnd { created_at: 1.5, row: 7 }));
        let infinite = format!("{:016x}{:016x}", f64::INFINITY.to_bits(), 7);
        for bad in ["", "zz", &good[..31], &"g".repeat(32), &"f".repeat(32), &infinite] {
            assert!(parse_cursor(bad).is_err(), "{bad}");
        }
    }
}
