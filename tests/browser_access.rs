//! Keys, limits and the audit log in the dashboard.

use serde_json::json;

use crate::common::browser::{Browser, Kind};
use crate::common::client::Client;
use crate::common::node::Place;
use crate::common::rest::store_text;

const ADMIN: &str = "the-administrator";

#[test]
fn a_person_makes_a_key_sees_what_was_done_with_it_and_revokes_it() {
    let Some(browser) = Browser::start(Kind::Chromium(1440)) else { return };
    let server = Place::new().with("MCP_API_KEY", ADMIN).serve().ready();
    server.client().get("/api/memories").expect(401);
    browser.open(&server.url);
    browser.script(&format!("sessionStorage.setItem('memnode.key', '{ADMIN}')"));
    browser.script("location.hash = '#/access'");
    browser.reload();
    browser.shows(".keys", "no keys yet");
    browser.press("New key");
    browser.write("[name=name]", "laptop of Ada");
    browser.write("[name=scopes]", "read, write");
    browser.press("Make the key");
    let secret = browser.until("document.querySelector('.secret')?.innerText");
    let secret = secret.as_str().expect("a secret").trim().to_owned();
    browser.press("Close");
    browser.shows(".keys td", "laptop of Ada");
    browser.until("document.querySelector('.secret') === null");

    let client = Client::new(&server.url).with("x-api-key", &secret);
    store_text(&client, "stored with the new key");
    browser.until("!document.querySelector('.audit').innerText.includes('stored with')");
    browser.write("#audit-who", "laptop of Ada");
    // Entries are written within a second.
    browser.until(
        "[...document.querySelectorAll('.audit-form button')].forEach((one) => one.click()) \
         ?? document.querySelector('.audit td')?.parentElement.innerText.includes('laptop of Ada')",
    );
    browser.shows(".audit", "POST /api/memories");
    browser.press("Revoke");
    browser.click("dialog button[type=submit]");
    browser.shows(".keys .badge", "revoked");
    client.post("/api/memories", json!({"content": "too late"})).expect(401);
    assert_eq!(browser.faults(), Vec::<String>::new());
}
