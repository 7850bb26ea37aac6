//! `memnode cluster`, on a node of its own and across two that hold the same or not.

use serde_json::json;

use crate::common::node::Place;
use crate::common::rest::{digest, store_text, text};

const OTHER: &str = "00ff00ff00ff00ff00ff00ff00ff00ff";

/// What `memnode cluster` prints as JSON.
#[track_caller]
fn told(place: &Place, arguments: &[&str]) -> serde_json::Value {
    place.run(&[&["cluster"], arguments, &["--json"]].concat()).ok().json()
}

#[test]
fn a_file_is_the_first_of_a_cluster_once_that_is_said() {
    let place = Place::new();
    let founded = told(&place, &["init"]);
    assert_eq!((&founded["name"], &founded["membership"]), (&json!("memnode"), &json!("joined")));
    assert_eq!(told(&place, &["init"]), founded, "saying it again changes nothing");
    assert_eq!(told(&place, &["status"])["id"], founded["id"]);
    let shown = place.run(&["cluster", "init"]).ok().stdout;
    assert!(shown.contains(&text(&founded["id"])), "{shown}");
}

#[test]
fn a_node_on_its_own_shows_itself_to_people() {
    let place = Place::new();
    place.run(&["add", "one"]).ok();
    let shown = place.run(&["cluster", "status"]).ok().stdout;
    for part in ["without peers, standalone", "test-node", "this node", "no alarms"] {
        assert!(shown.contains(part), "no {part:?}: {shown}");
    }
    let root = text(&told(&place, &["digest"])["root"]);
    let shown = place.run(&["cluster", "digest"]).ok().stdout;
    assert_eq!(shown, format!("{root}\n1 record, 1 write applied\n"));
    let shown = place.run(&["cluster", "quarantine"]).ok().stdout;
    assert_eq!(shown, "nothing is in quarantine\n");
    let tried = place.run(&["cluster", "quarantine", "retry"]).ok().stdout;
    assert_eq!(tried, "Applied 0 of 0 writes\n");
}

#[test]
fn a_file_with_memories_joins_another_cluster_only_when_that_is_confirmed() {
    let place = Place::new();
    assert_eq!(told(&place, &["join", OTHER])["id"], OTHER, "an empty file has nothing to mix");
    place.run(&["add", "mine"]).ok();
    assert_eq!(told(&place, &["join", OTHER])["memories"], 1, "it belongs there already");
    let elsewhere = OTHER.replace("ff", "ee");
    let refused = place.run(&["cluster", "join", &elsewhere]).expect_code(1);
    assert!(
        refused.stderr.contains("1 memories") && refused.stderr.contains("--yes"),
        "{refused:?}"
    );
    let joined = told(&place, &["join", &elsewhere, "--yes"]);
    assert_eq!((&joined["id"], &joined["memories"]), (&json!(elsewhere), &json!(1)));
    place
        .run(&["get", &text(&place.run(&["list", "--json"]).json()["memories"][0]["content_hash"])])
        .ok();
    place.run(&["cluster", "join", "nonsense"]).expect_code(65);
    place.run(&["cluster", "join"]).expect_code(64);
}

#[test]
fn refusals_are_told_and_have_codes() {
    let place = Place::new();
    place.run(&["add", "one"]).ok();
    place.run(&["cluster", "forget", "nobody"]).expect_code(1);
    place.run(&["cluster", "forget", "test-node"]).expect_code(1);
    place.run(&["cluster", "snapshot"]).expect_code(1);
    place.run(&["cluster", "quarantine", "void", "nonsense"]).expect_code(65);
    place.run(&["cluster", "quarantine", "retry", "a~00000000000000aa:1"]).expect_code(1);
    place.run(&["cluster", "quarantine", "void"]).expect_code(64);
    place.run(&["cluster"]).expect_code(64);
    let voided = place.run(&["cluster", "quarantine", "void", "a~00000000000000aa:1"]).ok();
    assert_eq!(voided.stdout, "Gave up the write a~00000000000000aa:1\n");
}

#[test]
fn nodes_are_compared_by_their_addresses() {
    let server = Place::new().serve();
    let other = Place::new().with("MEMNODE_NODE_ID", "other").serve();
    let (url, other_url) = (server.url.as_str(), other.url.as_str());
    let compare = |urls: &[&str]| server.place.run(&[&["cluster", "compare"], urls].concat());
    let empty = compare(&[url, other_url]).ok().stdout;
    assert!(empty.contains(&format!("{other_url} equals {url}: 0 records")), "{empty}");
    store_text(&server.client(), "only here");
    let differ = compare(&[url, other_url]).expect_code(1);
    assert!(differ.stdout.contains(&format!("{other_url} lacks 1 write")), "{differ:?}");
    assert!(differ.stdout.contains(&format!("{url} lacks 0 writes")), "{differ:?}");
    // One address alone is compared with the node of this file, which is the first one here.
    compare(&[url]).ok();
    let told = server.place.run(&["cluster", "compare", other_url, "--json"]).expect_code(1).json();
    let root = &told["compared"][0]["root"];
    assert_eq!(*root, digest(&other.client())["root"]);
    assert_eq!(
        (&told["compared"][0]["equal"], &told["compared"][0]["lacks_ops"]),
        (&json!(false), &json!(1))
    );

    compare(&["ftp://node"]).expect_code(64);
    compare(&[]).expect_code(64);
    let gone = other_url.to_owned();
    other.stop();
    compare(&[&gone]).expect_code(69);
}

#[test]
fn comparing_shows_the_key_to_nodes_that_want_one() {
    let server = Place::new().with("MCP_API_KEY", "sesame").serve();
    let url = server.url.as_str();
    server.place.run(&["cluster", "compare", url, url]).ok();
    Place::new().run(&["cluster", "compare", url, url]).expect_code(77);
}
