//! The dashboard while its node is away, and when it comes back.

use serde_json::json;

use crate::common::browser::{Browser, Kind};
use crate::common::eventually;
use crate::common::node::Place;
use crate::common::rest::{contents, store};

/// The port that an address ends in.
fn port(url: &str) -> &str {
    url.rsplit(':').next().expect("an address has one")
}

#[test]
fn what_is_written_offline_is_stored_once_when_the_node_is_back() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let place = Place::new();
    let server = place.serve().ready();
    let url = server.url.clone();
    store(&server.client(), json!({"content": "Seen before the node went away", "tags": ["kept"]}));
    browser.open(&url);
    browser.shows(".card", "Seen before the node went away");
    browser.until("navigator.serviceWorker.controller !== null");
    server.kill();
    browser.reload();
    browser.shows(".live-state", "Offline");
    browser.write("#query", "before the node");
    browser.shows(".results-head", "from this browser");
    browser.shows(".card", "Seen before the node went away");
    browser.press("New memory");
    browser.write("dialog [name=content]", "Written while the node was away");
    browser.press("Store");
    browser.shows("#status", "1 write waits");
    browser.picture("offline");
    let server = place.serve_on(port(&url));
    let client = server.client();
    let stored = eventually("the write arrives", || {
        let list = client.get("/api/memories").value();
        (list["total"] == 2).then_some(list)
    });
    assert_eq!(contents(&stored)[0], "Written while the node was away");
    browser.until("!document.querySelector('#status').innerText.includes('waits')");
    browser.shows("#status", "Live");
}

#[test]
fn the_feed_goes_on_where_it_was_when_the_node_restarts() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let place = Place::new();
    let server = place.serve().ready();
    let url = server.url.clone();
    browser.open(&format!("{url}/#/live"));
    browser.shows(".live-state", "live");
    store(&server.client(), json!({"content": "Before the restart"}));
    browser.shows(".change", "Before the restart");
    server.kill();
    // Another process on the file, while the stream is down.
    let added = place.run(&["add", "While the page could not hear it"]);
    added.ok();
    let server = place.serve_on(port(&url));
    store(&server.client(), json!({"content": "After the restart"}));
    for text in ["While the page could not hear it", "After the restart"] {
        browser.shows(".change", text);
    }
}

#[test]
fn a_key_is_asked_for_and_opens_the_stream_too() {
    let key = "a-key-of-32-characters-0123456789";
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let server = Place::new().with("MCP_API_KEY", key).serve().ready();
    let client = server.client().with("x-api-key", key);
    store(&client, json!({"content": "Only with the key"}));
    browser.open(&server.url);
    browser.write("dialog [name=key]", "not the key");
    browser.press("Continue");
    browser.shows("dialog", "That key is not known");
    browser.write("dialog [name=key]", key);
    browser.press("Continue");
    browser.shows(".card", "Only with the key");
    browser.shows("#status", "Live");
    store(&client, json!({"content": "Heard with a ticket"}));
    browser.shows(".change", "Heard with a ticket");
}
