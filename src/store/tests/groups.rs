//! Writes that share a commit, and writes that fail among them.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use futures::future::join_all;
use tokio::task::JoinSet;

use super::super::StoreState;
use super::*;
use crate::Error;

/// How many writes the file has applied; they must be numbered without a gap.
async fn applied_count(store: &Store) -> u64 {
    let digest = store.read(PATIENCE, |reader| reader.digest()).await.unwrap();
    let intervals: Vec<(u64, u64)> = digest.vector.iter().flat_map(|(_, set)| set.iter()).collect();
    match intervals.as_slice() {
        [] => 0,
        [(1, hi)] => *hi,
        other => panic!("a gap: {other:?}"),
    }
}

/// Keeps the writer busy until the returned sender is used, so that what follows is one group.
async fn hold(store: &Arc<Store>) -> (Sender<()>, JoinSet<Result<(), StoreError>>) {
    let (go, wait) = channel();
    let (started, running) = tokio::sync::oneshot::channel();
    let store = Arc::clone(store);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let held = store.write(move |_| {
            started.send(()).expect("the test waits");
            wait.recv().expect("the test lets go");
            Ok(())
        });
        held.await
    });
    running.await.expect("the writer runs");
    (go, tasks)
}

/// Commits in a write-ahead log: its frames that carry the size of the database. An empty log has
/// no header either.
/// <https://sqlite.org/fileformat2.html#the_write_ahead_log>
fn commit_count(log: &Path) -> usize {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 16_384;
    let bytes = std::fs::read(log).unwrap();
    let frames = bytes.get(HEADER..).unwrap_or_default().chunks_exact(FRAME);
    frames.filter(|frame| frame[4..8] != [0; 4] && frame[8..16] == bytes[16..24]).count()
}

fn refuse() -> StoreError {
    Error::invalid("on purpose").into()
}

#[tokio::test]
async fn a_write_that_fails_leaves_nothing_and_harms_no_other() {
    let Opened { directory: _directory, store } = Opened::new();
    let store = Arc::new(store);
    let (go, held) = hold(&store).await;
    let good = |n: usize| {
        let store = Arc::clone(&store);
        async move {
            store
                .write(move |writer| create(writer, &format!("good {n}")).map(drop))
                .await
                .unwrap();
        }
    };
    let bad = |n: usize| {
        let store = Arc::clone(&store);
        async move {
            let failed = store
                .write(move |writer| {
                    create(writer, &format!("bad {n}"))?;
                    create(writer, &format!("bad too {n}"))?;
                    Err::<(), _>(refuse())
                })
                .await;
            assert!(matches!(failed, Err(StoreError::Refused(_))), "{failed:?}");
        }
    };
    let panics = |n: usize| {
        let store = Arc::clone(&store);
        async move {
            let failed = store
                .write(move |writer| -> Result<(), StoreError> {
                    create(writer, &format!("panics {n}"))?;
                    writer.atomically(|writer| {
                        create(writer, &format!("panics deeper {n}"))?;
                        panic!("on purpose")
                    })
                })
                .await;
            assert!(matches!(failed, Err(StoreError::Closed)), "{failed:?}");
        }
    };
    let all = async {
        // The first of the run fails, so that its origin is made again by the next.
        let rounds = (0..10).map(|n| async move {
            futures::future::join4(bad(n), good(n), panics(n), good(100 + n)).await
        });
        join_all(rounds).await;
    };
    let release = async { go.send(()).expect("the writer waits") };
    futures::future::join(all, release).await;
    assert!(held.join_all().await.iter().all(Result::is_ok));
    assert_eq!(applied_count(&store).await, 20);
    let (count, problems) = store
        .read(PATIENCE, |reader| Ok((reader.count(&everything())?, reader.verify()?)))
        .await
        .unwrap();
    assert_eq!((count, problems), (20, Vec::new()));
}

