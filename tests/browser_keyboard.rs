//! The dashboard by keyboard: every control is reached, and one sees where one is.

use serde_json::{Value, json};
use thirtyfour::Key;

use crate::common::browser::{Browser, Kind};
use crate::common::node::Place;
use crate::common::rest::{path, search, store, text};

/// All that should be reached. Parts of a page are made anew while it is looked at, so it is the
/// place among them by which one is known.
const WANTED: &str = "const wanted = [...document.querySelectorAll(\
    'a[href], button, input, select, textarea, summary, canvas, [tabindex]')].filter((one) => \
    one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }) \
    && (!document.querySelector('dialog[open]') || one.closest('dialog')) \
    && (one.type !== 'radio' || one.checked));";

/// Where the focus is, and what is wrong about how that is shown.
const LOOK: &str = "\
    const one = document.activeElement;\
    if (one === document.body) return [-1, null];\
    const ring = (part) => part && getComputedStyle(part).outlineStyle !== 'none' \
        && parseFloat(getComputedStyle(part).outlineWidth) >= 1;\
    const parts = [one, one.nextElementSibling, one.closest('form'), one.closest('label')];\
    const box = (one.closest('label') ?? one).getBoundingClientRect();\
    const isIn = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;\
    const fault = !parts.some(ring) ? 'no ring' : !isIn ? 'out of sight' : null;\
    return [wanted.indexOf(one), fault && `${fault}: ${one.outerHTML.slice(0, 120)}`]";

/// Walks with Tab until everything was reached.
fn walk(browser: &Browser, name: &str) {
    browser.script("document.activeElement.blur()");
    let count = browser.script(&format!("{WANTED} return wanted.length"));
    let count = count.as_u64().expect("a number") as usize;
    assert!(count > 0, "{name} has no controls");
    let look = format!("{WANTED}{LOOK}");
    let mut reached = vec![false; count];
    // Frames that scroll by themselves take the focus too.
    for _ in 0..2 * count + 20 {
        browser.tab();
        let seen = browser.script(&look);
        assert_eq!(seen[1], Value::Null, "{name}");
        let place = seen[0].as_u64().and_then(|place| reached.get_mut(place as usize));
        place.into_iter().for_each(|is_reached| *is_reached = true);
        if reached.iter().all(|is_reached| *is_reached) {
            return;
        }
    }
    let missed: Vec<usize> = (0..count).filter(|place| !reached[*place]).collect();
    let html = format!("return {}.map((place) => wanted[place]?.outerHTML)", json!(missed));
    let shown = browser.script(&format!("{WANTED} {html}"));
    panic!("{name}: {} of {count} were not reached: {shown}", missed.len());
}

#[test]
fn tab_reaches_every_control_of_every_page() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let server = Place::new().serve().ready();
    let client = server.client();
    store(&client, json!({"content": "Elsewhere", "namespace": "other"}));
    let memory = store(
        &client,
        json!({"content": "Bread needs two hours to rise",
        "tags": ["kitchen"], "memory_type": "note", "metadata": {"source": "book"}}),
    );
    let hash = text(&memory["content_hash"]);
    client.put(&path(&hash), json!({"tags": ["kitchen", "bread"]})).expect(200);
    search(&client, json!({"query": "bread"}));
    browser.open(&server.url);
    let memory = format!("memory/default/{hash}");
    for (page, filled) in [
        ("?q=bread&tag=kitchen", ".card .score"),
        ("overview", ".timeline rect"),
        ("map", ".map-list .card"),
        ("live", ".live-state.live"),
        ("cluster", ".node"),
        ("access", ".audit td"),
        ("files", ".drop"),
        (memory.as_str(), ".facts"),
    ] {
        browser.script(&format!("location.hash = '#/{page}'"));
        browser.until(&format!("document.querySelector('{filled}')"));
        browser.until("document.querySelector('#namespaces select')");
        browser.until("!document.querySelector('[aria-busy]')");
        walk(&browser, page);
    }
    browser.press("Edit");
    walk(&browser, "the editor");
    browser.press("New memory");
    browser.until("document.querySelector('dialog[open]')");
    walk(&browser, "the dialog");
    browser.key(Key::Escape);
    browser.until("!document.querySelector('dialog')");
}

#[test]
fn the_focus_stays_where_it_is_while_things_change() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let server = Place::new().serve().ready();
    let client = server.client();
    store(&client, json!({"content": "The one that is read"}));
    browser.open(&server.url);
    browser.shows(".card", "The one that is read");
    browser.shows(".feed .live-state", "live");
    browser.script("document.querySelector('.card-text').focus()");
    store(&client, json!({"content": "A newer one"}));
    browser.shows(".card:first-child", "A newer one");
    browser.until("document.activeElement.innerText === 'The one that is read'");
    browser.script("location.hash = '#/cluster'");
    browser.click(".applied summary");
    browser.script("document.querySelector('.node').dataset.seen = 'before'");
    browser.until("document.querySelector('.node:not([data-seen])')");
    browser.until("document.querySelector('.applied').open");
    browser.until("document.activeElement.localName === 'summary'");
}
