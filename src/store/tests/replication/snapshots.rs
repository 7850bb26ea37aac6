//! Snapshots: written whole, copied into new files, joined with old ones.

use super::*;
use crate::store::Installed;

/// When snapshots are taken over here: later than everything in them.
const NOW: f64 = 4_000_000_000.0;

async fn fill(store: &Store, node: &str, count: usize) {
    let node = node.to_owned();
    store
        .write(move |writer| {
            for number in 0..count {
                create(writer, &format!("{node} writes number {number}"))?;
            }
            writer.delete(&target(&format!("{node} writes number 0")))?;
            writer.write_reserved("_roster", &node, &serde_json::json!({"state": "joined"}))?;
            Ok(())
        })
        .await
        .unwrap();
}

fn open_store(node: &str, dimension: usize) -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        node: NodeName::new(node).unwrap(),
        dimension,
        keeps_ops: true,
        ..options(&directory.path().join("memory.db"))
    };
    let store = Store::open(&options).unwrap();
    Opened { directory, store }
}

async fn digest(opened: &Opened) -> crate::store::Digest {
    opened.store.read(PATIENCE, |reader| reader.digest()).await.unwrap()
}

async fn installed(opened: &Opened, path: &Path) -> Installed {
    opened.store.install_snapshot(path, NOW).await.unwrap()
}

#[tokio::test]
async fn heartbeats_tell_what_a_snapshot_brought_however_old_it_is() {
    let (a, b) = (open_store("a", DIMENSION), open_store("b", DIMENSION));
    fill(&a.store, "a", 3).await;
    let path = a.directory.path().join("snapshot.db");
    let snapshot = a.store.snapshot_to(&path).unwrap();
    installed(&b, &path).await;
    let beat = b.store.read(PATIENCE, |reader| reader.beat(NOW - 60.0)).await.unwrap();
    assert_eq!(beat.recent, snapshot.vector);
}

#[tokio::test]
async fn a_new_node_becomes_equal_and_goes_on() {
    let (a, b) = (open_store("a", DIMENSION), open_store("b", DIMENSION));
    fill(&a.store, "a", 300).await;
    let path = a.directory.path().join("snapshot.db");
    let snapshot = a.store.snapshot_to(&path).unwrap();
    let expected = digest(&a).await;
    assert_eq!((snapshot.root, &snapshot.vector), (expected.root(), &expected.vector));
    assert_eq!(snapshot.record_count, 301);
    assert!(a.store.snapshot_to(&path).is_err(), "never over another");
    let found = installed(&b, &path).await;
    assert!(found.is_copied && found.refused.is_empty());
    assert_eq!(found.snapshot, snapshot);
    assert_eq!(digest(&b).await, expected);
    b.check_sound().await;
    let query = direction("a writes number 7", DIMENSION);
    let (near, words) = b
        .store
        .read(PATIENCE, move |reader| {
            let words = holding(reader, &["number", "7"])?;
            Ok((reader.nearest(&query, 1)?, words))
        })
        .await
        .unwrap();
    assert!(near[0].1.abs() < 1e-6 && !words.is_empty());
    fill(&b.store, "b", 10).await;
    b.store.write(|writer| writer.delete(&target("a writes number 7"))).await.unwrap();
    b.check_sound().await;
    let start = b.store.read(PATIENCE, |reader| reader.replica_start(9.0)).await.unwrap();
    let nodes: Vec<&str> = start.unpublished.iter().map(|(o, _)| o.node.as_str()).collect();
    assert_eq!(nodes, ["b"], "only its own");
}

#[tokio::test]
async fn nothing_local_is_in_a_snapshot() {
    let a = open_store("a", DIMENSION);
    fill(&a.store, "a", 3).await;
    let once = crate::memory::Idempotency::new("key", b"request").unwrap();
    a.store.write(move |writer| writer.keep_answer("me", &once, "{}")).await.unwrap();
    let path = a.directory.path().join("snapshot.db");
    a.store.snapshot_to(&path).unwrap();
    let file = Connection::open(&path).unwrap();
    for table in
        ["op", "idempotency", "deleted", "change_log", "conflict", "cursor", "roster", "quarantine"]
    {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = file.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{table}");
    }
    let heads: i64 = file.query_row("SELECT sum(head) FROM origin", [], |row| row.get(0)).unwrap();
    assert_eq!(heads, 0);
}

#[tokio::test]
async fn a_node_with_memories_of_its_own_joins() {
    let (a, b) = (open_store("a", DIMENSION), open_store("b", DIMENSION));
    fill(&a.store, "a", 400).await;
    fill(&b.store, "b", 20).await;
    let path = a.directory.path().join("snapshot.db");
    a.store.snapshot_to(&path).unwrap();
    let found = installed(&b, &path).await;
    assert!(!found.is_copied && found.refused.is_empty());
    b.check_sound().await;
    let back = b.directory.path().join("snapshot.db");
    b.store.snapshot_to(&back).unwrap();
    installed(&a, &back).await;
    a.check_sound().await;
    assert_eq!(digest(&a).await, digest(&b).await);
    installed(&a, &back).await;
    assert_eq!(digest(&a).await, digest(&b).await, "again changes nothing");
}

#[tokio::test]
async fn another_model_leaves_vectors_to_be_made() {
    let (a, b) = (open_store("a", DIMENSION), open_store("b", 3));
    fill(&a.store, "a", 5).await;
    let path = a.directory.path().join("snapshot.db");
    a.store.snapshot_to(&path).unwrap();
    assert!(installed(&b, &path).await.is_copied);
    b.check_sound().await;
    let pending = b.store.read(PATIENCE, |reader| reader.unembedded_live(10)).await.unwrap();
    assert_eq!(pending.len(), 4);
}

#[tokio::test]
async fn what_is_no_whole_snapshot_is_refused_and_harms_nothing() {
    let (a, b) = (open_store("a", DIMENSION), open_store("b", DIMENSION));
    fill(&a.store, "a", 50).await;
    let whole = a.directory.path().join("snapshot.db");
    a.store.snapshot_to(&whole).unwrap();
    let check_refused = async |name: &str, damage: fn(&Path)| {
        let path = a.directory.path().join(name);
        std::fs::copy(&whole, &path).unwrap();
        damage(&path);
        let refused = b.store.install_snapshot(&path, NOW).await;
        assert!(refused.is_err(), "{name}");
        assert_eq!(b.store.state(), crate::store::StoreState::Ok, "{name}");
        assert_eq!(digest(&b).await.count(), 0, "{name}");
    };
    check_refused("absent", |path| std::fs::remove_file(path).unwrap()).await;
    check_refused("text", |path| std::fs::write(path, "hello").unwrap()).await;
    check_refused("short", |path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    })
    .await;
    check_refused("root", |path| {
        let sql = "UPDATE meta SET value = zeroblob(16) WHERE key = 'snapshot_root'";
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    })
    .await;
    check_refused("row", |path| {
        let sql = "DROP TRIGGER change_log_update;
             UPDATE memory SET version = zeroblob(16) WHERE row = 3";
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    })
    .await;
    check_refused("store", |path| {
        Connection::open(path)
            .unwrap()
            .execute_batch("DELETE FROM meta WHERE key = 'snapshot_root'")
            .unwrap();
    })
    .await;
    fill(&b.store, "b", 3).await;
    b.check_sound().await;
}
