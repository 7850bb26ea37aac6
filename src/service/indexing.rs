//! Keeping the index: made when the node starts, brought up to date after every commit, and its
//! codes kept in the file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt;

use super::Service;
use super::nearest::{catch_up, changes_of, labels_of, row_number};
use crate::index::batch::{Batch, CodeModel};
use crate::index::shared::State;
use crate::index::snapshot::Snapshot;
use crate::store::{CODE_CHUNK_ROWS, Reader, SavedCodes, StaleChunk, StoreError};
use crate::{Error, Result};

/// Chunks that are read at the same time.
const CHUNK_CONCURRENCY: usize = 2;
/// Changes that are taken in at a time.
const CHANGE_COUNT_MAX: usize = 1_000;
/// Chunks of so few rows are not kept: they are made as quickly as they are read.
const KEEP_ROW_COUNT_MIN: usize = 512;
/// Entries of the log from which a chunk is kept anew, and those of the last chunk, which is still
/// being filled.
const KEEP_CHANGE_COUNT_MIN: u64 = 512;
const KEEP_LAST_CHANGE_COUNT_MIN: u64 = 2_048;
/// Longest log, over all chunks: reading it is a part of every start.
const LOG_COUNT_MAX: u64 = 16_384;
/// Chunks that are kept in one go.
const KEEP_CHUNK_COUNT_MAX: usize = 16;
/// Pause after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// A chunk that was read.
struct Loaded {
    chunk: i64,
    batch: Batch,
    /// The last entry of the log that it holds.
    n: i64,
}

