//! Every control of the dashboard that the walk does not use, used as a person does.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use thirtyfour::Key;

use crate::common::browser::{Browser, Kind};
use crate::common::client::Client;
use crate::common::node::{Place, Server};
use crate::common::rest::{path, store, text};

const FACT: &str = "The staging database moved to port 5433";
const RECIPE: &str = "Bread needs two hours to rise";

/// A browser at a node with a few memories; the hash of [`FACT`].
fn start() -> Option<(Browser, Server, String)> {
    let browser = Browser::start(Kind::Chromium(1440))?;
    let server = Place::new().serve().ready();
    let client = server.client();
    store(&client, json!({"content": "Kept elsewhere", "namespace": "other"}));
    store(&client, json!({"content": RECIPE, "tags": ["kitchen"], "memory_type": "recipe"}));
    let body = json!({"content": FACT, "tags": ["staging", "database"], "memory_type": "fact"});
    let hash = text(&store(&client, body)["content_hash"]);
    browser.open(&server.url);
    browser.shows(".card", FACT);
    Some((browser, server, hash))
}

#[track_caller]
fn shows_only(browser: &Browser, content: &str) {
    let content = json!(content);
    browser.until(&format!(
        "[...document.querySelectorAll('.results .card-text')].map((one) => one.innerText)\
         .join() === {content}"
    ));
}

#[test]
fn a_search_is_narrowed_and_widened_by_all_its_controls() {
    let Some((browser, _server, hash)) = start() else { return };
    for mode in ["keyword", "semantic", "hybrid"] {
        browser.write("#query", "port");
        browser.click(&format!("[name=mode][value={mode}]"));
        browser.until(&format!("location.hash.includes('mode={mode}')"));
        browser.shows(".card mark", "port");
    }
    browser.until("document.querySelector('.card-text').innerText.includes('5433')");
    browser.script("location.hash = '#/'");
    // A tag of a memory leads to all that carry it, and its chip leads back.
    browser.click(".card a.tag[href*='kitchen']");
    shows_only(&browser, RECIPE);
    browser.click(".chip");
    browser.shows(".card", FACT);
    browser.write("[list=time-phrases]", "1999");
    browser.shows(".empty-title", "Nothing found");
    browser.write("[list=time-phrases]", "today");
    browser.shows(".card", FACT);
    browser.script("location.hash = '#/?type=fact'");
    shows_only(&browser, FACT);
    browser.press("Take fact away");
    browser.shows(".card", RECIPE);
    // What is like a memory, without it.
    browser.click(&format!(".near[href*='{hash}']"));
    browser.shows(".chip", "like");
    shows_only(&browser, RECIPE);
    browser.click(".chip");
    browser.shows(".card", FACT);
    // From any page, a stroke leads to the search.
    browser.press("Files");
    browser.key_to_page("/");
    browser.until("document.activeElement.id === 'query'");
}

#[test]
fn language_theme_and_namespace_are_chosen_and_kept() {
    let Some((browser, _server, _)) = start() else { return };
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.press("Dark theme");
    browser.until(&format!("{ground} === 'rgb(16, 19, 22)'"));
    browser.until("document.activeElement.ariaLabel === 'Light theme'");
    browser.reload();
    browser.until(&format!("{ground} === 'rgb(16, 19, 22)'"));
    browser.press("Light theme");
    browser.until(&format!("{ground} === 'rgb(247, 247, 245)'"));

    browser.select("#namespaces select", "other");
    shows_only(&browser, "Kept elsewhere");
    browser.reload();
    shows_only(&browser, "Kept elsewhere");
    browser.select("#namespaces select", "*");
    browser.shows(".card", "Kept elsewhere");
    browser.shows(".card", FACT);
    browser.select("#namespaces select", "default");

    browser.select(".choices select", "de");
    browser.shows("nav", "Überblick");
    browser.reload();
    browser.shows("nav", "Überblick");
    browser.select(".choices select", "en");
    browser.shows("nav", "Overview");
}

