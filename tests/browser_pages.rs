//! Every page of the dashboard: usable by everyone, on every screen, and quick.

use serde_json::json;

use crate::common::browser::{Browser, Kind, WIDEST};
use crate::common::client::Client;
use crate::common::cluster::Cluster;
use crate::common::nats::Version;
use crate::common::node::Place;
use crate::common::rest::store;

/// Milliseconds until the first paint, and compressed bytes until everything is there.
const FIRST_PAINT_MS_MAX: f64 = 200.0;
const BYTES_MAX: f64 = 150.0 * 1024.0;
/// Of a screen of 3840 pixels: the smallest letters, and how much of the width a page takes.
const FONT_PIXELS_MIN: f64 = 20.0;
const WIDTH_SHARE_MIN: f64 = 0.6;
/// A page and an element that is there once it is filled.
const PAGES: [(&str, &str); 7] = [
    ("", ".card"),
    ("overview", ".timeline rect"),
    ("map", ".map-list .card"),
    ("live", ".live-state.live"),
    ("cluster", ".node"),
    ("access", ".audit table"),
    ("files", ".drop"),
];

fn seed(client: &Client) -> String {
    let texts = [
        ("We deploy on Tuesdays and never on Fridays", "team", "rule"),
        ("The printer on the second floor wants A4 paper", "office", "note"),
        ("Maria prefers short summaries with the numbers first", "people", "preference"),
        ("The staging database moved to port 5433", "staging", "fact"),
    ];
    store(client, json!({"content": "Elsewhere", "namespace": "private-notes-of-a-team"}));
    let mut last = String::new();
    for (content, tag, memory_type) in texts {
        let body = json!({"content": content, "tags": [tag], "memory_type": memory_type,
            "metadata": {"source": "standup"}});
        last = store(client, body)["content_hash"].as_str().expect("a hash").to_owned();
    }
    last
}