impl Service {
    /// Keeps the index for as long as the node runs. Until it is there, searches look at the
    /// vectors themselves. Only the first call does something.
    pub fn keep_index(&self) {
        if self.index_is_kept.swap(true, Ordering::Relaxed) {
            return;
        }
        let service = self.clone();
        self.parts.tasks.spawn(async move {
            let shutdown = service.parts.shutdown.clone();
            let mut changes = service.parts.store.changes();
            loop {
                let kept = tokio::select! {
                    () = shutdown.cancelled() => return,
                    kept = service.follow(&mut changes) => kept,
                };
                let Err(error) = kept else { return };
                tracing::warn!(%error, "the index is not kept: searches go on without it");
                service.index.forget();
                service.index.set_state(State::Failed(error.to_string()));
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(RETRY_INTERVAL) => {}
                }
            }
        });
    }

    /// Makes the index and takes in what is committed, until the file is closed.
    async fn follow(&self, changes: &mut tokio::sync::watch::Receiver<u64>) -> Result<()> {
        let mut kept_head = 0;
        loop {
            changes.mark_unchanged();
            let index = Arc::clone(&self.index);
            let caught_up =
                self.read(move |reader| catch_up(&index, reader, CHANGE_COUNT_MAX)).await?;
            let Some(caught_up) = caught_up else {
                self.load().await?;
                continue;
            };
            if caught_up.snapshot.needs_rebuild() {
                self.load().await?;
                continue;
            }
            if caught_up.is_behind {
                continue;
            }
            let head = caught_up.snapshot.head();
            drop(caught_up);
            if head - kept_head >= KEEP_CHANGE_COUNT_MIN.cast_signed() {
                self.keep_stale().await?;
                kept_head = head;
            }
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Reads the codes that are kept, and makes those that are missing, damaged or of another
    /// model from the vectors.
    async fn load(&self) -> Result<()> {
        let started = Instant::now();
        let (model, chunks, head) = self
            .read(|reader| Ok((model_of(reader)?, reader.code_chunks()?, reader.code_head()?)))
            .await?;
        let total = chunks.len() as u64;
        let is_first = self.index.present().is_none();
        let mut loaded = Vec::with_capacity(chunks.len());
        let mut loading = futures::stream::iter(chunks)
            .map(|chunk| self.load_chunk(chunk, model.clone()))
            .buffered(CHUNK_CONCURRENCY);
        while let Some(chunk) = loading.next().await {
            loaded.push(chunk?);
            if is_first {
                self.index.set_state(State::Building { done: loaded.len() as u64, total });
            }
        }
        drop(loading);
        self.assemble(loaded, model, head).await?;
        let present = self.index.present();
        tracing::info!(
            index.rows = present.map_or(0, |present| present.len()),
            elapsed_ms = started.elapsed().as_millis() as u64,
            "the index is ready"
        );
        Ok(())
    }

    async fn load_chunk(&self, chunk: i64, model: CodeModel) -> Result<Loaded> {
        let wanted = model.clone();
        let saved = self
            .read(move |reader| {
                let Some(saved) = reader.saved_codes(chunk)? else { return Ok(None) };
                let batch = Batch::decode(&saved.bytes, &wanted);
                if batch.is_err() {
                    tracing::warn!(chunk, "codes are damaged, or of another model: made anew");
                }
                Ok(batch.ok().map(|batch| Loaded { chunk, batch, n: saved.n }))
            })
            .await?;
        match saved {
            Some(loaded) => Ok(loaded),
            None => self.make_chunk(chunk, model).await,
        }
    }

    /// Makes the codes of a chunk from its vectors, and keeps them when they are many.
    async fn make_chunk(&self, chunk: i64, model: CodeModel) -> Result<Loaded> {
        let dimension = model.dimension;
        let (batch, n) = self
            .read(move |reader| {
                let n = reader.code_head()?;
                Ok((batch_of(reader, chunk, dimension)?, n))
            })
            .await?;
        if batch.len() >= KEEP_ROW_COUNT_MIN {
            let last = i64::from(batch.get(batch.len() - 1).row);
            let codes = SavedCodes { n, bytes: batch.encode(&model) };
            let keep = self.parts.store.write(move |writer| writer.keep_codes(chunk, last, &codes));
            // Searches do not need them kept: a full disk, say, must not keep the index from them.
            if let Err(error) = keep.await {
                tracing::debug!(%error, chunk, "codes were not kept");
            }
        }
        Ok(Loaded { chunk, batch, n })
    }

    /// Puts chunks together, takes in what changed since each was read, and lets searches use it.
    async fn assemble(&self, loaded: Vec<Loaded>, model: CodeModel, head: i64) -> Result<()> {
        let held: HashMap<i64, i64> = loaded.iter().map(|chunk| (chunk.chunk, chunk.n)).collect();
        let batches: Vec<Batch> = loaded.into_iter().map(|loaded| loaded.batch).collect();
        let building =
            tokio::task::spawn_blocking(move || Snapshot::build(model.dimension, &batches, head));
        let built = building.await.map_err(|error| Error::internal("indexing failed", error))?;
        let index = Arc::clone(&self.index);
        let is_done = self
            .read(move |reader| {
                let _alone = index.update();
                let now = reader.code_head()?;
                let changes = reader.code_changes(0, usize::MAX >> 1)?;
                // Rows of which the chunk holds the change already are left as they are.
                let is_news = |row: i64, n: i64| {
                    held.get(&(row / CODE_CHUNK_ROWS)).is_none_or(|held| n > *held)
                };
                let mut rows = Vec::new();
                for change in changes {
                    match change.row {
                        Some(row) if is_news(row, change.n) => rows.push(row),
                        None if change.n > head => return Ok(false),
                        _ => {}
                    }
                }
                let changed = changes_of(&built, reader, rows)?;
                index.publish(Arc::new(built.with(changed, now)), true);
                index.set_state(State::Ready);
                Ok(true)
            })
            .await?;
        if !is_done {
            // Every vector changed meanwhile: the next turn begins again.
            self.index.forget();
        }
        Ok(())
    }

    /// Keeps the codes of chunks that the log has much of.
    async fn keep_stale(&self) -> Result<()> {
        let (stale, last, model) = self
            .read(|reader| {
                let last = reader.code_chunks()?.last().copied();
                Ok((reader.stale_chunks()?, last, model_of(reader)?))
            })
            .await?;
        for chunk in chunks_to_keep(&stale, last) {
            self.make_chunk(chunk, model.clone()).await?;
        }
        Ok(())
    }
}

/// Of chunks with most entries first, those that are worth keeping anew.
fn chunks_to_keep(stale: &[StaleChunk], last: Option<i64>) -> Vec<i64> {
    let is_long = stale.iter().map(|stale| stale.count).sum::<u64>() > LOG_COUNT_MAX;
    let is_due = |stale: &&StaleChunk| {
        let least = if last == Some(stale.chunk) {
            KEEP_LAST_CHANGE_COUNT_MIN
        } else {
            KEEP_CHANGE_COUNT_MIN
        };
        is_long || stale.count >= least
    };
    stale.iter().filter(is_due).take(KEEP_CHUNK_COUNT_MAX).map(|stale| stale.chunk).collect()
}

fn model_of(reader: &Reader<'_>) -> Result<CodeModel, StoreError> {
    Ok(CodeModel { name: reader.model()?, dimension: reader.dimension()? })
}

fn batch_of(reader: &Reader<'_>, chunk: i64, dimension: usize) -> Result<Batch, StoreError> {
    let mut batch = Batch::empty(dimension);
    let mut places: BTreeMap<String, u32> = BTreeMap::new();
    reader.visit_code_rows(chunk, |row| {
        let keys = labels_of(row).map(|label| label.key());
        let labels: Vec<u32> = keys
            .map(|key| *places.entry(key).or_insert_with_key(|key| batch.add_key(key.clone())))
            .collect();
        batch.push(row_number(row.row)?, row.created_at, &row.vector, &labels);
        Ok(())
    })?;
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_kept_when_they_changed_much_and_the_last_when_it_is_nearly_full() {
        let of = |counts: &[(i64, u64)]| {
            let stale =
                counts.iter().map(|(chunk, count)| StaleChunk { chunk: *chunk, count: *count });
            chunks_to_keep(&stale.collect::<Vec<_>>(), Some(9))
        };
        assert!(of(&[(3, 511), (9, 2_047)]).is_empty());
        assert_eq!(of(&[(9, 2_048), (3, 512), (4, 1)]), [9, 3]);
        let many: Vec<(i64, u64)> = (0..100).map(|chunk| (chunk, 200)).collect();
        assert_eq!(of(&many).len(), KEEP_CHUNK_COUNT_MAX, "the log is too long");
    }
}