#[test]
fn the_overview_leads_to_days_tags_and_types() {
    let Some((browser, _server, _)) = start() else { return };
    let bars = "document.querySelectorAll('.timeline g rect').length";
    browser.press("Overview");
    browser.until(&format!("{bars} >= 89"));
    for (period, wanted) in [("month", "< 40"), ("year", "> 40"), ("all", "> 0")] {
        browser.click(&format!("[name=period][value={period}]"));
        browser.until(&format!("{bars} {wanted}"));
    }
    browser.click("[name=period][value=quarter]");
    browser.until(&format!("{bars} >= 89"));
    // By keyboard: the last two days.
    browser.script("document.querySelector('.timeline-area').focus()");
    browser.key_to(".timeline-area", Key::Shift + Key::Left);
    browser.shows(".timeline-said", "2 memories");
    browser.key(Key::Enter);
    browser.until("location.hash.includes('after=')");
    browser.shows(".card", FACT);
    for (link, content) in [(".cloud a[href*='kitchen']", RECIPE), (".types a[href*='fact']", FACT)]
    {
        browser.press("Overview");
        browser.click(link);
        shows_only(&browser, content);
    }
}

#[test]
fn the_map_is_coloured_pointed_at_drawn_anew_and_left() {
    let Some((browser, _server, _)) = start() else { return };
    browser.press("Map");
    browser.shows(".map-side", "2 of 2 memories");
    for (by, shown) in
        [("tag", "kitchen"), ("origin", "test-node"), ("age", "last day"), ("type", "recipe")]
    {
        browser.click(&format!("[name=by][value={by}]"));
        browser.shows(".legend", shown);
    }
    browser.script("document.querySelector('.legend li').dataset.old = 'yes'");
    browser.press("Redraw");
    browser.until("document.querySelector('.legend li:not([data-old])')");
    browser.shows(".map-side", "2 of 2 memories");
    browser.until("document.querySelector('.toast') === null");
    // The arrow keys go from one memory to the next.
    browser.script("document.querySelector('canvas.map').focus()");
    let mut told = BTreeSet::new();
    // A map that is drawn anew meanwhile begins with its first memory once more.
    for _ in 0..20 {
        browser.key(Key::Right);
        browser.until("!document.querySelector('.tip').hidden");
        let shown = browser.script("return document.querySelector('.tip p').innerText");
        told.insert(shown.as_str().expect("a text").to_owned());
    }
    assert_eq!(told, [RECIPE, FACT].map(str::to_owned).into());
    let edge = 0.01;
    let frame = [(edge, edge), (1.0 - edge, edge), (1.0 - edge, 1.0 - edge), (edge, 1.0 - edge)];
    browser.draw("canvas.map", &frame);
    browser.shows(".map-side h2", "2 chosen");
    browser.key(Key::Escape);
    browser.shows(".map-side h2", "Newest");
    // A click where a memory lies opens it.
    let place = browser.script_later(
        "const done = arguments[arguments.length - 1];\
         const canvas = document.querySelector('canvas.map');\
         fetch('/api/map').then((answer) => answer.json()).then(({ points: [{ x, y }] }) => {\
         const inner = (share, size) => (18 + share * (size - 36)) / size;\
         const { clientWidth: width, clientHeight: height } = canvas;\
         done([inner((x + 1) / 2, width), inner((1 - y) / 2, height)]) })",
    );
    let share = |index: usize| place[index].as_f64().expect("a share");
    browser.point("canvas.map", (share(0), share(1)));
    browser.until("!document.querySelector('.tip').hidden");
    browser.draw("canvas.map", &[(share(0), share(1))]);
    browser.until("location.hash.startsWith('#/memory/')");
}

#[test]
fn a_new_memory_is_opened_refused_and_brought_back() {
    let Some((browser, server, hash)) = start() else { return };
    let client = server.client();
    let fill = |content: &str| {
        browser.press("New memory");
        browser.write("dialog [name=content]", content);
        browser.write("dialog [name=tags]", "One, two");
        browser.write("dialog [name=memory_type]", "note");
        browser.press("Store");
    };
    browser.press("New memory");
    browser.press("Cancel");
    browser.until("!document.querySelector('dialog')");
    fill("Written in the browser");
    browser.shows(".toast", "Stored");
    browser.press("Open");
    browser.shows(".memory-text", "Written in the browser");
    browser.shows(".facts", "note");
    browser.shows(".tags", "two");
    fill("Written in the browser");
    browser.shows(".toast.warn", "stored already");
    browser.click(".toast.warn button.bare");
    browser.until("!document.querySelector('.toast.warn')");

    browser.press("Edit");
    browser.write("[name=metadata]", "no JSON");
    browser.press("Save");
    browser.until("document.querySelector('[name=metadata]').validationMessage.includes('JSON')");
    browser.press("Cancel");
    browser.shows(".memory-text", "Written in the browser");
    browser.press("Similar");
    browser.shows(".chip", "like");

    // A text that was deleted is stored again only by who says so.
    client.delete(&path(&hash)).expect(200);
    fill(FACT);
    browser.press("Bring it back");
    browser.shows(".toast", "Stored");
    assert_eq!(client.get(&path(&hash)).expect(200).value()["content"], FACT);
    client.delete(&path(&hash)).expect(200);
    browser.script(&format!("location.hash = '#/memory/default/{hash}'"));
    browser.shows(".empty-title", "was deleted");
    browser.press("Bring it back");
    browser.shows(".memory-text", FACT);
    browser.press("Back to search");
    browser.shows(".card", FACT);
    browser.script("location.hash = '#/nowhere'");
    browser.shows(".empty", "There is no such page");
}