#[tokio::test]
async fn a_part_that_fails_leaves_the_rest_of_its_write() {
    let opened = Opened::new();
    opened
        .store
        .write(|writer| {
            let failed = writer.atomically(|writer| {
                create(writer, "undone")?;
                Err::<(), _>(refuse())
            });
            assert!(matches!(failed, Err(StoreError::Refused(_))));
            writer.atomically(|writer| {
                create(writer, "kept")?;
                let inner = writer.atomically(|writer| {
                    create(writer, "undone too")?;
                    Err::<(), _>(refuse())
                });
                assert!(inner.is_err());
                create(writer, "kept too")
            })
        })
        .await
        .unwrap();
    assert_eq!(applied_count(&opened.store).await, 2);
    let contents = opened
        .store
        .read(PATIENCE, |reader| reader.list(&everything(), None, 0, 10))
        .await
        .unwrap();
    let contents: Vec<&str> = contents.iter().map(|l| l.memory.content.as_str()).collect();
    assert_eq!(contents, ["kept too", "kept"]);
    opened.check_sound().await;
}

#[tokio::test]
async fn many_writes_share_few_commits_and_none_is_lost() {
    const COUNT: usize = 500;
    let Opened { directory, store } = Opened::new();
    // Without checkpoints the log keeps every commit.
    store
        .write(|writer| Ok(writer.connection().pragma_update(None, "wal_autocheckpoint", 0)?))
        .await
        .unwrap();
    let log = directory.path().join("memory.db-wal");
    let before = commit_count(&log);
    let write = |n: usize| store.write(move |writer| create(writer, &format!("text {n}")));
    let located = join_all((0..COUNT).map(write)).await;
    let commits = commit_count(&log) - before;
    // Far fewer as a rule; a commit waits 20 ms for others, which a loaded machine fills slowly.
    assert!((1..COUNT / 2).contains(&commits), "{commits} commits for {COUNT} writes");
    let mut rows: Vec<i64> = located.into_iter().map(|located| located.unwrap().row).collect();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), COUNT);
    assert_eq!(applied_count(&store).await, COUNT as u64);
    let found = store.read(PATIENCE, |reader| reader.rows(&everything())).await.unwrap();
    assert_eq!(found, rows);
}

#[tokio::test]
async fn a_full_queue_refuses_and_closing_finishes_what_is_queued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    let few = StoreOptions { write_queue_count_max: 4, ..options(&path) };
    let store = Arc::new(Store::open(&few).unwrap());
    let (go, held) = hold(&store).await;
    let write = |n: usize| store.write(move |writer| create(writer, &format!("{n}")).map(drop));
    // The writes are queued, or refused, before the writer is let go; closing waits for them.
    let writes = join_all((0..10).map(write));
    let closing = async {
        go.send(()).expect("the writer waits");
        store.close();
    };
    let (written, ()) = futures::future::join(writes, closing).await;
    assert!(held.join_all().await.iter().all(Result::is_ok));
    let (stored, refused): (Vec<_>, Vec<_>) = written.into_iter().partition(Result::is_ok);
    assert_eq!((stored.len(), refused.len()), (4, 6));
    assert!(refused.iter().all(|result| matches!(result, Err(StoreError::QueueFull))));
    let store = Store::open(&few).unwrap();
    let count = store.read(PATIENCE, |reader| reader.live_count()).await;
    assert_eq!(count.unwrap(), 4);
}

#[tokio::test]
async fn after_damage_nothing_is_written_not_even_what_was_queued() {
    let Opened { directory: _directory, store } = Opened::new();
    let store = Arc::new(store);
    store.write(|writer| create(writer, "before").map(drop)).await.unwrap();
    let (go, held) = hold(&store).await;
    let damage = || StoreError::Damaged("a page that is no page".to_owned());
    let damaged = store.write(move |_| Err::<(), _>(damage()));
    let queued = store.write(|writer| create(writer, "queued").map(drop));
    let release = async { go.send(()).expect("the writer waits") };
    let (damaged, queued, ()) = futures::future::join3(damaged, queued, release).await;
    assert!(matches!(damaged, Err(StoreError::Damaged(_))), "{damaged:?}");
    assert!(matches!(queued, Err(StoreError::ReadOnly(_))), "{queued:?}");
    let late = store.write(|writer| create(writer, "late").map(drop)).await;
    assert!(matches!(late, Err(StoreError::ReadOnly(_))), "{late:?}");
    assert!(matches!(store.state(), StoreState::ReadOnly(_)));
    let count = store.read(PATIENCE, |reader| reader.count(&everything())).await;
    assert_eq!(count.unwrap(), 1);
    // Whether the first write shared the commit with the damage is a matter of milliseconds.
    held.join_all().await;
}
