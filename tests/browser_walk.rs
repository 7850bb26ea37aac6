//! What a person does with the dashboard, in real browsers.

use serde_json::json;
use thirtyfour::Key;

use crate::common::browser::{Browser, Kind};
use crate::common::client::Client;
use crate::common::eventually;
use crate::common::node::Place;
use crate::common::rest::{path, store};

const DESKTOP: u32 = 1440;

#[test]
fn a_person_finds_changes_and_deletes_in_chromium() {
    walk(Kind::Chromium(DESKTOP));
}

#[test]
fn a_person_finds_changes_and_deletes_in_firefox() {
    walk(Kind::Firefox);
}

fn walk(kind: Kind) {
    let Some(browser) = Browser::start(kind) else { return };
    let server = Place::new().serve().ready();
    let client = server.client();
    let hash = seed(&client);
    browser.open(&server.url);
    appears_live(&browser, &client);
    search(&browser, &hash);
    edit(&browser, &client, &hash);
    delete_and_undo(&browser, &client, &hash);
    map(&browser);
    timeline(&browser);
    import_and_export(&browser, &server.place);
}

/// A few memories; gives the hash of the one that is looked for.
fn seed(client: &Client) -> String {
    for text in ["Bread needs two hours to rise", "Trains to Vienna leave at nine"] {
        store(client, json!({"content": text, "tags": ["home"], "memory_type": "note"}));
    }
    let wanted = "The staging database moved to port 5433 on Monday";
    let stored = store(client, json!({"content": wanted, "tags": ["staging", "database"]}));
    stored["content_hash"].as_str().expect("a hash").to_owned()
}

fn appears_live(browser: &Browser, client: &Client) {
    browser.shows(".feed .live-state", "live");
    store(client, json!({"content": "Stored while the page is open", "tags": ["live"]}));
    browser.shows(".feed .change", "Stored while the page is open");
    browser.shows(".feed .change .origin", "test-node");
    browser.shows(".card", "Stored while the page is open");
    browser.press("Pause");
    store(client, json!({"content": "Stored while the feed is paused"}));
    browser.press("Resume (1 new)");
    browser.shows(".feed .change", "Stored while the feed is paused");
}

/// By keyboard alone.
fn search(browser: &Browser, hash: &str) {
    browser.script("document.activeElement.blur()");
    browser.key_to_page("/");
    browser.until("document.activeElement.id === 'query'");
    browser.write("#query", "which port has the staging database");
    browser.until("document.querySelector('.card mark')?.innerText.length > 0");
    browser.until("document.querySelector('.card-text').innerText.includes('5433')");
    browser.click(".score summary");
    browser.shows(".score-part", "meaning");
    browser.click("#query");
    browser.key(Key::Down);
    browser.until("document.activeElement.className === 'card-text'");
    browser.key(Key::Enter);
    browser.until(&format!("location.hash.endsWith('{hash}')"));
    browser.shows(".memory-text", "port 5433");
    browser.shows("table", "tag.staging");
}

fn edit(browser: &Browser, client: &Client, hash: &str) {
    browser.press("Edit");
    browser.write("[name=tags]", "staging, moved");
    browser.write("[name=metadata]", "{\"by\": \"browser\"}");
    // Someone else is faster: nothing of theirs is overwritten.
    client.put(&path(hash), json!({"memory_type": "fact"})).expect(200);
    browser.press("Save");
    browser.shows(".toast", "Nothing was overwritten");
    browser.press("Show what it is now");
    browser.shows(".facts", "fact");
    browser.press("Edit");
    browser.write("[name=tags]", "staging, moved");
    browser.press("Save");
    browser.shows(".tag", "moved");
    let memory = client.get(&path(hash)).expect(200).value();
    assert_eq!(
        (&memory["tags"], &memory["memory_type"]),
        (&json!(["moved", "staging"]), &json!("fact"))
    );
}

fn delete_and_undo(browser: &Browser, client: &Client, hash: &str) {
    browser.press("Delete");
    browser.shows(".toast", "Deleted");
    assert_eq!(client.get(&path(hash)).status, 404);
    browser.press("Undo");
    eventually("it is back", || (client.get(&path(hash)).status == 200).then_some(()));
    browser.shows(".memory-text", "port 5433");
}

fn map(browser: &Browser) {
    browser.press("Map");
    browser.shows(".map-side", "5 of 5 memories");
    browser.until("document.querySelectorAll('.map-list .card').length === 5");
    browser.script("document.querySelector('canvas.map').focus()");
    browser.key(Key::Right);
    browser.until("!document.querySelector('.tip').hidden");
    browser.shows(".legend", "note");
    // A line around everything chooses everything.
    let (near, far) = (0.02, 0.98);
    browser.draw("canvas.map", &[(near, near), (far, near), (far, far), (near, far)]);
    browser.shows(".map-side h2", "5 chosen");
    browser.picture("map");
    browser.click("[value=origin]");
    browser.shows(".legend", "test-node");
    browser.press("Clear");
    browser.shows(".map-side h2", "Newest");
    browser.script("document.querySelector('canvas.map').focus()");
    browser.key(Key::Right);
    browser.key(Key::Enter);
    browser.until("location.hash.startsWith('#/memory/')");
}

fn timeline(browser: &Browser) {
    browser.press("Overview");
    browser.shows(".tile", "5");
    browser.shows(".cloud", "live");
    browser.until("document.querySelectorAll('.timeline rect').length > 80");
    browser.draw(".timeline-area", &[(0.5, 0.5), (0.99, 0.5)]);
    browser.until("location.hash.includes('after=')");
    browser.until("document.querySelectorAll('.card').length === 5");
}

fn import_and_export(browser: &Browser, place: &Place) {
    let file = place.path().join("two.jsonl");
    let lines = "{\"content\": \"Imported first\"}\n{\"content\": \"Imported second\"}\n";
    std::fs::write(&file, lines).expect("the directory is ours");
    browser.press("Files");
    browser.choose_file("#import-file", &file);
    browser.shows(".said", "2 stored, 0 known already, 0 failed");
    let count = browser.script_later(
        "const done = arguments[arguments.length - 1];\
         fetch(document.querySelector('a[download]').href).then((answer) => answer.text())\
         .then((text) => done(text.trim().split('\\n').length), (error) => done(String(error)))",
    );
    assert_eq!(count, 7);
    browser.shows(".panel", "0 backups");
    browser.press("Back up now");
    browser.shows(".said", "is written and verified");
    browser.shows("td", "memnode-");
}
