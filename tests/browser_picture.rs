//! The picture in the README: real memories, a search, and changes that come while one looks.

use std::path::PathBuf;

use serde_json::json;

use crate::common::browser::{Browser, Kind};
use crate::common::node::Place;
use crate::common::rest::{path, search, store, text};

/// What the picture asks for, and what is stored while it is taken.
const QUERY: &str = "record what happens on my screen as a video";
const STORED: [(&str, &str, &str); 5] = [
    ("Screenshots for the manual are taken at 1440 pixels", "docs", "rule"),
    ("We deploy on Tuesdays, never on Fridays", "team", "rule"),
    ("The staging database moved to port 5433", "staging", "fact"),
    ("Ada prefers short summaries with the numbers first", "people", "preference"),
    ("The video of the review is recorded without sound", "review", "note"),
];

/// A file that the environment names: `make picture` gives the memories of `make demo`, and says
/// where the picture goes.
#[allow(clippy::disallowed_methods, reason = "a test may be told where to read and write")]
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

#[test]
fn the_picture_of_the_readme_shows_a_search_and_what_changes() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let place = Place::new().with("MEMNODE_NODE_ID", "laptop");
    if let Some(database) = named("TEST_PICTURE_DATABASE") {
        std::fs::copy(database, place.database()).expect("a database that no process has open");
    }
    let server = place.serve().ready();
    let client = server.client();
    browser.open(&server.url);
    browser.shows(".feed .live-state", "live");
    for (content, tag, memory_type) in STORED {
        let body = json!({"content": content, "tags": [tag], "memory_type": memory_type});
        let memory = store(&client, body);
        browser.shows(".feed .change:first-child", content);
        assert_eq!(memory["origin"], "laptop");
    }
    let found = search(&client, json!({"query": QUERY, "n_results": 1}));
    let best = text(&found["results"][0]["memory"]["content_hash"]);
    client.put(&path(&best), json!({"tags": ["screen", "video"]})).expect(200);
    browser.shows(".feed .change:first-child", "laptop");
    browser.write("#query", QUERY);
    browser.until("document.querySelector('.card mark')");
    browser.until("document.querySelector('.score')");
    browser.script("document.activeElement.blur()");
    browser.until("document.getAnimations().length === 0");
    browser.picture("readme");
    if let Some(file) = named("TEST_PICTURE") {
        browser.small_picture(&file);
    }
}
