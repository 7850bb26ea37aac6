//! Finding: by meaning, by words, by both, by tag and time, and by likeness.

use std::time::Instant;

use super::hybrid::{Found, Looking};
use super::order::Order;
use super::{MODEL_CHANGE_TRY_COUNT, Service, memory_not_found, model_keeps_changing};
use crate::auth::Principal;
use crate::index::Neighbour;
use crate::memory::rank::{self, Ranked};
use crate::memory::relevance::question::{Demands, Question};
use crate::memory::{
    ContentHash, Filter, Hit, ListQuery, METADATA_KEY_COUNT_MAX, Memory, Namespace, Page, PageAt,
    PageEnd, QUERY_BYTES_MAX, RESULT_COUNT_MAX, ScoreParts, SearchAnswer, SearchMode, SearchQuery,
    TAG_COUNT_MAX, Tag, TagMatch,
};
use crate::store::{Known, Located, Reader, StoreError};
use crate::{Error, Result};

impl Service {
    /// The best memories for a text among those that the filter and the operators in the text
    /// leave; the newest of them when it asks for nothing else.
    ///
    /// # Errors
    /// `InvalidInput` for bounds that are not held; `Forbidden`; those of the model and the file.
    pub async fn search(&self, who: &Principal, mut query: SearchQuery) -> Result<SearchAnswer> {
        let started = Instant::now();
        check(&query)?;
        let question = Question::read(&query.text, &self.now(query.time_zone.as_deref())?);
        demand(&mut query.filter, &question.demands)?;
        if question.text.trim().is_empty() {
            return self.search_newest(who, query.filter, query.limit, None, "newest").await;
        }
        query.filter.namespaces = who.readable(&query.filter.namespaces)?;
        let (namespaces, text) = (query.filter.namespaces.clone(), query.text.clone());
        let is_walled = !who.reads_everything();
        let answer = self.search_checked(query, question, is_walled).await?;
        self.announce_search(namespaces, &text, &answer, started);
        Ok(answer)
    }

    async fn search_checked(
        &self,
        query: SearchQuery,
        question: Question,
        is_walled: bool,
    ) -> Result<SearchAnswer> {
        let (mode, order) = (query.mode, Order::of(&query, crate::clock::now_seconds()));
        let text = question.text.clone();
        let found = match mode {
            SearchMode::Keyword => {
                self.find_by_words(query, question, order.wanted(), is_walled).await?
            }
            SearchMode::Semantic => {
                self.find_by_meaning(query, question, order.wanted(), is_walled).await?
            }
            SearchMode::Hybrid => {
                let wanted = order.wanted().max(self.rerank_count());
                self.find_by_meaning(query, question, wanted, is_walled).await?
            }
        };
        let hits = found.into_iter().map(|(memory, ranked)| hit(memory, ranked, mode)).collect();
        let (hits, note) = match mode {
            SearchMode::Hybrid => self.reranked(&text, hits).await,
            SearchMode::Semantic | SearchMode::Keyword => (hits, None),
        };
        Ok(SearchAnswer { note, ..answer(order.of_hits(hits), mode) })
    }

    async fn find_by_words(
        &self,
        query: SearchQuery,
        question: Question,
        wanted: usize,
        is_walled: bool,
    ) -> Result<Vec<Found>, StoreError> {
        self.read_near(query.is_exact, move |reader, nearest| {
            let (filter, question) = (&query.filter, &question);
            Looking { reader, nearest, filter, question, wanted, is_walled }.by_words()
        })
        .await
    }

