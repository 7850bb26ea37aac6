//! What is erased on one node leaves no trace: not in any file of any node, not on the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::common::cluster::{Cluster, STREAM};
use crate::common::eventually;
use crate::common::nats::{NatsServer, Version};
use crate::common::rest::{path, store};

/// A text that is found nowhere by accident.
const TEXT: &str = "quetzal-7f3a91 keeps its saxophone below the lighthouse";
const WORDS: [&str; 3] = ["quetzal-7f3a91", "saxophone", "lighthouse"];
const TAG: &str = "tag-of-the-erased-5c2e";
/// Bytes of a message that name it among others.
const SLICE: usize = 48;

#[test]
fn an_erased_memory_is_nowhere_any_more() {
    let Some(server) = NatsServer::start(Version::Newer) else { return };
    let storage = server.storage();
    let cluster = Cluster::on(vec![server], 3);
    cluster.ready();
    let (author, other) = (cluster.nodes[0].client(), cluster.nodes[1].client());
    let kept = store(&author, json!({"content": "what stays", "tags": ["stays"]}));
    let stored = store(&author, json!({"content": TEXT, "tags": [TAG]}));
    let hash = stored["content_hash"].as_str().expect("a hash").to_owned();
    cluster.digests_equal(Duration::from_secs(30));
    other.put(&path(&hash), json!({"metadata": {"owner": "quetzal-7f3a91"}})).expect(200);
    cluster.digests_equal(Duration::from_secs(30));
    let traces = messages_with(&cluster, TEXT);
    assert!(!traces.is_empty(), "the stream carried it");
    assert!(!files_with(&cluster, &storage, &traces).is_empty(), "the search finds what is there");

    let purge = format!("{}/purge", path(&hash));
    eventually("every node confirms", || {
        let answer = cluster.nodes[2].client().send("POST", &purge, &[], Vec::new()).expect(200);
        (answer.value()["done"] == true).then_some(())
    });
    cluster.digests_equal(Duration::from_secs(30));

    for node in &cluster.nodes {
        node.client().get(&path(&hash)).expect(404);
        let kept = kept["content_hash"].as_str().expect("a hash");
        node.client().get(&path(kept)).expect(200);
    }
    assert_eq!(messages_with(&cluster, TEXT), Vec::<Vec<u8>>::new());
    let found = files_with(&cluster, &storage, &traces);
    assert!(found.is_empty(), "traces are left in {found:#?}");
}

/// The packed messages of the stream that hold a text.
fn messages_with(cluster: &Cluster, text: &str) -> Vec<Vec<u8>> {
    let admin = cluster.admin();
    let state = admin.wait_for(STREAM).state;
    let messages = (state.first_sequence..=state.last_sequence)
        .filter_map(|sequence| Some(admin.message(STREAM, sequence)?.1));
    let holds = |packed: &Vec<u8>| {
        zstd::stream::decode_all(&packed[..]).is_ok_and(|bytes| contains(&bytes, text.as_bytes()))
    };
    messages.filter(holds).collect()
}

/// Files of nodes and of the server in which a word stands, or a piece of a message.
fn files_with(cluster: &Cluster, storage: &Path, messages: &[Vec<u8>]) -> Vec<String> {
    let mut files = Vec::new();
    collect(storage, &mut files);
    for node in &cluster.nodes {
        collect(node.place.path(), &mut files);
    }
    let pieces: Vec<&[u8]> = messages
        .iter()
        .filter_map(|message| message.get(message.len() / 2..)?.get(..SLICE))
        .chain(WORDS.iter().map(|word| word.as_bytes()))
        .chain([TAG.as_bytes()])
        .collect();
    let mut found = Vec::new();
    for file in files {
        // A file may go while it is looked for.
        let bytes = fs::read(&file).unwrap_or_default();
        for piece in pieces.iter().filter(|piece| contains(&bytes, piece)) {
            found.push(format!("{}: {}", file.display(), String::from_utf8_lossy(piece)));
        }
    }
    found
}

fn contains(bytes: &[u8], piece: &[u8]) -> bool {
    bytes.windows(piece.len()).any(|window| window == piece)
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
