//! Lists that are longer than what is shown of them at first.

use serde_json::{Value, json};
use thirtyfour::Key;

use crate::common::browser::{Browser, Kind};
use crate::common::cluster::{Cluster, HEAL_DEADLINE};
use crate::common::embedder::Stub;
use crate::common::eventually;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::proxy::Mode;
use crate::common::rest::{import, path, store_text, text};

/// Longer than any first part.
const MEMORY_COUNT: usize = 130;
/// Edits that lose; more than are shown at first.
const LOST_COUNT: usize = 25;

/// Waits until so many are shown.
#[track_caller]
fn counts(browser: &Browser, css: &str, count: usize) {
    browser.until(&format!("document.querySelectorAll('{css}').length === {count}"));
}

/// Asks for more by keyboard, where a list says how much it shows.
#[track_caller]
fn more(browser: &Browser, said: &str) {
    browser.shows(".further", said);
    browser.script("document.querySelector('.further button').focus()");
    browser.key(Key::Enter);
}

#[test]
fn lists_of_memories_lead_beyond_their_first_part() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let stub = Stub::new();
    let server = stub.at(&Place::new()).serve().ready();
    let client = server.client();
    let memory = |n: usize| {
        json!({"content": format!("Note {n} about trains"), "tags": ["all", format!("t{n}")],
            "created_at_iso": format!("2014-05-06T07:{:02}:{:02}Z", n / 60, n % 60)})
    };
    import(&client, &(0..MEMORY_COUNT).map(memory).collect::<Vec<Value>>());
    browser.open(&server.url);
    for (query, said) in [
        ("", "100 of 130"),
        ("?tag=all", "100 of 130"),
        ("?time=2014", "100 so far"),
        ("?tag=all&time=2014", "100 so far"),
    ] {
        browser.script(&format!("location.hash = '#/{query}'"));
        counts(&browser, ".results .card", 100);
        more(&browser, said);
        counts(&browser, ".results .card", MEMORY_COUNT);
        browser.until("document.activeElement === document.querySelectorAll('.card-text')[100]");
        counts(&browser, ".further", 0);
        let different = "new Set([...document.querySelectorAll('.card-text')]\
                         .map((one) => one.getAttribute('href'))).size";
        browser.until(&format!("{different} === {MEMORY_COUNT}"));
    }
    // Who reads further down stays there.
    browser.script("location.hash = '#/'");
    more(&browser, "100 of 130");
    counts(&browser, ".results .card", MEMORY_COUNT);
    store_text(&client, "stored while somebody reads");
    browser.shows(".feed .change", "stored while somebody reads");
    counts(&browser, ".results .card", MEMORY_COUNT);

    browser.script("location.hash = '#/?q=trains&mode=keyword'");
    for count in [30, 60] {
        counts(&browser, ".results .card", count);
        more(&browser, &format!("The best {count}"));
    }
    counts(&browser, ".results .card", 100);
    browser.shows(".further", "These are the best 100");
    counts(&browser, ".further button", 0);

    browser.press("Map");
    more(&browser, "100 of 131");
    counts(&browser, ".map-list .card", MEMORY_COUNT + 1);
    browser.press("Overview");
    counts(&browser, ".cloud .tag", 80);
    more(&browser, "80 of 131");
    counts(&browser, ".cloud .tag", MEMORY_COUNT + 1);
}

#[test]
fn the_audit_log_leads_to_older_entries() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let stub = Stub::new();
    let server = stub.at(&Place::new()).serve().ready();
    for n in 0..60 {
        store_text(&server.client(), &format!("entry {n}"));
    }
    eventually("all is noted", || {
        let page = server.client().get("/api/admin/audit?limit=100").expect(200).value();
        (page["entries"].as_array()?.len() >= 60).then_some(())
    });
    browser.open(&format!("{}/#/access", server.url));
    counts(&browser, ".audit tbody tr", 50);
    browser.shows(".further", "50 so far");
    browser.press("Older entries");
    browser.until("document.querySelectorAll('.audit tbody tr').length >= 60");
    browser.click(".audit-form [name=refused]");
    browser.press("Show");
    browser.shows(".audit", "Nothing is noted yet");
    let exported = browser.script_later(
        "const done = arguments[arguments.length - 1];\
         fetch(document.querySelector('a[download]').href).then((answer) => answer.text())\
         .then((text) => done(text.trim().split('\\n').length), (error) => done(String(error)))",
    );
    assert!(exported.as_u64() >= Some(60), "{exported}");
}

#[test]
fn values_that_lost_are_listed_with_the_cluster() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let [one, _] = &cluster.nodes[..] else { panic!("two nodes") };
    let texts = (0..LOST_COUNT).map(|n| store_text(&one.client(), &format!("boat {n}")));
    let hashes: Vec<String> = texts.collect();
    cluster.digests_equal(HEAL_DEADLINE);
    browser.open(&format!("{}/#/cluster", one.url()));
    browser.shows(".lost", "No value has lost so far");
    cluster.network(&[1], Mode::Drop);
    cluster.nodes[1].wait_until_disconnected();
    for hash in &hashes {
        for node in &cluster.nodes {
            let kind = format!("kept-by-{}", node.name);
            node.client().put(&path(hash), json!({"memory_type": kind})).expect(200);
        }
    }
    cluster.network(&[1], Mode::Pass);
    cluster.digests_equal(HEAL_DEADLINE);
    counts(&browser, ".lost tbody tr", 20);
    browser.shows(".lost td", "kept-by-node-");
    browser.picture("cluster-conflicts");
    more(&browser, "20 so far");
    browser.until(&format!("document.querySelectorAll('.lost tbody tr').length >= {LOST_COUNT}"));
    let told = one.client().get("/api/conflicts?limit=1").expect(200).value();
    let newest = text(&told["conflicts"][0]["content_hash"]);
    browser.click(".lost a");
    browser.until(&format!("location.hash.endsWith('{newest}')"));
    browser.shows("h2", "Values that lost");
}