    async fn find_by_meaning(
        &self,
        query: SearchQuery,
        question: Question,
        wanted: usize,
        is_walled: bool,
    ) -> Result<Vec<Found>> {
        for _ in 0..MODEL_CHANGE_TRY_COUNT {
            let embedding = self.embed_one(&question.text).await?;
            let (query, question) = (query.clone(), question.clone());
            let found = self
                .read_near(query.is_exact, move |reader, nearest| {
                    if reader.model()? != embedding.model {
                        return Err(StoreError::ModelChanged);
                    }
                    let (filter, question) = (&query.filter, &question);
                    if query.mode == SearchMode::Hybrid {
                        let looking =
                            Looking { reader, nearest, filter, question, wanted, is_walled };
                        return looking.by_both(&embedding);
                    }
                    let near = nearest.neighbours(reader, filter, &embedding.vector, wanted)?;
                    with_memories(reader, near.iter().map(semantic))
                })
                .await;
            match found {
                Err(StoreError::ModelChanged) => {}
                other => return Ok(other?),
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
            note: None,
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
        if query.text.trim().is_empty() {
            return Err(Error::invalid("the query is empty").reason("empty_query"));
        }
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
            note: None,
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
        let found = self
            .read_near(false, move |reader, nearest| {
                let Known::Live(own) = reader.find(&namespace, &hash)? else {
                    return Err(memory_not_found().into());
                };
                let Some(vector) = reader.embedding(own.row)? else { return Ok(Vec::new()) };
                let filter = Filter { namespaces: namespace.into(), ..Filter::default() };
                let mut found = nearest.neighbours(reader, &filter, &vector, limit + 1)?;
                found.retain(|neighbour| neighbour.row != own.row);
                found.truncate(limit);
                with_memories(reader, found.iter().map(semantic))
            })
            .await?;
        let mode = SearchMode::Semantic;
        let hits = found.into_iter().map(|(memory, ranked)| hit(memory, ranked, mode)).collect();
        let answer = SearchAnswer { search_type: "similar", ..answer(hits, mode) };
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
            PageAt::Cursor(cursor) => (Some(cursor.parse::<PageEnd>()?), 0),
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
    SearchAnswer { hits, search_type: mode.name(), next_cursor: None, note: None }
}

/// Narrows a filter by what stands in the text of the query.
fn demand(filter: &mut Filter, demands: &Demands) -> Result<()> {
    if !demands.tags.is_empty() {
        if filter.tags.len() > 1 && filter.tag_match == TagMatch::Any {
            return Err(Error::invalid(
                "`tag:` in the query cannot be combined with several tags of which any is enough: \
                 give all of them in one place",
            )
            .reason("contradicting_tags"));
        }
        filter.tag_match = TagMatch::All;
        filter.tags.extend(demands.tags.iter().cloned());
        filter.tags.sort_unstable();
        filter.tags.dedup();
    }
    if let Some(demanded) = &demands.memory_type {
        match &filter.memory_type {
            Some(given) if given != demanded => {
                return Err(Error::invalid(format!(
                    "the query demands the type `{demanded}` and the filter `{given}`: no memory \
                     has both"
                ))
                .reason("contradicting_types"));
            }
            _ => filter.memory_type = Some(demanded.clone()),
        }
    }
    filter.created = filter.created.within(demands.created);
    Ok(())
}

fn check(query: &SearchQuery) -> Result<()> {
    check_limit(query.limit)?;
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
    if query.filter.tags.len() > TAG_COUNT_MAX {
        return Err(Error::invalid(format!(
            "the filter has {} tags; at most {TAG_COUNT_MAX} are allowed",
            query.filter.tags.len()
        ))
        .reason("too_many_tags"));
    }
    let shares = [
        ("similarity_threshold", query.similarity_threshold),
        ("quality_weight", query.quality_weight),
        ("recency_weight", query.recency_weight),
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

fn semantic(neighbour: &Neighbour) -> Ranked {
    let similarity = rank::similarity(f64::from(neighbour.distance));
    let semantic = Some(similarity);
    Ranked { row: neighbour.row, semantic, total: similarity, ..Ranked::default() }
}

/// The memories of ranked rows, in their order.
fn with_memories(
    reader: &Reader<'_>,
    ranked: impl Iterator<Item = Ranked>,
) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    for one in ranked {
        let located = reader.by_rows(&[one.row])?.pop();
        found.extend(located.map(|located| (located.memory, one)));
    }
    Ok(found)
}

fn hit(memory: Memory, ranked: Ranked, mode: SearchMode) -> Hit {
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
        context: ranked.context,
        total: Some(ranked.total),
        ..ScoreParts::default()
    };
    let similarity = match mode {
        SearchMode::Semantic => ranked.semantic,
        SearchMode::Hybrid => Some(rank::as_similarity(ranked.total)),
        SearchMode::Keyword => None,
    };
    Hit { memory, similarity, reason, score }
}

fn cursor_of(located: &Located) -> String {
    PageEnd { created_at: located.memory.created_at, row: located.row }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_of_the_text_narrow_the_filter() {
        let tags = |names: &[&str]| crate::memory::normalise_tags(names.iter().copied());
        let demands = Demands {
            tags: tags(&["b"]).expect("tags"),
            memory_type: Some("note".to_owned()),
            ..Demands::default()
        };
        let mut filter = Filter { tags: tags(&["a"]).expect("tags"), ..Filter::default() };
        demand(&mut filter, &demands).expect("they go together");
        assert_eq!(filter.tags, tags(&["a", "b"]).expect("tags"));
        assert_eq!(
            (filter.tag_match, filter.memory_type.as_deref()),
            (TagMatch::All, Some("note"))
        );

        let several = tags(&["a", "c"]).expect("tags");
        let mut any = Filter { tags: several, ..Filter::default() };
        assert!(demand(&mut any, &demands).is_err(), "any of two, and a third");
        let mut other = Filter { memory_type: Some("bill".to_owned()), ..Filter::default() };
        assert!(demand(&mut other, &demands).is_err(), "two types");
    }
}