#[test]
fn files_are_dropped_and_taken_away_and_the_feed_is_paused_on_its_page() {
    let Some((browser, server, _)) = start() else { return };
    browser.press("Live");
    browser.shows(".heading .live-state", "live");
    browser.press("Pause");
    browser.shows(".heading .live-state", "paused");
    browser.press("Files");
    for (name, content, said) in [
        ("list.json", "[{\"content\": \"From a list\"}, {\"content\": \"And again\"}]", "2 stored"),
        ("one.md", "# A heading\n\nFrom a text", "1 stored"),
        ("again.md", "# A heading\n\nFrom a text", "0 stored, 1 known already"),
        ("bad.jsonl", "{\"content\": 5}\n", "1 failed"),
        ("broken.json", "{", "JSON"),
    ] {
        browser.drop_file(".drop", name, content);
        browser.shows(".said", said);
    }
    browser.press("Live");
    browser.press("Resume (3 new)");
    browser.shows(".change", "From a list");
    browser.press("Files");
    // The link's own answer is a file with everything in it.
    let name = browser.script("return document.querySelector('a[download]').download");
    assert_eq!(name, "memnode-export.jsonl");
    let exported = exported(&browser);
    for content in [FACT, RECIPE, "From a list", "And again"] {
        assert!(exported.iter().any(|one| one == content), "{content}: {exported:?}");
    }
    assert!(!exported.iter().any(|one| one == "Kept elsewhere"), "{exported:?}");
    browser.script(
        "globalThis.bars = 0; new MutationObserver(() => { \
         if (document.querySelector('.panel progress')?.value > 0) globalThis.bars += 1 })\
         .observe(document.body, { subtree: true, childList: true, attributes: true })",
    );
    browser.press("Back up now");
    browser.shows(".said", "is written and verified");
    browser.until("globalThis.bars > 0");
    let list = server.client().get("/api/backup/list").expect(200).value();
    browser.shows("td", &text(&list["backups"][0]["filename"]));
}

fn exported(browser: &Browser) -> Vec<Value> {
    let lines = browser.script_later(
        "const done = arguments[arguments.length - 1];\
         fetch(document.querySelector('a[download]').href).then((answer) => answer.text())\
         .then((text) => done(text.trim().split('\\n').map((line) => JSON.parse(line).content)))",
    );
    lines.as_array().expect("a list").clone()
}

#[test]
fn a_key_gets_a_new_secret_and_the_old_one_ends() {
    const ADMIN: &str = "the-administrator";
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let server = Place::new().with("MCP_API_KEY", ADMIN).serve().ready();
    browser.open(&server.url);
    browser.write("dialog [name=key]", ADMIN);
    browser.press("Continue");
    browser.press("Access");
    let secret = |title: &str| {
        browser.shows("dialog h2", title);
        let secret = browser.until("document.querySelector('.secret')?.innerText.trim()");
        browser.press("Copy");
        // The note that it is copied can be closed too.
        browser.click("dialog button[type=submit]");
        browser.until("!document.querySelector('dialog')");
        Client::new(&server.url).with("x-api-key", secret.as_str().expect("a secret"))
    };
    browser.press("New key");
    browser.write("[name=name]", "a script");
    browser.write("[name=scopes]", "read");
    browser.write("[name=days]", "30");
    browser.press("Make the key");
    let old = secret("The secret");
    old.get("/api/memories").expect(200);
    browser.press("New secret: a script");
    browser.write("[name=grace]", "0");
    browser.click("dialog button[type=submit]");
    let new = secret("The secret");
    new.get("/api/memories").expect(200);
    old.get("/api/memories").expect(401);
    browser.shows(".limits td", "Searches");
    browser.shows(".limits td", "Connections of one address");
}
