//! The digest recounted from the records: beside the writes, and by `memnode verify`.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::events::EventStream;
use crate::common::eventually;
use crate::common::node::Place;
use crate::common::rest::store_text;

/// Changes a file behind its node's back.
fn change(place: &Place, sql: &str) {
    let file = Connection::open(place.database()).expect("a database");
    file.execute_batch(sql).expect("it is changed");
}

fn alarms(client: &Client) -> (Value, Value) {
    let health = client.get("/api/health/detailed").expect(200).value();
    let cluster = client.get("/api/cluster").expect(200).value();
    (health["cluster"]["alarms"].clone(), cluster["alarms"].clone())
}

#[test]
fn a_digest_that_differs_from_a_recount_is_told_of_until_it_fits_again() {
    let place = Place::new().with("MEMNODE_RECOUNT_INTERVAL", "1s");
    let server = place.serve().ready();
    let client = server.client();
    (0..20).for_each(|n| drop(store_text(&client, &format!("text {n}"))));
    assert_eq!(alarms(&client), (json!([]), json!([])));
    place.run(&["verify"]).ok();
    let mut health = EventStream::resume(&server.url, "/api/events?event=health_update", None).0;

    change(&place, "UPDATE bucket SET count = count + 1 WHERE b = (SELECT min(b) FROM bucket)");
    eventually("the recount finds it", || {
        let (health, cluster) = alarms(&client);
        (health == json!(["file_damaged"]) && cluster[0]["kind"] == "file_damaged").then_some(())
    });
    let told = health.next_as("health_update", |told| told["details"]["alarms"] != json!([]));
    assert_eq!(told["details"]["alarms"], json!(["file_damaged"]));
    assert_eq!(told["status"], "degraded");
    let detail = alarms(&client).1[0]["detail"].clone();
    assert!(detail.as_str().is_some_and(|it| it.contains("`memnode verify`")), "{detail}");
    let found = place.run(&["verify"]).expect_code(74);
    assert!(found.stdout.contains("the kept digest differs"), "{found:?}");
    assert!(found.stderr.contains("restore a backup"), "{found:?}");
    let told = place.run(&["verify", "--json"]).expect_code(74).json();
    assert_eq!((&told["ok"], told["problems"].as_array().map(Vec::len)), (&json!(false), Some(1)));
    store_text(&client, "writes go on");

    change(&place, "UPDATE bucket SET count = count - 1 WHERE b = (SELECT min(b) FROM bucket)");
    eventually("all is well again", || (alarms(&client) == (json!([]), json!([]))).then_some(()));
    health.next_as("health_update", |told| told["details"]["alarms"] == json!([]));
    place.run(&["verify"]).ok();
}

#[test]
fn rows_that_name_no_row_are_found() {
    let place = Place::new();
    place.run(&["add", "one"]).ok();
    change(&place, "PRAGMA foreign_keys = OFF; UPDATE memory SET write_origin = 99");
    let found = place.run(&["verify"]).expect_code(74);
    assert!(found.stdout.contains("name a row of origin that is not there"), "{found:?}");
}