fn look_at_all_pages(width: u32) {
    let Some(browser) = Browser::start(Kind::Chromium(width)) else { return };
    let server = Place::new().serve().ready();
    let hash = seed(&server.client());
    let memory = format!("memory/default/{hash}");
    let pages = PAGES.iter().copied().chain([(memory.as_str(), ".facts")]);
    let mut faults = Vec::new();
    browser.open(&server.url);
    for theme in ["light", "dark"] {
        browser.script(&format!("localStorage.setItem('memnode.theme', '{theme}')"));
        browser.reload();
        for (page, filled) in pages.clone() {
            browser.script(&format!("location.hash = '#/{page}'"));
            browser.until(&format!("document.querySelector('{filled}')"));
            let name = page.split('/').next().filter(|name| !name.is_empty()).unwrap_or("search");
            browser.picture(&format!("{name}-{width}-{theme}"));
            let wide = browser.script("return document.documentElement.scrollWidth");
            assert!(wide.as_u64() <= Some(u64::from(width)), "{page} is {wide} wide");
            if width == WIDEST {
                uses_the_screen(&browser, page);
            }
            let found = browser.faults();
            faults.extend(found.into_iter().map(|fault| format!("{theme} {name}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// On a large screen texts are large, and the page is not a strip in the middle of it.
fn uses_the_screen(browser: &Browser, page: &str) {
    let smallest = browser.script(
        "const texts = [...document.querySelectorAll('main *, nav *')].filter((one) => \
         one.checkVisibility() && [...one.childNodes].some((node) => \
         node.nodeType === Node.TEXT_NODE && node.data.trim()));\
         return Math.min(...texts.map((one) => parseFloat(getComputedStyle(one).fontSize)))",
    );
    assert!(smallest.as_f64() >= Some(FONT_PIXELS_MIN), "{page}: letters of {smallest} pixels");
    let share = browser.script(
        "const box = document.querySelector('main > *').getBoundingClientRect();\
         return box.width / (innerWidth - document.querySelector('.rail').offsetWidth)",
    );
    assert!(share.as_f64() >= Some(WIDTH_SHARE_MIN), "{page} uses {share} of the width");
}

#[test]
fn axe_finds_nothing_wrong_on_a_desktop() {
    look_at_all_pages(1440);
}

#[test]
fn axe_finds_nothing_wrong_on_a_telephone() {
    look_at_all_pages(360);
}

#[test]
fn axe_finds_nothing_wrong_on_the_largest_screens() {
    look_at_all_pages(WIDEST);
}

#[test]
fn the_first_page_is_small_and_painted_at_once() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let server = Place::new().serve().ready();
    seed(&server.client());
    browser.open(&server.url);
    browser.shows(".card", "staging");
    let paint = browser.until(
        "performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime)[0]",
    );
    let bytes = browser.until(
        "[...performance.getEntriesByType('navigation'), \
         ...performance.getEntriesByType('resource')] \
         .reduce((sum, one) => sum + one.transferSize, 0)",
    );
    let (paint, bytes) = (paint.as_f64().expect("a time"), bytes.as_f64().expect("a size"));
    println!("first paint {paint:.0} ms, {:.1} KiB transferred", bytes / 1024.0);
    assert!(bytes < BYTES_MAX, "{bytes} bytes");
    // A machine that runs other tests meanwhile is given more.
    assert!(paint < FIRST_PAINT_MS_MAX * 10.0, "{paint} ms");
}

#[test]
fn the_page_speaks_german_to_those_who_do() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let server = Place::new().serve().ready();
    browser.open(&server.url);
    browser.script("localStorage.setItem('memnode.language', 'de')");
    browser.reload();
    browser.shows("nav", "Überblick");
    browser.until("document.documentElement.lang === 'de'");
    browser.picture("search-de");
}

#[test]
fn the_cluster_page_shows_both_nodes_equal() {
    let Some(cluster) = Cluster::start(2, Version::Newer) else { return };
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let url = cluster.nodes[0].url();
    browser.open(&format!("{url}/#/cluster"));
    browser.until("document.querySelectorAll('.node.up').length === 2");
    browser.shows(".node", "node-1");
    browser.shows(".node:not(:first-child)", "equal");
    store(&cluster.nodes[1].client(), json!({"content": "From the other node"}));
    browser.script("location.hash = '#/'");
    browser.shows(".feed .change", "From the other node");
    browser.shows(".feed .change .origin", "node-2");
    browser.script("location.hash = '#/cluster'");
    browser.shows(".node:not(:first-child)", "equal");
    browser.picture("cluster-two-nodes");
}

#[test]
fn words_are_marked_in_every_form_and_places_are_told_apart() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let server = Place::new().serve();
    browser.open(&server.url);
    let ask = |module: &str, expression: &str| {
        browser.script_later(&format!(
            "const done = arguments[arguments.length - 1];\
             import('/ui/js/{module}.js').then((m) => done({expression}), (e) => done(String(e)))"
        ))
    };
    let marked = |text: &str, query: &str| {
        let expression = format!(
            "m.marked({}, m.wanted({})).filter(([, hit]) => hit).map(([word]) => word)",
            json!(text),
            json!(query)
        );
        ask("words", &expression)
    };
    assert_eq!(marked("Two printers print", "which printer"), json!(["printers", "print"]));
    assert_eq!(marked("Das Café in Wien", "cafe"), json!(["Café"]));
    assert_eq!(marked("<b>bold</b>", "<script> b"), json!(["b", "b"]));
    assert_eq!(marked("nothing of it", ""), json!([]));
    let memories = json!([
        {"content": "the port", "tags": [], "created_at": 1},
        {"content": "port and database", "tags": [], "created_at": 2},
        {"content": "bread", "tags": [], "created_at": 3},
    ]);
    let ranked = format!("m.ranked({memories}, 'database port').map((hit) => hit.memory.content)");
    assert_eq!(ask("words", &ranked), json!(["port and database", "the port"]));
    let square = "[[0, 0], [4, 0], [4, 4], [0, 4]]";
    for (point, expected) in [("[2, 2]", true), ("[5, 2]", false), ("[-1, -1]", false)] {
        let found = ask("geometry", &format!("m.inside({point}, {square})"));
        assert_eq!(found, json!(expected), "{point}");
    }
    assert_eq!(ask("geometry", &format!("m.nearest([3, 1], {square}, 2)")), json!(1));
    assert_eq!(ask("geometry", &format!("m.nearest([9, 9], {square}, 2)")), json!(-1));
}
